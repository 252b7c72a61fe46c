//! The HTTP server of the daemon: the page, the API, metrics, and hostile requests.

mod limits;
mod notify;
mod page;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rosterd::web::openapi;
use serde_json::Value;

use crate::cli::test_env::{ROSTER, Running, TestEnv, eventually, replace};

const SOON: Duration = Duration::from_secs(20);

/// A response.
pub struct HttpResponse {
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl HttpResponse {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A daemon with a web server.
pub struct WebDaemon {
    pub env: TestEnv,
    pub daemon: Running,
    pub base: String,
}

/// A free loopback port.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A configuration with `more` lines at its top.
pub fn config(more: &str) -> String {
    format!(
        "version: 1\n{more}\nworkspaces:\n  - name: acme\n    endpoint: \
         ${{PARADIME_API_ENDPOINT}}\n    users: users.yaml\n    credentials:\n      api_key: \
         {{ env: PARADIME_API_KEY }}\n      api_secret: {{ env: PARADIME_API_SECRET }}\n"
    )
}

impl WebDaemon {
    pub fn new(more: &str) -> Self {
        Self::with_env(TestEnv::new(), more)
    }

    pub fn with_env(env: TestEnv, more: &str) -> Self {
        let address = free();
        env.write("rosterd.yaml", &config(&format!("listen: {address}\n{more}")));
        let daemon = env.spawn(&[]);
        let web = Self { env, daemon, base: format!("http://{address}") };
        let has_ended = |state: &str| !["starting", "changing"].contains(&state);
        eventually(SOON, "a run has ended", || has_ended(&web.state()));
        web
    }

    /// The state of the workspace.
    pub fn state(&self) -> String {
        let ready = || Some(request("GET", &format!("{}/readyz", self.base), &[])?.status == 200);
        if ready() != Some(true) {
            return "starting".into();
        }
        let response = request("GET", &format!("{}/api/v1/workspaces", self.base), &[]).unwrap();
        match response.json()["workspaces"][0]["state"].as_str() {
            Some(state) => state.to_owned(),
            None => panic!("{}", response.body),
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> HttpResponse {
        self.request("GET", path, &[])
    }

    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> HttpResponse {
        request(method, &format!("{}{path}", self.base), headers).expect("no response")
    }
}

pub fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> Option<HttpResponse> {
    send(method, url, headers, "")
}

fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Option<HttpResponse> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new().request(method.parse().unwrap(), url);
        let mut request = if body.is_empty() { request } else { request.body(body.to_owned()) };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(HttpResponse { status, headers, body: response.text().await.ok()? })
    })
}

#[test]
fn the_page_shows_the_state_of_the_workspace() {
    let web = WebDaemon::new("");
    let page = web.get("/");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    for part in ["The workspace is in sync", "/workspaces/acme", "next run", "(schedule)"] {
        assert!(page.body.contains(part), "{part} is missing in\n{}", page.body);
    }
    let page = web.get("/workspaces/acme").body;
    for part in ["✓ in sync", "last converged", "alice@acme.io", "<svg", "2 done"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let page = web.get("/workspaces/acme/people?q=MATT&role=DEVELOPER").body;
    assert!(page.contains("1 person: 1 account") && page.contains("matt@acme.io"), "{page}");
    assert!(!page.contains("john@acme.io"), "{page}");
    let page = web.get("/workspaces/acme/people/jonny@acme.io").body;
    for part in ["users.yaml:4", "BUSINESS", "update role", "done; role differs from the roster"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let page = web.get("/workspaces/acme/runs").body;
    assert!(page.contains("process start") && page.contains("converged"), "{page}");
    assert_eq!(web.get("/workspaces/nowhere").status, 404);
    assert_eq!(web.get("/nowhere").status, 404);
}

#[test]
fn held_changes_are_shown_with_the_approvals_block() {
    let web = WebDaemon::new("");
    let roster = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n  \
                  - { email: max@acme.io, role: ADMIN }\nunmanaged: [john@acme.io]\n";
    let guarded = web.env.read("rosterd.yaml")
        + "    guard: { budgets: { disable: { floor: 0, percent: 0 } } }\n";
    web.env.write("rosterd.yaml", &guarded);
    replace(&web.env.path("users.yaml"), roster);
    eventually(SOON, "it is held", || web.state() == "held");
    let page = web.get("/workspaces/acme").body;
    for part in ["! held", "disable-budget", "approvals:", "jonny@acme.io", "held since"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let response = web.get("/api/v1/workspaces/acme").json();
    assert!(response["approvals"].as_str().unwrap().contains("matt@acme.io"), "{response}");
    assert!(response["plan"]["held"].as_u64().unwrap() >= 2, "{response}");
    let metrics = web.get("/metrics").body;
    assert!(metrics.contains("rosterd_held_changes{workspace=\"acme\",kind=\"disable\"} 2"));
}

#[test]
fn errors_in_files_are_shown_as_by_check() {
    let web = WebDaemon::new("");
    web.env.write("users.yaml", "version: 1\nusers:\n  - { email: matt@acme.io, role: DEV }\n");
    eventually(SOON, "the roster errors are shown", || {
        web.get("/workspaces/acme").body.contains("unknown role `DEV`")
    });
    let metrics = web.get("/metrics").body;
    assert!(metrics.contains("rosterd_roster_errors{workspace=\"acme\"} 1"), "{metrics}");
    eventually(SOON, "the stale run has ended", || web.state() == "stale");
    web.env.write("users.yaml", ROSTER);
    eventually(SOON, "the errors are gone", || web.state() == "in_sync");
    assert!(!web.get("/workspaces/acme").body.contains("unknown role"));

    let good = web.env.read("rosterd.yaml");
    web.env.write("rosterd.yaml", &good.replace("users:", "userz:"));
    eventually(SOON, "the configuration errors are shown", || {
        web.get("/").body.contains("did you mean `users`")
    });
    assert!(!web.get("/metrics").body.contains("rosterd_config_errors 0"));
    web.env.write("rosterd.yaml", &good);
    eventually(SOON, "the errors are gone", || !web.get("/").body.contains("did you mean"));
}

#[test]
fn requesting_a_run_requires_the_token() {
    let mut env = TestEnv::new();
    env.set("WEB_TOKEN", "the-token-of-this-test");
    let web = WebDaemon::with_env(env, "web: { token: { env: WEB_TOKEN } }");
    let path = "/api/v1/workspaces/acme/reconcile";
    let bearer = [("authorization", "Bearer the-token-of-this-test")];
    let count = || {
        let metrics = web.get("/metrics").body;
        let name = "rosterd_runs_total{workspace=\"acme\",trigger=\"http\",outcome=\"converged\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<f64>().unwrap()
    };
    assert!(count() < 0.5);
    let rejected = web.request("POST", path, &[]);
    assert_eq!(rejected.status, 401);
    let schemes: Vec<_> = rejected.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(schemes.len(), 2, "{schemes:?}");
    let wrong = [("authorization", "Bearer another")];
    assert_eq!(web.request("POST", path, &wrong).status, 401);
    assert_eq!(web.request("GET", path, &bearer).status, 405);
    let nowhere = "/api/v1/workspaces/nowhere/reconcile";
    assert_eq!(web.request("POST", nowhere, &bearer).status, 404);
    assert!(count() < 0.5, "no run was requested");
    let accepted = web.request("POST", path, &bearer);
    assert_eq!((accepted.status, &accepted.json()["status"]), (202, &"accepted".into()));
    eventually(SOON, "the run has ended", || count() > 0.5);
}

#[test]
fn names_from_outside_are_escaped() {
    let evil = "\"><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J";
    let env = TestEnv::new();
    let web = WebDaemon::with_env(env, "");
    let roster = format!("{ROSTER}  - {{ email: zoe@acme.io, role: BUSINESS, name: {evil:?} }}\n");
    let roster = roster.replace("\\u{202e}", "\\u202e").replace("\\u{1b}", "\\e");
    replace(&web.env.path("users.yaml"), &roster);
    eventually(SOON, "zoe is invited", || web.env.knows("zoe@acme.io"));
    eventually(SOON, "zoe is shown", || {
        web.get("/workspaces/acme/people").body.contains("zoe@acme.io")
    });
    let page = web.get("/workspaces/acme/people?q=zoe").body;
    assert!(page.contains("&#60;img") || page.contains("&lt;img"), "{page}");
    assert!(!page.contains("<img") && !page.contains('\u{202e}') && !page.contains('\u{1b}'));
    let asked = web.get("/workspaces/acme/people?q=%22%3E%3Cscript%3E&role=%3Cb%3E").body;
    assert!(!asked.contains("<script>") && !asked.contains("<b>"), "{asked}");
    let asked = web.get("/workspaces/acme/people/%3Cscript%3Ealert(1)%3C%2Fscript%3E").body;
    assert!(!asked.contains("<script>alert"), "{asked}");
}

#[test]
fn every_response_has_security_headers() {
    let web = WebDaemon::new("");
    for path in ["/", "/livez", "/metrics", "/api/v1/workspaces", "/nowhere", "/assets/style.css"] {
        let headers = web.get(path).headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
    }
    for path in ["/", "/workspaces/acme", "/workspaces/acme/people", "/workspaces/acme/runs"] {
        let page = web.get(path).body;
        for outside in ["http://", "https://", "style=", "<style", "onclick", "javascript:"] {
            assert!(!page.contains(outside), "{outside} in {path}:\n{page}");
        }
    }
}

#[test]
fn every_response_conforms_to_the_openapi_document() {
    let web = WebDaemon::new("");
    let served = web.get("/api/v1/openapi.json").json();
    let written: Value = serde_json::from_str(&openapi::document()).unwrap();
    assert_eq!(served, written);
    let mut asked = 0;
    for (path, item) in written["paths"].as_object().unwrap() {
        if item.get("get").is_none() || path.ends_with("/events") {
            continue;
        }
        let concrete = path.replace("{name}", "acme").replace("{email}", "matt@acme.io");
        let response = web.get(&concrete);
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        let content = &item["get"]["responses"]["200"]["content"];
        let kind = content.as_object().unwrap().keys().next().unwrap();
        assert!(response.headers["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        if kind == "application/json" && !path.ends_with("openapi.json") {
            let answer = response.json();
            let schema = &content["application/json"]["schema"];
            conforms(&answer, schema, &written, path);
        }
        asked += 1;
    }
    assert!(asked >= 11, "{asked}");
}

/// Asserts that every field is described, and that every required field is present.
fn conforms(answer: &Value, schema: &Value, document: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.trim_start_matches('#')).expect(name);
        return conforms(answer, schema, document, at);
    }
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        if answer.is_null() || one["type"] != "null" {
            return conforms(answer, one, document, at);
        }
    }
    match answer {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{at}: {name} is missing");
            }
            for (name, value) in fields {
                let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
                let known = known.unwrap_or_else(|| panic!("{at}: {name} is not described"));
                conforms(value, known, document, &format!("{at}.{name}"));
            }
        }
        Value::Array(items) => {
            for item in items {
                conforms(item, &schema["items"], document, &format!("{at}[]"));
            }
        }
        _ => {
            let kinds = schema["type"].to_string();
            let kind = match answer {
                Value::String(_) => "string",
                Value::Bool(_) => "boolean",
                Value::Null => "null",
                _ if answer.is_u64() => "integer",
                _ => "number",
            };
            assert!(
                schema == &Value::Bool(true) || kinds.contains(kind),
                "{at}: {kinds}, {answer}"
            );
        }
    }
}
