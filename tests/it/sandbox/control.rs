//! The hands behind the API's back.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{ADMIN, Got, LIST, VIEWER, ask, control, http, request, send, serve};
use rosterd::sandbox::Running;

async fn listed(running: &Running) -> Value {
    ask(running, LIST).await["data"]["listUsers"].clone()
}

async fn done(running: &Running, what: &str, edit: Value) {
    let got = control(running, what, edit).await;
    assert_eq!((got.status, got.json()), (200, json!({ "ok": true })), "{what}");
}

#[tokio::test]
async fn every_operation_shows_in_the_next_listing() {
    let running = serve(|_| {}).await;
    done(&running, "accept", json!({ "email": "john@acme.io" })).await;
    done(&running, "role", json!({ "email": "john@acme.io", "accountType": "ANALYST" })).await;
    done(&running, "rename", json!({ "email": "john@acme.io", "to": "yan@acme.io" })).await;
    let account = json!({ "email": "zoe@acme.io", "accountType": "BUSINESS", "name": "Zoe" });
    done(&running, "account", account).await;
    done(&running, "remove", json!({ "email": "matt@acme.io" })).await;
    let list = listed(&running).await;
    let users: Vec<_> = list["activeUsers"].as_array().unwrap()[2..]
        .iter()
        .map(|it| [&it["email"], &it["accountType"], &it["name"]])
        .collect();
    assert_eq!(
        json!(users),
        json!([["yan@acme.io", "ANALYST", ""], ["zoe@acme.io", "BUSINESS", "Zoe"]])
    );
    assert_eq!(list["invitedUsers"].as_array().unwrap().len(), 1);
    ask(&running, &super::invite("alice@acme.io")).await;
    done(&running, "expire", json!({ "email": "alice@acme.io" })).await;
    assert_eq!(listed(&running).await["invitedUsers"][1]["inviteStatus"], "EXPIRED");
    let uid = list["activeUsers"][0]["uid"].as_str().unwrap();
    ask(&running, &format!("mutation {{ disableUser(uid: \"{uid}\") {{ ok }} }}")).await;
    assert_eq!(listed(&running).await["activeUsers"].as_array().unwrap().len(), 3);
    done(&running, "enable", json!({ "email": "alexandra@acme.io" })).await;
    assert_eq!(listed(&running).await["activeUsers"].as_array().unwrap().len(), 4);
    done(&running, "faults", json!({ "faults": ["html=1"] })).await;
    assert!(send(&running, ADMIN, LIST).await.text.contains("<html>"));
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let running = serve(|_| {}).await;
    let before = running.world();
    for (what, edit, status) in [
        ("accept", json!({ "email": "nobody@acme.io" }), 409),
        ("accept", json!({ "email": "max@acme.io" }), 409),
        ("remove", json!({ "email": "nobody@acme.io" }), 409),
        ("role", json!({ "email": "matt@acme.io" }), 400),
        ("rename", json!({ "email": "matt@acme.io" }), 400),
        ("accept", json!({}), 400),
        ("accept", json!({ "mail": "john@acme.io" }), 400),
        ("accept", json!({ "email": "john@acme.io", "workspace": "nowhere" }), 409),
        ("promote", json!({ "email": "matt@acme.io" }), 400),
        ("faults", json!({ "faults": ["fire=1"] }), 400),
    ] {
        let got = control(&running, what, edit.clone()).await;
        assert_eq!(got.status, status, "{what} {edit}: {}", got.text);
        assert!(!got.error().1.is_empty());
    }
    assert_eq!(running.world().workspaces, before.workspaces);
}

#[tokio::test]
async fn only_the_admin_key_outside_of_a_browser_has_hands() {
    let running = serve(|_| {}).await;
    let url = format!("http://{}/control/accept", running.address());
    let body = json!({ "email": "john@acme.io" }).to_string();
    let browser = [&ADMIN[..], &[("origin", "http://acme.io")]].concat();
    for (headers, status) in [(&[][..], 401), (VIEWER, 403), (&browser, 403)] {
        let got = Got::of(request(&url, headers, body.clone()).send().await.unwrap()).await;
        assert_eq!(got.status, status, "{headers:?}");
        let state = http().get(url.replace("accept", "state"));
        let state = headers.iter().fold(state, |it, (name, value)| it.header(*name, *value));
        assert_eq!(state.send().await.unwrap().status(), status, "{headers:?}");
    }
    let form = ADMIN.iter().fold(http().post(&url), |it, (name, value)| it.header(*name, *value));
    let form = form.header(CONTENT_TYPE, "text/plain").body(body);
    assert_eq!(form.send().await.unwrap().status(), 415);
    assert_eq!(running.world().workspaces[0].accounts.len(), 3);
    let state =
        ADMIN.iter().fold(http().get(url.replace("accept", "state")), |it, (name, value)| {
            it.header(*name, *value)
        });
    let state = Got::of(state.send().await.unwrap()).await.json();
    assert_eq!(state["workspaces"][0]["accounts"][0]["disabled"], false);
}
