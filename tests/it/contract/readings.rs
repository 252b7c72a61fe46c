//! A listing is complete or an error; only transient failures are retried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rosterd::client::{Client, ClientError, ReadDirectory, Transport};
use rosterd::directory::InviteStatus;
use rosterd::role::Role;

use super::{EMPTY, client, client_with, key_pair, settings};
use crate::support::scripted::{Act, Scripted, answer, cut, gzip, json, json_with};

use rosterd::failure::FailureKind;

/// The error of a listing with this response, and the number of requests.
async fn fails(act: Act) -> (FailureKind, String, usize) {
    let server = Scripted::start([act]).await;
    let ClientError { kind, message } = client(&server).list().await.unwrap_err();
    (kind, message, server.count())
}

/// Asserts an error after one request.
async fn fails_at_once(act: Act, kind: FailureKind, says: &str) {
    let (got, message, count) = fails(act).await;
    assert_eq!((got, count), (kind, 1), "{message}");
    assert!(message.contains(says), "{message:?} does not say {says:?}");
}

/// Asserts that a listing succeeds after one failure of this kind.
async fn recovers_from(act: Act) {
    let server = Scripted::start([act, json(EMPTY)]).await;
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(300);
    client_with(&settings).list().await.unwrap();
    assert_eq!(server.count(), 2);
}

fn listing(active: &str, invited: &str) -> Act {
    let lists = format!(r#""activeUsers":{active},"invitedUsers":{invited}"#);
    json(&format!(r#"{{"data":{{"listUsers":{{"ok":true,{lists}}}}}}}"#))
}

#[tokio::test]
async fn one_request_reads_both_lists_and_the_server_time() {
    let body = r#"{"data":{"listUsers":{"ok":true,
        "activeUsers":[
            {"uid":"u1","email":"alexandra@acme.io","name":"Alexandra","accountType":"ADMIN"},
            {"uid":"u2","email":"jonny@acme.io","name":null,"accountType":"NEW_ROLE"}],
        "invitedUsers":[
            {"email":"john@acme.io","accountType":"ANALYST","inviteStatus":"EXPIRED"}]}},
        "extensions":{"cost":1}}"#;
    let act = json_with(200, &["Date: Wed, 25 Nov 2026 10:00:00 GMT"], body);
    let server = Scripted::start([act]).await;
    let snapshot = client(&server).list().await.unwrap();
    assert_eq!(snapshot.accounts().len(), 2);
    assert_eq!(snapshot.accounts()[1].role, Role::Other("NEW_ROLE".into()));
    assert_eq!(snapshot.invitations()[0].status, InviteStatus::Expired);
    assert_eq!(snapshot.server_time().unwrap().to_string(), "2026-11-25T10:00:00Z");
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].head.starts_with("POST /graphql HTTP/1.1\r\n"));
    assert_eq!(seen[0].json()["query"], rosterd::client::document::LIST);
}

#[tokio::test]
async fn a_compressed_listing_is_read() {
    let headers = ["Content-Type: application/json", "Content-Encoding: gzip"];
    let server = Scripted::start([answer(200, &headers, &gzip(EMPTY.as_bytes()))]).await;
    client(&server).list().await.unwrap();
    assert_eq!(server.seen()[0].header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn an_incomplete_listing_is_an_error() {
    let ok_false = r#"{"data":{"listUsers":{"ok":false,"activeUsers":[],"invitedUsers":[]}}}"#;
    fails_at_once(json(ok_false), FailureKind::NotOk, "ok: true").await;
    let no_ok = r#"{"data":{"listUsers":{"activeUsers":[],"invitedUsers":[]}}}"#;
    fails_at_once(json(no_ok), FailureKind::NotOk, "ok: true").await;
    fails_at_once(listing("null", "[]"), FailureKind::Incomplete, "activeUsers").await;
    fails_at_once(listing("[]", "null"), FailureKind::Incomplete, "invitedUsers").await;
    let missing = r#"{"data":{"listUsers":{"ok":true,"activeUsers":[]}}}"#;
    fails_at_once(json(missing), FailureKind::Incomplete, "invitedUsers").await;
    fails_at_once(json(r#"{"data":{}}"#), FailureKind::Incomplete, "listUsers").await;
    fails_at_once(json(r#"{"data":null}"#), FailureKind::Incomplete, "listUsers").await;
    let row = r#"{"uid":"u","email":"matt@acme.io","name":null,"accountType":"ADMIN"}"#;
    let twice = listing(&format!("[{row},{row}]"), "[]");
    fails_at_once(twice, FailureKind::Incomplete, "share the uid u").await;
    fails_at_once(listing(r#"[{"uid":"u"}]"#, "[]"), FailureKind::Incomplete, "email").await;
}

#[tokio::test]
async fn a_part_of_a_listing_is_an_error() {
    for (act, sign) in [
        (json_with(206, &[], EMPTY), "status 206"),
        (json_with(206, &["Content-Range: users 0-9/20"], &EMPTY[..20]), "status 206"),
        (json_with(203, &[], EMPTY), "status 203"),
        (answer(204, &[], b""), "status 204"),
        (json_with(200, &["content-range: users 0-9/20"], EMPTY), "`Content-Range`"),
        (json_with(200, &["Link: <?page=2>; rel=next"], EMPTY), "`Link: rel=next`"),
        (json(&EMPTY.replace(r#""ok":true"#, r#""ok":true,"hasNext":true"#)), "`hasNext: true`"),
    ] {
        fails_at_once(act, FailureKind::Incomplete, sign).await;
    }
    let other = json_with(200, &["Link: <?page=1>; rel=prev"], EMPTY);
    client(&Scripted::start([other]).await).list().await.unwrap();
}

#[tokio::test]
async fn responses_that_are_not_graphql_are_errors() {
    let html = answer(200, &["Content-Type: text/html"], b"<html>\x1b[31mSign in</html>");
    fails_at_once(html, FailureKind::NotJson, "<html>\\u{1b}[31mSign in").await;
    let html = |status| answer(status, &["Content-Type: text/html"], b"<html>");
    fails_at_once(html(404), FailureKind::NotJson, "check the path of the endpoint").await;
    fails_at_once(html(413), FailureKind::NotJson, "lower `http.batch`").await;
    let typed_wrong = answer(200, &["Content-Type: text/plain"], EMPTY.as_bytes());
    fails_at_once(typed_wrong, FailureKind::NotJson, "text/plain").await;
    fails_at_once(json("hello"), FailureKind::NotJson, "hello").await;
    fails_at_once(json(""), FailureKind::NotJson, "empty").await;
    fails_at_once(json(r#"{"hello":1}"#), FailureKind::NotGraphql, "hello").await;
    fails_at_once(json("[1]"), FailureKind::NotGraphql, "[1]").await;
    fails_at_once(json_with(404, &[], "{}"), FailureKind::NotGraphql, "404").await;
    let message = fails(json(&"x".repeat(10_000))).await.1;
    assert!(message.len() < 400, "an excerpt is short: {message}");
}

#[tokio::test]
async fn a_listing_without_a_content_type_is_read() {
    let server = Scripted::start([answer(200, &[], EMPTY.as_bytes())]).await;
    client(&server).list().await.unwrap();
}

#[tokio::test]
async fn graphql_errors_are_reported_even_with_data() {
    let body = EMPTY.replace(
        r#"{"data""#,
        r#"{"errors":[{"message":"one"},{"message":"two\u001b[2J"},{"message":"three"}],"data""#,
    );
    fails_at_once(json(&body), FailureKind::Graphql, "one; two\\u{1b}[2J; three").await;
    let many = vec![r#"{"message":"no"}"#; 20].join(",");
    let flood = json(&format!(r#"{{"errors":[{many}]}}"#));
    fails_at_once(flood, FailureKind::Graphql, "and 12 more").await;
    let with_status = json_with(400, &[], r#"{"errors":[{"message":"unknown field"}]}"#);
    fails_at_once(with_status, FailureKind::Graphql, "unknown field").await;
}

#[tokio::test]
async fn denied_requests_are_not_retried() {
    let errors = r#"{"errors":[{"message":"no"}]}"#;
    fails_at_once(json_with(401, &[], errors), FailureKind::Unauthorized, "401").await;
    fails_at_once(json_with(403, &[], "{}"), FailureKind::Forbidden, "User Metadata Viewer").await;
    let page = |status| answer(status, &["Content-Type: text/html"], b"<html>");
    fails_at_once(page(401), FailureKind::Blocked, "(401) without the JSON of the API").await;
    fails_at_once(page(403), FailureKind::Blocked, "text/html").await;
    fails_at_once(answer(403, &[], b""), FailureKind::Blocked, "an empty body").await;
    let coded = |code, message| {
        let error = format!(r#"{{"message":"{message}","extensions":{{"code":"{code}"}}}}"#);
        json(&format!(r#"{{"data":null,"errors":[{error}]}}"#))
    };
    fails_at_once(coded("UNAUTHENTICATED", "no"), FailureKind::Unauthorized, ": no").await;
    fails_at_once(coded("FORBIDDEN", "no"), FailureKind::Forbidden, ": no").await;
    let lacking = coded("", "the key lacks a capability");
    fails_at_once(lacking, FailureKind::MissingCapability, "lacks a capability").await;
    let body = r#"{"errors":[{"message":"missing capability X"}]}"#;
    fails_at_once(json_with(403, &[], body), FailureKind::MissingCapability, "capability X").await;
}

#[tokio::test]
async fn transient_failures_are_retried() {
    tokio::join!(
        recovers_from(answer(429, &[], b"")),
        recovers_from(answer(500, &[], b"oops")),
        recovers_from(answer(502, &[], b"<html>")),
        recovers_from(answer(503, &["Retry-After: 0"], b"")),
        recovers_from(answer(504, &[], b"")),
        recovers_from(answer(408, &[], b"")),
        recovers_from(Act::Close),
        recovers_from(Act::Hang),
        recovers_from(cut(200, &["Content-Type: application/json"], EMPTY.as_bytes())),
        recovers_from(json(&EMPTY[..EMPTY.len() - 4])),
        recovers_from(json(
            r#"{"errors":[{"message":"slow down","extensions":{"code":"RATE_LIMITED"}}]}"#
        )),
    );
}

#[tokio::test]
async fn listing_fails_after_five_attempts() {
    let (kind, message, count) = fails(answer(503, &[], b"")).await;
    assert_eq!((kind, count), (FailureKind::Server, 5), "{message}");
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let soon = Scripted::start([answer(429, &["Retry-After: 1"], b""), json(EMPTY)]).await;
    let began = Instant::now();
    client(&soon).list().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let date =
        ["Date: Wed, 25 Nov 2026 10:00:00 GMT", "Retry-After: Wed, 25 Nov 2026 10:00:01 GMT"];
    let dated = Scripted::start([answer(503, &date, b""), json(EMPTY)]).await;
    let began = Instant::now();
    client(&dated).list().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    fails_at_once(answer(429, &["Retry-After: 500"], b""), FailureKind::Throttled, "429").await;
}

#[tokio::test]
async fn retry_after_delays_every_client_of_the_transport() {
    let server = Scripted::start([answer(503, &["Retry-After: 500"], b""), json(EMPTY)]).await;
    let transport = Arc::new(Transport::new(&settings(&server.url())).unwrap());
    let one = Client::new(transport.clone(), key_pair());
    assert_eq!(one.list().await.unwrap_err().kind, FailureKind::Server);
    let another = Client::new(transport, key_pair()).list().await.unwrap_err();
    assert_eq!((another.kind), FailureKind::Throttled);
    assert_eq!(server.count(), 1, "nothing more was sent");
}

#[tokio::test]
async fn the_timeout_covers_the_body() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    recovers_from(Act::Bytes(head.to_vec())).await;
}

#[tokio::test]
async fn a_response_beyond_the_limit_is_not_read_to_its_end() {
    let headers = ["Content-Type: application/json", "Content-Encoding: gzip"];
    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < 16_000);
    for act in [answer(200, &headers, &bomb), json(&" ".repeat(2 << 20))] {
        let server = Scripted::start([act]).await;
        let settings = super::Settings { max_response: 1 << 20, ..settings(&server.url()) };
        let transport = Transport::new(&settings).unwrap();
        let error = Client::new(Arc::new(transport), key_pair()).list().await.unwrap_err();
        assert_eq!(error.kind, FailureKind::TooLarge, "{error}");
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn a_hundred_thousand_users_are_read() {
    let rest = r#""name":"User","accountType":"ANALYST""#;
    let row = |n| format!(r#"{{"uid":"{n:064x}","email":"user{n}@acme.io",{rest}}}"#);
    let rows: Vec<String> = (0..100_000).map(row).collect();
    let server = Scripted::start([listing(&format!("[{}]", rows.join(",")), "[]")]).await;
    assert_eq!(client(&server).list().await.unwrap().accounts().len(), 100_000);
}

#[tokio::test]
async fn more_users_than_are_supported_are_refused() {
    let row = r#"{"email":"zoe@acme.io","accountType":"ANALYST","inviteStatus":"SENT"}"#;
    let rows = vec![row; 150_001].join(",");
    let server = Scripted::start([listing("[]", &format!("[{rows}]"))]).await;
    let error = client(&server).list().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::TooLarge);
    assert!(error.message.contains("150001 users; at most 150000 are supported"), "{error}");
    assert_eq!(server.count(), 1, "it is not tried again");
}

/// A stack trace of 2 million values in `extensions`; parsed into values, it would fill the memory.
#[tokio::test]
async fn what_is_not_used_of_an_error_is_not_kept() {
    let trace = r#""at",[],{"":{}},"#.repeat(500_000);
    let errors =
        format!(r#"{{"errors":[{{"message":"no","extensions":{{"trace":[{trace}0]}}}}]}}"#);
    let server = Scripted::start([json(&errors)]).await;
    let error = client(&server).list().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Graphql);
    assert!(error.message.ends_with("rejected the listing: no"), "{error}");
    let text = "x".repeat(1 << 20);
    let server = Scripted::start([json(&format!(r#"{{"errors":["{text}"]}}"#))]).await;
    let error = client(&server).list().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::TooLarge, "{error}");
}
