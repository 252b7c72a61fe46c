//! The client of `rosterd health` and `rosterd status`: asks a daemon on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::client::{Settings, cause, connections, read_body};

/// Longer than the daemon waits for its own loop.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Maximum number of bytes of a body: about 16,000 workspaces.
const MAX_BODY: usize = 16 << 20;

/// Status and body of `path` from the daemon that listens on `address`.
pub async fn get(
    address: SocketAddr,
    path: &str,
    token: Option<&SecretString>,
) -> Result<(u16, String), String> {
    let url = format!("http://{}{path}", reachable(address));
    let endpoint = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let settings = Settings::new(endpoint, TIMEOUT);
    let http = connections(&settings).map_err(|error| error.message)?;
    let request = async {
        let mut request = http.get(settings.endpoint);
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut response = request.send().await?;
        let (body, end) = read_body(&mut response, MAX_BODY).await;
        end?;
        Ok((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    };
    request.await.map_err(|error: reqwest::Error| {
        if error.is_timeout() {
            format!("{url}: no response within {} s", TIMEOUT.as_secs())
        } else {
            format!("{url}: {}", cause(&error))
        }
    })
}

/// Replaces an unspecified address, which means all interfaces, by loopback.
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
    fn an_unspecified_address_becomes_loopback() {
        let reach = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(reach("[::]:9464"), "[::1]:9464");
        assert_eq!(reach("10.0.0.7:1"), "10.0.0.7:1");
    }
}
