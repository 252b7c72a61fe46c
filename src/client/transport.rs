//! Requests to one endpoint: headers, size and time limits, and the messages of failures.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;

use super::answer::{ErrorContext, Response};
use super::http::{HttpRequest, HttpResponse, HttpTransport, TransportError};
use super::network::Network;
use super::rate_limiter::Throttle;
use super::{
    ClientError, Credentials, Observer, Settings, endpoint_is_safe, redacted_url, unusable,
};
use crate::failure::FailureKind;

/// Maximum `Retry-After`; a longer one is cut to this.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The connection to one endpoint and its rate limit. All runs of a workspace share it.
pub struct Transport {
    http: Box<dyn HttpTransport>,
    /// Without user, password, query and fragment.
    endpoint: String,
    timeout: Duration,
    workspace: Option<HeaderValue>,
    max_body: usize,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) throttle: Throttle,
}

/// A request without a response.
#[derive(Debug)]
pub struct ExchangeError {
    pub error: ClientError,
    /// Whether the request may have reached the server.
    pub sent: bool,
}

impl Transport {
    /// Fails if the endpoint is plain HTTP to another machine, if it contains a password, or if the
    /// CA file is not usable.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        check(&settings.endpoint)?;
        Self::over(Box::new(Network::new(settings)?), settings)
    }

    /// Uses another transport instead of the network.
    pub fn over(http: Box<dyn HttpTransport>, settings: &Settings) -> Result<Self, ClientError> {
        let uid = settings.workspace_uid.as_deref();
        let workspace = uid.map(HeaderValue::from_str).transpose().map_err(|_| {
            unusable("`workspace_uid` contains a character that a header cannot carry".into())
        })?;
        Ok(Self {
            http,
            endpoint: redacted_url(&settings.endpoint),
            timeout: settings.timeout,
            workspace,
            max_body: settings.max_response,
            observer: None,
            throttle: Throttle::new(settings.rate),
        })
    }

    /// Reports every request to the observer.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The endpoint for messages: without user, password, query and fragment.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends the body once and reads the whole response.
    pub(super) async fn exchange(
        &self,
        credentials: &Credentials,
        body: String,
        context: &ErrorContext<'_>,
    ) -> Result<Response, ExchangeError> {
        let headers =
            self.headers(credentials).map_err(|error| ExchangeError { error, sent: false })?;
        let request = HttpRequest { headers, body, max_body: self.max_body };
        match self.http.post(request).await {
            Ok(http) => Ok(response(http)),
            Err(failed) => Err(self.exchange_error(&failed, context)),
        }
    }

    fn headers(&self, credentials: &Credentials) -> Result<HeaderMap, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(workspace) = &self.workspace {
            headers.insert("x-paradime-workspace", workspace.clone());
        }
        match credentials {
            Credentials::KeyPair { key, secret } => {
                headers.insert("x-api-key", secret_value("API key", key.expose_secret())?);
                headers.insert("x-api-secret", secret_value("API secret", secret.expose_secret())?);
            }
            Credentials::Token(token) => {
                let bearer = format!("Bearer {}", token.expose_secret());
                headers.insert(header::AUTHORIZATION, secret_value("token", &bearer)?);
            }
        }
        Ok(headers)
    }

    fn exchange_error(&self, failed: &TransportError, context: &ErrorContext<'_>) -> ExchangeError {
        let (endpoint, kind) = (&self.endpoint, failed.kind);
        let cause = context.sanitize(&failed.cause);
        let message = match kind {
            FailureKind::Tls => format!(
                "{endpoint} presented a certificate that is not trusted: {cause}; for a private \
                 authority, set `http.ca_file`"
            ),
            FailureKind::Connect => format!("cannot connect to {endpoint}: {cause}"),
            FailureKind::Timeout => {
                format!("{endpoint} did not respond within {:?}", self.timeout)
            }
            FailureKind::Truncated => format!("the response of {endpoint} is incomplete: {cause}"),
            FailureKind::TooLarge => {
                let kib = self.max_body >> 10;
                format!(
                    "the response of {endpoint} is larger than {kib} KiB, decompressed; check the \
                     endpoint, or raise `limits.response`"
                )
            }
            _ => format!("{endpoint} closed the connection without a response: {cause}"),
        };
        let sent = !matches!(kind, FailureKind::Tls | FailureKind::Connect);
        ExchangeError { error: ClientError { kind, message }, sent }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn check(endpoint: &Url) -> Result<(), ClientError> {
    let shown = redacted_url(endpoint);
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err(unusable(format!(
            "the endpoint {shown} contains a user or a password; write them under `credentials`"
        )));
    }
    if !endpoint_is_safe(endpoint) {
        return Err(unusable(format!(
            "the endpoint {shown} would send the credentials unencrypted; use https \
             (plain http is allowed to loopback only)"
        )));
    }
    Ok(())
}

fn secret_value(what: &str, text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = format!(
            "the {what} contains a character that a header cannot carry, such as a line break"
        );
        ClientError { kind: FailureKind::Credentials, message }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn response(http: HttpResponse) -> Response {
    let HttpResponse { status, headers, body } = http;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let server_time = text(header::DATE).and_then(http_date);
    Response {
        status,
        content_type: text(header::CONTENT_TYPE).map(str::to_owned),
        location: headers
            .get(header::LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        retry_after: text(header::RETRY_AFTER).and_then(|text| retry_after(text, server_time)),
        partial: partial(&headers),
        server_time,
        body,
    }
}

/// The header that says that the body is only a part, if there is one.
fn partial(headers: &HeaderMap) -> Option<&'static str> {
    let mut links = headers.get_all(header::LINK).iter();
    if headers.contains_key(header::CONTENT_RANGE) {
        return Some("`Content-Range`");
    }
    links
        .any(|link| names_next(&link.as_bytes().to_ascii_lowercase()))
        .then_some("`Link: rel=next`")
}

/// Whether one of the links in this lower-case `Link` header has the relation `next`.
fn names_next(links: &[u8]) -> bool {
    let links = String::from_utf8_lossy(links);
    let parameters = links.split('<').flat_map(|link| {
        let (_, parameters) = link.split_once('>').unwrap_or(("", link));
        parameters.split([';', ','])
    });
    parameters.filter_map(|parameter| parameter.split_once('=')).any(|(name, relations)| {
        let mut relations = relations.split(|c: char| c.is_ascii_whitespace() || "\"'".contains(c));
        name.trim() == "rel" && relations.any(|relation| relation == "next")
    })
}

/// `Retry-After`: seconds, or a date, which is compared with the server's own clock.
fn retry_after(text: &str, server_time: Option<Timestamp>) -> Option<Duration> {
    let text = text.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        Duration::try_from(http_date(text)?.duration_since(server_time?)).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn http_date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = http_date("Wed, 25 Nov 2026 10:00:00 GMT");
        let later = "Wed, 25 Nov 2026 10:00:30 GMT";
        assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(" 0 ", now), Some(Duration::ZERO));
        assert_eq!(retry_after(later, now), Some(Duration::from_secs(30)));
        assert_eq!(
            retry_after(later, http_date("Wed, 25 Nov 2026 11:00:00 GMT")),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after(later, None), None, "no server clock to compare with");
        for odd in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after(odd, now), None, "{odd}");
        }
        assert_eq!(retry_after("99999999999999999999999", now), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn headers_of_a_part_are_recognized() {
        let of = |name, values: &[&'static [u8]]| {
            let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).unwrap();
            let mut headers = HeaderMap::new();
            values.iter().map(value).for_each(|value| {
                headers.append(&name, value);
            });
            partial(&headers)
        };
        assert_eq!(of(header::CONTENT_RANGE, &[b"items 0-99/200"]), Some("`Content-Range`"));
        let next = Some("`Link: rel=next`");
        for link in [
            r#"<https://api.acme.io/?page=2>; rel="next""#,
            "<https://api.acme.io/?page=2>; rel=next",
            "<https://api.acme.io/?page=2>;REL = NEXT",
            "<?page=2>; title=\"a\"; rel='last next'",
            r#"<?page=1>; rel="prev", <?page=2>; rel="start next""#,
            "<?page=1>;rel=prev,<?page=2>;rel=next;title=two",
            "?page=2; rel=next",
        ] {
            assert_eq!(of(header::LINK, &[link.as_bytes()]), next, "{link}");
        }
        assert_eq!(of(header::LINK, &[b"<?page=1>; rel=prev", b"<\xff>; rel=next"]), next);
        for link in [
            "",
            r#"<?page=1>; rel="prev""#,
            "<https://api.acme.io/?rel=next>; rel=preload",
            r#"<next>; rel="https://api.acme.io/next""#,
            "<next>; rel=next-archive; title=next",
        ] {
            assert_eq!(of(header::LINK, &[link.as_bytes()]), None, "{link}");
        }
    }

    #[test]
    fn debug_output_of_headers_hides_secrets() {
        let endpoint = "https://api.acme.io/graphql".parse().unwrap();
        let settings = Settings::new(endpoint, Duration::from_secs(1));
        let transport = Transport::new(&settings).unwrap();
        let hush = || "hush-hush-hush".into();
        let pair = Credentials::KeyPair { key: hush(), secret: hush() };
        for credentials in [pair, Credentials::Token(hush())] {
            let headers = transport.headers(&credentials).unwrap();
            assert!(headers.values().any(HeaderValue::is_sensitive));
            assert!(!format!("{headers:?} {transport:?}").contains("hush"), "{headers:?}");
        }
    }
}
