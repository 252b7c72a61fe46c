//! Authentication and permissions.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{TestEnv, send};

const LIST: &str = r#"{"query":"{ listUsers { ok activeUsers { email } } }"}"#;
const INVITE: &str =
    r#"{"query":"mutation { inviteUser(email: \"a@acme.io\", accountType: ADMIN) { ok } }"}"#;
const SPACES: &str = r#"{"query":"{ listWorkspaces { workspaces { name } } }"}"#;

fn bearer(env: &TestEnv, token: &str) -> RequestBuilder {
    env.post("/graphql").header("authorization", format!("Bearer {token}"))
}

fn pair(env: &TestEnv, key: &str, secret: &str) -> RequestBuilder {
    env.post("/graphql").header("x-api-key", key).header("x-api-secret", secret)
}

fn ok(response: &(StatusCode, Value), operation: &str) -> bool {
    response.0 == StatusCode::OK && response.1["data"][operation]["ok"] == json!(true)
}

#[tokio::test]
async fn wrong_credentials_are_rejected() {
    let env = TestEnv::new().await;
    for request in [
        env.post("/graphql"),
        pair(&env, "sandbox-key", "wrong"),
        pair(&env, "wrong", "sandbox-secret"),
        pair(&env, "sandbox-key", "sandbox-viewer-secret"),
        env.post("/graphql").header("x-api-key", "sandbox-key"),
        bearer(&env, "prdm_wsp_wrong"),
        env.post("/graphql").header("authorization", "Basic prdm_wsp_sandbox"),
        bearer(&env, "prdm_cmp_sandbox").header("x-paradime-workspace", "nowhere"),
    ] {
        let (status, response) = send(request.body(LIST)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{response}");
        assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        assert!(response.get("data").is_none());
    }
}

#[tokio::test]
async fn a_viewer_can_read_and_not_write() {
    let env = TestEnv::new().await;
    let viewer = || pair(&env, "sandbox-viewer-key", "sandbox-viewer-secret");
    assert!(ok(&send(viewer().body(LIST)).await, "listUsers"));
    let (_, rejected) = send(viewer().body(INVITE)).await;
    let error = &rejected["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("User Management Admin"), "{rejected}");
    assert_eq!(error["extensions"]["code"], "FORBIDDEN");
    assert_eq!(env.invited().len(), 2);
}

#[tokio::test]
async fn a_workspace_token_grants_the_first_workspace() {
    let env =
        TestEnv::with(|options| options.workspaces = vec!["acme".into(), "other".into()]).await;
    assert!(ok(&send(bearer(&env, "prdm_wsp_sandbox").body(LIST)).await, "listUsers"));
    assert!(ok(&send(bearer(&env, "prdm_wsp_sandbox").body(INVITE)).await, "inviteUser"));
    let (_, seen) = send(bearer(&env, "prdm_wsp_sandbox").body(SPACES)).await;
    assert_eq!(seen["data"]["listWorkspaces"]["workspaces"], json!([{ "name": "acme" }]));
    assert_eq!(env.running.world().workspaces[1].invitations.len(), 2, "the other is unchanged");
}

#[tokio::test]
async fn a_company_token_requires_the_workspace_header() {
    let env =
        TestEnv::with(|options| options.workspaces = vec!["acme".into(), "other".into()]).await;
    let uid = env.running.world().workspaces[1].uid.clone();
    let company = || bearer(&env, "prdm_cmp_sandbox");
    let (_, seen) = send(company().body(SPACES)).await;
    let both = json!([{ "name": "acme" }, { "name": "other" }]);
    assert_eq!(seen["data"]["listWorkspaces"]["workspaces"], both);
    let (_, rejected) = send(company().body(LIST)).await;
    let message = rejected["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("X-Paradime-Workspace"), "{rejected}");
    let with_header = || company().header("x-paradime-workspace", uid.clone());
    assert!(ok(&send(with_header().body(INVITE)).await, "inviteUser"));
    assert_eq!(env.running.world().workspaces[1].invitations.len(), 3);
    assert_eq!(env.invited().len(), 2, "the first is unchanged");
}
