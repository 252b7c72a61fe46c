//! The directory over HTTP. Reading and writing it are two traits, so that a planner can never
//! hold a writer, and a test or a simulation can stand in for either.

pub mod answer;
pub mod document;
pub mod graphql;
pub mod interpret;
mod network;
pub mod rate_limiter;
pub mod response;
pub mod transport;

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::directory::Snapshot;
use crate::failure::FailureKind;
use crate::plan::change::Change;

/// The target of spans.
pub const TRACE: &str = "rosterd::trace";

pub use graphql::Client;
pub use network::{cause, connections};
pub use transport::Transport;

/// Where the API is and how it is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// HTTPS, or plain HTTP to a loopback address; anything else is refused by [`Transport::new`].
    pub endpoint: reqwest::Url,
    /// Sent as `X-Paradime-Workspace`; needed with a company token.
    pub workspace_uid: Option<String>,
    /// The deadline of one request, its body included.
    pub timeout: Duration,
    /// Requests a second at most; None is no limit.
    pub rate: Option<f64>,
    /// A file of certificate authorities, PEM, to trust beside the usual roots.
    pub ca_file: Option<PathBuf>,
}

/// One request, once it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestMetrics {
    /// The field of the API: `listUsers`, `inviteUser`, `updateUserAccountType` or `disableUser`.
    pub operation: &'static str,
    /// The HTTP status; 0 where there was no answer.
    pub status: u16,
    /// Why there was no answer.
    pub unanswered: Option<FailureKind>,
    pub took: Duration,
}

/// Is told of every request of one workspace.
pub trait Observer: Send + Sync {
    fn asked(&self, asked: &RequestMetrics);
}

/// What proves who we are. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// `X-API-KEY` and `X-API-SECRET`.
    KeyPair { key: SecretString, secret: SecretString },
    /// `Authorization: Bearer`: a token that begins with `prdm_`.
    Token(SecretString),
}

/// Whether credentials may be sent there: HTTPS, or plain HTTP that cannot leave this machine.
pub fn endpoint_is_safe(endpoint: &reqwest::Url) -> bool {
    match endpoint.scheme() {
        "https" => true,
        "http" => is_loopback(endpoint),
        _ => false,
    }
}

/// Whether the host is this machine by its very name.
pub fn is_loopback(endpoint: &reqwest::Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// Reads the directory.
pub trait ReadDirectory: Send + Sync {
    /// One complete reading; it is retried inside, within limits, while failures are transient.
    fn list(&self) -> impl Future<Output = Result<Snapshot, ClientError>> + Send;
}

/// Changes the directory.
pub trait WriteDirectory: Send + Sync {
    /// Sends the changes in one request, and never twice.
    fn send(&self, batch: &[&Change]) -> impl Future<Output = Reply> + Send;
}

/// What is known after one request with a batch of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Every change has its own answer, in the order sent.
    Answered(Vec<Answer>),
    /// The request certainly did not run; it may be sent again after the delay the server asked
    /// for, if it asked.
    NotExecuted { error: ClientError, retry_after: Option<Duration> },
    /// The server refused the document as a whole before running any of it. A batch is then worth
    /// sending as single changes; a single change is rejected.
    Refused(ClientError),
    /// Nobody knows whether any of it ran: the next reading decides.
    Unknown(ClientError),
}

/// What became of one change of an answered batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// The API refused this change by itself.
    Rejected(String),
    /// The answer does not say; the next reading decides.
    Unknown(String),
}

/// What a failure means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Worth trying again: no connection, 429, 502, 503, 504, time-out.
    Transient,
    /// The credentials do not allow it: the run of this workspace stops at once.
    Denied,
    /// A GraphQL error about what was asked.
    Rejected,
    /// The other side does not speak this API, or a reading is not complete: the run stops.
    Protocol,
}

/// A request that failed. The message holds no secret and no raw remote text: control and
/// bidirectional characters are escaped, and its length is limited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    pub class: ErrorClass,
    pub kind: FailureKind,
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_machine_is_safe() {
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
    fn credentials_do_not_show() {
        let secret = || SecretString::from("hush-hush-hush");
        let pair = Credentials::KeyPair { key: secret(), secret: secret() };
        let shown = format!("{pair:?} {:?}", Credentials::Token(secret()));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
