//! The client of the API. Reading and writing the directory are two traits: the planner gets no
//! writer, and tests and simulations can implement either.

pub mod answer;
pub mod document;
pub mod errors;
pub mod graphql;
pub mod http;
pub mod interpret;
pub mod limited;
mod network;
pub mod rate_limiter;
pub mod response;
mod scan;
pub mod transport;

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::directory::Snapshot;
use crate::failure::FailureKind;
use crate::plan::change::Change;
use crate::report::Failure;

/// Default of [`Settings::max_response`].
pub const MAX_RESPONSE: usize = 64 << 20;
/// Target of the tracing spans.
pub const TRACE: &str = "rosterd::trace";

pub use graphql::Client;
pub use network::{cause, connections, proxy, read_body};
pub use transport::Transport;

/// Connection settings of one workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// HTTPS, or plain HTTP to a loopback address; [`Transport::new`] rejects anything else.
    pub endpoint: reqwest::Url,
    /// Sent as `X-Paradime-Workspace`; required with a company token.
    pub workspace_uid: Option<String>,
    /// Timeout of one request, including its body.
    pub timeout: Duration,
    /// Maximum number of requests per second; None is unlimited.
    pub rate: Option<f64>,
    /// A PEM file of certificate authorities that are trusted in addition to the system roots.
    pub ca_file: Option<PathBuf>,
    /// Maximum size of a response body, in bytes after decompression.
    pub max_response: usize,
}

impl Settings {
    /// Neither a rate nor a private authority, and the usual maximum of a response.
    pub fn new(endpoint: reqwest::Url, timeout: Duration) -> Self {
        let (workspace_uid, rate, ca_file) = (None, None, None);
        Self { endpoint, workspace_uid, timeout, rate, ca_file, max_response: MAX_RESPONSE }
    }
}

/// Metrics of one finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestMetrics {
    /// The GraphQL field: `listUsers`, `inviteUser`, `updateUserAccountType` or `disableUser`.
    pub operation: &'static str,
    /// The HTTP status; 0 if there was no response.
    pub status: u16,
    /// Why there was no response.
    pub error: Option<FailureKind>,
    pub took: Duration,
}

/// Receives the metrics of every request of one workspace.
pub trait Observer: Send + Sync {
    fn on_request(&self, request: &RequestMetrics);
}

/// Credentials of the API. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// `X-API-KEY` and `X-API-SECRET`.
    KeyPair { key: SecretString, secret: SecretString },
    /// `Authorization: Bearer`: a token that begins with `prdm_`.
    Token(SecretString),
}

/// Whether credentials may be sent to this URL: HTTPS, or plain HTTP to loopback.
pub fn endpoint_is_safe(endpoint: &reqwest::Url) -> bool {
    endpoint.scheme() == "https" || endpoint.scheme() == "http" && is_loopback(endpoint)
}

/// Whether the host is `localhost` or a loopback address.
pub fn is_loopback(endpoint: &reqwest::Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// The URL without user, password, query and fragment, which may contain secrets.
pub fn redacted_url(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Settings that make a connection impossible.
fn unusable(message: String) -> ClientError {
    ClientError { kind: FailureKind::Settings, message }
}

/// Reads the directory.
pub trait ReadDirectory: Send + Sync {
    /// One complete listing. Transient failures are retried, up to the limits of `retry`.
    fn list(&self) -> impl Future<Output = Result<Snapshot, ClientError>> + Send;

    /// Identifies the key in the log, so that a rotation can be followed.
    fn key(&self) -> Option<String> {
        None
    }
}

/// Changes the directory.
pub trait WriteDirectory: Send + Sync {
    /// Sends the changes in one request. It never retries.
    fn send(&self, batch: &[&Change]) -> impl Future<Output = Reply> + Send;
}

/// Result of one request with a batch of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Every change has its own answer, in the order sent.
    Answered(Vec<Answer>),
    /// The request was certainly not executed. It may be sent again, after `retry_after` if the
    /// server sent it.
    NotExecuted { error: ClientError, retry_after: Option<Duration> },
    /// The server rejected the whole document before it executed any of it. The changes of a batch
    /// can be sent in smaller ones; a single change is rejected.
    Refused(ClientError),
    /// Unknown whether any of it was executed; the next listing decides.
    Unknown(ClientError),
}

/// Result of one change of an answered batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// The API rejected this change.
    Rejected(String),
    /// The response does not say; the next listing decides.
    Unknown(String),
}

/// A failed request. The message contains no secret; remote text in it is escaped and limited in
/// length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    pub kind: FailureKind,
    pub message: String,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error.kind, error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_safe() {
        let is_safe = |text: &str| endpoint_is_safe(&text.parse().unwrap());
        for safe in [
            "https://api.acme.io/graphql",
            "https://10.0.0.1/graphql",
            "http://127.0.0.1:8787/graphql",
            "http://127.9.9.9/",
            "http://[::1]:8787/",
            "http://localhost:1/",
            "http://LOCALHOST/",
        ] {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_one in [
            "http://api.acme.io/graphql",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://localhost.acme.io/",
            "http://127.0.0.1.acme.io/",
            "http://127.0.0.1@acme.io/",
            "http://[::ffff:10.0.0.1]/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
        ] {
            assert!(!is_safe(unsafe_one), "{unsafe_one}");
        }
    }

    #[test]
    fn redacted_urls_contain_no_secret() {
        let url = "https://me:hush@api.acme.io/graphql?key=hush#hush".parse().unwrap();
        assert_eq!(redacted_url(&url), "https://api.acme.io/graphql");
    }

    #[test]
    fn debug_output_of_credentials_hides_secrets() {
        let secret = || SecretString::from("hush-hush-hush");
        let pair = Credentials::KeyPair { key: secret(), secret: secret() };
        let shown = format!("{pair:?} {:?}", Credentials::Token(secret()));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
