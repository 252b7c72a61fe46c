//! The daemon as a process: it starts, sees edits, obeys signals, and survives a kill.

use std::time::Duration;

use super::stage::{ROSTER, Stage, eventually, replace};

const SOON: Duration = Duration::from_secs(20);
/// What a user is promised between saving the roster and the change of the workspace.
const AFTER_AN_EDIT: Duration = Duration::from_secs(3);

fn with(roster: &str, email: &str) -> String {
    format!("{roster}  - {{ email: {email}, role: BUSINESS }}\n")
}

#[test]
fn an_edit_changes_the_workspace_within_three_seconds() {
    let stage = Stage::new();
    let daemon = stage.spawn(&["-u", "users.yaml"]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));

    let edited = with(ROSTER, "zoe@acme.io");
    stage.write("users.yaml", &edited);
    eventually(AFTER_AN_EDIT, "a write in place is seen", || stage.knows("zoe@acme.io"));

    replace(&stage.path("users.yaml"), &with(&edited, "yan@acme.io"));
    eventually(AFTER_AN_EDIT, "a rename over the file is seen", || stage.knows("yan@acme.io"));

    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn a_broken_edit_changes_nothing_and_a_mended_one_goes_on() {
    let stage = Stage::new();
    let daemon = stage.spawn(&["-u", "users.yaml"]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    let before = stage.state();
    stage.write("users.yaml", "version: 1\nusers:\n  - { email: matt@acme.io");
    std::thread::sleep(AFTER_AN_EDIT);
    assert_eq!(before["workspaces"], stage.state()["workspaces"]);
    stage.write("users.yaml", &with(ROSTER, "zoe@acme.io"));
    eventually(AFTER_AN_EDIT, "the mended file", || stage.knows("zoe@acme.io"));
    daemon.signal("INT");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(ran.stderr().contains("users.yaml"), "{}", ran.stderr());
}

#[test]
fn a_daemon_without_a_usable_roster_stays_up_and_waits_for_one() {
    let stage = Stage::new();
    stage.write("users.yaml", "version: 1\nusers:\n");
    let mut daemon = stage.spawn(&["-u", "users.yaml"]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(daemon.is_running());
    stage.write("users.yaml", ROSTER);
    eventually(AFTER_AN_EDIT, "the roster is used", || stage.knows("alice@acme.io"));
    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn a_daemon_with_an_invalid_configuration_does_not_start() {
    let stage = Stage::new();
    stage.write("rosterd.yaml", "version: 1\nworkspaces: []\n");
    stage.run(&[]).expect(78);
}

#[test]
fn sighup_runs_at_once() {
    let stage = Stage::new();
    let daemon = stage.spawn(&["-u", "users.yaml"]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    stage.control("POST", "role", r#"{"email":"matt@acme.io","accountType":"BUSINESS"}"#);
    daemon.signal("HUP");
    let role = || {
        let held = stage.state().to_string();
        let at = held.find("matt@acme.io").unwrap();
        held[at.saturating_sub(200)..(at + 200).min(held.len())].to_owned()
    };
    eventually(SOON, "the role is put back", || role().contains("DEVELOPER"));
    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn sigterm_is_obeyed_while_the_api_does_not_answer() {
    let stage = Stage::with_sandbox(&["--latency", "60s"]);
    let daemon = stage.spawn(&["-u", "users.yaml"]);
    std::thread::sleep(Duration::from_secs(1));
    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(9)).expect(0);
}

#[test]
fn a_kill_in_the_middle_of_an_apply_is_mended_by_the_next_run() {
    let stage = Stage::with_sandbox(&["--latency", "30ms"]);
    let people: String =
        (0..40).fold(String::new(), |all, n| with(&all, &format!("user{n}@acme.io")));
    stage.write("users.yaml", &format!("{ROSTER}{people}"));
    let daemon = stage.spawn(&["-u", "users.yaml"]);
    eventually(SOON, "some invitation", || stage.knows("@acme.io\"") && stage.knows("user0@"));
    daemon.signal("KILL");
    drop(daemon);
    stage.run(&["--once", "-u", "users.yaml"]).expect(0);
    let held = stage.state().to_string();
    for n in 0..40 {
        assert!(held.contains(&format!("user{n}@acme.io")));
    }
}
