//! The daemon's HTTP server: health checks, metrics, the JSON API and the web page.
//!
//! All data comes from the [`StatusStore`], which the daemon updates, and from the ledger.

mod api;
pub mod auth;
mod headers;
pub mod health_client;
mod history_cache;
pub mod hooks;
mod live;
pub mod openapi;
mod page;
mod queries;
mod responses;
mod server;
pub mod snapshot_view;
pub mod status;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::daemon::DaemonHandle;
use crate::escape::escape;
use crate::metrics::{self, Metrics};
use auth::{Auth, AuthState};
use history_cache::HistoryCache;
use responses::problem;
use status::StatusStore;

/// Maximum size of a request body in bytes.
const MAX_BODY: usize = 16 << 10;

/// The state that all request handlers share.
#[derive(Clone)]
pub struct AppState {
    statuses: Arc<StatusStore>,
    daemon: DaemonHandle,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    auth: Arc<Auth>,
    history: Arc<HistoryCache>,
    sse_slots: Arc<Semaphore>,
}

/// The workspace that a request names.
struct Named {
    app: AppState,
    name: String,
}

impl FromRequestParts<AppState> for Named {
    type Rejection = PathRejection;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, PathRejection> {
        let Path(name) = Path::from_request_parts(parts, app).await?;
        Ok(Self { app: app.clone(), name })
    }
}

impl AppState {
    pub fn new(
        statuses: Arc<StatusStore>,
        daemon: DaemonHandle,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        auth: Arc<Auth>,
    ) -> Self {
        let sse_slots = Arc::new(Semaphore::new(live::MAX_STREAMS));
        Self { statuses, daemon, metrics, clock, auth, history: Arc::default(), sse_slots }
    }
}

/// Serves on `address` until the process exits. Returns the bound address, which has the actual
/// port if 0 was requested.
pub async fn start(address: SocketAddr, app: AppState) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let auth = AuthState { auth: Arc::clone(&app.auth), address };
    tokio::spawn(server::serve(listener, routes(app, auth)));
    Ok(address)
}

fn routes(app: AppState, auth: AuthState) -> Router {
    let protected = Router::new()
        .route("/metrics", get(serve_metrics))
        .merge(api::routes())
        .merge(page::routes())
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(auth, auth::require_auth));
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .merge(page::public_routes())
        .merge(protected)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(auth::require_one_host))
        .layer(middleware::from_fn(headers::secure))
        .with_state(app)
}

/// 200 while the daemon's main loop responds. The state of the API does not matter: a restart would
/// not repair it.
async fn livez(State(app): State<AppState>) -> Response {
    if app.daemon.is_alive().await {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the daemon does not respond\n").into_response()
    }
}

/// 200 once every workspace has had a valid roster, and the credentials and the ledger to use it.
async fn readyz(State(app): State<AppState>) -> Response {
    let not_ready = app.statuses.not_ready();
    if not_ready.is_empty() {
        return "ok\n".into_response();
    }
    let lines = not_ready.iter().map(|(name, why)| format!("{}: {}\n", escape(name), escape(why)));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}

/// A page for browsers, JSON for others.
async fn not_found(State(app): State<AppState>, uri: Uri, headers: HeaderMap) -> Response {
    if accepts(&headers, "text/html") && !uri.path().starts_with("/api/") {
        page::not_found(&app)
    } else {
        problem(StatusCode::NOT_FOUND, "not found")
    }
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains(kind))
}

async fn serve_metrics(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let now = app.clock.now();
    let (content_type, text) = if accepts(&headers, "application/openmetrics-text") {
        (metrics::OPEN_METRICS, app.metrics.open_metrics(now))
    } else {
        (metrics::TEXT, app.metrics.text(now))
    };
    ([(CONTENT_TYPE, content_type)], text).into_response()
}
