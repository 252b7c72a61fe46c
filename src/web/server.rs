//! The HTTP server, with limits on connections and time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// Maximum number of concurrent connections. One more closes the oldest that is idle, or else the
/// oldest: so a health check is answered, whatever others hold open.
const MAX_CONNECTIONS: usize = 64;
/// Maximum size of a request head in bytes, and of what is buffered of a body or a response.
const MAX_BUFFER: usize = 64 << 10;
/// Timeout for the request head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum lifetime of a connection.
const MAX_LIFETIME: Duration = Duration::from_mins(5);
/// Delay after a failed accept, for example when the process has too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Held while a request of a connection is answered, and by its event stream.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<()>);

struct Connection {
    in_flight: InFlight,
    task: JoinHandle<()>,
}

impl Connection {
    /// Whether no request is in flight: no head is complete, or the response is on its way.
    fn is_idle(&self) -> bool {
        // One is in the list, one in the task.
        Arc::strong_count(&self.in_flight.0) <= 2
    }
}

pub async fn serve(listener: TcpListener, routes: Router) {
    let mut connections: VecDeque<Connection> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        connections.retain(|connection| !connection.task.is_finished());
        if connections.len() >= MAX_CONNECTIONS {
            let oldest_idle = connections.iter().position(Connection::is_idle).unwrap_or(0);
            connections.remove(oldest_idle).inspect(|connection| connection.task.abort());
        }
        let in_flight = InFlight::default();
        let task = tokio::spawn(serve_one(stream, routes.clone(), in_flight.clone()));
        connections.push_back(Connection { in_flight, task });
    }
}

async fn serve_one(stream: TcpStream, routes: Router, in_flight: InFlight) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let in_flight = in_flight.clone();
        request.extensions_mut().insert(in_flight.clone());
        let response = routes.clone().oneshot(request);
        async move {
            let response = response.await;
            drop(in_flight);
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    // An error means that the client closed the connection or sent no valid HTTP.
    let _ = tokio::time::timeout(MAX_LIFETIME, connection).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Semaphore;

    use super::*;

    /// A server whose `/slow` answers once a permit is there.
    async fn server() -> (std::net::SocketAddr, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(0));
        let slow = Arc::clone(&permits);
        let routes = Router::new()
            .route("/livez", get(async || "ok"))
            .route("/slow", get(async move || slow.acquire().await.map_or("", |_| "slow")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, routes));
        (address, permits)
    }

    async fn connect(address: std::net::SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// The next bytes that the server sends; empty if it has closed the connection.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(HEADER_TIMEOUT / 4, stream.read(&mut bytes)).await;
        let read = read.expect("an answer in time").unwrap_or_default();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    const LIVE: &str = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const SLOW: &str = "GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";

    #[tokio::test]
    async fn the_oldest_idle_connection_yields() {
        let (address, permits) = server().await;
        let mut in_flight = connect(address, SLOW).await;
        // Idle: a request answered, a part of a head, nothing at all.
        let mut idle = vec![connect(address, LIVE).await];
        assert!(answer(&mut idle[0]).await.ends_with("ok"));
        idle.push(connect(address, "GET /li").await);
        while idle.len() < MAX_CONNECTIONS - 1 {
            idle.push(connect(address, "").await);
        }
        for oldest in 0..3 {
            let mut one_more = connect(address, LIVE).await;
            assert!(answer(&mut one_more).await.ends_with("ok"));
            assert_eq!(answer(&mut idle[oldest]).await, "", "it is closed");
            idle.push(one_more);
        }
        idle[3].write_all(LIVE.as_bytes()).await.unwrap();
        assert!(answer(&mut idle[3]).await.ends_with("ok"), "a younger one is open");
        permits.add_permits(1);
        assert!(answer(&mut in_flight).await.ends_with("slow"));
    }

    #[tokio::test]
    async fn a_health_check_is_answered_even_if_no_connection_is_idle() {
        let (address, permits) = server().await;
        let mut busy = Vec::new();
        while busy.len() < MAX_CONNECTIONS {
            busy.push(connect(address, SLOW).await);
        }
        // The last is accepted and in flight before the next connection comes.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(answer(&mut connect(address, LIVE).await).await.ends_with("ok"));
        permits.add_permits(MAX_CONNECTIONS);
        assert_eq!(answer(&mut busy[0]).await, "", "the oldest is closed");
        assert!(answer(&mut busy[MAX_CONNECTIONS - 1]).await.ends_with("slow"));
    }
}
