//! Delivery of notices to real receivers.

use std::time::Duration;

use serde_json::Value;

use super::{SOON, WebDaemon};
use crate::cli::test_env::{TestEnv, eventually, replace};
use crate::support::scripted::{Act, Scripted, answer};

/// The runtime of the receivers; the daemon is a process of its own.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn events(server: &Scripted) -> Vec<String> {
    let bodies = server.seen().into_iter().map(|seen| seen.json()["event"].clone());
    bodies.map(|event| event.as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_notice_is_signed_and_retried_until_delivered() {
    let runtime = runtime();
    let acts = vec![answer(503, &["Retry-After: 1"], b""), Act::Close, answer(204, &[], b"")];
    let server = runtime.block_on(Scripted::start(acts));
    let chat = runtime.block_on(Scripted::start(vec![answer(200, &[], b"ok")]));
    let mut env = TestEnv::new();
    env.set("NOTIFY_SECRET", "a-secret-of-this-test");
    env.set("CHAT", &format!("{}?token=another-secret", chat.url()));
    let more = format!(
        "notify:\n  - url: {}\n    secret: {{ env: NOTIFY_SECRET }}\n    events: [applied, \
         failing, recovered]\n  - {{ url: {{ env: CHAT }}, format: slack, events: [applied] }}",
        server.url()
    );
    let web = WebDaemon::with_env(env, &more);
    eventually(SOON, "it is delivered", || server.count() >= 3);
    eventually(SOON, "the chat has received it", || chat.count() >= 1);
    let seen = server.seen();
    let ids: Vec<_> = seen.iter().map(|it| it.header("webhook-id").unwrap().to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "all attempts have one id: {ids:?}");
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
    assert!(body["text"].as_str().unwrap().contains("acme: changes: 2 done"), "{body}");

    web.daemon.signal("TERM");
    let ran = web.daemon.ended_within(Duration::from_secs(8)).expect(0);
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
fn a_failing_receiver_does_not_affect_runs() {
    let runtime = runtime();
    let hangs = runtime.block_on(Scripted::start(vec![Act::Hang]));
    let rejects = runtime.block_on(Scripted::start(vec![answer(410, &[], b"gone")]));
    let redirects = runtime.block_on(Scripted::start(vec![answer(
        302,
        &[&format!("Location: {}", hangs.url())],
        b"",
    )]));
    let more = format!(
        "notify:\n  - url: {}\n  - url: {}\n  - url: {}\n  - url: {{ env: NOT_SET_AT_ALL }}",
        hangs.url(),
        rejects.url(),
        redirects.url()
    );
    let web = WebDaemon::new(&more);
    assert_eq!(web.state(), "in_sync");
    eventually(SOON, "all are called", || {
        hangs.count() == 1 && rejects.count() == 1 && redirects.count() == 1
    });
    let roster = web.env.read("users.yaml") + "  - { email: zoe@acme.io, role: BUSINESS }\n";
    replace(&web.env.path("users.yaml"), &roster);
    eventually(SOON, "the next run goes on", || web.env.knows("zoe@acme.io"));
    eventually(SOON, "the failure is counted", || {
        let metrics = web.get("/metrics").body;
        metrics.contains("event=\"applied\",outcome=\"failed\"} ")
    });
    assert_eq!(hangs.count(), 1, "no redirect is followed, and the queue is in order");
    web.daemon.signal("TERM");
    web.daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn a_sandbox_notifies_only_loopback_addresses() {
    let runtime = runtime();
    let here = runtime.block_on(Scripted::start(vec![answer(200, &[], b"")]));
    let env = TestEnv::new();
    let more = format!(
        "notify:\n  - url: {}\n  - url: https://hooks.example.com/rosterd\nlisten: {}",
        here.url(),
        super::free()
    );
    env.write("rosterd.yaml", &super::config(&more));
    let daemon = env.spawn(&["--sandbox"]);
    eventually(SOON, "the local receiver is notified", || here.count() == 1);
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(
        ran.stderr().contains("notices are sent only to loopback addresses"),
        "{}",
        ran.stderr()
    );
}

/// What the ledger keeps of what the receivers know.
fn remembered(env: &TestEnv) -> String {
    let ledger = env.path("state/rosterd/ledger.db");
    let read = || {
        let connection = rusqlite::Connection::open(ledger)?;
        let sql = "SELECT group_concat(value) FROM meta WHERE name LIKE 'notified %'";
        connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0))
    };
    read().ok().flatten().unwrap_or_default()
}

/// Ends the daemon without any last words.
fn killed(web: WebDaemon) -> TestEnv {
    web.daemon.signal("KILL");
    web.daemon.ended_within(Duration::from_secs(8));
    web.env
}

#[test]
fn a_restart_repeats_nothing_and_reports_what_recovered_meanwhile() {
    let runtime = runtime();
    let server = runtime.block_on(Scripted::start(vec![answer(200, &[], b"")]));
    let more = format!("defaults: {{ suspend: true }}\nnotify: [{{ url: {} }}]", server.url());
    let ran = |web: &WebDaemon, status: &str| {
        let line = format!("trigger=\"start\",outcome=\"{status}\"}} 1");
        eventually(SOON, "the first run has ended", || web.get("/metrics").body.contains(&line));
    };
    let web = WebDaemon::new(&more);
    eventually(SOON, "what is held is sent", || events(&server) == ["held"]);
    eventually(SOON, "that is remembered", || !remembered(&web.env).is_empty());
    let mut env = killed(web);
    env.key("sandbox-key", "wrong");
    let web = WebDaemon::with_env(env, &more);
    eventually(SOON, "a failure is sent", || events(&server) == ["held", "failing"]);
    eventually(SOON, "that is remembered", || remembered(&web.env).contains("\"failing\":\""));
    let web = WebDaemon::with_env(killed(web), &more);
    ran(&web, "failed");
    let mut env = killed(web);
    env.key("sandbox-key", "sandbox-secret");
    let web = WebDaemon::with_env(env, &more);
    let all = ["held", "failing", "recovered"];
    eventually(SOON, "the recovery is sent", || events(&server) == all);
    let is_over = || remembered(&web.env).contains("\"failing\":null");
    eventually(SOON, "that is remembered", is_over);
    let web = WebDaemon::with_env(killed(web), &more);
    ran(&web, "held");
    let env = killed(web);
    assert_eq!(events(&server), all, "what is still held is not sent again");
    env.run(&["ledger", "verify"]).expect(0);
    let once = env.run(&["--once", "-w", "acme"]).stderr();
    assert_eq!(events(&server), all, "`--once` sends none: {once}");
}

#[test]
fn doctor_tries_every_receiver() {
    let runtime = runtime();
    let accepts = runtime.block_on(Scripted::start(vec![answer(200, &[], b"ok")]));
    let gone = runtime.block_on(Scripted::start(vec![answer(404, &[], b"no")]));
    let mut env = TestEnv::new();
    env.write("rosterd.yaml", &super::config("listen: 127.0.0.1:0"));
    let none = env.run(&["doctor", "--notify"]).expect(64).stderr();
    assert!(none.contains("`notify` is not configured"), "{none}");
    env.set("CHAT", &accepts.url());
    let more = format!(
        "notify:\n  - {{ url: {{ env: CHAT }}, format: slack, events: [held] }}\n  - url: {}\n  - url: \
         {{ env: NOT_SET }}",
        gone.url()
    );
    env.write("rosterd.yaml", &super::config(&more));
    let shown = env.run(&["doctor", "--notify"]).expect(1).stdout();
    for line in [
        "✓  CHAT       accepted a test notification: 200 OK",
        "✗  127.0.0.1  the receiver returned 404 Not Found; check `url`: the webhook may",
        "✗  NOT_SET    ",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!((accepts.count(), events(&gone)), (1, vec!["test".to_owned()]), "each once");
    assert!(accepts.seen()[0].json()["text"].as_str().unwrap().contains("this is a test"));
    env.run(&["doctor"]).expect(0);
    assert_eq!(accepts.count(), 1, "only if asked to");
}

#[test]
fn failing_is_sent_once() {
    let runtime = runtime();
    let server = runtime.block_on(Scripted::start(vec![answer(200, &[], b"")]));
    let more = format!("notify: [{{ url: {} }}]", server.url());
    let mut env = TestEnv::new();
    env.key("sandbox-key", "hush-hush-hush");
    env.set("WEB_TOKEN", "quiet-quiet-quiet");
    let more = format!("{more}\nweb: {{ token: {{ env: WEB_TOKEN }} }}");
    let web = WebDaemon::with_env(env, &more);
    eventually(SOON, "it is delivered", || events(&server) == ["failing"]);
    assert_eq!(web.state(), "failing");
    let metrics = web.get("/metrics").body;
    assert!(metrics.contains("rosterd_key_valid{workspace=\"acme\"} 0"), "{metrics}");
    for _ in 0..3 {
        web.daemon.signal("HUP");
        std::thread::sleep(Duration::from_millis(700));
    }
    let runs = "rosterd_runs_total{workspace=\"acme\",trigger=\"signal\",outcome=\"failed\"} 0";
    eventually(SOON, "it has failed again", || !web.get("/metrics").body.contains(runs));
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
        let response = web.get(path);
        let everything = format!("{:?} {} {said}", response.headers, response.body);
        for secret in ["hush-hush-hush", "quiet-quiet-quiet", "sandbox-key"] {
            assert!(!everything.contains(secret), "{secret} in {path}");
        }
    }
}
