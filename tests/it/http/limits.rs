//! Who may not look, and how much of anything there is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::{SOON, Shown, ask, config, free};
use crate::cli::test_env::{TestEnv, eventually, replace};

#[test]
fn elsewhere_nothing_but_health_is_shown_without_a_token_or_a_choice() {
    let mut stage = TestEnv::new();
    stage.set("WEB_TOKEN", "the-token-of-this-test");
    let port = free().port();
    let everywhere = format!("listen: 0.0.0.0:{port}");
    stage.write("rosterd.yaml", &config(&everywhere));
    let mut daemon = stage.spawn(&[]);
    let base = format!("http://127.0.0.1:{port}");
    let status = |path: &str, headers: &[(&str, &str)]| {
        ask("GET", &format!("{base}{path}"), headers).map(|told| told.status)
    };
    eventually(SOON, "it is ready", || status("/readyz", &[]) == Some(200));
    let shown = ["/", "/metrics", "/api/v1/workspaces", "/workspaces/acme", "/assets/style.css"];
    for path in shown {
        assert_eq!(status(path, &[]), Some(403), "{path}");
    }
    // A choice counts as soon as it is made.
    let anonymous = format!("{everywhere}\nweb: {{ anonymous: true }}");
    replace(&stage.path("rosterd.yaml"), &config(&anonymous));
    eventually(SOON, "it is open", || status("/metrics", &[]) == Some(200));
    let token = format!("{everywhere}\nweb: {{ token: {{ env: WEB_TOKEN }} }}");
    replace(&stage.path("rosterd.yaml"), &config(&token));
    eventually(SOON, "it asks for the token", || status("/metrics", &[]) == Some(401));
    let bearer = [("authorization", "Bearer the-token-of-this-test")];
    let basic = [("authorization", "Basic em9lOnRoZS10b2tlbi1vZi10aGlzLXRlc3Q=")];
    for path in shown {
        assert_eq!(status(path, &[]), Some(401), "{path}");
        assert_eq!(status(path, &bearer), Some(200), "{path}");
        assert_eq!(status(path, &basic), Some(200), "{path}");
    }
    assert_eq!(status("/livez", &[]), Some(200));
    assert!(daemon.is_running());
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(ran.stderr().contains("nothing but /livez and /readyz"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("the-token-of-this-test"));
}

#[test]
fn another_site_cannot_read_through_a_browser_of_this_machine() {
    let shown = Shown::new("");
    let status = |host: &str| shown.ask("GET", "/api/v1/workspaces", &[("host", host)]).status;
    assert_eq!(status("evil.example"), 421);
    assert_eq!(status("localhost:1"), 200);
    assert_eq!(shown.ask("GET", "/livez", &[("host", "evil.example")]).status, 200);
}

/// What a raw request is answered, as far as it is.
fn raw(shown: &Shown, request: &[u8]) -> String {
    let address = shown.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let _ = stream.write_all(request);
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[test]
fn garbage_and_excess_end_where_they_begin() {
    let shown = Shown::new("");
    let long = "x".repeat(1 << 20);
    for (request, expected) in [
        ("\0\x01\x02 garbage\r\n\r\n".to_owned(), &["HTTP/1.1 400", ""][..]),
        (format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"), &["HTTP/1.1 4", ""]),
        (format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"), &["HTTP/1.1 431", ""]),
        (
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(5_000)),
            &["HTTP/1.1 431", ""],
        ),
        ("GET /..%2f..%2fetc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &["HTTP/1.1 404"]),
        ("GET /workspaces/%ff HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &["HTTP/1.1 400"]),
        (
            "GET /workspaces/acme/people?offset=-1 HTTP/1.1\r\nhost: localhost\r\n\r\n".into(),
            &["HTTP/1.1 400"],
        ),
        ("DELETE /workspaces/acme HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &["HTTP/1.1 4"]),
    ] {
        let answer = raw(&shown, request.as_bytes());
        let head = &request[..request.len().min(60)];
        assert!(expected.iter().any(|it| answer.starts_with(it)), "{head:?}: {answer}");
    }
    // A great many connections that say nothing do not keep others out for long.
    let address = shown.base.trim_start_matches("http://");
    let silent: Vec<TcpStream> =
        (0..200).filter_map(|_| TcpStream::connect(address).ok()).collect();
    eventually(SOON, "it answers", || {
        ask("GET", &format!("{}/livez", shown.base), &[]).is_some_and(|told| told.status == 200)
    });
    drop(silent);
    let limit = "/api/v1/workspaces/acme/people?limit=99999999&offset=99999999999";
    assert_eq!(shown.get(limit).json()["items"].as_array().unwrap().len(), 0);
}

#[test]
fn whoever_listens_is_told_of_a_change() {
    let shown = Shown::new("");
    let address = shown.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request =
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut told = String::new();
    let mut hear = |wanted: usize| {
        while told.matches("event: changed").count() < wanted {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "{told}");
            told += &String::from_utf8_lossy(&part[..read]);
        }
        told.clone()
    };
    assert!(hear(1).contains("text/event-stream"));
    let roster = shown.stage.read("users.yaml").replace("role: DEVELOPER", "role: BUSINESS");
    replace(&shown.stage.path("users.yaml"), &roster);
    hear(2);
    let told = shown.get("/api/v1/workspaces").json();
    assert!(told["workspaces"][0]["state"].is_string());
}
