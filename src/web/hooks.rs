//! Webhooks of git servers, on an address of their own: they say that something was pushed, never
//! what. So one that is sent again does no harm.
//!
//! GitHub, Gitea, Forgejo and Bitbucket sign the body; GitLab sends the secret itself.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use hmac::{Hmac, Mac as _};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;

use super::auth::is_equal;
use super::responses::problem;
use super::server;
use crate::config::{Config, SecretSource};
use crate::daemon::DaemonHandle;
use crate::source::env_var;

/// Maximum size of a payload in bytes.
const MAX_BODY: usize = 1 << 20;

/// The secrets in use, by workspace; a reload replaces them. They are read at every request.
#[derive(Debug, Default)]
pub struct HookSecrets(Mutex<BTreeMap<String, SecretSource>>);

#[derive(Clone)]
struct WebhookState {
    secrets: Arc<HookSecrets>,
    daemon: DaemonHandle,
}

impl HookSecrets {
    /// Replaces the secrets by those of the configuration.
    pub fn set(&self, config: &Config) {
        let secrets = config.workspaces.iter().filter_map(|workspace| {
            let secret = workspace.target.source.git.as_ref()?.webhook_secret.clone()?;
            Some((workspace.target.workspace.clone(), secret))
        });
        *self.0.lock() = secrets.collect();
    }

    /// Whether no workspace has one.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Serves on `address` until the process exits. Returns the bound address.
pub async fn start(
    address: SocketAddr,
    secrets: Arc<HookSecrets>,
    daemon: DaemonHandle,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/hooks/git/{source}", post(receive))
        .fallback(async || problem(StatusCode::NOT_FOUND, "not found"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(WebhookState { secrets, daemon });
    tokio::spawn(server::serve(listener, routes));
    Ok(address)
}

/// 202 if the roster of the workspace will be fetched. Which workspaces there are is not shown.
async fn receive(
    State(hooks): State<WebhookState>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let secret = hooks.secrets.0.lock().get(&source).cloned();
    let secret = secret.and_then(|secret| {
        let read = secret.resolve(&env_var);
        read.inspect_err(|problem| tracing::debug!(%problem, "cannot read `webhook_secret`")).ok()
    });
    if !secret.is_some_and(|secret| is_genuine(&secret, &headers, &body)) {
        let message = "no workspace of this name has this `webhook_secret`";
        return problem(StatusCode::UNAUTHORIZED, message);
    }
    if hooks.daemon.pushed(&source).await {
        StatusCode::ACCEPTED.into_response()
    } else {
        problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon does not respond")
    }
}

/// Whether the body is signed with the secret, or the secret was sent.
fn is_genuine(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = header("x-gitlab-token") {
        return is_equal(secret, &SecretString::from(token));
    }
    let signature = header("x-hub-signature-256").or_else(|| header("x-hub-signature"));
    let Some(signature) = signature.and_then(|value| value.strip_prefix("sha256=")) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return false;
    };
    mac.update(body);
    let expected = format!("{:x}", mac.finalize().into_bytes());
    expected.as_bytes().ct_eq(signature.to_ascii_lowercase().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    /// The example of GitHub's documentation ("Validating webhook deliveries").
    #[test]
    fn a_signature_of_github_is_verified() {
        let secret = SecretString::from("It's a Secret to Everybody");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        for name in ["x-hub-signature-256", "x-hub-signature"] {
            let signed = headers(name, signature);
            assert!(is_genuine(&secret, &signed, b"Hello, World!"));
            assert!(is_genuine(
                &secret,
                &headers(name, &signature.replace('e', "E").replace("SHA", "sha")),
                b"Hello, World!"
            ));
            for body in [&b"Hello, World"[..], b"hello, World!", b""] {
                assert!(!is_genuine(&secret, &signed, body));
            }
            assert!(!is_genuine(&SecretString::from("another"), &signed, b"Hello, World!"));
            for value in ["sha256=", "sha1=757107ea", &signature[7..], &signature[..70], ""] {
                assert!(!is_genuine(&secret, &headers(name, value), b"Hello, World!"), "{value}");
            }
        }
        assert!(!is_genuine(&secret, &HeaderMap::new(), b"Hello, World!"));
    }

    #[test]
    fn a_token_of_gitlab_is_compared() {
        let secret = SecretString::from("token");
        assert!(is_genuine(&secret, &headers("x-gitlab-token", "token"), b"{}"));
        for token in ["Token", "toke", "token ", ""] {
            assert!(!is_genuine(&secret, &headers("x-gitlab-token", token), b"{}"), "{token}");
        }
    }
}
