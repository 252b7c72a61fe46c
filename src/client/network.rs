//! [`HttpTransport`] over the network: connections, TLS roots, proxy.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
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
            let mut response = sent.map_err(|error| transport_error(&error))?;
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
    TransportError { kind, cause: cause(failed) }
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
    let mut innermost: &dyn std::error::Error = failed;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // The text of an error without a source contains the URL.
    if failed.source().is_none() { "no reason given".into() } else { innermost.to_string() }
}

/// Whether the cause is an invalid certificate. An I/O error may wrap another error that its
/// `source` does not return.
fn is_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(|inner| is_certificate(inner)) || error.source().is_some_and(is_certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_roots_are_parsed() {
        assert!(bundled().count() > 50);
    }
}
