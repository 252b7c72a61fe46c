//! What the daemon says of itself over HTTP: whether it lives, and whether it is ready.

mod ask;
pub mod board;
mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::daemon::Pulse;
use crate::escape::escape;
pub use ask::ask;
use board::Board;

/// What the pages are made from.
#[derive(Clone, Debug)]
struct Known {
    board: Arc<Board>,
    pulse: Pulse,
}

/// Serves on `address` until the process ends. The answer is the address, which has a port of its
/// own where 0 was asked for.
pub async fn start(address: SocketAddr, board: Arc<Board>, pulse: Pulse) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/livez", get(lives))
        .route("/readyz", get(is_ready))
        .with_state(Known { board, pulse });
    tokio::spawn(server::serve(listener, routes));
    Ok(address)
}

/// 200 while the daemon's loop goes round. What the API does has no say in it: a restart would
/// mend nothing there.
async fn lives(State(known): State<Known>) -> Response {
    if known.pulse.beats().await {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer\n").into_response()
    }
}

/// 200 once there is a configuration and a roster for every workspace.
async fn is_ready(State(known): State<Known>) -> Response {
    let waiting = known.board.waiting();
    if waiting.is_empty() {
        return "ok\n".into_response();
    }
    let lines = waiting.iter().map(|name| format!("{}: no roster can be used\n", escape(name)));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}
