//! What the daemon shows over HTTP, asked for as a browser, a script or an attacker does.

mod limits;
mod notify;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rosterd::web::openapi;
use serde_json::Value;

use crate::cli::test_env::{ROSTER, Running, TestEnv, eventually, replace};

const SOON: Duration = Duration::from_secs(20);

/// An answer.
pub struct Told {
    status: u16,
    headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Told {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A daemon with `more` in its configuration, and where it listens.
pub struct Shown {
    pub stage: TestEnv,
    pub daemon: Running,
    pub base: String,
}

/// A free port of this machine.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A configuration for a stage; `more` are lines at its top.
pub fn config(more: &str) -> String {
    format!(
        "version: 1\n{more}\nworkspaces:\n  - name: acme\n    endpoint: \
         ${{PARADIME_API_ENDPOINT}}\n    users: users.yaml\n    credentials:\n      api_key: \
         {{ env: PARADIME_API_KEY }}\n      api_secret: {{ env: PARADIME_API_SECRET }}\n"
    )
}

impl Shown {
    pub fn new(more: &str) -> Self {
        Self::of(TestEnv::new(), more)
    }

    pub fn of(stage: TestEnv, more: &str) -> Self {
        let address = free();
        stage.write("rosterd.yaml", &config(&format!("listen: {address}\n{more}")));
        let daemon = stage.spawn(&[]);
        let shown = Self { stage, daemon, base: format!("http://{address}") };
        let has_ended = |state: &str| !["starting", "changing"].contains(&state);
        eventually(SOON, "a run has ended", || has_ended(&shown.state()));
        shown
    }

    /// How the workspace fares.
    pub fn state(&self) -> String {
        let ready = || Some(ask("GET", &format!("{}/readyz", self.base), &[])?.status == 200);
        if ready() != Some(true) {
            return "starting".into();
        }
        let told = ask("GET", &format!("{}/api/v1/workspaces", self.base), &[]).unwrap();
        match told.json()["workspaces"][0]["state"].as_str() {
            Some(state) => state.to_owned(),
            None => panic!("{}", told.body),
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Told {
        self.ask("GET", path, &[])
    }

    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Told {
        ask(method, &format!("{}{path}", self.base), headers).expect("an answer")
    }
}

pub fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> Option<Told> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut request = reqwest::Client::new().request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Some(Told { status, headers, body: answer.text().await.ok()? })
    })
}

#[test]
fn the_page_tells_how_the_workspace_fares() {
    let shown = Shown::new("");
    let page = shown.get("/");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    for part in ["The workspace is in sync", "/workspaces/acme", "next run", "the schedule"] {
        assert!(page.body.contains(part), "{part} is missing in\n{}", page.body);
    }
    let page = shown.get("/workspaces/acme").body;
    for part in ["✓ in sync", "last seen as the roster says", "alice@acme.io", "<svg", "2 done"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let page = shown.get("/workspaces/acme/people?q=MATT&role=DEVELOPER").body;
    assert!(page.contains("1 to 1 of 1 people") && page.contains("matt@acme.io"), "{page}");
    assert!(!page.contains("john@acme.io"), "{page}");
    let page = shown.get("/workspaces/acme/people/jonny@acme.io").body;
    for part in ["users.yaml:4", "BUSINESS", "update role", "done; role differs from the roster"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let page = shown.get("/workspaces/acme/runs").body;
    assert!(page.contains("the process started") && page.contains("converged"), "{page}");
    assert_eq!(shown.get("/workspaces/nowhere").status, 404);
    assert_eq!(shown.get("/nowhere").status, 404);
}

#[test]
fn what_is_held_is_shown_with_the_lines_that_let_it_through() {
    let shown = Shown::new("");
    let roster = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n  \
                  - { email: max@acme.io, role: ADMIN }\nunmanaged: [john@acme.io]\n";
    let guarded = shown.stage.read("rosterd.yaml")
        + "    guard: { budgets: { disable: { floor: 0, percent: 0 } } }\n";
    shown.stage.write("rosterd.yaml", &guarded);
    replace(&shown.stage.path("users.yaml"), roster);
    eventually(SOON, "it is held", || shown.state() == "held");
    let page = shown.get("/workspaces/acme").body;
    for part in ["! held", "disable-budget", "approvals:", "jonny@acme.io", "held since"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let told = shown.get("/api/v1/workspaces/acme").json();
    assert!(told["approvals"].as_str().unwrap().contains("matt@acme.io"), "{told}");
    assert!(told["plan"]["held"].as_u64().unwrap() >= 2, "{told}");
    let metrics = shown.get("/metrics").body;
    assert!(metrics.contains("rosterd_held_changes{workspace=\"acme\",kind=\"disable\"} 2"));
}

#[test]
fn files_that_cannot_be_used_are_shown_as_check_draws_them() {
    let shown = Shown::new("");
    shown.stage.write("users.yaml", "version: 1\nusers:\n  - { email: matt@acme.io, role: DEV }\n");
    eventually(SOON, "the roster is told of", || {
        shown.get("/workspaces/acme").body.contains("unknown role `DEV`")
    });
    let metrics = shown.get("/metrics").body;
    assert!(metrics.contains("rosterd_roster_errors{workspace=\"acme\"} 1"), "{metrics}");
    assert_eq!(shown.state(), "stale");
    shown.stage.write("users.yaml", ROSTER);
    eventually(SOON, "it is mended", || shown.state() == "in_sync");
    assert!(!shown.get("/workspaces/acme").body.contains("unknown role"));

    let good = shown.stage.read("rosterd.yaml");
    shown.stage.write("rosterd.yaml", &good.replace("users:", "userz:"));
    eventually(SOON, "the configuration is told of", || {
        shown.get("/").body.contains("did you mean `users`")
    });
    assert!(!shown.get("/metrics").body.contains("rosterd_config_errors 0"));
    shown.stage.write("rosterd.yaml", &good);
    eventually(SOON, "it is mended", || !shown.get("/").body.contains("did you mean"));
}

#[test]
fn a_run_is_asked_for_with_the_token_and_in_no_other_way() {
    let mut stage = TestEnv::new();
    stage.set("WEB_TOKEN", "the-token-of-this-test");
    let shown = Shown::of(stage, "web: { token: { env: WEB_TOKEN } }");
    let path = "/api/v1/workspaces/acme/reconcile";
    let bearer = [("authorization", "Bearer the-token-of-this-test")];
    let count = || {
        let metrics = shown.get("/metrics").body;
        let name = "rosterd_runs_total{workspace=\"acme\",trigger=\"http\",outcome=\"converged\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<f64>().unwrap()
    };
    assert!(count() < 0.5);
    let refused = shown.ask("POST", path, &[]);
    assert_eq!(refused.status, 401);
    let ways: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(ways.len(), 2, "{ways:?}");
    let wrong = [("authorization", "Bearer another")];
    assert_eq!(shown.ask("POST", path, &wrong).status, 401);
    assert_eq!(shown.ask("GET", path, &bearer).status, 405);
    let nowhere = "/api/v1/workspaces/nowhere/reconcile";
    assert_eq!(shown.ask("POST", nowhere, &bearer).status, 404);
    assert!(count() < 0.5, "nobody has asked for it yet");
    let accepted = shown.ask("POST", path, &bearer);
    assert_eq!((accepted.status, &accepted.json()["status"]), (202, &"accepted".into()));
    eventually(SOON, "the run has ended", || count() > 0.5);
}

#[test]
fn names_that_other_people_chose_do_nothing() {
    let evil = "\"><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J";
    let stage = TestEnv::new();
    let shown = Shown::of(stage, "");
    let roster = format!("{ROSTER}  - {{ email: zoe@acme.io, role: BUSINESS, name: {evil:?} }}\n");
    let roster = roster.replace("\\u{202e}", "\\u202e").replace("\\u{1b}", "\\e");
    replace(&shown.stage.path("users.yaml"), &roster);
    eventually(SOON, "zoe is invited", || shown.stage.knows("zoe@acme.io"));
    eventually(SOON, "zoe is shown", || {
        shown.get("/workspaces/acme/people").body.contains("zoe@acme.io")
    });
    let page = shown.get("/workspaces/acme/people?q=zoe").body;
    assert!(page.contains("&#60;img") || page.contains("&lt;img"), "{page}");
    assert!(!page.contains("<img") && !page.contains('\u{202e}') && !page.contains('\u{1b}'));
    let asked = shown.get("/workspaces/acme/people?q=%22%3E%3Cscript%3E&role=%3Cb%3E").body;
    assert!(!asked.contains("<script>") && !asked.contains("<b>"), "{asked}");
    let asked = shown.get("/workspaces/acme/people/%3Cscript%3Ealert(1)%3C%2Fscript%3E").body;
    assert!(!asked.contains("<script>alert"), "{asked}");
}

#[test]
fn every_answer_tells_a_browser_to_be_careful() {
    let shown = Shown::new("");
    for path in ["/", "/livez", "/metrics", "/api/v1/workspaces", "/nowhere", "/assets/style.css"] {
        let headers = shown.get(path).headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
    }
    for path in ["/", "/workspaces/acme", "/workspaces/acme/people", "/workspaces/acme/runs"] {
        let page = shown.get(path).body;
        for outside in ["http://", "https://", "style=", "<style", "onclick", "javascript:"] {
            assert!(!page.contains(outside), "{outside} in {path}:\n{page}");
        }
    }
}

#[test]
fn the_document_describes_every_answer() {
    let shown = Shown::new("");
    let served = shown.get("/api/v1/openapi.json").json();
    let written: Value = serde_json::from_str(&openapi::document()).unwrap();
    assert_eq!(served, written);
    let mut asked = 0;
    for (path, item) in written["paths"].as_object().unwrap() {
        if item.get("get").is_none() || path.ends_with("/events") {
            continue;
        }
        let concrete = path.replace("{name}", "acme").replace("{email}", "matt@acme.io");
        let told = shown.get(&concrete);
        assert_eq!(told.status, 200, "{path}: {}", told.body);
        let content = &item["get"]["responses"]["200"]["content"];
        let kind = content.as_object().unwrap().keys().next().unwrap();
        assert!(told.headers["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        if kind == "application/json" && !path.ends_with("openapi.json") {
            let answer = told.json();
            let schema = &content["application/json"]["schema"];
            conforms(&answer, schema, &written, path);
        }
        asked += 1;
    }
    assert!(asked >= 11, "{asked}");
}

/// Whether every field of an answer is described, and every field that must be there is.
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
