//! The sandbox as a client sees it, over real HTTP and without our own client.

mod batches;
mod control;
mod credentials;
mod documented;
mod faults;
mod life;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use rosterd::clock::SystemClock;
use rosterd::sandbox::{self, Options, Running};
use serde_json::{Value, json};

type Headers<'a> = &'a [(&'a str, &'a str)];

const ADMIN: &[(&str, &str); 2] =
    &[("x-api-key", "sandbox-key"), ("x-api-secret", "sandbox-secret")];
const VIEWER: &[(&str, &str); 2] =
    &[("x-api-key", "sandbox-viewer-key"), ("x-api-secret", "sandbox-viewer-secret")];
const LIST: &str = "query ListUsers { listUsers { ok activeUsers { uid email name accountType } \
                    invitedUsers { email accountType inviteStatus } } }";

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The status, the message and the code of the first error.
    fn error(&self) -> (u16, String, String) {
        let error = self.json()["errors"][0].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (self.status, text(&error["message"]), text(&error["extensions"]["code"]))
    }
}

async fn serve(change: impl FnOnce(&mut Options)) -> Running {
    let mut options = Options::default();
    change(&mut options);
    sandbox::start(options, Arc::new(SystemClock)).await.unwrap()
}

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

fn request(
    url: &str,
    headers: Headers<'_>,
    body: impl Into<reqwest::Body>,
) -> reqwest::RequestBuilder {
    let request = http().post(url).header(CONTENT_TYPE, "application/json").body(body);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

async fn send(running: &Running, headers: Headers<'_>, query: &str) -> Got {
    let body = json!({ "query": query }).to_string();
    Got::of(request(&running.endpoint(), headers, body).send().await.unwrap()).await
}

/// With the admin key.
async fn ask(running: &Running, query: &str) -> Value {
    send(running, ADMIN, query).await.json()
}

/// `POST /control/{what}` with the admin key.
async fn control(running: &Running, what: &str, edit: Value) -> Got {
    let url = format!("http://{}/control/{what}", running.address());
    Got::of(request(&url, ADMIN, edit.to_string()).send().await.unwrap()).await
}

fn invite(email: &str) -> String {
    format!(
        "mutation InviteUser {{ inviteUser(email: \"{email}\", accountType: DEVELOPER) {{ ok }} }}"
    )
}

/// The addresses of the first workspace's invitations, in the order of the listing.
fn invited(running: &Running) -> Vec<String> {
    running.world().workspaces[0].invitations.iter().map(|it| it.email.clone()).collect()
}
