//! No message or log line of the client contains a secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use rosterd::client::{Client, Credentials, ReadDirectory, Reply, Transport, WriteDirectory};
use rosterd::role::Role;
use tracing::instrument::WithSubscriber;

use super::{EMPTY, KEY, SECRET, client, client_with, invite, key_pair, settings};
use crate::support::scripted::{Act, Scripted, answer, json, json_with};
use rosterd::failure::FailureKind;

const TOKEN: &str = "prdm_cmp_token-of-a-test";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn assert_hidden(text: &str) {
    for secret in [KEY, SECRET, TOKEN] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn both_authentications_are_sent_as_documented() {
    let server = Scripted::start([json(EMPTY)]).await;
    let mut company = settings(&server.url());
    company.workspace_uid = Some("w1".into());
    client_with(&settings(&server.url())).list().await.unwrap();
    let transport = Arc::new(Transport::new(&company).unwrap());
    Client::new(transport, Credentials::Token(TOKEN.into())).list().await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("x-api-key"), Some(KEY));
    assert_eq!(seen[0].header("x-api-secret"), Some(SECRET));
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[0].header("x-paradime-workspace"), None);
    assert_eq!(seen[1].header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    assert_eq!(seen[1].header("x-api-secret"), None);
    assert_eq!(seen[1].header("x-paradime-workspace"), Some("w1"));
    let agent = concat!("rosterd/", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen[1].header("user-agent"), Some(agent));
    assert_eq!(seen[1].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_secret_in_a_response_is_masked() {
    let echo = format!("{KEY} and {SECRET}");
    let errors = format!(r#"{{"errors":[{{"message":"bad {echo}"}}]}}"#);
    for act in [
        json(&errors),
        json_with(401, &[], &errors),
        json_with(500, &["Retry-After: 999"], &errors),
        answer(200, &["Content-Type: text/html"], echo.as_bytes()),
        answer(302, &[&format!("Location: https://acme.io/?{SECRET}")], b""),
        json(&format!(r#"{{"data":{{"listUsers":"{echo}"}}}}"#)),
        answer(200, &[&format!("Content-Type: {SECRET}/x")], b""),
    ] {
        let server = Scripted::start([act]).await;
        let client = client(&server);
        let error = client.list().await.unwrap_err();
        assert!(error.message.contains("[hidden]"), "{error}");
        assert_hidden(&format!("{error} {error:?} {client:?}"));
    }
}

#[tokio::test]
async fn a_secret_that_is_no_header_value_is_rejected_without_being_shown() {
    let server = Scripted::start([json(EMPTY)]).await;
    let transport = Arc::new(Transport::new(&settings(&server.url())).unwrap());
    let secret = format!("{SECRET}\n").into();
    let client = Client::new(transport, Credentials::KeyPair { key: KEY.into(), secret });
    let error = client.list().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Credentials);
    assert_hidden(&format!("{error:?}"));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_log_at_trace_level_holds_no_secret_and_no_body() {
    let acts = [Act::Close, json(EMPTY), json_with(200, &[], r#"{"data":{"m0":{"ok":true}}}"#)];
    let server = Scripted::start(acts).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // While there is only one subscriber, tracing asks the thread that reaches an event first for
    // its own, and the threads of other tests have none.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let change = invite("alice@acme.io", Role::Analyst);
    async {
        let mut settings = settings(&format!("{}?token={TOKEN}", server.url()));
        settings.workspace_uid = Some("w1".into());
        let client = Client::new(Arc::new(Transport::new(&settings).unwrap()), key_pair());
        client.list().await.unwrap();
        assert!(matches!(client.send(&[&change]).await, Reply::Answered(_)));
    }
    .with_subscriber(subscriber)
    .await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("rosterd::")).collect();
    assert!(ours.iter().any(|line| line.contains("operation=\"list\"")), "{text}");
    assert!(ours.iter().any(|line| line.contains("operation=\"change\"")), "{text}");
    assert!(ours.iter().all(|line| !line.contains("alice")), "{text}");
    assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
    assert_hidden(&ours.join("\n"));
}

#[tokio::test]
async fn a_key_in_the_log_changes_with_each_part_and_shows_neither() {
    let transport = Arc::new(Transport::new(&settings("https://api.acme.invalid/")).unwrap());
    let of = |credentials| Client::new(Arc::clone(&transport), credentials).key().unwrap();
    let pair = |key: &str, secret: &str| {
        of(Credentials::KeyPair { key: key.into(), secret: secret.into() })
    };
    let keys = [pair(KEY, SECRET), pair(KEY, "another"), pair("another", SECRET)];
    let token = of(Credentials::Token(TOKEN.into()));
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(key.len(), 8);
        assert!(!keys[..at].contains(key) && *key != token);
    }
    assert_eq!(keys[0], pair(KEY, SECRET), "it is the same after a restart");
}
