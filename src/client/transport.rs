//! HTTP: one POST and its whole answer, within a deadline and a size.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::answer::{ErrorContext, Response};
use super::network::Network;
use super::rate_limiter::Throttle;
use super::{
    ClientError, Credentials, ErrorClass, Observer, RequestMetrics, Settings, endpoint_is_safe,
};
use crate::failure::FailureKind;

/// The longest answer that is read, after decompression: far more than 100,000 users need.
pub const MAX_BODY: usize = 256 << 20;
/// A longer `Retry-After` counts as this.
const LONGEST_STOP: Duration = Duration::from_hours(24);

/// What carries requests to the endpoint: the network, or a simulation of it. It neither follows
/// a redirect nor sends anything twice.
pub trait HttpTransport: Send + Sync {
    /// Sends it once, and waits for the whole answer.
    fn post(&self, post: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>>;
}

/// One request. The headers hold secrets.
#[derive(Debug)]
pub struct HttpRequest {
    pub headers: HeaderMap,
    pub body: String,
    /// An answer may have so many bytes.
    pub max_body: usize,
}

/// A whole answer, whatever it says.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// No answer, or not the whole of it.
#[derive(Debug)]
pub struct TransportError {
    pub how: TransportErrorKind,
    /// The innermost reason, in words that hold no URL.
    pub cause: String,
}

/// The ways in which a request ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// The other side shows a certificate that is not trusted: nothing was sent.
    Certificate,
    /// There was no connection: nothing was sent.
    Connect,
    /// The deadline of the request has passed.
    Timeout,
    /// The answer broke off.
    Truncated,
    /// The connection ended without an answer.
    Reset,
    /// The answer is longer than it may be.
    TooLarge,
}

/// The way to one endpoint, and the pace at which it is asked; shared by every run.
pub struct Transport {
    wire: Box<dyn HttpTransport>,
    shown: String,
    timeout: Duration,
    workspace: Option<HeaderValue>,
    max_body: usize,
    observer: Option<Arc<dyn Observer>>,
    pub(super) throttle: Throttle,
}

/// A request without an answer.
#[derive(Debug)]
pub struct Unanswered {
    pub error: ClientError,
    /// Whether any of it can have reached the server.
    pub sent: bool,
}

impl Transport {
    /// Refuses an endpoint that would carry the credentials in the clear, one that carries a
    /// password itself, and a CA file that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        check(&settings.endpoint, &shown(&settings.endpoint))?;
        Self::over(Box::new(Network::new(settings)?), settings)
    }

    /// The same over something else than the network.
    pub fn over(wire: Box<dyn HttpTransport>, settings: &Settings) -> Result<Self, ClientError> {
        let workspace = settings.workspace_uid.as_deref().map(workspace).transpose()?;
        Ok(Self {
            wire,
            shown: shown(&settings.endpoint),
            timeout: settings.timeout,
            workspace,
            max_body: MAX_BODY,
            observer: None,
            throttle: Throttle::new(settings.rate),
        })
    }

    /// Lowers the longest answer that is read to so many bytes, after decompression.
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes.min(MAX_BODY);
        self
    }

    /// Tells somebody of every request.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    pub(super) fn tell(&self, asked: &RequestMetrics) {
        self.observer.iter().for_each(|observer| observer.asked(asked));
    }

    /// The endpoint as it may be shown: without user, password, query and fragment.
    pub fn endpoint(&self) -> &str {
        &self.shown
    }

    /// Sends the body once and reads the whole answer.
    pub(super) async fn exchange(
        &self,
        credentials: &Credentials,
        body: String,
        context: &ErrorContext<'_>,
    ) -> Result<Response, Unanswered> {
        let headers =
            self.headers(credentials).map_err(|error| Unanswered { error, sent: false })?;
        let post = HttpRequest { headers, body, max_body: self.max_body };
        match self.wire.post(post).await {
            Ok(answered) => Ok(response(answered)),
            Err(broken) => Err(self.unanswered(&broken, context)),
        }
    }

    fn headers(&self, credentials: &Credentials) -> Result<HeaderMap, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(workspace) = &self.workspace {
            headers.insert(HeaderName::from_static("x-paradime-workspace"), workspace.clone());
        }
        match credentials {
            Credentials::KeyPair { key, secret } => {
                let key = secret_value("API key", key.expose_secret())?;
                let secret = secret_value("API secret", secret.expose_secret())?;
                headers.insert(HeaderName::from_static("x-api-key"), key);
                headers.insert(HeaderName::from_static("x-api-secret"), secret);
            }
            Credentials::Token(token) => {
                let bearer = format!("Bearer {}", token.expose_secret());
                headers.insert(header::AUTHORIZATION, secret_value("token", &bearer)?);
            }
        }
        Ok(headers)
    }

    fn unanswered(&self, broken: &TransportError, context: &ErrorContext<'_>) -> Unanswered {
        let (at, cause) = (&self.shown, context.remote(&broken.cause));
        let (class, kind, message) = match broken.how {
            TransportErrorKind::Certificate => {
                let hint = "a private authority is named by `http.ca_file`";
                let shows =
                    format!("{at} shows a certificate that is not trusted: {cause}; {hint}");
                (ErrorClass::Protocol, FailureKind::Tls, shows)
            }
            TransportErrorKind::Connect => (
                ErrorClass::Transient,
                FailureKind::Connect,
                format!("cannot connect to {at}: {cause}"),
            ),
            TransportErrorKind::Timeout => {
                let limit = self.timeout;
                (
                    ErrorClass::Transient,
                    FailureKind::Timeout,
                    format!("{at} did not answer within {limit:?}"),
                )
            }
            TransportErrorKind::Truncated => {
                let message = format!("the answer of {at} broke off: {cause}");
                (ErrorClass::Transient, FailureKind::Truncated, message)
            }
            TransportErrorKind::Reset => {
                let message = format!("{at} closed the connection without an answer: {cause}");
                (ErrorClass::Transient, FailureKind::Reset, message)
            }
            TransportErrorKind::TooLarge => {
                let limit = self.max_body;
                let message = format!("{at} answered with more than {limit} bytes");
                (ErrorClass::Protocol, FailureKind::TooLarge, message)
            }
        };
        let sent =
            !matches!(broken.how, TransportErrorKind::Certificate | TransportErrorKind::Connect);
        Unanswered { error: error(class, kind, message), sent }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.shown).finish_non_exhaustive()
    }
}

fn error(class: ErrorClass, kind: FailureKind, message: String) -> ClientError {
    ClientError { class, kind, message }
}

pub(super) fn unusable(message: String) -> ClientError {
    error(ErrorClass::Protocol, FailureKind::Settings, message)
}

fn shown(endpoint: &Url) -> String {
    let mut shown = endpoint.clone();
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

fn check(endpoint: &Url, shown: &str) -> Result<(), ClientError> {
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err(unusable(format!(
            "the endpoint {shown} holds a user or a password; write them under `credentials`"
        )));
    }
    if !endpoint_is_safe(endpoint) {
        return Err(unusable(format!(
            "the endpoint {shown} would carry the credentials in the clear; use https \
             (plain http is for this machine alone)"
        )));
    }
    Ok(())
}

fn workspace(uid: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(uid)
        .map_err(|_| unusable("`workspace_uid` holds a character that no header can carry".into()))
}

fn secret_value(what: &str, text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message =
            format!("the {what} holds a character that no header can carry, such as a line break");
        error(ErrorClass::Denied, FailureKind::Unauthorized, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What of an answer matters.
fn response(answered: HttpResponse) -> Response {
    let HttpResponse { status, headers, body } = answered;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let server_time = text(header::DATE).and_then(instant);
    Response {
        status,
        content_type: text(header::CONTENT_TYPE).map(str::to_owned),
        location: headers
            .get(header::LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        retry_after: text(header::RETRY_AFTER).and_then(|asked| wait(asked, server_time)),
        server_time,
        body,
    }
}

/// `Retry-After`: seconds, or an instant, which is compared with the server's own clock.
fn wait(asked: &str, server_time: Option<Timestamp>) -> Option<Duration> {
    let asked = asked.trim();
    let wait = if asked.bytes().all(|byte| byte.is_ascii_digit()) && !asked.is_empty() {
        Duration::from_secs(asked.parse().unwrap_or(u64::MAX))
    } else {
        Duration::try_from(instant(asked)?.duration_since(server_time?)).unwrap_or_default()
    };
    Some(wait.min(LONGEST_STOP))
}

fn instant(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_in_both_forms() {
        let now = instant("Wed, 25 Nov 2026 10:00:00 GMT");
        let later = "Wed, 25 Nov 2026 10:00:30 GMT";
        assert_eq!(wait("7", None), Some(Duration::from_secs(7)));
        assert_eq!(wait(" 0 ", now), Some(Duration::ZERO));
        assert_eq!(wait(later, now), Some(Duration::from_secs(30)));
        assert_eq!(wait(later, instant("Wed, 25 Nov 2026 11:00:00 GMT")), Some(Duration::ZERO));
        assert_eq!(wait(later, None), None, "no clock to compare it with");
        for odd in ["", "-1", "soon", "1.5"] {
            assert_eq!(wait(odd, now), None, "{odd}");
        }
        assert_eq!(wait("99999999999999999999999", now), Some(LONGEST_STOP));
    }

    #[test]
    fn the_endpoint_is_shown_without_what_may_be_secret() {
        let endpoint = "https://api.acme.io/graphql?key=hush#hush".parse().unwrap();
        assert_eq!(shown(&endpoint), "https://api.acme.io/graphql");
    }

    #[test]
    fn secrets_travel_in_headers_that_do_not_show_them() {
        let transport = Transport::new(&Settings {
            endpoint: "https://api.acme.io/graphql".parse().unwrap(),
            workspace_uid: None,
            timeout: Duration::from_secs(1),
            rate: None,
            ca_file: None,
        });
        let transport = transport.unwrap();
        let hush = || "hush-hush-hush".into();
        let pair = Credentials::KeyPair { key: hush(), secret: hush() };
        for credentials in [pair, Credentials::Token(hush())] {
            let headers = transport.headers(&credentials).unwrap();
            assert!(headers.values().any(HeaderValue::is_sensitive));
            assert!(!format!("{headers:?} {transport:?}").contains("hush"), "{headers:?}");
        }
    }
}
