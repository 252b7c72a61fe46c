//! Who is let in, and what each may do.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{TestEnv, answer};

const LIST: &str = r#"{"query":"{ listUsers { ok activeUsers { email } } }"}"#;
const INVITE: &str =
    r#"{"query":"mutation { inviteUser(email: \"a@acme.io\", accountType: ADMIN) { ok } }"}"#;
const SPACES: &str = r#"{"query":"{ listWorkspaces { workspaces { name } } }"}"#;

fn bearer(stage: &TestEnv, token: &str) -> RequestBuilder {
    stage.post("/graphql").header("authorization", format!("Bearer {token}"))
}

fn pair(stage: &TestEnv, key: &str, secret: &str) -> RequestBuilder {
    stage.post("/graphql").header("x-api-key", key).header("x-api-secret", secret)
}

fn ok(answer: &(StatusCode, Value), operation: &str) -> bool {
    answer.0 == StatusCode::OK && answer.1["data"][operation]["ok"] == json!(true)
}

#[tokio::test]
async fn nobody_without_the_right_key_is_let_in() {
    let stage = TestEnv::new().await;
    for request in [
        stage.post("/graphql"),
        pair(&stage, "sandbox-key", "wrong"),
        pair(&stage, "wrong", "sandbox-secret"),
        pair(&stage, "sandbox-key", "sandbox-viewer-secret"),
        stage.post("/graphql").header("x-api-key", "sandbox-key"),
        bearer(&stage, "prdm_wsp_wrong"),
        stage.post("/graphql").header("authorization", "Basic prdm_wsp_sandbox"),
        bearer(&stage, "prdm_cmp_sandbox").header("x-paradime-workspace", "nowhere"),
    ] {
        let (status, answered) = answer(request.body(LIST)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{answered}");
        assert_eq!(answered["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        assert!(answered.get("data").is_none());
    }
}

#[tokio::test]
async fn a_viewer_reads_and_is_told_what_it_lacks() {
    let stage = TestEnv::new().await;
    let viewer = || pair(&stage, "sandbox-viewer-key", "sandbox-viewer-secret");
    assert!(ok(&answer(viewer().body(LIST)).await, "listUsers"));
    let (_, refused) = answer(viewer().body(INVITE)).await;
    let error = &refused["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("User Management Admin"), "{refused}");
    assert_eq!(error["extensions"]["code"], "FORBIDDEN");
    assert_eq!(stage.invited().len(), 2);
}

#[tokio::test]
async fn a_token_of_a_workspace_works_in_the_first_one() {
    let stage =
        TestEnv::with(|options| options.workspaces = vec!["acme".into(), "other".into()]).await;
    assert!(ok(&answer(bearer(&stage, "prdm_wsp_sandbox").body(LIST)).await, "listUsers"));
    assert!(ok(&answer(bearer(&stage, "prdm_wsp_sandbox").body(INVITE)).await, "inviteUser"));
    let (_, seen) = answer(bearer(&stage, "prdm_wsp_sandbox").body(SPACES)).await;
    assert_eq!(seen["data"]["listWorkspaces"]["workspaces"], json!([{ "name": "acme" }]));
    assert_eq!(stage.running.world().workspaces[1].invitations.len(), 2, "the other is untouched");
}

#[tokio::test]
async fn a_token_of_the_company_needs_to_know_the_workspace() {
    let stage =
        TestEnv::with(|options| options.workspaces = vec!["acme".into(), "other".into()]).await;
    let uid = stage.running.world().workspaces[1].uid.clone();
    let company = || bearer(&stage, "prdm_cmp_sandbox");
    let (_, seen) = answer(company().body(SPACES)).await;
    let both = json!([{ "name": "acme" }, { "name": "other" }]);
    assert_eq!(seen["data"]["listWorkspaces"]["workspaces"], both);
    let (_, refused) = answer(company().body(LIST)).await;
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("X-Paradime-Workspace"), "{refused}");
    let there = || company().header("x-paradime-workspace", uid.clone());
    assert!(ok(&answer(there().body(INVITE)).await, "inviteUser"));
    assert_eq!(stage.running.world().workspaces[1].invitations.len(), 3);
    assert_eq!(stage.invited().len(), 2, "the first is untouched");
}
