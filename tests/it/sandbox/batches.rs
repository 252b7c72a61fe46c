//! Batches of mutations in one request, with partial failure and with abort.

use reqwest::StatusCode;
use serde_json::json;

use super::{TestEnv, only_error};

const FOUR: &str = "mutation { \
    m0: inviteUser(email: \"a@acme.io\", accountType: BUSINESS) { ok } \
    m1: inviteUser(email: \"b@acme.io\", accountType: BUSINESS) { ok } \
    m2: disableUser(uid: \"unknown\") { ok } \
    m3: inviteUser(email: \"c@acme.io\", accountType: BUSINESS) { ok } }";

#[tokio::test]
async fn by_default_the_other_fields_of_a_batch_are_executed() {
    let env = TestEnv::new().await;
    let (status, response) = env.query(FOUR, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let done = json!({ "ok": true });
    for alias in ["m0", "m1", "m3"] {
        assert_eq!(response["data"][alias], done, "{response}");
    }
    assert!(response["data"]["m2"].is_null());
    only_error(&response);
    assert_eq!(response["errors"][0]["path"], json!(["m2"]));
    assert_eq!(env.invited().len(), 5);
}

#[tokio::test]
async fn with_abort_the_first_failure_ends_the_batch_and_data_is_null() {
    let env = TestEnv::with(|options| options.abort_batches = true).await;
    let (status, response) = env.query(FOUR, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(response["data"].is_null(), "{response}");
    only_error(&response);
    assert_eq!(response["errors"][0]["path"], json!(["m2"]));
    assert_eq!(env.invited(), ["max@acme.io", "john@acme.io", "a@acme.io", "b@acme.io"]);
    let good = "mutation { m0: inviteUser(email: \"d@acme.io\", accountType: ADMIN) { ok } }";
    assert_eq!(env.data(good, json!({})).await, json!({ "m0": { "ok": true } }));
}

#[tokio::test]
async fn a_batch_over_the_limit_is_rejected_before_execution() {
    let env = TestEnv::with(|options| options.max_batch = 3).await;
    let (status, response) = env.query(FOUR, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    only_error(&response);
    assert!(response["errors"][0].get("path").is_none() && response.get("data").is_none());
    assert_eq!(env.invited().len(), 2);
}

#[tokio::test]
async fn fields_in_fragments_count_against_the_limit() {
    let env = TestEnv::with(|options| options.max_batch = 1).await;
    for (selection, count) in [("...Two", 2), ("... on Mutation { ...Two }", 2), ("...Round", 3)] {
        let query = format!(
            "mutation {{ {selection} }} fragment Two on Mutation {{ \
             a: disableUser(uid: \"x\") {{ ok }} b: disableUser(uid: \"y\") {{ ok }} }} \
             fragment Round on Mutation {{ ...Two c: disableUser(uid: \"z\") {{ ok }} ...Round }}"
        );
        let (_, response) = env.query(&query, json!({})).await;
        let (message, code) = only_error(&response);
        assert_eq!((message.as_str(), code.as_str()), ("more than 1 fields", "TOO_COMPLEX"));
        let wide = TestEnv::with(|options| options.max_batch = count).await;
        let (_, response) = wide.query(&query, json!({})).await;
        assert_ne!(response["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{response}");
    }
}
