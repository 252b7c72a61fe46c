//! Authentication, and limits of the HTTP server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{SOON, WebDaemon, config, free, request};
use crate::cli::test_env::{TestEnv, eventually, replace};

const PUBLIC_URL: &str = "public_url: https://rosterd.acme.io";

#[test]
fn on_other_addresses_only_health_checks_are_public_by_default() {
    let mut env = TestEnv::new();
    env.set("WEB_TOKEN", "the-token-of-this-test");
    let port = free().port();
    let everywhere = format!("listen: 0.0.0.0:{port}");
    env.write("rosterd.yaml", &config(&everywhere));
    let mut daemon = env.spawn(&[]);
    let base = format!("http://127.0.0.1:{port}");
    let status = |path: &str, headers: &[(&str, &str)]| {
        request("GET", &format!("{base}{path}"), headers).map(|response| response.status)
    };
    eventually(SOON, "it is ready", || status("/readyz", &[]) == Some(200));
    let paths = ["/", "/metrics", "/api/v1/workspaces", "/workspaces/acme", "/assets/style.css"];
    for path in paths {
        assert_eq!(status(path, &[]), Some(403), "{path}");
    }
    // The setting takes effect without a restart.
    let anonymous = format!("{everywhere}\nweb: {{ anonymous: true }}");
    replace(&env.path("rosterd.yaml"), &config(&anonymous));
    eventually(SOON, "reads are anonymous", || status("/metrics", &[]) == Some(200));
    let of_host = |host: &str| status("/metrics", &[("host", host)]);
    assert_eq!(of_host("rosterd.acme.io"), Some(421));
    replace(&env.path("rosterd.yaml"), &config(&format!("{anonymous}\n{PUBLIC_URL}")));
    eventually(SOON, "its host is known", || of_host("rosterd.acme.io") == Some(200));
    assert_eq!(of_host("evil.example"), Some(421));
    let token = format!("{everywhere}\nweb: {{ token: {{ env: WEB_TOKEN }} }}");
    replace(&env.path("rosterd.yaml"), &config(&token));
    eventually(SOON, "the token is required", || status("/metrics", &[]) == Some(401));
    let bearer = [("authorization", "Bearer the-token-of-this-test")];
    let basic = [("authorization", "Basic em9lOnRoZS10b2tlbi1vZi10aGlzLXRlc3Q=")];
    for path in paths {
        assert_eq!(status(path, &[]), Some(401), "{path}");
        assert_eq!(status(path, &bearer), Some(200), "{path}");
        assert_eq!(status(path, &basic), Some(200), "{path}");
    }
    assert_eq!(status("/livez", &[]), Some(200));
    assert!(daemon.is_running());
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(ran.stderr().contains("only /livez and /readyz"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("the-token-of-this-test"));
}

#[test]
fn a_foreign_host_name_is_rejected() {
    let web = WebDaemon::new("");
    let status = |host: &str| web.request("GET", "/api/v1/workspaces", &[("host", host)]).status;
    assert_eq!(status("evil.example"), 421);
    assert_eq!(status("localhost:1"), 200);
    assert_eq!(web.request("GET", "/livez", &[("host", "evil.example")]).status, 200);
}

/// The first bytes of the response to a raw request.
fn raw(web: &WebDaemon, request: &[u8]) -> String {
    let address = web.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let _ = stream.write_all(request);
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[test]
fn malformed_and_oversized_requests_are_rejected() {
    let web = WebDaemon::new("");
    let long = "x".repeat(1 << 20);
    for (request, expected) in [
        ("\0\x01\x02 garbage\r\n\r\n".to_owned(), &["HTTP/1.1 400", ""][..]),
        (format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"), &["HTTP/1.1 4", ""]),
        (format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"), &["HTTP/1.1 431", ""]),
        (
            format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(5_000)),
            &["HTTP/1.1 431", ""],
        ),
        (
            "GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n".into(),
            &["HTTP/1.1 400"],
        ),
        ("GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &["HTTP/1.1 400"]),
        ("GET /..%2f..%2fetc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &["HTTP/1.1 404"]),
        ("GET /workspaces/%ff HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &["HTTP/1.1 400"]),
        (
            "GET /workspaces/acme/people?offset=-1 HTTP/1.1\r\nhost: localhost\r\n\r\n".into(),
            &["HTTP/1.1 400"],
        ),
        ("DELETE /workspaces/acme HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &["HTTP/1.1 4"]),
    ] {
        let answer = raw(&web, request.as_bytes());
        let head = &request[..request.len().min(60)];
        assert!(expected.iter().any(|it| answer.starts_with(it)), "{head:?}: {answer}");
    }
    // Idle connections block no other.
    let address = web.base.trim_start_matches("http://");
    let idle: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(address).ok()).collect();
    let began = Instant::now();
    assert_eq!(web.get("/livez").status, 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(idle);
    let limit = "/api/v1/workspaces/acme/people?limit=99999999&offset=99999999999";
    assert_eq!(web.get(limit).json()["items"].as_array().unwrap().len(), 0);
}

#[test]
fn the_event_stream_reports_changes() {
    let web = WebDaemon::new("");
    let address = web.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request =
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    let mut read_events = |wanted: usize| {
        while response.matches("event: changed").count() < wanted {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "{response}");
            response += &String::from_utf8_lossy(&part[..read]);
        }
        response.clone()
    };
    assert!(read_events(1).contains("text/event-stream"));
    let roster = web.env.read("users.yaml").replace("role: DEVELOPER", "role: BUSINESS");
    replace(&web.env.path("users.yaml"), &roster);
    read_events(2);
    let response = web.get("/api/v1/workspaces").json();
    assert!(response["workspaces"][0]["state"].is_string());
}
