//! The other side: asks a daemon on this machine.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::HOST;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longer than the daemon itself waits for its loop.
const PATIENCE: Duration = Duration::from_secs(8);
/// More than the daemon says.
const LONGEST: usize = 64 << 10;

/// The status and the text of a page of the daemon that listens on `address`.
pub async fn ask(address: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let address = reachable(address);
    let answered = tokio::time::timeout(PATIENCE, exchange(address, path)).await;
    let why = match answered {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    Err(format!("http://{address}{path}: {why}"))
}

async fn exchange(address: SocketAddr, path: &str) -> Result<(u16, String), Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path).header(HOST, address.to_string()).body(Body::empty())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = to_bytes(Body::new(answer.into_body()), LONGEST).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Where this machine reaches what listens on every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_reached_over_this_machine() {
        let reach = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(reach("[::]:9464"), "[::1]:9464");
        assert_eq!(reach("10.0.0.7:1"), "10.0.0.7:1");
    }
}
