//! The sandbox over real HTTP, with a client that is not rosterd's.

mod batches;
mod control;
mod faults;
mod identity;
mod operations;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use rosterd::clock::SystemClock;
use rosterd::sandbox::{self, Options, Running};
use serde_json::{Value, json};

const LISTING: &str = "query ListUsers { listUsers { ok activeUsers { uid email name accountType } \
                       invitedUsers { email accountType inviteStatus } } }";

/// A sandbox and an HTTP client.
struct TestEnv {
    running: Running,
    http: Client,
}

impl TestEnv {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut options = Options::default();
        change(&mut options);
        let running = sandbox::start(options, Arc::new(SystemClock)).await.unwrap();
        let http = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { running, http }
    }

    /// A sandbox where this fault always occurs.
    async fn failing(fault: &str) -> Self {
        Self::with(|options| options.faults = vec![format!("{fault}=1").parse().unwrap()]).await
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http
            .post(format!("http://{}{path}", self.running.address()))
            .header("content-type", "application/json")
    }

    fn admin(&self, path: &str) -> reqwest::RequestBuilder {
        self.post(path).header("x-api-key", "sandbox-key").header("x-api-secret", "sandbox-secret")
    }

    /// Sends a query as the admin.
    async fn query(&self, query: &str, variables: Value) -> (StatusCode, Value) {
        let body = json!({ "query": query, "variables": variables }).to_string();
        send(self.admin("/graphql").body(body)).await
    }

    /// The data of a response without errors.
    async fn data(&self, query: &str, variables: Value) -> Value {
        let (status, response) = self.query(query, variables).await;
        assert_eq!((status, &response["errors"]), (StatusCode::OK, &Value::Null), "{response}");
        response["data"].clone()
    }

    /// The message and the code of the only error of a response.
    async fn error(&self, query: &str) -> (String, String) {
        let (status, response) = self.query(query, json!({})).await;
        assert_eq!(status, StatusCode::OK, "{response}");
        only_error(&response)
    }

    async fn control(&self, action: &str, edit: Value) -> (StatusCode, Value) {
        send(self.admin(&format!("/control/{action}")).body(edit.to_string())).await
    }

    fn emails(&self) -> Vec<String> {
        let world = self.running.world();
        world.workspaces[0].active().map(|account| account.email.clone()).collect()
    }

    fn invited(&self) -> Vec<String> {
        let world = self.running.world();
        world.workspaces[0].invitations.iter().map(|it| it.email.clone()).collect()
    }
}

async fn send(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn only_error(response: &Value) -> (String, String) {
    let errors = response["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{response}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&errors[0]["message"]), text(&errors[0]["extensions"]["code"]))
}
