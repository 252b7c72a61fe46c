//! The control API, the state file, and shutdown.

use std::sync::Arc;

use reqwest::StatusCode;
use rosterd::clock::SystemClock;
use rosterd::sandbox::world::AccountType;
use rosterd::sandbox::{Options, start};
use serde_json::json;

use super::{LISTING, TestEnv, send};

#[tokio::test]
async fn every_action_has_its_effect() {
    let env = TestEnv::new().await;
    for (action, edit) in [
        ("accept", json!({ "email": "john@acme.io" })),
        ("expire", json!({ "email": "max@acme.io" })),
        ("account", json!({ "email": "yan@acme.io", "accountType": "ANALYST", "name": "Yan" })),
        ("role", json!({ "email": "matt@acme.io", "accountType": "BUSINESS" })),
        ("rename", json!({ "email": "jonny@acme.io", "to": "jonathan@acme.io" })),
        ("remove", json!({ "email": "alexandra@acme.io" })),
    ] {
        let response = env.control(action, edit).await;
        assert_eq!(response, (StatusCode::OK, json!({ "ok": true })), "{action}");
    }
    let emails = ["jonathan@acme.io", "matt@acme.io", "john@acme.io", "yan@acme.io"];
    assert_eq!(env.emails(), emails);
    let mut world = env.running.world();
    let role = world.by_email("acme", "matt@acme.io").unwrap().account_type;
    assert_eq!(role, AccountType::Business);
    let (status, state) = send(
        env.http
            .get(format!("http://{}/control/state", env.running.address()))
            .header("x-api-key", "sandbox-key")
            .header("x-api-secret", "sandbox-secret"),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(state["workspaces"][0]["name"], "acme");
    env.control("faults", json!({ "faults": ["not-ok=1"] })).await;
    assert_eq!(env.data(LISTING, json!({})).await["listUsers"]["ok"], false);
    env.control("faults", json!({ "faults": [] })).await;
    assert_eq!(env.data(LISTING, json!({})).await["listUsers"]["ok"], true);
}

#[tokio::test]
async fn an_invalid_action_is_rejected_and_changes_nothing() {
    let env = TestEnv::new().await;
    let before = env.running.world();
    for (action, edit, expected) in [
        ("accept", json!({ "email": "nobody@acme.io" }), StatusCode::CONFLICT),
        ("accept", json!({}), StatusCode::BAD_REQUEST),
        ("role", json!({ "email": "matt@acme.io" }), StatusCode::BAD_REQUEST),
        (
            "role",
            json!({ "email": "matt@acme.io", "accountType": "BOSS" }),
            StatusCode::BAD_REQUEST,
        ),
        ("accept", json!({ "mail": "john@acme.io" }), StatusCode::BAD_REQUEST),
        ("dance", json!({ "email": "john@acme.io" }), StatusCode::BAD_REQUEST),
        ("faults", json!({ "faults": ["fire=1"] }), StatusCode::BAD_REQUEST),
    ] {
        let (status, response) = env.control(action, edit).await;
        assert_eq!(status, expected, "{action}: {response}");
        assert!(response["errors"][0]["message"].is_string());
    }
    assert_eq!(before, env.running.world());
}

#[tokio::test]
async fn the_control_api_requires_the_admin_key_and_rejects_browsers() {
    let env = TestEnv::new().await;
    let edit = json!({ "email": "john@acme.io" }).to_string();
    let viewer = env
        .post("/control/accept")
        .header("x-api-key", "sandbox-viewer-key")
        .header("x-api-secret", "sandbox-viewer-secret");
    let page = env.admin("/control/accept").header("origin", "https://acme.io");
    let form = env
        .http
        .post(format!("http://{}/control/accept", env.running.address()))
        .header("content-type", "text/plain")
        .header("x-api-key", "sandbox-key")
        .header("x-api-secret", "sandbox-secret");
    for (request, status) in [
        (env.post("/control/accept"), StatusCode::UNAUTHORIZED),
        (viewer, StatusCode::FORBIDDEN),
        (page, StatusCode::FORBIDDEN),
        (form, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        assert_eq!(send(request.body(edit.clone())).await.0, status);
    }
    assert_eq!(env.emails().len(), 3);
}

#[tokio::test]
async fn the_state_file_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let start_with_file = || TestEnv::with(|options| options.state = Some(file.clone()));
    let env = start_with_file().await;
    let disable = "mutation { disableUser(uid: \
                   \"07673b48d2206dad7a150dd258ea1e049df036356f1730e30304e38ca648b175\") { ok } }";
    env.data(disable, json!({})).await;
    env.control("accept", json!({ "email": "john@acme.io" })).await;
    let world = env.running.world();
    drop(env);
    let again = start_with_file().await;
    assert_eq!(again.running.world(), world);
    assert_eq!(again.emails(), ["alexandra@acme.io", "jonny@acme.io", "john@acme.io"]);
}

#[tokio::test]
async fn a_file_that_is_not_a_state_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    std::fs::write(&file, "{\"workspaces\": 7}").unwrap();
    let options = Options { state: Some(file.clone()), ..Options::default() };
    let error = start(options, Arc::new(SystemClock)).await.unwrap_err();
    assert!(error.to_string().contains("state.json"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"workspaces\": 7}");
}

#[tokio::test]
async fn only_loopback_is_allowed_and_stopping_frees_the_port() {
    let far = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    let error = start(far, Arc::new(SystemClock)).await.unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
    let env = TestEnv::new().await;
    let listen = env.running.address();
    env.data(LISTING, json!({})).await;
    let taken = start(Options { listen, ..Options::default() }, Arc::new(SystemClock)).await;
    assert!(taken.unwrap_err().to_string().contains(&listen.to_string()));
    env.running.stop().await;
    let again = start(Options { listen, ..Options::default() }, Arc::new(SystemClock)).await;
    assert_eq!(again.unwrap().address(), listen);
}
