//! Webhooks of GitHub and GitLab, received by a daemon that would fetch once an hour.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::forge::Forge;
use crate::cli::test_env::{ROSTER, Running, TestEnv, eventually};
use crate::http::{config, free};

const SOON: Duration = Duration::from_mins(1);
/// Two fetches because of webhooks are at least this far apart.
const PAUSE: Duration = Duration::from_secs(5);
const SECRET: &str = "It's a Secret to Everybody";
/// A part of what GitHub sends for a push: <https://docs.github.com/en/webhooks>.
const GITHUB: &str = r#"{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246",
"after":"0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c","repository":{"id":186853002,"name":"access",
"full_name":"acme/access","private":true,"clone_url":"https://github.com/acme/access.git"},
"pusher":{"name":"matt","email":"matt@acme.io"},"created":false,"deleted":false,"forced":false,
"commits":[{"id":"0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c","message":"Let Zoë in","added":[],
"removed":[],"modified":["users.yaml"]}]}"#;
/// The same of GitLab: <https://docs.gitlab.com/user/project/integrations/webhook_events/>.
const GITLAB: &str = r#"{"object_kind":"push","event_name":"push",
"before":"95790bf891e76fee5e1747ab589903a6a1f80f22","after":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
"ref":"refs/heads/main","user_name":"Matt","project":{"id":15,"name":"access",
"git_http_url":"https://gitlab.acme.io/acme/access.git","path_with_namespace":"acme/access"},
"commits":[{"id":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","modified":["users.yaml"]}],
"total_commits_count":1}"#;

type Headers = Vec<(&'static str, String)>;

struct Hooked {
    forge: Forge,
    env: TestEnv,
    address: SocketAddr,
    daemon: Running,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Hooked {
    /// A daemon that has applied [`ROSTER`] and is idle.
    fn new() -> Self {
        let (forge, mut env, address) = (Forge::new(), TestEnv::new(), free());
        forge.push("users.yaml", ROSTER, "Begin");
        env.set("HOOK_SECRET", SECRET);
        let users = format!(
            "users: {{ git: \"{}\", path: users.yaml, poll: 1h, webhook_secret: {{ env: \
             HOOK_SECRET }} }}",
            forge.url
        );
        let hooks = format!("hooks: {{ listen: \"{address}\" }}");
        env.write("rosterd.yaml", &config(&hooks).replace("users: users.yaml", &users));
        let daemon = env.spawn(&[]);
        eventually(SOON, "the first run", || env.knows("alice@acme.io"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The server closes connections that are idle.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { forge, env, address, daemon, runtime, client }
    }

    /// Sends a request, and returns the status and the body of the answer.
    fn send(&self, method: &str, path: &str, headers: &Headers, body: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method.parse().unwrap(), url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }

    fn push(&self, email: &str) {
        let text = self.forge.path().join("users.yaml");
        let text = std::fs::read_to_string(text).unwrap();
        let line = format!("  - {{ email: {email}, role: BUSINESS }}\n");
        self.forge.push("users.yaml", &(text + &line), "Let somebody in");
    }

    fn fetches(&self) -> usize {
        self.forge.fetches.load(Ordering::Relaxed)
    }

    fn end(self) {
        self.daemon.signal("TERM");
        let ran = self.daemon.ended_within(SOON).expect(0);
        assert!(!ran.stderr().contains(SECRET), "{}", ran.stderr());
    }
}

fn github(secret: &str, body: &str) -> Headers {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    vec![
        ("content-type", "application/json".into()),
        ("user-agent", "GitHub-Hookshot/044aadd".into()),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".into()),
        ("x-github-event", "push".into()),
        ("x-hub-signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6".into()),
        ("x-hub-signature-256", format!("sha256={:x}", mac.finalize().into_bytes())),
    ]
}

fn gitlab(secret: &str) -> Headers {
    vec![
        ("content-type", "application/json".into()),
        ("user-agent", "GitLab/17.0.0".into()),
        ("x-gitlab-event", "Push Hook".into()),
        ("x-gitlab-token", secret.into()),
    ]
}

#[test]
fn a_push_is_applied_after_its_webhook() {
    let hooked = Hooked::new();
    let before = hooked.fetches();
    hooked.push("zoe@acme.io");
    let (status, _) = hooked.send("POST", "/hooks/git/acme", &github(SECRET, GITHUB), GITHUB);
    assert_eq!(status, 202);
    eventually(SOON, "GitHub's push is applied", || hooked.env.knows("zoe@acme.io"));
    hooked.push("yan@acme.io");
    assert!(!hooked.env.knows("yan@acme.io"));
    assert_eq!(hooked.fetches(), before + 1, "only because of the webhook");
    let (status, _) = hooked.send("POST", "/hooks/git/acme", &gitlab(SECRET), GITLAB);
    assert_eq!(status, 202);
    eventually(SOON, "GitLab's push is applied", || hooked.env.knows("yan@acme.io"));
    hooked.end();
}

#[test]
fn a_flood_of_webhooks_is_at_most_two_fetches() {
    let hooked = Hooked::new();
    let (before, state) = (hooked.fetches(), hooked.env.state());
    let (headers, started) = (github(SECRET, GITHUB), Instant::now());
    for _ in 0..200 {
        assert_eq!(hooked.send("POST", "/hooks/git/acme", &headers, GITHUB).0, 202);
    }
    // A machine that is slow to send them takes several pauses for that.
    let pauses = started.elapsed().as_secs() / PAUSE.as_secs();
    let allowed = 2 + usize::try_from(pauses).unwrap();
    eventually(SOON, "a fetch", || hooked.fetches() > before);
    std::thread::sleep(2 * PAUSE + Duration::from_secs(1));
    let fetches = hooked.fetches() - before;
    assert!((1..=allowed).contains(&fetches), "{fetches} fetches");
    assert_eq!(hooked.env.state()["workspaces"], state["workspaces"], "replays do nothing");
    hooked.push("zoe@acme.io");
    hooked.send("POST", "/hooks/git/acme", &headers, GITHUB);
    eventually(SOON, "a push after the flood", || hooked.env.knows("zoe@acme.io"));
    hooked.end();
}

#[test]
fn a_webhook_that_nobody_proves_changes_nothing() {
    let hooked = Hooked::new();
    let before = hooked.fetches();
    hooked.push("zoe@acme.io");
    let genuine = github(SECRET, GITHUB);
    let unsigned: Headers = genuine.iter().take(4).cloned().collect();
    let old = genuine.iter().take(5).cloned().collect();
    let (acme, other) = ("/hooks/git/acme", "/hooks/git/other");
    let large = format!("{GITHUB}{}", " ".repeat(1 << 20));
    let changed = GITHUB.replace("main", "mail");
    let mut answers = Vec::new();
    for (method, path, headers, body, expected) in [
        ("POST", acme, github("another secret", GITHUB), GITHUB, 401),
        ("POST", acme, gitlab("another secret"), GITLAB, 401),
        ("POST", acme, gitlab(""), GITLAB, 401),
        ("POST", acme, unsigned, GITHUB, 401),
        ("POST", acme, old, GITHUB, 401),
        ("POST", acme, genuine.clone(), &*changed, 401),
        ("POST", acme, genuine.clone(), "", 401),
        ("POST", other, genuine.clone(), GITHUB, 401),
        ("POST", "/hooks/git/%00", genuine.clone(), GITHUB, 401),
        ("POST", acme, github(SECRET, &large), &*large, 413),
        ("GET", acme, gitlab(SECRET), "", 405),
        ("PUT", acme, gitlab(SECRET), GITLAB, 405),
        ("POST", "/hooks/git", genuine.clone(), GITHUB, 404),
        ("GET", "/metrics", Vec::new(), "", 404),
        ("GET", "/", Vec::new(), "", 404),
    ] {
        let (status, text) = hooked.send(method, path, &headers, body);
        assert_eq!(status, expected, "{method} {path} {headers:?}: {text}");
        if status == 401 {
            answers.push(text);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "they do not show which workspaces there are: {answers:?}");
    std::thread::sleep(PAUSE);
    assert_eq!(hooked.fetches(), before);
    assert!(!hooked.env.knows("zoe@acme.io"));
    // It would have been seen.
    assert_eq!(hooked.send("POST", acme, &genuine, GITHUB).0, 202);
    eventually(SOON, "the push is applied", || hooked.env.knows("zoe@acme.io"));
    hooked.end();
}
