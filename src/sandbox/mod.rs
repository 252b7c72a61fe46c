//! The API's other side: a faithful User Management API on this machine.
//!
//! [`world`] is a pure state machine, [`schema`] its GraphQL, `server` the HTTP around it with
//! bad days on request ([`faults`]). It never imports the client: the API is read twice,
//! independently, so that a wrong idea about it has to be had twice.

pub mod auth;
mod connection;
mod control;
pub mod executed;
pub mod faults;
mod in_process;
pub mod schema;
mod seed;
mod server;
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
use server::Shared;
use world::World;

pub use in_process::InProcessSandbox;

/// How a sandbox behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the world is kept; without it everything is forgotten at the end.
    pub state: Option<PathBuf>,
    /// The workspaces, by name; a state that is kept has its own.
    pub workspaces: Vec<String>,
    /// So many people beside the documented ones, in each workspace.
    pub people: usize,
    /// The seed of uids and faults.
    pub seed: u64,
    /// Every answer takes so long.
    pub latency: Duration,
    /// And so long for each root field.
    pub latency_per_field: Duration,
    pub faults: Vec<FaultRate>,
    /// Requests a second; more are answered 429.
    pub rate_limit: Option<u32>,
    /// The first field that fails ends the rest of its request, and `data` is null.
    pub abort_batches: bool,
    /// Mutations of more fields are refused before any of them runs.
    pub max_batch: usize,
    /// Pending invitations are called SENT, as the vendor's Python client has it.
    pub sent: bool,
}

/// A sandbox that serves until it is stopped or dropped.
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

/// Starts a sandbox. An address off loopback is refused: its keys are published.
pub async fn start(options: Options, clock: Arc<dyn Clock>) -> io::Result<Running> {
    if !options.listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a loopback address, and the keys are published", options.listen),
        ));
    }
    let kept = options.state.as_deref().map(state::load).transpose()?.flatten();
    let world = kept.unwrap_or_else(|| {
        World::seeded(&options.workspaces, options.people, options.seed, clock.now())
    });
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", options.listen)))?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(options, clock, world));
    shared.keep()?;
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

    /// Where GraphQL is served.
    pub fn endpoint(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    /// The world as it is now.
    pub fn world(&self) -> World {
        self.shared.world.lock().clone()
    }

    /// The world itself, for hands that change it behind the API's back.
    pub fn state(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.shared.world)
    }

    /// What goes wrong from now on, and nothing else.
    pub fn fault(&self, odds: impl IntoIterator<Item = FaultRate>) {
        self.shared.faults.lock().set(odds);
    }

    /// Stops serving; connections that do not end by themselves are dropped.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        let grace = Duration::from_millis(200);
        if tokio::time::timeout(grace, &mut self.serving).await.is_err() {
            self.serving.abort();
            // Until the server is gone, its port is taken.
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
