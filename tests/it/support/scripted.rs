//! A scripted HTTP/1.1 server: it gives any response, valid or not, and records the requests.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The reaction to a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Send these bytes and keep the connection.
    Bytes(Vec<u8>),
    /// Send these bytes and close the connection.
    Last(Vec<u8>),
    /// Close without a response.
    Close,
    /// Never answer.
    Hang,
}

/// One received request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request line and the headers, verbatim.
    pub head: String,
    pub body: String,
}

/// A running server; it stops with the runtime of the test.
pub struct Scripted {
    pub address: SocketAddr,
    #[cfg_attr(not(feature = "e2e"), expect(dead_code, reason = "for hostile answers"))]
    acts: Arc<Mutex<Vec<Act>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Scripted {
    /// One act for each request, in order; the last one is repeated.
    pub async fn start(acts: impl Into<Vec<Act>>) -> Self {
        Self::listen(acts.into(), None).await
    }

    pub async fn start_tls(acts: impl Into<Vec<Act>>, tls: TlsAcceptor) -> Self {
        Self::listen(acts.into(), Some(tls)).await
    }

    async fn listen(acts: Vec<Act>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let acts = Arc::new(Mutex::new(acts));
        let (script, remembered) = (acts.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(welcome(stream, tls.clone(), script.clone(), remembered.clone()));
            }
        });
        Self { address, acts, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    #[cfg(feature = "e2e")]
    /// Reacts to every request from now on with this act.
    pub fn react(&self, act: Act) {
        *self.acts.lock().unwrap() = vec![act];
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn welcome(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    acts: Arc<Mutex<Vec<Act>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    match tls {
        None => converse(stream, &acts, &seen).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, &acts, &seen).await;
            }
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    acts: &Mutex<Vec<Act>>,
    seen: &Mutex<Vec<Seen>>,
) {
    while let Some(request) = receive(&mut stream).await {
        let act = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            let acts = acts.lock().unwrap();
            acts.get(seen.len() - 1).or(acts.last()).cloned().unwrap()
        };
        match act {
            Act::Bytes(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
            Act::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Close => return,
            Act::Hang => tokio::time::sleep(Duration::from_hours(1)).await,
        }
    }
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut request = Seen { head, body: String::new() };
    let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    request.body = String::from_utf8_lossy(&bytes[end..end + length]).into_owned();
    Some(request)
}

/// A complete response with these extra headers (each `Name: value`).
pub fn answer(status: u16, headers: &[&str], body: &[u8]) -> Act {
    Act::Bytes(bytes(status, headers, body, body.len()))
}

/// A response shorter than its `Content-Length`.
pub fn cut(status: u16, headers: &[&str], body: &[u8]) -> Act {
    Act::Last(bytes(status, headers, body, body.len() + 10))
}

/// A JSON response with status 200.
pub fn json(body: &str) -> Act {
    json_with(200, &[], body)
}

/// A JSON response with these extra headers.
pub fn json_with(status: u16, headers: &[&str], body: &str) -> Act {
    let headers = [&["Content-Type: application/json"], headers].concat();
    answer(status, &headers, body.as_bytes())
}

fn bytes(status: u16, headers: &[&str], body: &[u8], length: usize) -> Vec<u8> {
    let length = format!("Content-Length: {length}");
    let head = [&[&*format!("HTTP/1.1 {status} Said"), &length], headers].concat().join("\r\n");
    [head.as_bytes(), b"\r\n\r\n", body].concat()
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}
