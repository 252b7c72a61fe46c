//! What an operator types: `plan`, `apply`, `status`, `doctor`.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use super::test_env::{ROSTER, TestEnv, eventually};
use crate::support::repository::Repository;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn plan_is_a_command_and_a_flag() {
    let stage = TestEnv::new();
    let flag = stage.run(&["--plan", "-u", "users.yaml"]).expect(0).stdout();
    assert_eq!(stage.run(&["plan", "-u", "users.yaml"]).expect(0).stdout(), flag);
    let json = stage.run(&["plan", "-o", "json", "-u", "users.yaml"]).expect(0).stdout();
    assert!(json.starts_with('{'), "{json}");
    for (name, begins) in
        [("p.json", "{"), ("p.md", "<!-- "), ("p.diff", "--- "), ("p", "default ")]
    {
        let ran = stage.run(&["plan", "--out", name, "-u", "users.yaml"]).expect(0);
        assert_eq!(ran.stdout(), flag, "it is shown all the same");
        assert!(ran.stderr().contains(&format!("saved the plan in {name}")), "{}", ran.stderr());
        assert!(stage.read(name).starts_with(begins), "{}", stage.read(name));
    }
    let refused = stage.run(&["--out", "x.json", "-u", "users.yaml"]).expect(64);
    assert!(refused.stderr().contains("of `rosterd plan`"), "{}", refused.stderr());
    let refused = stage.run(&["plan", "--ref", "main", "-u", "users.yaml"]).expect(64);
    assert!(refused.stderr().contains("is on no git server"), "{}", refused.stderr());
}

#[test]
fn apply_needs_a_terminal_or_a_yes() {
    let stage = TestEnv::new();
    let refused = stage.run(&["apply", "-u", "users.yaml"]).expect(64);
    assert!(refused.stderr().contains("say --yes"), "{}", refused.stderr());
    assert!(!stage.knows("alice@acme.io"), "nothing was sent");
    let applied = stage.run(&["apply", "--yes", "-u", "users.yaml"]).expect(0).stdout();
    assert!(applied.contains("+ invite") && applied.contains("✓ invite"), "{applied}");
    assert!(stage.knows("alice@acme.io"));
    stage.run(&["apply", "--yes", "-u", "users.yaml"]).expect(0);
}

#[cfg(feature = "e2e")]
#[test]
fn apply_asks_on_a_terminal() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let stage = TestEnv::new();
    let answer = |answer: &str| {
        let rosterd = stage.command(&["apply", "-u", "users.yaml"]);
        let program = rosterd.get_program().to_str().unwrap().to_owned();
        let mut terminal = Command::new("script");
        terminal.args(["--quiet", "--return", "--command"]);
        terminal.arg(format!("{program} apply -u users.yaml")).arg("/dev/null");
        terminal.current_dir(rosterd.get_current_dir().unwrap());
        terminal.envs(rosterd.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned())
    };
    for no in ["n\n", "\n", "yes please\n"] {
        let (code, said) = answer(no);
        assert!(said.contains("apply these changes? [y/N]"), "{said}");
        assert_eq!((code, stage.knows("alice@acme.io")), (Some(1), false), "{said}");
    }
    let (code, said) = answer("y\n");
    assert_eq!((code, stage.knows("alice@acme.io")), (Some(0), true), "{said}");
    let (code, said) = answer("");
    assert!(code == Some(0) && !said.contains("[y/N]"), "nothing to ask: {said}");
}

#[test]
fn status_is_what_the_daemon_says() {
    let mut stage = TestEnv::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stage.set("ROSTERD_LISTEN", &free.to_string());
    let before = stage.run(&["status"]).expect(1);
    assert!(before.stderr().contains("is the daemon running"), "{}", before.stderr());
    let _daemon = stage.spawn_daemon(&[]);
    eventually(SOON, "it is in sync", || {
        let ran = stage.run(&["status"]);
        ran.code() == 0 && ran.stdout().contains("in sync")
    });
    let text = stage.run(&["status"]).expect(0).stdout();
    assert!(text.lines().next().unwrap().starts_with("  WORKSPACE  STATE"), "{text}");
    assert!(text.contains("UTC converged"), "{text}");
    let json = stage.run(&["status", "-o", "json"]).expect(0).stdout();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["workspaces"][0]["name"], "default");
    stage.write("users.yaml", "version: 1\nusers: [");
    eventually(SOON, "it is stale", || stage.run(&["status"]).code() == 1);
    let stale = stage.run(&["status"]).stdout();
    assert!(stale.contains("stale"), "{stale}");
}

#[test]
fn doctor_says_what_a_run_lacks() {
    let mut stage = TestEnv::new();
    let well = stage.run(&["doctor", "-u", "users.yaml"]).expect(0).stdout();
    for what in ["roster", "files", "dns", "connection", "key", "clock", "ledger"] {
        assert!(well.contains(&format!("✓  {what} ")), "{what}: {well}");
    }
    assert!(well.contains("?  capability"), "{well}");
    assert!(!stage.knows("alice@acme.io"), "no mutation is tried");
    stage.run(&["--once", "-u", "users.yaml"]).expect(0);
    let known = stage.run(&["doctor", "-u", "users.yaml"]).expect(0).stdout();
    assert!(known.contains("✓  capability  a change was done"), "{known}");
    stage.write("users.yaml", "version: 1\nusers: [");
    stage.key("key", "wrong");
    let ill = stage.run(&["doctor", "-u", "users.yaml"]).expect(1).stdout();
    assert!(ill.contains("✗  roster") && ill.contains("✗  key"), "{ill}");
    stage.set("PARADIME_API_ENDPOINT", "http://127.0.0.1:1/graphql");
    let away = stage.run(&["doctor", "-u", "users.yaml"]).expect(1).stdout();
    assert!(away.contains("✗  connection") && away.contains("?  key"), "{away}");
}

#[test]
fn why_knows_whom_is_meant() {
    let stage = TestEnv::new();
    let json = stage.run(&["why", "jonny@acme.io", "-o", "json", "-u", "users.yaml"]).expect(0);
    let found: Value = serde_json::from_str(&json.stdout()).unwrap();
    assert_eq!(found[0]["workspace"], "default");
    assert_eq!(found[0]["person"]["email"], "jonny@acme.io");
    assert!(found[0]["person"]["next"][0].as_str().unwrap().contains("ADMIN → BUSINESS"));
    let typo = stage.run(&["why", "jony@acme.io", "-u", "users.yaml"]).expect(1);
    assert!(typo.stderr().contains("did you mean jonny@acme.io?"), "{}", typo.stderr());
    let nobody = stage.run(&["why", "somebody.else@example.com", "-u", "users.yaml"]).expect(1);
    assert!(
        nobody.stderr().trim_end().ends_with("no user has the address somebody.else@example.com")
    );
}

#[test]
fn a_person_has_the_commit_of_their_own_line() {
    let stage = TestEnv::new();
    let why = ["why", "matt@acme.io", "-u", "users.yaml"];
    assert!(!stage.run(&why).expect(0).stdout().contains("commit "), "the roster is in no git");
    let mut repository = Repository::at(&stage.path(""));
    repository.commit("Alexandra", "Let all in");
    stage.write("users.yaml", &ROSTER.replace("role: BUSINESS", "role: ANALYST"));
    repository.commit("Jonny", "Another role for me");
    let shown = stage.run(&why).expect(0).stdout();
    assert!(shown.contains(": Let all in\n") && !shown.contains("Another"), "{shown}");
    let access = stage.run(&["access", "-o", "csv", "-u", "users.yaml"]).expect(0).stdout();
    for (email, subject) in [("matt", "Let all in"), ("jonny", "Another role for me")] {
        let row = access.lines().find(|row| row.contains(&format!("\"{email}@acme.io\""))).unwrap();
        assert!(row.contains(subject), "{row}");
    }
    stage.run(&["--once", "-u", "users.yaml"]).expect(0);
    let shown = stage.run(&why).expect(0).stdout();
    assert!(shown.contains("account matt@acme.io, DEVELOPER, first seen "), "{shown}");
}

#[test]
fn why_shows_how_to_approve_what_is_held() {
    let stage = TestEnv::with_sandbox(&["--people", "20"]);
    let empty = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";
    stage.write("users.yaml", empty);
    Repository::at(&stage.path("")).commit("Matt", "Remove the others");
    let shown = stage.run(&["why", "matt@acme.io", "-u", "users.yaml"]).expect(0).stdout();
    assert!(shown.contains("hint: if all of them are intended"), "{shown}");
    assert!(shown.contains("or run `rosterd approve matt@acme.io --reason"), "{shown}");
    assert!(shown.contains("    - disable: [matt@acme.io]\n"), "{shown}");
}
