//! Authentication of requests.
//!
//! `/livez` and `/readyz` are public. Reading anything else needs the token, unless
//! `web.anonymous` is true; if it is not set, reads on a loopback address are anonymous.
//! Requesting a run always needs the token: in its header, or in the form of the page. So no page
//! of another site can request one.
//!
//! Anonymous reads need a host name that nobody else can point at this machine (DNS rebinding).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
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
use crate::config::{SecretError, WebSettings};
use crate::source::env_var;

/// The settings in use; a reload replaces them.
#[derive(Debug)]
pub struct Auth {
    settings: Mutex<WebSettings>,
    /// Why the token could not be read last. It is logged once: anybody can send requests.
    problem: Mutex<Option<SecretError>>,
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
    /// The host name may be another's: possibly DNS rebinding.
    ForeignHost,
    /// The request names more than one host.
    AmbiguousHost,
}

impl Auth {
    pub fn new(settings: WebSettings) -> Self {
        Self { settings: Mutex::new(settings), problem: Mutex::new(None) }
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

    /// Whether a token is configured, so that runs can be requested.
    pub(super) fn has_token(&self) -> bool {
        self.settings.lock().token.is_some()
    }

    /// Whether this is the token.
    pub(super) fn is_token(&self, presented: SecretString) -> bool {
        let settings = self.settings.lock().clone();
        self.check_token(&settings, Some(presented)).is_ok()
    }

    fn authorize(
        &self,
        method: &Method,
        headers: &HeaderMap,
        address: SocketAddr,
    ) -> Result<(), AuthError> {
        let settings = self.settings.lock().clone();
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let with_token = || self.check_token(&settings, request_token(headers, reads));
        if !reads || !is_anonymous(&settings, address) {
            return with_token();
        }
        // Without a token, any web page could read this from a local browser under its own host
        // name (DNS rebinding).
        if is_known_host(headers, &settings, address) {
            return Ok(());
        }
        with_token().map_err(|_| AuthError::ForeignHost)
    }

    fn check_token(
        &self,
        settings: &WebSettings,
        presented: Option<SecretString>,
    ) -> Result<(), AuthError> {
        let Some(source) = &settings.token else { return Err(AuthError::NoToken) };
        let token = source.resolve(&env_var);
        if self.has_changed(token.as_ref().err())
            && let Err(problem) = &token
        {
            tracing::warn!(%problem, "cannot read `web.token`");
        }
        let token = token.map_err(|_| AuthError::UnreadableToken)?;
        match presented {
            Some(presented) if is_equal(&token, &presented) => Ok(()),
            _ => Err(AuthError::WrongToken),
        }
    }

    /// Whether the token could be read last time and cannot now, or for another reason, or again.
    fn has_changed(&self, problem: Option<&SecretError>) -> bool {
        let mut last = self.problem.lock();
        let has_changed = last.as_ref() != problem;
        if has_changed {
            *last = problem.cloned();
        }
        has_changed
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
pub(super) fn is_equal(one: &SecretString, other: &SecretString) -> bool {
    let digest = |secret: &SecretString| Sha256::digest(secret.expose_secret());
    digest(one).ct_eq(&digest(other)).into()
}

/// Whether the `Host` header names this machine: `localhost` or one of its addresses. With
/// `web.anonymous: true` also any address, and the host of `public_url`: a page of another site
/// sends its own name.
fn is_known_host(headers: &HeaderMap, settings: &WebSettings, address: SocketAddr) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_open = settings.anonymous == Some(true);
    let is_known = |ip: IpAddr| is_open || ip.is_loopback() || ip == address.ip();
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    name.trim_start_matches('[').trim_end_matches(']').parse().is_ok_and(is_known)
        || is("localhost")
        || (is_open && settings.host.as_deref().is_some_and(is))
}

/// Whether the request names one host, and not another in its target.
fn names_one_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, other) = (hosts.next(), hosts.next());
    let is_host = |target: &Authority| host.is_some_and(|host| *host == *target.as_str());
    other.is_none() && request.uri().authority().is_none_or(is_host)
}

/// Middleware: rejects a request that a proxy may have judged by another host.
pub(super) async fn require_one_host(request: Request, next: Next) -> Response {
    if names_one_host(&request) {
        next.run(request).await
    } else {
        AuthError::AmbiguousHost.response()
    }
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
                "anonymous reads need a known host name: use localhost or the address, or set \
                 `web.anonymous: true` and `public_url` to the URL that you use",
            ),
            Self::AmbiguousHost => problem(
                StatusCode::BAD_REQUEST,
                "the request names more than one host: send one `Host` header",
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
        (Auth::new(WebSettings { token, anonymous, host: None }), value)
    }

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_unreadable_token_is_logged_once() {
        let (auth, _) = auth(true, None);
        let problem = |name: &str| {
            SecretSource::Env(name.to_owned()).resolve(&|_| None).map(|_| ()).unwrap_err()
        };
        let (one, other) = (problem("ONE"), problem("OTHER"));
        let seen = [None, Some(&one), Some(&one), Some(&other), Some(&other), None, Some(&other)];
        let changes = seen.map(|problem| auth.has_changed(problem));
        assert_eq!(changes, [false, true, false, true, false, true, true]);
    }

    #[test]
    fn reads_and_writes_are_authorized_by_token_address_and_host() {
        use AuthError::{NoToken, WrongToken};
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
    }

    #[test]
    fn anonymous_reads_need_a_known_host() {
        let get = |host: &str, anonymous, at: &str| {
            let public = Some("rosterd.acme.io".to_owned());
            let auth = Auth::new(WebSettings { token: None, anonymous, host: public });
            auth.authorize(&Method::GET, &headers(&[(HOST, host)]), at.parse().unwrap())
        };
        let (refused, open) = (Err(AuthError::ForeignHost), Some(true));
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1:9464", "127.0.0.1", "[::1]:9464"] {
            for (anonymous, at) in [(None, HERE), (open, HERE), (open, ANYWHERE)] {
                assert_eq!(get(host, anonymous, at), Ok(()), "{host} {anonymous:?} {at}");
            }
        }
        for host in ["10.0.0.1", "[fd00::1]:9464", "Rosterd.acme.io", "rosterd.acme.io:443"] {
            assert_eq!(get(host, open, ANYWHERE), Ok(()), "{host}");
            assert_eq!(get(host, None, HERE), refused, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "rosterd.acme.io.evil.example",
            "evil.example:rosterd.acme.io",
            "user@localhost",
            "acme.io",
            "",
            ":9464",
        ] {
            for (anonymous, at) in [(None, HERE), (open, HERE), (open, ANYWHERE)] {
                assert_eq!(get(host, anonymous, at), refused, "{host} {anonymous:?} {at}");
            }
        }
    }

    #[test]
    fn a_request_names_one_host() {
        let of = |target: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(target);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            names_one_host(&request.body(axum::body::Body::empty()).unwrap())
        };
        assert!(of("/", &["localhost"]) && of("/", &[]));
        assert!(of("http://localhost:9464/", &["localhost:9464"]));
        assert!(!of("/", &["localhost", "localhost"]) && !of("/", &["localhost", "evil.example"]));
        assert!(!of("http://evil.example/", &["localhost"]) && !of("http://localhost/", &[]));
    }
}
