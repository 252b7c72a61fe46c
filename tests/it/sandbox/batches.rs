//! Several fields in one request, in both behaviours that servers show.

use reqwest::StatusCode;
use serde_json::json;

use super::{TestEnv, only_error};

const FOUR: &str = "mutation { \
    m0: inviteUser(email: \"a@acme.io\", accountType: BUSINESS) { ok } \
    m1: inviteUser(email: \"b@acme.io\", accountType: BUSINESS) { ok } \
    m2: disableUser(uid: \"unknown\") { ok } \
    m3: inviteUser(email: \"c@acme.io\", accountType: BUSINESS) { ok } }";

#[tokio::test]
async fn a_field_that_fails_is_left_out_and_the_rest_stays() {
    let stage = TestEnv::new().await;
    let (status, answered) = stage.ask(FOUR, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let done = json!({ "ok": true });
    for alias in ["m0", "m1", "m3"] {
        assert_eq!(answered["data"][alias], done, "{answered}");
    }
    assert!(answered["data"]["m2"].is_null());
    only_error(&answered);
    assert_eq!(answered["errors"][0]["path"], json!(["m2"]));
    assert_eq!(stage.invited().len(), 5);
}

#[tokio::test]
async fn or_the_first_failure_ends_the_rest_and_the_data_is_null() {
    let stage = TestEnv::with(|options| options.abort_batches = true).await;
    let (status, answered) = stage.ask(FOUR, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answered["data"].is_null(), "{answered}");
    only_error(&answered);
    assert_eq!(answered["errors"][0]["path"], json!(["m2"]));
    assert_eq!(stage.invited(), ["max@acme.io", "john@acme.io", "a@acme.io", "b@acme.io"]);
    let good = "mutation { m0: inviteUser(email: \"d@acme.io\", accountType: ADMIN) { ok } }";
    assert_eq!(stage.data(good, json!({})).await, json!({ "m0": { "ok": true } }));
}

#[tokio::test]
async fn too_many_fields_are_refused_before_any_runs() {
    let stage = TestEnv::with(|options| options.max_batch = 3).await;
    let (status, answered) = stage.ask(FOUR, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    only_error(&answered);
    assert!(answered["errors"][0].get("path").is_none() && answered.get("data").is_none());
    assert_eq!(stage.invited().len(), 2);
}

#[tokio::test]
async fn fragments_hide_no_fields_from_the_limit() {
    let stage = TestEnv::with(|options| options.max_batch = 1).await;
    for (kept_apart, count) in [("...Two", 2), ("... on Mutation { ...Two }", 2), ("...Round", 3)] {
        let query = format!(
            "mutation {{ {kept_apart} }} fragment Two on Mutation {{ \
             a: disableUser(uid: \"x\") {{ ok }} b: disableUser(uid: \"y\") {{ ok }} }} \
             fragment Round on Mutation {{ ...Two c: disableUser(uid: \"z\") {{ ok }} ...Round }}"
        );
        let (_, answered) = stage.ask(&query, json!({})).await;
        let (message, code) = only_error(&answered);
        assert_eq!((message.as_str(), code.as_str()), ("more than 1 fields", "TOO_COMPLEX"));
        let wide = TestEnv::with(|options| options.max_batch = count).await;
        let (_, answered) = wide.ask(&query, json!({})).await;
        assert_ne!(answered["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answered}");
    }
}
