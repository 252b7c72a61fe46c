//! What the daemon says of itself over HTTP: whether it lives and is ready, metrics, the API, and
//! the page.
//!
//! Everything is read off the [`Board`], which the daemon keeps up to date, and off the ledger.

mod api;
mod ask;
pub mod board;
pub mod gate;
mod headers;
mod live;
pub mod openapi;
mod page;
mod past;
mod problem;
mod server;
mod shapes;
pub mod shown;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::daemon::Pulse;
use crate::escape::escape;
use crate::metrics::{self, Metrics};
pub use ask::ask;
use board::Board;
use gate::{Gate, Guarded};
use live::Ears;
use past::Pasts;
use problem::problem;

/// Nobody sends us anything longer.
const LONGEST_BODY: usize = 16 << 10;

/// What everything is made from.
#[derive(Clone)]
pub struct Site {
    board: Arc<Board>,
    pulse: Pulse,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    pasts: Arc<Pasts>,
    ears: Ears,
}

impl Site {
    pub fn new(
        board: Arc<Board>,
        pulse: Pulse,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (pasts, ears) = (Arc::default(), Ears::default());
        Self { board, pulse, metrics, clock, pasts, ears }
    }
}

/// Serves on `address` until the process ends. The answer is the address, which has a port of its
/// own where 0 was asked for.
pub async fn start(address: SocketAddr, site: Site, gate: Arc<Gate>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(server::serve(listener, routes(site, Guarded { gate, address })));
    Ok(address)
}

fn routes(site: Site, guarded: Guarded) -> Router {
    let shown = Router::new()
        .route("/metrics", get(measured))
        .merge(api::routes())
        .merge(page::routes())
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing here"))
        .layer(middleware::from_fn_with_state(guarded, gate::guard));
    Router::new()
        .route("/livez", get(lives))
        .route("/readyz", get(is_ready))
        .merge(shown)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn(headers::secure))
        .with_state(site)
}

/// 200 while the daemon's loop goes round. What the API does has no say in it: a restart would
/// mend nothing there.
async fn lives(State(site): State<Site>) -> Response {
    if site.pulse.beats().await {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer\n").into_response()
    }
}

/// 200 once there is a configuration and a roster for every workspace.
async fn is_ready(State(site): State<Site>) -> Response {
    let waiting = site.board.waiting();
    if waiting.is_empty() {
        return "ok\n".into_response();
    }
    let lines = waiting.iter().map(|name| format!("{}: no roster can be used\n", escape(name)));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}

/// In the format that is asked for.
async fn measured(State(site): State<Site>, headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let now = site.clock.now();
    let (kind, text) = if accepts.contains("application/openmetrics-text") {
        (metrics::OPEN_METRICS, site.metrics.open_metrics(now))
    } else {
        (metrics::TEXT, site.metrics.text(now))
    };
    ([(CONTENT_TYPE, kind)], text).into_response()
}
