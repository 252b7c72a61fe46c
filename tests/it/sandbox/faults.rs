//! Every fault as it is on the wire, and whether the change ran.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ADMIN, LIST, ask, control, invite, invited, send, serve};
use rosterd::sandbox::Running;

async fn failing(fault: &str) -> Running {
    let odds = format!("{fault}=1").parse().unwrap();
    serve(|options| options.faults = vec![odds]).await
}

/// What arrives after an invitation has been sent: everything until the end, or until nothing has
/// come for 300 ms.
async fn wire(running: &Running) -> (String, std::io::Result<bool>) {
    let body = json!({ "query": invite("alice@acme.io") }).to_string();
    let keys = ADMIN.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         {keys}content-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let read = stream.read_buf(&mut bytes);
        let ended = match tokio::time::timeout(Duration::from_millis(300), read).await {
            Err(_) => Ok(false),
            Ok(Ok(0)) => Ok(true),
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => Err(error),
        };
        return (String::from_utf8(bytes).unwrap(), ended);
    }
}

fn ran(running: &Running) -> bool {
    invited(running).len() == 3
}

#[tokio::test]
async fn a_hang_answers_nothing() {
    for (fault, runs) in [("timeout-before", false), ("timeout-after", true)] {
        let running = failing(fault).await;
        let (text, ended) = wire(&running).await;
        assert_eq!((&*text, ended.unwrap(), ran(&running)), ("", false, runs), "{fault}");
    }
}

#[tokio::test]
async fn a_reset_ends_the_connection() {
    for (fault, runs) in [("reset-before", false), ("reset-after", true)] {
        let running = failing(fault).await;
        let (text, ended) = wire(&running).await;
        assert!(ended.is_err() || ended.is_ok_and(|end| end), "{fault}");
        assert_eq!((&*text, ran(&running)), ("", runs), "{fault}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_shorter_than_it_says() {
    let running = failing("truncate").await;
    let (text, ended) = wire(&running).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(body.len() < length.parse().unwrap() && !body.is_empty(), "{text}");
    assert!(ended.is_err() || ended.unwrap(), "the connection ends");
    assert!(ran(&running));
}

#[tokio::test]
async fn the_other_faults_answer_and_do_nothing() {
    for (fault, status) in [("throttle", 429), ("unavailable", 503), ("html", 200), ("not-ok", 200)]
    {
        let running = failing(fault).await;
        let got = send(&running, ADMIN, &invite("alice@acme.io")).await;
        assert_eq!((got.status, ran(&running)), (status, false), "{fault}");
        match fault {
            "throttle" => assert_eq!(got.headers["retry-after"], "1"),
            "unavailable" => assert_eq!(got.error().2, "UNAVAILABLE"),
            "html" => assert!(got.text.contains("<html>")),
            _ => assert_eq!(got.json(), json!({ "data": { "inviteUser": { "ok": false } } })),
        }
    }
}

#[tokio::test]
async fn a_stale_listing_lacks_the_last_change() {
    let running = failing("stale").await;
    let count =
        |listed: Value| listed["data"]["listUsers"]["invitedUsers"].as_array().unwrap().len();
    assert_eq!(count(ask(&running, LIST).await), 2);
    for (email, shown) in [("alice@acme.io", 2), ("zoe@acme.io", 3)] {
        ask(&running, &invite(email)).await;
        assert_eq!(count(ask(&running, LIST).await), shown);
    }
    control(&running, "faults", json!({ "faults": [] })).await;
    assert_eq!(count(ask(&running, LIST).await), 4);
}

#[tokio::test]
async fn too_many_requests_a_second_are_throttled() {
    let running = serve(|options| options.rate_limit = Some(2)).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(send(&running, ADMIN, LIST).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(send(&running, ADMIN, LIST).await.status, 200);
}

#[tokio::test]
async fn latency_is_paid_by_request_and_by_field() {
    let running = serve(|options| {
        options.latency = Duration::from_millis(60);
        options.latency_per_field = Duration::from_millis(60);
    })
    .await;
    let began = Instant::now();
    ask(&running, "{ a: listWorkspaces { ok } b: listWorkspaces { ok } }").await;
    assert!(began.elapsed() >= Duration::from_millis(180), "{:?}", began.elapsed());
}
