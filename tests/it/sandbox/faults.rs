//! Each bad day is really seen on the wire.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use super::{LISTING, TestEnv};

const INVITE: &str = "mutation { inviteUser(email: \"a@acme.io\", accountType: ADMIN) { ok } }";

fn body() -> String {
    json!({ "query": INVITE }).to_string()
}

#[tokio::test]
async fn answers_that_keep_a_request_from_running() {
    for (fault, status, kind) in [
        ("throttle", StatusCode::TOO_MANY_REQUESTS, "application/json"),
        ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "application/json"),
        ("html", StatusCode::OK, "text/html; charset=utf-8"),
    ] {
        let stage = TestEnv::failing(fault).await;
        let response = stage.admin("/graphql").body(body()).send().await.unwrap();
        assert_eq!(response.status(), status, "{fault}");
        assert_eq!(response.headers()["content-type"], kind, "{fault}");
        let asks = response.headers().get("retry-after").is_some();
        assert_eq!(asks, fault == "throttle");
        assert_eq!(stage.invited().len(), 2, "{fault}");
    }
}

#[tokio::test]
async fn no_answer_before_and_after_it_runs() {
    for (fault, invited) in
        [("timeout-before", 2), ("timeout-after", 3), ("reset-before", 2), ("reset-after", 3)]
    {
        let stage = TestEnv::failing(fault).await;
        let request = stage.admin("/graphql").timeout(Duration::from_millis(500)).body(body());
        let error = request.send().await.expect_err(fault);
        assert_eq!(error.is_timeout(), fault.starts_with("timeout"), "{fault}: {error:?}");
        assert_eq!(stage.invited().len(), invited, "{fault}");
    }
}

#[tokio::test]
async fn half_an_answer() {
    let stage = TestEnv::failing("truncate").await;
    let response = stage.admin("/graphql").body(body()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.content_length().unwrap() > 10);
    assert!(response.text().await.is_err());
    assert_eq!(stage.invited().len(), 3, "it ran");
}

#[tokio::test]
async fn an_answer_that_is_not_ok() {
    let stage = TestEnv::failing("not-ok").await;
    assert_eq!(stage.data(INVITE, json!({})).await, json!({ "inviteUser": { "ok": false } }));
    assert_eq!(stage.invited().len(), 2);
    assert_eq!(stage.data(LISTING, json!({})).await["listUsers"]["ok"], false);
}

#[tokio::test]
async fn a_listing_from_before_the_last_change() {
    let stage = TestEnv::failing("stale").await;
    let seen =
        |data: serde_json::Value| data["listUsers"]["invitedUsers"].as_array().unwrap().len();
    assert_eq!(seen(stage.data(LISTING, json!({})).await), 2);
    stage.data(INVITE, json!({})).await;
    assert_eq!(stage.invited().len(), 3);
    assert_eq!(seen(stage.data(LISTING, json!({})).await), 2, "it lags behind");
    stage.data(&INVITE.replace("a@", "b@"), json!({})).await;
    assert_eq!(seen(stage.data(LISTING, json!({})).await), 3);
}

#[tokio::test]
async fn more_requests_than_welcome_are_throttled() {
    let stage = TestEnv::with(|options| options.rate_limit = Some(3)).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(stage.ask(LISTING, json!({})).await.0);
    }
    assert_eq!(told.iter().filter(|status| **status == StatusCode::OK).count(), 3);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(stage.ask(LISTING, json!({})).await.0, StatusCode::OK);
}

#[tokio::test]
async fn latency_is_a_request_s_and_a_field_s() {
    let stage = TestEnv::with(|options| {
        options.latency = Duration::from_millis(40);
        options.latency_per_field = Duration::from_millis(40);
    })
    .await;
    let began = Instant::now();
    stage.data("{ a: listUsers { ok } b: listUsers { ok } }", json!({})).await;
    assert!(began.elapsed() >= Duration::from_millis(120));
}
