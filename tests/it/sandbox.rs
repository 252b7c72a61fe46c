//! The sandbox as a client sees it, over real HTTP with a client of another make.

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

/// A sandbox and somebody who asks it things.
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

    /// A faulty one: this fault, always.
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

    /// What the admin is answered.
    async fn ask(&self, query: &str, variables: Value) -> (StatusCode, Value) {
        let body = json!({ "query": query, "variables": variables }).to_string();
        answer(self.admin("/graphql").body(body)).await
    }

    /// The data of an answer without errors.
    async fn data(&self, query: &str, variables: Value) -> Value {
        let (status, answer) = self.ask(query, variables).await;
        assert_eq!((status, &answer["errors"]), (StatusCode::OK, &Value::Null), "{answer}");
        answer["data"].clone()
    }

    /// The message and the code of the only error of an answer.
    async fn refusal(&self, query: &str) -> (String, String) {
        let (status, answer) = self.ask(query, json!({})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        only_error(&answer)
    }

    async fn hand(&self, what: &str, edit: Value) -> (StatusCode, Value) {
        answer(self.admin(&format!("/control/{what}")).body(edit.to_string())).await
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

async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn only_error(answer: &Value) -> (String, String) {
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&errors[0]["message"]), text(&errors[0]["extensions"]["code"]))
}
