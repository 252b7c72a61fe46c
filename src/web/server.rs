//! HTTP for a few clients, within limits.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// So many connections at once; others wait.
const CONNECTIONS: usize = 64;
/// A request is asked for within this.
const HEADERS: Duration = Duration::from_secs(10);
/// A connection ends after this.
const LONGEST: Duration = Duration::from_mins(5);
/// Where no connection can be taken in, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

pub async fn serve(listener: TcpListener, routes: Router) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection is lost");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            // Whoever breaks off a connection knows it.
            let _ = tokio::time::timeout(LONGEST, connection).await;
            drop(slot);
        });
    }
}
