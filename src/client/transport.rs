//! HTTP: one POST and its whole answer, within a deadline and a size.

use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Url};
use secrecy::ExposeSecret;

use super::answer::{Response, Telling};
use super::pace::Throttle;
use super::{ClientError, Credentials, ErrorClass, Settings, endpoint_is_safe, is_loopback};

/// The longest answer that is read, after decompression: far more than 100,000 users need.
pub const MAX_BODY: usize = 256 << 20;
/// So much is read of an answer whose status already tells that it failed.
const MAX_FAILED_BODY: usize = 64 << 10;
/// A connection is made within this, or half of the request's deadline.
const CONNECT: Duration = Duration::from_secs(10);
/// A longer `Retry-After` counts as this.
const LONGEST_STOP: Duration = Duration::from_hours(24);

/// The connections to one endpoint, and the pace at which it is asked; shared by every run.
pub struct Transport {
    http: reqwest::Client,
    endpoint: Url,
    shown: String,
    timeout: Duration,
    workspace: Option<HeaderValue>,
    max_body: usize,
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
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let shown = shown(&settings.endpoint);
        check(&settings.endpoint, &shown)?;
        let workspace = settings.workspace_uid.as_deref().map(workspace).transpose()?;
        Ok(Self {
            http: connect(&settings)?,
            endpoint: settings.endpoint,
            shown,
            timeout: settings.timeout,
            workspace,
            max_body: MAX_BODY,
            throttle: Throttle::new(settings.rate),
        })
    }

    /// Lowers the longest answer that is read to so many bytes, after decompression.
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes.min(MAX_BODY);
        self
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
        telling: &Telling<'_>,
    ) -> Result<Response, Unanswered> {
        let headers =
            self.headers(credentials).map_err(|error| Unanswered { error, sent: false })?;
        let request =
            self.http.post(self.endpoint.clone()).headers(headers).timeout(self.timeout).body(body);
        let sent = request.send().await;
        let mut answer = sent.map_err(|error| self.unanswered(&error, telling))?;
        let mut response = head(answer.status().as_u16(), answer.headers());
        let limit = if answer.status().is_success() { self.max_body } else { MAX_FAILED_BODY };
        let length = answer.content_length().and_then(|length| usize::try_from(length).ok());
        response.body.reserve(length.unwrap_or_default().min(limit));
        loop {
            match answer.chunk().await {
                Ok(None) => return Ok(response),
                Ok(Some(chunk)) if response.body.len() + chunk.len() <= limit => {
                    response.body.extend_from_slice(&chunk);
                }
                // The status tells enough.
                _ if !answer.status().is_success() => return Ok(response),
                Ok(Some(_)) => return Err(self.too_large(limit)),
                Err(error) => return Err(self.unanswered(&error, telling)),
            }
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

    fn too_large(&self, limit: usize) -> Unanswered {
        let message = format!("{} answered with more than {limit} bytes", self.shown);
        Unanswered { error: error(ErrorClass::Protocol, "too-large", message), sent: true }
    }

    /// The cause alone is told: what is around it names the URL, which may hold a secret.
    fn unanswered(&self, failed: &reqwest::Error, telling: &Telling<'_>) -> Unanswered {
        let sent = !failed.is_connect() && !failed.is_builder();
        let at = &self.shown;
        let cause = telling.remote(&cause(failed));
        let (class, kind, message) = if failed.is_connect() && is_certificate(failed) {
            let hint = "a private authority is named by `http.ca_file`";
            let message = format!("{at} shows a certificate that is not trusted: {cause}; {hint}");
            (ErrorClass::Protocol, "tls", message)
        } else if !sent {
            (ErrorClass::Transient, "connect", format!("cannot connect to {at}: {cause}"))
        } else if failed.is_timeout() {
            let limit = self.timeout;
            (ErrorClass::Transient, "timeout", format!("{at} did not answer within {limit:?}"))
        } else if failed.is_body() || failed.is_decode() {
            (ErrorClass::Transient, "truncated", format!("the answer of {at} broke off: {cause}"))
        } else {
            let message = format!("{at} closed the connection without an answer: {cause}");
            (ErrorClass::Transient, "reset", message)
        };
        Unanswered { error: error(class, kind, message), sent }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.shown).finish_non_exhaustive()
    }
}

fn error(class: ErrorClass, kind: &'static str, message: String) -> ClientError {
    ClientError { class, kind, message }
}

fn unusable(message: String) -> ClientError {
    error(ErrorClass::Protocol, "settings", message)
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
        error(ErrorClass::Denied, "unauthorized", message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The usual roots and the private authority; where the system has no roots, the bundled ones.
fn connect(settings: &Settings) -> Result<reqwest::Client, ClientError> {
    // Another part of the process may have installed it before: that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let private = settings.ca_file.as_deref().map_or_else(|| Ok(Vec::new()), authorities)?;
    let built = if settings.endpoint.scheme() == "http" {
        builder(settings).tls_certs_only([]).build() // nothing to verify: the roots are not read
    } else if private.is_empty() {
        let usual = builder(settings).build();
        usual.or_else(|_| builder(settings).tls_certs_only(bundled()).build())
    } else if reqwest::Client::builder().build().is_ok() {
        builder(settings).tls_certs_merge(private).build()
    } else {
        builder(settings).tls_certs_only(bundled().chain(private)).build()
    };
    built.map_err(|failed| unusable(format!("cannot prepare connections: {}", cause(&failed))))
}

fn builder(settings: &Settings) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("rosterd/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the credentials elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // Whether something may be sent again is decided by its meaning, not by the protocol.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT.min(settings.timeout / 2));
    // What stays on this machine needs no proxy, and in the clear it must not meet one.
    if is_loopback(&settings.endpoint) { builder.no_proxy() } else { builder }
}

/// A pipe or a device is not waited for.
fn regular(file: &Path) -> std::io::Result<Vec<u8>> {
    if std::fs::metadata(file)?.is_file() {
        return std::fs::read(file);
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "this is not a regular file"))
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, ClientError> {
    let at = file.display();
    let bytes = regular(file)
        .map_err(|error| unusable(format!("cannot read the CA file {at}: {error}")))?;
    match Certificate::from_pem_bundle(&bytes) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(format!("the CA file {at} holds no certificate in PEM form"))),
    }
}

fn bundled() -> impl Iterator<Item = Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|root| Certificate::from_der(root.as_ref()).ok())
}

/// The head of an answer, its body still to come.
fn head(status: u16, headers: &HeaderMap) -> Response {
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
        body: Vec::new(),
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

/// The innermost error: what happened, without where.
fn cause(failed: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = failed;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // Without a source the error's own text would name the URL.
    if failed.source().is_none() { "no reason given".into() } else { innermost.to_string() }
}

/// Whether a certificate is what it failed of. An I/O error may hold another error, and hides it
/// from `source`.
fn is_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.is_some_and(|held| is_certificate(held)) || error.source().is_some_and(is_certificate)
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
        let transport = Transport::new(Settings {
            endpoint: "https://api.acme.io/graphql".parse().unwrap(),
            workspace_uid: None,
            timeout: CONNECT,
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

    #[test]
    fn there_are_bundled_roots() {
        assert!(bundled().count() > 50);
    }
}
