//! Authentication of requests.
//!
//! `/livez` and `/readyz` are public. Reading anything else needs the token, unless
//! `web.anonymous` is true; if it is not set, reads on a loopback address are anonymous.
//! Requesting a run always needs the token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::responses::problem;
use crate::config::WebSettings;
use crate::source::env_var;

/// The settings in use; a reload replaces them.
#[derive(Debug)]
pub struct Auth {
    settings: Mutex<WebSettings>,
}

/// The state of the middleware: the settings and the address of the listener.
#[derive(Clone, Debug)]
pub(super) struct AuthState {
    pub auth: Arc<Auth>,
    pub address: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthError {
    /// A token is required, and none is configured.
    NoToken,
    /// The token is missing or wrong.
    WrongToken,
    /// The configured token cannot be read.
    UnreadableToken,
    /// The host name is not one of this machine: possibly DNS rebinding.
    ForeignHost,
}

impl Auth {
    pub fn new(settings: WebSettings) -> Self {
        Self { settings: Mutex::new(settings) }
    }

    /// Replaces the settings.
    pub fn set_settings(&self, settings: &WebSettings) {
        self.settings.lock().clone_from(settings);
    }

    /// Whether anything besides the health checks can be read at `address`.
    pub fn allows_reads(&self, address: SocketAddr) -> bool {
        let settings = self.settings.lock();
        settings.token.is_some() || is_anonymous(&settings, address)
    }

    fn authorize(
        &self,
        method: &Method,
        headers: &HeaderMap,
        address: SocketAddr,
    ) -> Result<(), AuthError> {
        let settings = self.settings.lock().clone();
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let with_token = || check_token(&settings, headers, reads);
        if !reads || !is_anonymous(&settings, address) {
            return with_token();
        }
        // Without a token, any web page could read this from a local browser under its own host
        // name (DNS rebinding).
        if settings.anonymous.is_some() || is_local_host(headers, address) {
            return Ok(());
        }
        with_token().map_err(|_| AuthError::ForeignHost)
    }
}

fn check_token(settings: &WebSettings, headers: &HeaderMap, reads: bool) -> Result<(), AuthError> {
    let Some(source) = &settings.token else { return Err(AuthError::NoToken) };
    let token = source.resolve(&env_var).map_err(|problem| {
        tracing::warn!(%problem, "cannot read `web.token`");
        AuthError::UnreadableToken
    })?;
    match request_token(headers, reads) {
        Some(presented) if is_equal(&token, &presented) => Ok(()),
        _ => Err(AuthError::WrongToken),
    }
}

/// Whether reading needs no token.
fn is_anonymous(settings: &WebSettings, address: SocketAddr) -> bool {
    settings.anonymous.unwrap_or(address.ip().is_loopback())
}

/// The token of a request: a bearer token, or the password of basic authentication. Basic
/// authentication is accepted only for reading: browsers repeat it in cross-site requests.
fn request_token(headers: &HeaderMap, reads: bool) -> Option<SecretString> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().into());
    }
    if !reads || !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_STANDARD.decode(value.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.into())
}

/// Compares in constant time, independent of the lengths.
fn is_equal(one: &SecretString, other: &SecretString) -> bool {
    let digest = |secret: &SecretString| Sha256::digest(secret.expose_secret());
    digest(one).ct_eq(&digest(other)).into()
}

/// Whether the `Host` header names this machine: `localhost` or one of its addresses.
fn is_local_host(headers: &HeaderMap, address: SocketAddr) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_ours = |ip: std::net::IpAddr| ip.is_loopback() || ip == address.ip();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_ours)
}

/// Middleware: forwards an authorized request, and rejects any other.
pub(super) async fn require_auth(
    State(AuthState { auth, address }): State<AuthState>,
    request: Request,
    next: Next,
) -> Response {
    match auth.authorize(request.method(), request.headers(), address) {
        Ok(()) => next.run(request).await,
        Err(error) => error.response(),
    }
}

impl AuthError {
    fn response(self) -> Response {
        match self {
            Self::NoToken => problem(
                StatusCode::FORBIDDEN,
                "a token is required, and none is configured: set `web.token`, or set \
                 `web.anonymous` to allow anonymous reads",
            ),
            Self::UnreadableToken => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "the configured token cannot be read; see the log",
            ),
            Self::ForeignHost => problem(
                StatusCode::MISDIRECTED_REQUEST,
                "anonymous reads need a local host name: use localhost, or set `web.anonymous`",
            ),
            Self::WrongToken => {
                let message = "`web.token` is required: as a bearer token, or, for reading, as \
                               the password of any user";
                let mut response = problem(StatusCode::UNAUTHORIZED, message);
                for scheme in
                    ["Bearer realm=\"rosterd\"", "Basic realm=\"rosterd\", charset=\"UTF-8\""]
                {
                    let scheme = HeaderValue::from_static(scheme);
                    response.headers_mut().append(WWW_AUTHENTICATE, scheme);
                }
                response
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretSource;

    const HERE: &str = "127.0.0.1:9464";
    const ANYWHERE: &str = "0.0.0.0:9464";

    /// An `Auth` with or without a token, and the value of the token. The token is read from a
    /// variable that is set in every test.
    fn auth(with_token: bool, anonymous: Option<bool>) -> (Auth, String) {
        let name = "CARGO_PKG_NAME";
        let token = with_token.then(|| SecretSource::Env(name.to_owned()));
        let value = std::env::var(name).unwrap_or_default();
        (Auth::new(WebSettings { token, anonymous }), value)
    }

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn reads_and_writes_are_authorized_by_token_address_and_host() {
        use AuthError::{ForeignHost, NoToken, WrongToken};
        let (_, value) = auth(true, None);
        assert!(!value.is_empty());
        let bearer = format!("Bearer {value}");
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("zoe:{value}")));
        let (nothing, wrong) = (None, Some("Bearer wrong"));
        let (bearer, basic) = (Some(bearer.as_str()), Some(basic.as_str()));
        let (get, post) = (Method::GET, Method::POST);
        for (token, anonymous, at, method, authorization, expected) in [
            // On a loopback address.
            (false, None, HERE, &get, nothing, Ok(())),
            (false, None, HERE, &post, nothing, Err(NoToken)),
            (true, None, HERE, &get, nothing, Ok(())),
            (true, None, HERE, &post, nothing, Err(WrongToken)),
            (true, None, HERE, &post, wrong, Err(WrongToken)),
            (true, None, HERE, &post, bearer, Ok(())),
            (true, None, HERE, &post, basic, Err(WrongToken)),
            (true, Some(false), HERE, &get, nothing, Err(WrongToken)),
            (true, Some(false), HERE, &get, basic, Ok(())),
            (false, Some(false), HERE, &get, nothing, Err(NoToken)),
            // On every address.
            (false, None, ANYWHERE, &get, nothing, Err(NoToken)),
            (false, Some(true), ANYWHERE, &get, nothing, Ok(())),
            (false, Some(true), ANYWHERE, &post, nothing, Err(NoToken)),
            (true, None, ANYWHERE, &get, nothing, Err(WrongToken)),
            (true, None, ANYWHERE, &get, wrong, Err(WrongToken)),
            (true, None, ANYWHERE, &get, bearer, Ok(())),
            (true, None, ANYWHERE, &get, basic, Ok(())),
            (true, Some(true), ANYWHERE, &get, nothing, Ok(())),
        ] {
            let (auth, _) = auth(token, anonymous);
            let pairs: Vec<_> =
                authorization.into_iter().map(|value| (AUTHORIZATION, value)).collect();
            let result = auth.authorize(method, &headers(&pairs), at.parse().unwrap());
            assert_eq!(result, expected, "{token} {anonymous:?} {at} {method} {authorization:?}");
        }
        // Host names of this machine and of others.
        let (auth, _) = auth(false, None);
        let get = |host: &str| {
            let headers = headers(&[(HOST, host)]);
            auth.authorize(&Method::GET, &headers, HERE.parse().unwrap())
        };
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1:9464", "127.0.0.1", "[::1]:9464"] {
            assert_eq!(get(host), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:9464", "localhost.evil.example", "10.0.0.1", ""]
        {
            assert_eq!(get(host), Err(ForeignHost), "{host}");
        }
    }
}
