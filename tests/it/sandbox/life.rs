//! Start, restart and stop.

use std::sync::Arc;
use std::time::Duration;

use rosterd::clock::SystemClock;
use rosterd::sandbox::{self, Options};

use super::{ADMIN, LIST, ask, http, invite, invited, send, serve};

#[tokio::test]
async fn a_kept_state_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.new");
    let kept = serve(|options| options.state = Some(state.clone())).await;
    ask(&kept, &invite("alice@acme.io")).await;
    super::control(&kept, "accept", serde_json::json!({ "email": "john@acme.io" })).await;
    let world = kept.world();
    drop(kept);
    let again = serve(|options| options.state = Some(state.clone())).await;
    assert_eq!(again.world(), world);
    assert_eq!(invited(&serve(|_| {}).await).len(), 2, "without a file it is forgotten");
}

#[tokio::test]
async fn a_file_that_is_no_state_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    std::fs::write(&state, "{\"workspaces\":").unwrap();
    let options = Options { state: Some(state.clone()), ..Options::default() };
    let error = sandbox::start(options, Arc::new(SystemClock)).await.unwrap_err().to_string();
    assert!(error.contains("state.json") && error.contains("no state of a sandbox"), "{error}");
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "{\"workspaces\":");
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused() {
    let options = Options { listen: ([0, 0, 0, 0], 0).into(), ..Options::default() };
    let error = sandbox::start(options, Arc::new(SystemClock)).await.unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
}

#[tokio::test]
async fn seeds_are_deterministic_and_sandboxes_are_apart() {
    let one = serve(|options| (options.people, options.seed) = (20, 7)).await;
    let same = serve(|options| (options.people, options.seed) = (20, 7)).await;
    let other = serve(|options| (options.people, options.seed) = (20, 8)).await;
    let list = ask(&one, LIST).await;
    assert_eq!(list["data"]["listUsers"]["activeUsers"].as_array().unwrap().len(), 23);
    assert_eq!(list, ask(&same, LIST).await);
    assert_ne!(list, ask(&other, LIST).await);
    ask(&one, &invite("alice@acme.io")).await;
    assert_eq!((invited(&one).len(), invited(&same).len()), (3, 2));
}

#[tokio::test]
async fn a_stopped_sandbox_frees_its_port_even_with_a_request_that_hangs() {
    let odds = "timeout-before=1".parse().unwrap();
    let running = serve(|options| options.faults = vec![odds]).await;
    let (address, endpoint) = (running.address(), running.endpoint());
    let hanging = tokio::spawn(super::request(&endpoint, ADMIN, "{\"query\":\"{x}\"}").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(Duration::from_secs(2), running.stop()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(2), hanging).await.unwrap().unwrap();
    assert!(answer.is_err(), "what hangs is dropped: {answer:?}");
    assert!(http().get(&endpoint).send().await.unwrap_err().is_connect());
    let again = serve(|options| options.listen = address).await;
    assert_eq!(send(&again, ADMIN, LIST).await.status, 200);
}

#[tokio::test]
async fn requests_side_by_side_lose_nothing() {
    let running = serve(|_| {}).await;
    let (running, emails) = (&running, (0..40).map(|n| format!("user{n}@acme.io")));
    let all = emails.map(|email| async move { ask(running, &invite(&email)).await });
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer["data"]["inviteUser"]["ok"], true);
    }
    assert_eq!(invited(running).len(), 42);
}
