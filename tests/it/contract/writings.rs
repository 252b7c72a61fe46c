//! A batch is sent once. Each change has its own result; an unknown result is reported as unknown.

use std::time::Duration;

use rosterd::client::{Answer, Reply, WriteDirectory};
use rosterd::directory::Uid;
use rosterd::plan::change::{Action, Change};
use rosterd::role::Role;

use super::{change, client, client_with, invite, settings};
use crate::support::scripted::{Act, Scripted, answer, cut, json, json_with};

use Answer::Done;
use rosterd::failure::FailureKind;

/// An invitation, a role update and a disable.
fn three() -> Vec<Change> {
    let uid = |text: &str| Uid(text.into());
    let update = Action::UpdateRole { uid: uid("u1"), from: Role::Admin, to: Role::Business };
    vec![
        invite("alice@acme.io", Role::Developer),
        change("jonny@acme.io", update),
        change("zoe@acme.io", Action::Disable { uid: uid("u2"), role: Role::Analyst }),
    ]
}

/// The reply to the three changes if the server does this. Exactly one request is sent.
async fn reply(act: Act) -> Reply {
    let server = Scripted::start([act]).await;
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(300);
    let changes = three();
    let reply = client_with(&settings).send(&changes.iter().collect::<Vec<_>>()).await;
    assert_eq!(server.count(), 1, "a mutation is never sent twice");
    reply
}

async fn answers(body: &str) -> Vec<Answer> {
    match reply(json(body)).await {
        Reply::Answered(answers) => answers,
        other => panic!("{other:?}"),
    }
}

fn failure(reply: Reply) -> (&'static str, FailureKind, String) {
    match reply {
        Reply::NotExecuted { error, .. } => ("not executed", error.kind, error.message),
        Reply::Refused(error) => ("refused", error.kind, error.message),
        Reply::Unknown(error) => ("unknown", error.kind, error.message),
        Reply::Answered(answers) => panic!("{answers:?}"),
    }
}

async fn becomes(act: Act, what: &str, kind: FailureKind) {
    let shown = format!("{act:?}");
    let (got, got_kind, message) = failure(reply(act).await);
    assert_eq!((got, got_kind), (what, kind), "{message}\n{shown:.300}");
}

#[tokio::test]
async fn one_request_carries_the_batch() {
    let body = r#"{"data":{"m0":{"ok":true},"m1":{"ok":true},"m2":{"ok":true}}}"#;
    let server = Scripted::start([json(body)]).await;
    let changes = three();
    let reply = client(&server).send(&changes.iter().collect::<Vec<_>>()).await;
    assert_eq!(reply, Reply::Answered(vec![Done, Done, Done]));
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let sent = seen[0].json();
    let query = sent["query"].as_str().unwrap();
    for operation in ["m0:inviteUser(", "m1:updateUserAccountType(", "m2:disableUser("] {
        assert!(query.contains(operation), "{query}");
    }
    assert!(!query.contains("alice"), "what people wrote travels as variables");
    assert_eq!(sent["variables"]["email0"], "alice@acme.io");
    assert_eq!(sent["variables"]["uid2"], "u2");
}

#[tokio::test]
async fn each_change_has_its_own_result() {
    let got = answers(
        r#"{"data":{"m0":{"ok":true},"m2":null},
            "errors":[{"message":"no such\u001b user","path":["m1"]},{"message":"odd"}]}"#,
    )
    .await;
    assert_eq!(got[0], Done);
    assert_eq!(got[1], Answer::Rejected("no such\\u{1b} user".into()));
    assert!(matches!(&got[2], Answer::Unknown(why) if why.contains("odd")), "{got:?}");

    let got = answers(r#"{"data":{"m0":{"ok":false},"m1":{"ok":true},"m2":{}}}"#).await;
    assert_eq!(got[0], Answer::Rejected("the API answered `ok: false`".into()));
    assert_eq!(got[1], Done);
    assert!(matches!(got[2], Answer::Unknown(_)));

    let contradiction = r#"{"data":{"m0":{"ok":true},"m1":{"ok":true},"m2":{"ok":true}},
        "errors":[{"message":"late","path":["m0","ok"]}]}"#;
    let got = answers(contradiction).await;
    assert!(matches!(got[0], Answer::Unknown(_)) && got[1] == Done);

    let done = r#"{"data":{"m0":{"ok":true},"m1":{"ok":true},"m2":{"ok":false}}}"#;
    let Reply::Answered(got) = reply(json_with(206, &[], done)).await else { panic!("206") };
    assert!(got.iter().all(|answer| matches!(answer, Answer::Unknown(_))), "{got:?}");

    let got = answers(r#"{"data":{}}"#).await;
    assert!(got.iter().all(|answer| matches!(answer, Answer::Unknown(_))), "{got:?}");
}

#[tokio::test]
async fn a_document_that_was_not_executed_is_refused_as_a_whole() {
    let invalid = r#"{"errors":[{"message":"too many aliases"}]}"#;
    for act in [
        json(invalid),
        json_with(400, &[], invalid),
        json_with(413, &[], invalid),
        json_with(422, &[], r#"{"data":null,"errors":[{"message":"no","path":[]}]}"#),
    ] {
        becomes(act, "refused", FailureKind::Graphql).await;
    }
}

#[tokio::test]
async fn a_response_that_could_hide_an_effect_is_unknown() {
    let nulled = r#"{"data":null,"errors":[{"message":"no such user","path":["m2"]}]}"#;
    becomes(json(nulled), "unknown", FailureKind::Graphql).await;
    becomes(json_with(400, &[], nulled), "unknown", FailureKind::Graphql).await;
    let internal =
        r#"{"errors":[{"message":"oops","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#;
    becomes(json(internal), "unknown", FailureKind::Graphql).await;
    becomes(json(r#"{"data":null}"#), "unknown", FailureKind::Incomplete).await;
    becomes(json(r#"{"data":{"m0":7}}"#), "unknown", FailureKind::Incomplete).await;
    becomes(json("{}"), "unknown", FailureKind::NotGraphql).await;
    let html = answer(200, &["Content-Type: text/html"], b"<html>");
    becomes(html, "unknown", FailureKind::NotJson).await;
    for status in [400, 404, 413, 422] {
        let html = answer(status, &["Content-Type: text/html"], b"<html>");
        becomes(html, "unknown", FailureKind::NotJson).await;
    }
    for status in [500, 502, 503, 504] {
        becomes(answer(status, &[], b""), "unknown", FailureKind::Server).await;
    }
    let refused_with_500 = json_with(500, &[], r#"{"errors":[{"message":"invalid"}]}"#);
    becomes(refused_with_500, "unknown", FailureKind::Server).await;
    becomes(answer(408, &[], b""), "unknown", FailureKind::Timeout).await;
    becomes(answer(307, &["Location: /"], b""), "unknown", FailureKind::Redirect).await;
    becomes(Act::Close, "unknown", FailureKind::Reset).await;
    becomes(Act::Hang, "unknown", FailureKind::Timeout).await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{";
    becomes(Act::Bytes(head.to_vec()), "unknown", FailureKind::Timeout).await;
    let json_type = ["Content-Type: application/json"];
    becomes(cut(200, &json_type, br#"{"data":"#), "unknown", FailureKind::Truncated).await;
    becomes(json(r#"{"data":{"m0""#), "unknown", FailureKind::Truncated).await;
}

#[tokio::test]
async fn a_request_that_was_certainly_not_executed_is_classified() {
    let asked = |reply| match reply {
        Reply::NotExecuted { error, retry_after } => (error.kind, retry_after),
        other => panic!("{other:?}"),
    };
    let throttled = answer(429, &["Retry-After: 7"], b"");
    let seven = Some(Duration::from_secs(7));
    assert_eq!(asked(reply(throttled).await), (FailureKind::Throttled, seven));
    becomes(answer(429, &[], b""), "not executed", FailureKind::Throttled).await;
    let coded = r#"{"errors":[{"message":"slow","extensions":{"code":"TOO_MANY_REQUESTS"}}]}"#;
    becomes(json(coded), "not executed", FailureKind::Throttled).await;
    let errors = r#"{"errors":[{"message":"no"}]}"#;
    becomes(json_with(401, &[], errors), "not executed", FailureKind::Unauthorized).await;
    becomes(json_with(403, &[], errors), "not executed", FailureKind::Forbidden).await;
    // A firewall may also replace the response to a change that was made.
    becomes(answer(401, &[], b""), "unknown", FailureKind::Blocked).await;
    let page = answer(403, &["Content-Type: text/html"], b"<html>");
    becomes(page, "unknown", FailureKind::Blocked).await;
}

#[tokio::test]
async fn a_missing_capability_is_named() {
    let error = |field: &str| {
        format!(r#"{{"message":"no","path":["{field}"],"extensions":{{"code":"FORBIDDEN"}}}}"#)
    };
    let each = format!("[{},{},{}]", error("m0"), error("m1"), error("m2"));
    let lacking = r#"{"message":"the key lacks the capability","path":["m0"]}"#;
    for body in [
        r#"{"errors":[{"message":"Permission denied"}]}"#.to_owned(),
        format!(r#"{{"data":null,"errors":{each}}}"#),
        format!(r#"{{"data":{{"m0":null,"m1":null}},"errors":{each}}}"#),
        format!(r#"{{"data":null,"errors":[{lacking}]}}"#),
    ] {
        let (what, kind, message) = failure(reply(json(&body)).await);
        assert_eq!((what, kind.is_denial()), ("not executed", true), "{body}");
        assert!(message.contains("User Management Admin"), "{message}");
    }
    let rejected_key = r#"{"errors":[{"message":"no","extensions":{"code":"UNAUTHENTICATED"}}]}"#;
    becomes(json(rejected_key), "not executed", FailureKind::Unauthorized).await;
}

#[tokio::test]
async fn a_denial_beside_a_success_concerns_one_change() {
    let error = r#"{"message":"not yours","path":["m1"],"extensions":{"code":"FORBIDDEN"}}"#;
    let beside =
        format!(r#"{{"data":{{"m0":{{"ok":true}},"m1":null,"m2":null}},"errors":[{error}]}}"#);
    let got = answers(&beside).await;
    assert_eq!(got[0], Done);
    assert!(matches!(&got[1], Answer::Rejected(why) if why.contains("User Management Admin")));
    assert!(matches!(got[2], Answer::Unknown(_)));
    // m0 may have run before m1 was forbidden and the data nulled.
    let nulled = format!(r#"{{"data":null,"errors":[{error}]}}"#);
    becomes(json(&nulled), "unknown", FailureKind::Forbidden).await;
}

#[tokio::test]
async fn without_a_connection_nothing_was_executed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let got = failure(client_with(&settings(&url)).send(&[&three()[0]]).await);
    assert_eq!((got.0, got.1), ("not executed", FailureKind::Connect), "{}", got.2);
}

#[tokio::test]
async fn a_closed_pooled_connection_does_not_repeat_a_mutation() {
    let done = || json(r#"{"data":{"m0":{"ok":true}}}"#);
    let server = Scripted::start([done(), Act::Close, done()]).await;
    let client = client(&server);
    let change = invite("alice@acme.io", Role::Developer);
    assert_eq!(client.send(&[&change]).await, Reply::Answered(vec![Done]));
    // The same connection is used again, and closed after the request was read.
    let second = failure(client.send(&[&change]).await);
    assert_eq!((second.0, second.1), ("unknown", FailureKind::Reset), "{}", second.2);
    assert_eq!(server.count(), 2, "the request was read once");
}

#[tokio::test]
async fn an_invalid_role_is_rejected_locally_and_the_rest_is_sent() {
    let odd = invite("john@acme.io", Role::Other("NEW ROLE".into()));
    let good = invite("alice@acme.io", Role::Other("NEW_ROLE".into()));
    let server = Scripted::start([json(r#"{"data":{"m1":{"ok":true}}}"#)]).await;
    let client = client(&server);
    let alone = client.send(&[&odd]).await;
    assert!(matches!(&alone, Reply::Answered(a) if matches!(a[..], [Answer::Rejected(_)])));
    assert_eq!(server.count(), 0);
    let Reply::Answered(answers) = client.send(&[&odd, &good]).await else { panic!() };
    assert!(matches!(&answers[0], Answer::Rejected(why) if why.contains("NEW ROLE")));
    assert_eq!(answers[1], Done);
    assert_eq!(server.seen()[0].json()["variables"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn during_retry_after_nothing_is_sent_and_the_remaining_time_is_returned() {
    let server = Scripted::start([answer(429, &["Retry-After: 30"], b"")]).await;
    let (client, change) = (client(&server), invite("alice@acme.io", Role::Analyst));
    assert!(matches!(client.send(&[&change]).await, Reply::NotExecuted { .. }));
    let Reply::NotExecuted { error, retry_after } = client.send(&[&change]).await else { panic!() };
    assert_eq!(error.kind, (FailureKind::Throttled));
    assert!(retry_after.unwrap() > Duration::from_secs(25));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn the_rate_limit_is_shared() {
    let server = Scripted::start([json(r#"{"data":{"m0":{"ok":true}}}"#)]).await;
    let mut settings = settings(&server.url());
    settings.rate = Some(50.0);
    let (client, change) = (client_with(&settings), invite("alice@acme.io", Role::Analyst));
    let began = tokio::time::Instant::now();
    let twice = || async {
        for _ in 0..10 {
            assert_eq!(client.send(&[&change]).await, Reply::Answered(vec![Done]));
        }
    };
    tokio::join!(twice(), twice());
    assert!(began.elapsed() >= Duration::from_millis(350), "20 requests at 50/s: 0.38 s");
}

#[tokio::test]
async fn an_overload_error_delays_the_next_request() {
    let done = || json(r#"{"data":{"m0":{"ok":true}}}"#);
    let coded = r#"{"errors":[{"message":"slow","extensions":{"code":"RATE_LIMITED"}}]}"#;
    let next_after = async |act: Act| {
        let server = Scripted::start([act, done()]).await;
        let mut settings = settings(&server.url());
        (settings.rate, settings.timeout) = (Some(4.0), Duration::from_millis(100));
        let (client, change) = (client_with(&settings), invite("alice@acme.io", Role::Analyst));
        client.send(&[&change]).await;
        let began = tokio::time::Instant::now();
        assert_eq!(client.send(&[&change]).await, Reply::Answered(vec![Done]));
        began.elapsed()
    };
    let slowed = Duration::from_millis(450);
    assert!(next_after(done()).await < slowed);
    for act in [answer(429, &[], b""), answer(500, &[], b""), Act::Hang, json(coded)] {
        assert!(next_after(act.clone()).await >= slowed, "{act:?}");
    }
}

#[tokio::test]
async fn an_error_of_a_single_change_is_its_rejection() {
    let of = async |code: &str| {
        let error = format!(r#"{{"message":"no","path":["m0"],"extensions":{{"code":"{code}"}}}}"#);
        let body = format!(r#"{{"data":null,"errors":[{error}]}}"#);
        let server = Scripted::start([json(&body)]).await;
        client(&server).send(&[&invite("zoe@acme.io", Role::Developer)]).await
    };
    assert_eq!(of("CONFLICT").await, Reply::Answered(vec![Answer::Rejected("no".into())]));
    assert!(matches!(of("INTERNAL_SERVER_ERROR").await, Reply::Unknown(_)), "it broke down");
    assert!(matches!(of("RATE_LIMITED").await, Reply::Unknown(_)), "it says nothing of the change");
}
