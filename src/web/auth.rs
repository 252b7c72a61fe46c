//! Who may look, and who may ask for a run.
//!
//! Whether the daemon lives and is ready is told to everybody. Reading anything else needs the
//! token, unless `web.anonymous` says that it does not; where nothing is said, it does not on this
//! machine alone. A run is asked for with the token and in no other way.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::problem::problem;
use crate::config::WebSettings;
use crate::source::env_var;

/// The rules in force.
#[derive(Debug)]
pub struct Auth {
    settings: Mutex<WebSettings>,
}

/// The gate, and where the daemon listens.
#[derive(Clone, Debug)]
pub(super) struct Guarded {
    pub gate: Arc<Auth>,
    pub address: SocketAddr,
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// No token opens this: none is configured.
    NoToken,
    /// The token is missing or is another one.
    WrongToken,
    /// The token cannot be read.
    UnreadableToken,
    /// A page of another site asks through a browser of this machine.
    OtherHost,
}

impl Auth {
    pub fn new(settings: WebSettings) -> Self {
        Self { settings: Mutex::new(settings) }
    }

    /// Other rules are in force from now on.
    pub fn adopt(&self, settings: &WebSettings) {
        self.settings.lock().clone_from(settings);
    }

    /// Whether anything but health can be read at `address` by anybody.
    pub fn opens(&self, address: SocketAddr) -> bool {
        let settings = self.settings();
        settings.token.is_some() || is_open(&settings, address)
    }

    fn settings(&self) -> WebSettings {
        self.settings.lock().clone()
    }

    fn judge(&self, method: &Method, headers: &HeaderMap, at: SocketAddr) -> Result<(), Refused> {
        let settings = self.settings();
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if reads && is_open(&settings, at) {
            // Whatever page a browser of this machine shows could ask in its name, under the name
            // of its own site (DNS rebinding).
            let is_ours = settings.anonymous.is_some() || names_this_machine(headers, at);
            let with_token = || has_token(&settings, headers, reads);
            return if is_ours { Ok(()) } else { with_token().map_err(|_| Refused::OtherHost) };
        }
        has_token(&settings, headers, reads)
    }
}

fn has_token(settings: &WebSettings, headers: &HeaderMap, reads: bool) -> Result<(), Refused> {
    let Some(source) = &settings.token else { return Err(Refused::NoToken) };
    let token = source.resolve(&env_var).map_err(|problem| {
        tracing::warn!(%problem, "the token of `web` cannot be read");
        Refused::UnreadableToken
    })?;
    let shown = shown(headers, reads).ok_or(Refused::WrongToken)?;
    if is_same(&token, &shown) { Ok(()) } else { Err(Refused::WrongToken) }
}

/// Whether reading needs no token.
fn is_open(settings: &WebSettings, at: SocketAddr) -> bool {
    settings.anonymous.unwrap_or(at.ip().is_loopback())
}

/// The token that comes with a request. A browser asks a person for it and sends it as a password
/// from then on, which is why that counts for reading alone: another site can make it ask.
fn shown(headers: &HeaderMap, reads: bool) -> Option<SecretString> {
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

/// Takes as long whether the first character differs or the last, and whatever the lengths.
fn is_same(one: &SecretString, other: &SecretString) -> bool {
    let digest = |secret: &SecretString| Sha256::digest(secret.expose_secret());
    digest(one).ct_eq(&digest(other)).into()
}

/// Whether the request was made to an address of this machine, by its own name.
fn names_this_machine(headers: &HeaderMap, at: SocketAddr) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = |it: std::net::IpAddr| it.is_loopback() || it == at.ip();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_address)
}

/// Lets a request through, or says what is missing.
pub(super) async fn guard(
    State(guarded): State<Guarded>,
    request: Request,
    next: Next,
) -> Response {
    match guarded.gate.judge(request.method(), request.headers(), guarded.address) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.answer(),
    }
}

impl Refused {
    fn answer(self) -> Response {
        match self {
            Self::NoToken => problem(
                StatusCode::FORBIDDEN,
                "this needs a token, and none is configured: set `web.token`, or for reading \
                 `web.anonymous`",
            ),
            Self::UnreadableToken => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "the token cannot be read; the log says why",
            ),
            Self::OtherHost => problem(
                StatusCode::MISDIRECTED_REQUEST,
                "without a token this is shown to this machine alone, under its own name: ask \
                 for localhost, or set `web.anonymous`",
            ),
            Self::WrongToken => {
                let words = "this needs the token of `web.token`: as a bearer token, or for \
                             reading as the password of any user";
                let mut answer = problem(StatusCode::UNAUTHORIZED, words).into_response();
                for way in
                    ["Bearer realm=\"rosterd\"", "Basic realm=\"rosterd\", charset=\"UTF-8\""]
                {
                    let way = HeaderValue::from_static(way);
                    answer.headers_mut().append(WWW_AUTHENTICATE, way);
                }
                answer
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

    /// A gate with the token `cargo` or none: the one secret that is set in every test.
    fn gate(with_token: bool, anonymous: Option<bool>) -> (Auth, String) {
        let name = "CARGO_PKG_NAME";
        let token = with_token.then(|| SecretSource::Env(name.to_owned()));
        let value = std::env::var(name).unwrap_or_default();
        (Auth::new(WebSettings { token, anonymous }), value)
    }

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn every_way_to_ask_is_judged() {
        use Refused::{NoToken, OtherHost, WrongToken};
        let (_, value) = gate(true, None);
        assert!(!value.is_empty());
        let bearer = format!("Bearer {value}");
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("zoe:{value}")));
        let (nothing, wrong) = (None, Some("Bearer wrong"));
        let (bearer, basic) = (Some(bearer.as_str()), Some(basic.as_str()));
        let (get, post) = (Method::GET, Method::POST);
        for (token, anonymous, at, method, shown, expected) in [
            // On this machine.
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
            // For others.
            (false, None, ANYWHERE, &get, nothing, Err(NoToken)),
            (false, Some(true), ANYWHERE, &get, nothing, Ok(())),
            (false, Some(true), ANYWHERE, &post, nothing, Err(NoToken)),
            (true, None, ANYWHERE, &get, nothing, Err(WrongToken)),
            (true, None, ANYWHERE, &get, wrong, Err(WrongToken)),
            (true, None, ANYWHERE, &get, bearer, Ok(())),
            (true, None, ANYWHERE, &get, basic, Ok(())),
            (true, Some(true), ANYWHERE, &get, nothing, Ok(())),
        ] {
            let (gate, _) = gate(token, anonymous);
            let pairs: Vec<_> = shown.into_iter().map(|it| (AUTHORIZATION, it)).collect();
            let judged = gate.judge(method, &headers(&pairs), at.parse().unwrap());
            assert_eq!(judged, expected, "{token} {anonymous:?} {at} {method} {shown:?}");
        }
        // The name of another site.
        let (gate, _) = gate(false, None);
        let ask = |host: &str| {
            let headers = headers(&[(HOST, host)]);
            gate.judge(&Method::GET, &headers, HERE.parse().unwrap())
        };
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1:9464", "127.0.0.1", "[::1]:9464"] {
            assert_eq!(ask(host), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:9464", "localhost.evil.example", "10.0.0.1", ""]
        {
            assert_eq!(ask(host), Err(OtherHost), "{host}");
        }
    }
}
