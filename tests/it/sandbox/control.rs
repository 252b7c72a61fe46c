//! The hands behind the API's back, the state in a file, and the end of a sandbox.

use std::sync::Arc;

use reqwest::StatusCode;
use rosterd::clock::SystemClock;
use rosterd::sandbox::world::AccountType;
use rosterd::sandbox::{Options, start};
use serde_json::json;

use super::{LISTING, TestEnv, answer};

#[tokio::test]
async fn every_hand_does_what_it_says() {
    let stage = TestEnv::new().await;
    for (what, edit) in [
        ("accept", json!({ "email": "john@acme.io" })),
        ("expire", json!({ "email": "max@acme.io" })),
        ("account", json!({ "email": "yan@acme.io", "accountType": "ANALYST", "name": "Yan" })),
        ("role", json!({ "email": "matt@acme.io", "accountType": "BUSINESS" })),
        ("rename", json!({ "email": "jonny@acme.io", "to": "jonathan@acme.io" })),
        ("remove", json!({ "email": "alexandra@acme.io" })),
    ] {
        let told = stage.hand(what, edit).await;
        assert_eq!(told, (StatusCode::OK, json!({ "ok": true })), "{what}");
    }
    let emails = ["jonathan@acme.io", "matt@acme.io", "john@acme.io", "yan@acme.io"];
    assert_eq!(stage.emails(), emails);
    let mut world = stage.running.world();
    let role = world.by_email("acme", "matt@acme.io").unwrap().account_type;
    assert_eq!(role, AccountType::Business);
    let (status, state) = answer(
        stage
            .http
            .get(format!("http://{}/control/state", stage.running.address()))
            .header("x-api-key", "sandbox-key")
            .header("x-api-secret", "sandbox-secret"),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(state["workspaces"][0]["name"], "acme");
    stage.hand("faults", json!({ "faults": ["not-ok=1"] })).await;
    assert_eq!(stage.data(LISTING, json!({})).await["listUsers"]["ok"], false);
    stage.hand("faults", json!({ "faults": [] })).await;
    assert_eq!(stage.data(LISTING, json!({})).await["listUsers"]["ok"], true);
}

#[tokio::test]
async fn a_hand_that_is_wrong_is_told_so_and_changes_nothing() {
    let stage = TestEnv::new().await;
    let before = stage.running.world();
    for (what, edit, status) in [
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
        let (told, answered) = stage.hand(what, edit).await;
        assert_eq!(told, status, "{what}: {answered}");
        assert!(answered["errors"][0]["message"].is_string());
    }
    assert_eq!(before, stage.running.world());
}

#[tokio::test]
async fn only_the_admin_has_hands_and_no_page_of_another_site() {
    let stage = TestEnv::new().await;
    let edit = json!({ "email": "john@acme.io" }).to_string();
    let viewer = stage
        .post("/control/accept")
        .header("x-api-key", "sandbox-viewer-key")
        .header("x-api-secret", "sandbox-viewer-secret");
    let page = stage.admin("/control/accept").header("origin", "https://acme.io");
    let form = stage
        .http
        .post(format!("http://{}/control/accept", stage.running.address()))
        .header("content-type", "text/plain")
        .header("x-api-key", "sandbox-key")
        .header("x-api-secret", "sandbox-secret");
    for (request, status) in [
        (stage.post("/control/accept"), StatusCode::UNAUTHORIZED),
        (viewer, StatusCode::FORBIDDEN),
        (page, StatusCode::FORBIDDEN),
        (form, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        assert_eq!(answer(request.body(edit.clone())).await.0, status);
    }
    assert_eq!(stage.emails().len(), 3);
}

#[tokio::test]
async fn a_state_in_a_file_survives() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let kept = || TestEnv::with(|options| options.state = Some(file.clone()));
    let stage = kept().await;
    let disable = "mutation { disableUser(uid: \
                   \"07673b48d2206dad7a150dd258ea1e049df036356f1730e30304e38ca648b175\") { ok } }";
    stage.data(disable, json!({})).await;
    stage.hand("accept", json!({ "email": "john@acme.io" })).await;
    let world = stage.running.world();
    drop(stage);
    let again = kept().await;
    assert_eq!(again.running.world(), world);
    assert_eq!(again.emails(), ["alexandra@acme.io", "jonny@acme.io", "john@acme.io"]);
}

#[tokio::test]
async fn a_file_that_is_no_state_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    std::fs::write(&file, "{\"workspaces\": 7}").unwrap();
    let options = Options { state: Some(file.clone()), ..Options::default() };
    let error = start(options, Arc::new(SystemClock)).await.unwrap_err();
    assert!(error.to_string().contains("state.json"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"workspaces\": 7}");
}

#[tokio::test]
async fn only_loopback_is_served_and_the_end_frees_the_port() {
    let far = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    let error = start(far, Arc::new(SystemClock)).await.unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
    let stage = TestEnv::new().await;
    let listen = stage.running.address();
    stage.data(LISTING, json!({})).await;
    let taken = start(Options { listen, ..Options::default() }, Arc::new(SystemClock)).await;
    assert!(taken.unwrap_err().to_string().contains(&listen.to_string()));
    stage.running.stop().await;
    let again = start(Options { listen, ..Options::default() }, Arc::new(SystemClock)).await;
    assert_eq!(again.unwrap().address(), listen);
}
