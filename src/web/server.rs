//! The HTTP server, with limits on connections and time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Maximum number of concurrent connections; further ones wait in the accept queue.
const MAX_CONNECTIONS: usize = 64;
/// Timeout for the request head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum lifetime of a connection.
const MAX_LIFETIME: Duration = Duration::from_mins(5);
/// Delay after a failed accept, for example when the process has too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

pub async fn serve(listener: TcpListener, routes: Router) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // An error means that the client closed the connection or sent no valid HTTP.
            let _ = tokio::time::timeout(MAX_LIFETIME, connection).await;
            drop(slot);
        });
    }
}
