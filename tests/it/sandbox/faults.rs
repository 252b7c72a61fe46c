//! Each fault as the client sees it.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use super::{LISTING, TestEnv};

const INVITE: &str = "mutation { inviteUser(email: \"a@acme.io\", accountType: ADMIN) { ok } }";

fn body() -> String {
    json!({ "query": INVITE }).to_string()
}

#[tokio::test]
async fn faults_before_execution_change_nothing() {
    for (fault, status, kind) in [
        ("throttle", StatusCode::TOO_MANY_REQUESTS, "application/json"),
        ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "application/json"),
        ("html", StatusCode::OK, "text/html; charset=utf-8"),
    ] {
        let env = TestEnv::failing(fault).await;
        let response = env.admin("/graphql").body(body()).send().await.unwrap();
        assert_eq!(response.status(), status, "{fault}");
        assert_eq!(response.headers()["content-type"], kind, "{fault}");
        let has_retry_after = response.headers().get("retry-after").is_some();
        assert_eq!(has_retry_after, fault == "throttle");
        assert_eq!(env.invited().len(), 2, "{fault}");
    }
}

#[tokio::test]
async fn timeouts_and_resets_occur_before_or_after_execution() {
    for (fault, invited) in
        [("timeout-before", 2), ("timeout-after", 3), ("reset-before", 2), ("reset-after", 3)]
    {
        let env = TestEnv::failing(fault).await;
        let request = env.admin("/graphql").timeout(Duration::from_millis(500)).body(body());
        let error = request.send().await.expect_err(fault);
        assert_eq!(error.is_timeout(), fault.starts_with("timeout"), "{fault}: {error:?}");
        assert_eq!(env.invited().len(), invited, "{fault}");
    }
}

#[tokio::test]
async fn a_truncated_response_was_executed() {
    let env = TestEnv::failing("truncate").await;
    let response = env.admin("/graphql").body(body()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.content_length().unwrap() > 10);
    assert!(response.text().await.is_err());
    assert_eq!(env.invited().len(), 3, "executed");
}

#[tokio::test]
async fn a_not_ok_response_changes_nothing() {
    let env = TestEnv::failing("not-ok").await;
    assert_eq!(env.data(INVITE, json!({})).await, json!({ "inviteUser": { "ok": false } }));
    assert_eq!(env.invited().len(), 2);
    assert_eq!(env.data(LISTING, json!({})).await["listUsers"]["ok"], false);
}

#[tokio::test]
async fn a_stale_listing_is_from_before_the_last_change() {
    let env = TestEnv::failing("stale").await;
    let seen =
        |data: serde_json::Value| data["listUsers"]["invitedUsers"].as_array().unwrap().len();
    assert_eq!(seen(env.data(LISTING, json!({})).await), 2);
    env.data(INVITE, json!({})).await;
    assert_eq!(env.invited().len(), 3);
    assert_eq!(seen(env.data(LISTING, json!({})).await), 2, "stale");
    env.data(&INVITE.replace("a@", "b@"), json!({})).await;
    assert_eq!(seen(env.data(LISTING, json!({})).await), 3);
}

#[tokio::test]
async fn requests_over_the_rate_limit_are_throttled() {
    let env = TestEnv::with(|options| options.rate_limit = Some(3)).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(env.query(LISTING, json!({})).await.0);
    }
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 3);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(env.query(LISTING, json!({})).await.0, StatusCode::OK);
}

#[tokio::test]
async fn latency_applies_to_the_request_and_to_each_field() {
    let env = TestEnv::with(|options| {
        options.latency = Duration::from_millis(40);
        options.latency_per_field = Duration::from_millis(40);
    })
    .await;
    let began = Instant::now();
    env.data("{ a: listUsers { ok } b: listUsers { ok } }", json!({})).await;
    assert!(began.elapsed() >= Duration::from_millis(120));
}
