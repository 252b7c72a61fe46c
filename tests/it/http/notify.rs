//! Notices on their way to real receivers.

use std::time::Duration;

use serde_json::Value;

use super::{SOON, Shown};
use crate::cli::test_env::{TestEnv, eventually, replace};
use crate::support::scripted::{Act, Scripted, answer};

/// Receivers live on this runtime, the daemon in its own process.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn events(server: &Scripted) -> Vec<String> {
    let bodies = server.seen().into_iter().map(|seen| seen.json()["event"].clone());
    bodies.map(|event| event.as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_receiver_is_told_signed_and_again_until_it_takes_it() {
    let runtime = runtime();
    let acts = vec![answer(503, &["Retry-After: 1"], b""), Act::Close, answer(204, &[], b"")];
    let server = runtime.block_on(Scripted::start(acts));
    let chat = runtime.block_on(Scripted::start(vec![answer(200, &[], b"ok")]));
    let mut stage = TestEnv::new();
    stage.set("NOTIFY_SECRET", "a-secret-of-this-test");
    stage.set("CHAT", &format!("{}?token=another-secret", chat.url()));
    let more = format!(
        "notify:\n  - url: {}\n    secret: {{ env: NOTIFY_SECRET }}\n    events: [applied, \
         failing, recovered]\n  - {{ url: {{ env: CHAT }}, format: slack, events: [applied] }}",
        server.url()
    );
    let shown = Shown::of(stage, &more);
    eventually(SOON, "it is delivered", || server.count() >= 3);
    eventually(SOON, "the chat is told", || chat.count() >= 1);
    let seen = server.seen();
    let ids: Vec<_> = seen.iter().map(|it| it.header("webhook-id").unwrap().to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one notice, however often: {ids:?}");
    for request in &seen {
        let part = |name: &str| request.header(name).unwrap().to_owned();
        let signed = format!("{}.{}.{}", ids[0], part("webhook-timestamp"), request.body);
        assert_eq!(part("webhook-signature"), signature("a-secret-of-this-test", &signed));
        assert!(!format!("{request:?}").contains("secret"), "{request:?}");
    }
    let body = seen[0].json();
    assert_eq!((&body["event"], &body["workspace"]), (&"applied".into(), &"acme".into()));
    assert_eq!(body["people"].as_array().unwrap().len(), 2, "{body}");
    let body: Value = serde_json::from_str(&chat.seen()[0].body).unwrap();
    assert!(body["text"].as_str().unwrap().contains("*acme*: changes: 2 done"), "{body}");

    shown.daemon.signal("TERM");
    let ran = shown.daemon.ended_within(Duration::from_secs(8)).expect(0);
    for secret in ["a-secret-of-this-test", "another-secret"] {
        assert!(!ran.stderr().contains(secret), "{}", ran.stderr());
    }
}

fn signature(secret: &str, text: &str) -> String {
    use base64::Engine as _;
    use hmac::{Hmac, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let code = base64::prelude::BASE64_STANDARD.encode(mac.finalize().into_bytes());
    format!("v1,{code}")
}

#[test]
fn a_receiver_that_hangs_or_refuses_costs_no_run_anything() {
    let runtime = runtime();
    let hangs = runtime.block_on(Scripted::start(vec![Act::Hang]));
    let refuses = runtime.block_on(Scripted::start(vec![answer(410, &[], b"gone")]));
    let redirects = runtime.block_on(Scripted::start(vec![answer(
        302,
        &[&format!("Location: {}", hangs.url())],
        b"",
    )]));
    let more = format!(
        "notify:\n  - url: {}\n  - url: {}\n  - url: {}\n  - url: {{ env: NOT_SET_AT_ALL }}",
        hangs.url(),
        refuses.url(),
        redirects.url()
    );
    let shown = Shown::new(&more);
    assert_eq!(shown.state(), "in_sync");
    eventually(SOON, "all are asked", || {
        hangs.count() == 1 && refuses.count() == 1 && redirects.count() == 1
    });
    let roster = shown.stage.read("users.yaml") + "  - { email: zoe@acme.io, role: BUSINESS }\n";
    replace(&shown.stage.path("users.yaml"), &roster);
    eventually(SOON, "the next run goes on", || shown.stage.knows("zoe@acme.io"));
    eventually(SOON, "the refusal is counted", || {
        let metrics = shown.get("/metrics").body;
        metrics.contains("event=\"applied\",outcome=\"failed\"} ")
    });
    assert_eq!(hangs.count(), 1, "nothing came by the redirect, and nobody overtakes");
    shown.daemon.signal("TERM");
    shown.daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn a_sandbox_tells_this_machine_alone() {
    let runtime = runtime();
    let here = runtime.block_on(Scripted::start(vec![answer(200, &[], b"")]));
    let stage = TestEnv::new();
    let more = format!(
        "notify:\n  - url: {}\n  - url: https://hooks.example.com/rosterd\nlisten: {}",
        here.url(),
        super::free()
    );
    stage.write("rosterd.yaml", &super::config(&more));
    let daemon = stage.spawn(&["--sandbox"]);
    eventually(SOON, "it is told here", || here.count() == 1);
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(ran.stderr().contains("a sandbox tells this machine alone"), "{}", ran.stderr());
}

#[test]
fn failing_is_told_once_and_so_is_recovered() {
    let runtime = runtime();
    let server = runtime.block_on(Scripted::start(vec![answer(200, &[], b"")]));
    let more = format!("notify: [{{ url: {} }}]", server.url());
    let mut stage = TestEnv::new();
    stage.key("sandbox-key", "hush-hush-hush");
    stage.set("WEB_TOKEN", "quiet-quiet-quiet");
    let more = format!("{more}\nweb: {{ token: {{ env: WEB_TOKEN }} }}");
    let shown = Shown::of(stage, &more);
    eventually(SOON, "it is told", || events(&server) == ["failing"]);
    assert_eq!(shown.state(), "failing");
    let metrics = shown.get("/metrics").body;
    assert!(metrics.contains("rosterd_key_valid{workspace=\"acme\"} 0"), "{metrics}");
    for _ in 0..3 {
        shown.daemon.signal("HUP");
        std::thread::sleep(Duration::from_millis(700));
    }
    let runs = "rosterd_runs_total{workspace=\"acme\",trigger=\"signal\",outcome=\"failed\"} 0";
    eventually(SOON, "it has failed again", || !shown.get("/metrics").body.contains(runs));
    assert_eq!(events(&server), ["failing"], "once");
    let said = server.seen()[0].body.clone();
    assert!(said.contains("unauthorized") || said.contains("401"), "{said}");
    for path in [
        "/",
        "/workspaces/acme",
        "/workspaces/acme/runs",
        "/metrics",
        "/api/v1/workspaces",
        "/api/v1/workspaces/acme/runs",
        "/api/v1/workspaces/acme/history",
        "/nowhere",
    ] {
        let told = shown.get(path);
        let everything = format!("{:?} {} {said}", told.headers, told.body);
        for secret in ["hush-hush-hush", "quiet-quiet-quiet", "sandbox-key"] {
            assert!(!everything.contains(secret), "{secret} in {path}");
        }
    }
}
