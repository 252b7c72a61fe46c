//! A daemon whose roster is on a git server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::forge::{Forge, git};
use crate::cli::test_env::{ROSTER, Running, TestEnv, eventually};
use crate::http::{config, free, request};

const SOON: Duration = Duration::from_mins(1);

fn with(roster: &str, name: &str) -> String {
    format!("{roster}  - {{ email: {name}@acme.io, role: BUSINESS }}\n")
}

/// Writes a configuration with this roster of a repository.
fn configure(env: &TestEnv, more: &str, users: &str) {
    let users = format!("users: {{ {users}, path: users.yaml, poll: 1s }}");
    env.write("rosterd.yaml", &config(more).replace("users: users.yaml", &users));
}

fn end(daemon: Running) -> String {
    daemon.signal("TERM");
    daemon.ended_within(SOON).expect(0).stderr()
}

/// The role of an account in the sandbox.
pub fn role(env: &TestEnv, email: &str) -> String {
    let state = env.state();
    let accounts = state["workspaces"][0]["accounts"].as_array().unwrap();
    let found = accounts.iter().find(|account| account["email"] == email).unwrap();
    found["accountType"].as_str().unwrap().to_owned()
}

/// Gives somebody a role that the roster does not, which the next run takes back.
pub fn drift(env: &TestEnv) {
    env.control("POST", "role", r#"{"email":"matt@acme.io","accountType":"BUSINESS"}"#);
    assert_eq!(role(env, "matt@acme.io"), "BUSINESS");
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut open = vec![folder.to_owned()];
    let mut found = BTreeSet::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

/// The daemon applies what is pushed, and keeps the last accepted commit through restarts, without
/// the server.
#[test]
fn a_push_is_applied_and_survives_the_server() {
    let (forge, env, address) = (Forge::new(), TestEnv::new(), free());
    forge.push("users.yaml", ROSTER, "Begin");
    configure(&env, &format!("listen: {address}"), &format!("git: \"{}\"", forge.url));
    let daemon = env.spawn(&[]);
    forge.push("users.yaml", &with(ROSTER, "zoe"), "Let Zoe in");
    eventually(SOON, "the push is applied", || env.knows("zoe@acme.io"));
    forge.push("users.yaml", "users: [", "Break it");
    let age = || {
        let metrics = request("GET", &format!("http://{address}/metrics"), &[])?.body;
        let name = "rosterd_git_fetch_age_seconds{workspace=\"acme\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{metrics}")).parse::<f64>().ok()
    };
    forge.is_up.store(false, Ordering::Relaxed);
    eventually(SOON, "the last fetch gets older", || age().is_some_and(|age| age > 3.0));
    let log = end(daemon);
    assert_eq!(log.matches("cannot fetch").count(), 1, "one warning: {log}");

    drift(&env);
    let daemon = env.spawn(&[]);
    let is_restored = || role(&env, "matt@acme.io") == "DEVELOPER";
    eventually(SOON, "the last accepted commit is applied", is_restored);
    assert!(env.knows("zoe@acme.io"));
    forge.is_up.store(true, Ordering::Relaxed);
    forge.push("users.yaml", &with(&with(ROSTER, "zoe"), "yan"), "Let Yan in");
    eventually(SOON, "the next push is applied", || env.knows("yan@acme.io"));
    eventually(SOON, "the age is that of the last fetch", || age().is_some_and(|age| age < 3.0));
    let history = || env.run(&["history", "--format", "csv"]).expect(0).stdout();
    eventually(SOON, "the history has the commit", || history().contains("Let Yan in"));
    end(daemon);
}

#[test]
fn without_a_configuration_a_repository_is_an_argument() {
    let (forge, mut env) = (Forge::new(), TestEnv::new());
    forge.push("access/users.yaml", ROSTER, "Begin");
    git(forge.path(), &["switch", "--quiet", "--create", "request/7"]);
    forge.push("access/users.yaml", &with(ROSTER, "zoe"), "Let Zoe in");
    git(forge.path(), &["switch", "--quiet", "main"]);
    let url = forge.url.replace("/.git", "/locked/.git");
    env.set("ROSTERD_USERS", &format!("{url}#main:access/users.yaml"));
    let locked = env.run(&["--plan"]).expect(1);
    assert!(locked.stderr().contains("401"), "{}", locked.stderr());
    let token = env.path("token").display().to_string();
    env.write("token", "secret\n");
    env.set("ROSTERD_GIT_TOKEN_FILE", &token);
    let plan = env.run(&["--plan"]).expect(0).stdout();
    assert!(plan.contains("alice@acme.io") && !plan.contains("zoe@acme.io"), "{plan}");
    let before = files(&env.path("state"));
    for reference in ["request/7", "refs/heads/request/7"] {
        let plan = env.run(&["--plan", "--ref", reference]).expect(0).stdout();
        for name in ["alice@acme.io", "zoe@acme.io"] {
            assert!(plan.contains(name), "{reference}: {name} is missing in\n{plan}");
        }
    }
    let missing = env.run(&["--plan", "--ref", "request/8"]).expect(1);
    assert!(missing.stderr().contains("no branch or tag `request/8`"), "{}", missing.stderr());
    assert_eq!(files(&env.path("state")), before, "a preview leaves nothing");
    let daemon = env.spawn(&[]);
    eventually(SOON, "the daemon applies main", || env.knows("alice@acme.io"));
    assert!(!env.knows("zoe@acme.io"));
    let log = end(daemon);
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn a_commit_to_a_local_repository_is_applied() {
    let (forge, env) = (Forge::new(), TestEnv::new());
    forge.push("users.yaml", ROSTER, "Begin");
    let bare = tempfile::tempdir().unwrap();
    let from = forge.path().display().to_string();
    git(bare.path(), &["clone", "--quiet", "--mirror", &from, "."]);
    configure(&env, "", &format!("git: \"file://{}\", ref: main", bare.path().display()));
    let daemon = env.spawn(&[]);
    eventually(SOON, "the first run", || env.knows("alice@acme.io"));
    forge.push("users.yaml", &with(ROSTER, "zoe"), "Let Zoe in");
    git(bare.path(), &["fetch", "--quiet"]);
    eventually(SOON, "a loose commit", || env.knows("zoe@acme.io"));
    forge.push("users.yaml", &with(&with(ROSTER, "zoe"), "yan"), "Let Yan in");
    git(bare.path(), &["fetch", "--quiet"]);
    git(bare.path(), &["repack", "-a", "-d", "--write-midx"]);
    git(bare.path(), &["pack-refs", "--all"]);
    eventually(SOON, "a packed commit", || env.knows("yan@acme.io"));
    git(forge.path(), &["rm", "--quiet", "users.yaml"]);
    forge.commit("Remove the roster");
    git(bare.path(), &["fetch", "--quiet"]);
    git(bare.path(), &["gc", "--quiet", "--prune=now"]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(env.knows("yan@acme.io"), "nobody is removed with the file");
    let log = end(daemon);
    assert_eq!(log.matches("does not exist in the commit").count(), 1, "{log}");
}
