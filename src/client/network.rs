//! [`HttpTransport`] over the network: connections, TLS roots, proxy.

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, ClientBuilder, Url};

use super::http::{HttpRequest, HttpResponse, HttpTransport, TransportError};
use super::{ClientError, Settings, is_loopback, unusable};
use crate::failure::FailureKind;

/// Timeout of connecting; at most half of the timeout of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of bytes that are read of the body of an error response.
const MAX_FAILED_BODY: usize = 64 << 10;

/// The connections to one endpoint.
pub(super) struct Network {
    http: reqwest::Client,
    endpoint: Url,
    timeout: Duration,
}

impl Network {
    /// Fails if the CA file is not usable.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let (http, endpoint) = (connections(settings)?, settings.endpoint.clone());
        Ok(Self { http, endpoint, timeout: settings.timeout })
    }
}

/// The body, decompressed, up to the chunk that exceeds `limit` bytes, and whether it is whole.
pub async fn read_body(
    response: &mut reqwest::Response,
    limit: usize,
) -> (Vec<u8>, reqwest::Result<bool>) {
    let length = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(length.unwrap_or_default().min(limit));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return (body, Ok(false)),
            Ok(None) => return (body, Ok(true)),
            Err(error) => return (body, Err(error)),
        }
    }
}

impl HttpTransport for Network {
    fn post(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        Box::pin(async move {
            let HttpRequest { headers, body, max_body } = request;
            let request = self.http.post(self.endpoint.clone()).timeout(self.timeout);
            let sent = request.headers(headers).body(body).send().await;
            let mut response = sent.map_err(|error| self.connect_error(&error))?;
            let status = response.status();
            let headers: HeaderMap = std::mem::take(response.headers_mut());
            let limit = if status.is_success() { max_body } else { MAX_FAILED_BODY };
            let (body, end) = read_body(&mut response, limit).await;
            // A part of the body of an error response is enough.
            if status.is_success() && !end.map_err(|error| transport_error(&error))? {
                let (kind, cause) = (FailureKind::TooLarge, String::new());
                return Err(TransportError { kind, cause });
            }
            Ok(HttpResponse { status: status.as_u16(), headers, body })
        })
    }
}

impl Network {
    /// An error before the response; names the proxy if there is one.
    fn connect_error(&self, failed: &reqwest::Error) -> TransportError {
        let TransportError { kind, mut cause } = transport_error(failed);
        if let Some(proxy) = proxy(&self.endpoint).filter(|_| kind == FailureKind::Connect) {
            cause = format!("{cause} (through the proxy {proxy}; check HTTPS_PROXY and NO_PROXY)");
        }
        TransportError { kind, cause }
    }
}

/// The proxy of requests to this URL, as the environment says: its scheme, host and port. Requests
/// to loopback addresses use none.
pub fn proxy(url: &Url) -> Option<String> {
    let uri = url.as_str().parse().ok().filter(|_| !is_loopback(url))?;
    let found = Matcher::from_system().intercept(&uri)?;
    let (scheme, host) = (found.uri().scheme_str()?, found.uri().host()?);
    let port = found.uri().port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}"))
}

fn transport_error(failed: &reqwest::Error) -> TransportError {
    let kind = if failed.is_connect() && is_certificate(failed) {
        FailureKind::Tls
    } else if failed.is_connect() || failed.is_builder() {
        FailureKind::Connect
    } else if failed.is_timeout() {
        FailureKind::Timeout
    } else if failed.is_body() || failed.is_decode() {
        FailureKind::Truncated
    } else {
        FailureKind::Reset
    };
    let cause = cause(failed);
    let advice = if kind == FailureKind::Connect { advice(failed) } else { "" };
    TransportError { kind, cause: format!("{cause}{advice}") }
}

/// What to check after a failed connection.
fn advice(failed: &reqwest::Error) -> &'static str {
    let advice = |error: &(dyn Error + 'static)| {
        // The type is private to the library.
        if error.to_string() == "dns error" {
            return Some("; check the host of the endpoint, and the DNS of this machine");
        }
        if let Some(rustls::Error::InvalidMessage(_)) = error.downcast_ref() {
            return Some("; the server does not speak TLS there: check the scheme and the port");
        }
        let refused =
            error.downcast_ref::<std::io::Error>()?.kind() == ErrorKind::ConnectionRefused;
        refused.then_some("; check the port, and whether the server runs")
    };
    find(failed, &advice).unwrap_or_default()
}

/// An HTTP client that verifies certificates, follows no redirect and retries nothing. It trusts
/// the system's roots, or the bundled ones where the system has none, and the private authority.
pub fn connections(settings: &Settings) -> Result<reqwest::Client, ClientError> {
    // Fails if another part of the process has installed it already.
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
        // A redirect would send the credentials to another host.
        .redirect(reqwest::redirect::Policy::none())
        // Only the caller knows whether a request may be sent again.
        .retry(reqwest::retry::never())
        .timeout(settings.timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout / 2));
    // Plain HTTP must stay on this machine, so it must not go through a proxy.
    if is_loopback(&settings.endpoint) { builder.no_proxy() } else { builder }
}

/// Reads a regular file; a read from a pipe or a device might never end.
fn read_regular(file: &Path) -> std::io::Result<Vec<u8>> {
    if std::fs::metadata(file)?.is_file() {
        return std::fs::read(file);
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"))
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, ClientError> {
    let at = file.display();
    let bytes = read_regular(file)
        .map_err(|error| unusable(format!("cannot read the CA file {at}: {error}")))?;
    match Certificate::from_pem_bundle(&bytes) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(format!("the CA file {at} contains no PEM certificate"))),
    }
}

fn bundled() -> impl Iterator<Item = Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|root| Certificate::from_der(root.as_ref()).ok())
}

/// The message of the innermost error, without the URL.
pub fn cause(failed: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = failed;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // The text of an error without a source contains the URL.
    if failed.source().is_none() { "no reason given".into() } else { innermost.to_string() }
}

/// Whether the cause is an invalid certificate.
fn is_certificate(error: &reqwest::Error) -> bool {
    let invalid = |error: &(dyn Error + 'static)| {
        matches!(error.downcast_ref()?, rustls::Error::InvalidCertificate(_)).then_some(())
    };
    find(error, &invalid).is_some()
}

/// The first answer along the causes. An I/O error may wrap another error that its `source` does
/// not return.
fn find<T>(
    error: &(dyn Error + 'static),
    answer: &dyn Fn(&(dyn Error + 'static)) -> Option<T>,
) -> Option<T> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    answer(error).or_else(|| find(inner?, answer)).or_else(|| find(error.source()?, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_roots_are_parsed() {
        assert!(bundled().count() > 50);
    }
}
