//! What the daemon says of itself over HTTP: whether it lives and is ready, metrics, the API, and
//! the page.
//!
//! Everything is read from the [`StatusStore`], which the daemon keeps up to date, and from the
//! ledger.

mod api;
pub mod auth;
mod headers;
mod health_client;
mod history_cache;
mod live;
pub mod openapi;
mod page;
mod problem;
mod server;
mod shapes;
pub mod snapshot_view;
pub mod status;

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
use crate::daemon::DaemonHandle;
use crate::escape::escape;
use crate::metrics::{self, Metrics};
use auth::{Auth, Guarded};
pub use health_client::ask;
use history_cache::HistoryCache;
use live::SseSlots;
use problem::problem;
use status::StatusStore;

/// Nobody sends us anything longer.
const LONGEST_BODY: usize = 16 << 10;

/// What everything is made from.
#[derive(Clone)]
pub struct AppState {
    board: Arc<StatusStore>,
    handle: DaemonHandle,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    pasts: Arc<HistoryCache>,
    ears: SseSlots,
}

impl AppState {
    pub fn new(
        board: Arc<StatusStore>,
        handle: DaemonHandle,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (pasts, ears) = (Arc::default(), SseSlots::default());
        Self { board, handle, metrics, clock, pasts, ears }
    }
}

/// Serves on `address` until the process ends. The answer is the address, which has a port of its
/// own where 0 was asked for.
pub async fn start(address: SocketAddr, site: AppState, gate: Arc<Auth>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(server::serve(listener, routes(site, Guarded { gate, address })));
    Ok(address)
}

fn routes(site: AppState, guarded: Guarded) -> Router {
    let shown = Router::new()
        .route("/metrics", get(measured))
        .merge(api::routes())
        .merge(page::routes())
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing here"))
        .layer(middleware::from_fn_with_state(guarded, auth::guard));
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
async fn lives(State(site): State<AppState>) -> Response {
    if site.handle.is_alive().await {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer\n").into_response()
    }
}

/// 200 once there is a configuration and a roster for every workspace.
async fn is_ready(State(site): State<AppState>) -> Response {
    let waiting = site.board.waiting();
    if waiting.is_empty() {
        return "ok\n".into_response();
    }
    let lines = waiting.iter().map(|name| format!("{}: no roster can be used\n", escape(name)));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}

/// In the format that is asked for.
async fn measured(State(site): State<AppState>, headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let now = site.clock.now();
    let (kind, text) = if accepts.contains("application/openmetrics-text") {
        (metrics::OPEN_METRICS, site.metrics.open_metrics(now))
    } else {
        (metrics::TEXT, site.metrics.text(now))
    };
    ([(CONTENT_TYPE, kind)], text).into_response()
}
