//! A local implementation of the User Management API, for tests and trials.
//!
//! [`world`] is a pure state machine, [`schema`] its GraphQL API, and `server` the HTTP server,
//! which injects faults on request ([`faults`]). The sandbox never imports the client: both
//! implement the API independently, so that a misreading of the documentation goes unnoticed only
//! if both share it.

pub mod auth;
mod connection;
mod control;
pub mod executed;
pub mod faults;
mod in_process;
pub mod schema;
mod seed;
mod server;
mod shared;
mod state;
pub mod world;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use connection::ResettableListener;
use faults::FaultRate;
use shared::Shared;
use world::World;

pub use in_process::InProcessSandbox;

#[derive(Clone, Debug)]
pub struct Options {
    /// A loopback address; port 0 selects a free port.
    pub listen: SocketAddr,
    /// The file of the state; without one, the state is lost at exit.
    pub state: Option<PathBuf>,
    /// The names of the workspaces; an existing state file has its own.
    pub workspaces: Vec<String>,
    /// Number of people in each workspace in addition to the documented ones.
    pub people: usize,
    /// The seed of uids and faults.
    pub seed: u64,
    /// Latency of a request.
    pub latency: Duration,
    /// Additional latency for each root field.
    pub latency_per_field: Duration,
    pub faults: Vec<FaultRate>,
    /// Maximum number of requests per second; further ones get 429.
    pub rate_limit: Option<u32>,
    /// The first failed field aborts its request, and `data` is null.
    pub abort_batches: bool,
    /// Maximum number of fields of a mutation; larger ones are rejected before execution.
    pub max_batch: usize,
    /// Report pending invitations as SENT, as the vendor's Python client does.
    pub sent: bool,
}

/// A running sandbox; it stops when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<io::Result<()>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: None,
            workspaces: vec!["acme".to_owned()],
            people: 0,
            seed: 1,
            latency: Duration::ZERO,
            latency_per_field: Duration::ZERO,
            faults: Vec::new(),
            rate_limit: None,
            abort_batches: false,
            max_batch: schema::MAX_FIELDS,
            sent: false,
        }
    }
}

/// Starts a sandbox. Only loopback addresses are allowed: its keys are public.
pub async fn start(options: Options, clock: Arc<dyn Clock>) -> io::Result<Running> {
    if !options.listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a loopback address, and the keys are public", options.listen),
        ));
    }
    let saved = options.state.as_deref().map(state::load).transpose()?.flatten();
    let world = saved.unwrap_or_else(|| {
        World::seeded(&options.workspaces, options.people, options.seed, clock.now())
    });
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", options.listen)))?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(options, clock, world));
    shared.save()?;
    let service = server::routes(Arc::clone(&shared))
        .into_make_service_with_connect_info::<connection::ResetHandle>();
    let stopped = shared.stop.clone().cancelled_owned();
    let serving = tokio::spawn(async move {
        axum::serve(ResettableListener(listener), service).with_graceful_shutdown(stopped).await
    });
    Ok(Running { address, shared, serving })
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the GraphQL API.
    pub fn endpoint(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    /// A copy of the current state.
    pub fn world(&self) -> World {
        self.shared.world.lock().clone()
    }

    /// The state, for changes outside the API.
    pub fn state(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.shared.world)
    }

    /// Stops the server; connections that stay open for more than 200 ms are dropped.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        let grace = Duration::from_millis(200);
        if tokio::time::timeout(grace, &mut self.serving).await.is_err() {
            self.serving.abort();
            // The task holds the port until it has ended.
            let _ = (&mut self.serving).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.serving.abort();
    }
}
