//! The network: one POST over TLS or to this machine, and its whole answer.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, ClientBuilder, Url};

use super::transport::{
    HttpRequest, HttpResponse, HttpTransport, TransportError, TransportErrorKind, unusable,
};
use super::{ClientError, Settings, is_loopback};

/// A connection is made within this, or half of the request's deadline.
const CONNECT: Duration = Duration::from_secs(10);
/// So much is read of an answer whose status already tells that it failed.
const MAX_FAILED_BODY: usize = 64 << 10;

/// The connections to one endpoint.
pub(super) struct Network {
    http: reqwest::Client,
    endpoint: Url,
    timeout: Duration,
}

impl Network {
    /// Refuses a CA file that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let (http, endpoint) = (connections(settings)?, settings.endpoint.clone());
        Ok(Self { http, endpoint, timeout: settings.timeout })
    }

    async fn exchange(&self, post: HttpRequest) -> Result<HttpResponse, TransportError> {
        let HttpRequest { headers, body, max_body } = post;
        let request =
            self.http.post(self.endpoint.clone()).headers(headers).timeout(self.timeout).body(body);
        let mut answer = request.send().await.map_err(|error| broken(&error))?;
        let headers: HeaderMap = std::mem::take(answer.headers_mut());
        let mut answered =
            HttpResponse { status: answer.status().as_u16(), headers, body: Vec::new() };
        let limit = if answer.status().is_success() { max_body } else { MAX_FAILED_BODY };
        let length = answer.content_length().and_then(|length| usize::try_from(length).ok());
        answered.body.reserve(length.unwrap_or_default().min(limit));
        loop {
            match answer.chunk().await {
                Ok(None) => return Ok(answered),
                Ok(Some(chunk)) if answered.body.len() + chunk.len() <= limit => {
                    answered.body.extend_from_slice(&chunk);
                }
                // The status tells enough.
                _ if !answer.status().is_success() => return Ok(answered),
                Ok(Some(_)) => {
                    return Err(TransportError {
                        how: TransportErrorKind::TooLarge,
                        cause: String::new(),
                    });
                }
                Err(error) => return Err(broken(&error)),
            }
        }
    }
}

impl HttpTransport for Network {
    fn post(&self, post: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        Box::pin(self.exchange(post))
    }
}

/// How it failed, as far as that matters to whoever asked.
fn broken(failed: &reqwest::Error) -> TransportError {
    let how = if failed.is_connect() && is_certificate(failed) {
        TransportErrorKind::Certificate
    } else if failed.is_connect() || failed.is_builder() {
        TransportErrorKind::Connect
    } else if failed.is_timeout() {
        TransportErrorKind::Timeout
    } else if failed.is_body() || failed.is_decode() {
        TransportErrorKind::Truncated
    } else {
        TransportErrorKind::Reset
    };
    TransportError { how, cause: cause(failed) }
}

/// Connections that verify whom they reach, follow no redirect and repeat nothing: with the usual
/// roots and the private authority; where the system has no roots, the bundled ones.
pub fn connections(settings: &Settings) -> Result<reqwest::Client, ClientError> {
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
        .timeout(settings.timeout)
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

/// The innermost error: what happened, without where.
pub fn cause(failed: &reqwest::Error) -> String {
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
    fn there_are_bundled_roots() {
        assert!(bundled().count() > 50);
    }
}
