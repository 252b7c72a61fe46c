//! The daemon as a process: it starts, sees edits, obeys signals, and survives a kill.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use super::test_env::{ROSTER, TestEnv, daemon_config, eventually, replace};

const SOON: Duration = Duration::from_secs(20);
/// What a user is promised between saving the roster and the change of the workspace is three
/// seconds; a machine that runs every test at once may take longer.
const AFTER_AN_EDIT: Duration = Duration::from_secs(12);
/// Longer than the promise: what has not happened by then does not happen.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

fn with(roster: &str, email: &str) -> String {
    format!("{roster}  - {{ email: {email}, role: BUSINESS }}\n")
}

#[test]
fn an_edit_is_applied_within_seconds() {
    let stage = TestEnv::new();
    let daemon = stage.spawn_daemon(&[]);
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
fn half_of_a_roster_is_never_used() {
    let stage = TestEnv::new();
    stage.write("rosterd.yaml", &daemon_config("3s"));
    let daemon = stage.spawn(&[]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    // A writer that pauses at the end of a line, with the file open. Half of it lacks matt.
    let edited = with(ROSTER, "zoe@acme.io");
    let half = edited.find("  - { email: matt").unwrap();
    let mut file = std::fs::File::create(stage.path("users.yaml")).unwrap();
    file.write_all(&edited.as_bytes()[..half]).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    file.write_all(&edited.as_bytes()[half..]).unwrap();
    drop(file);
    eventually(SOON, "the whole file", || stage.knows("zoe@acme.io"));
    // Renamed over it, the next version needs no wait.
    replace(&stage.path("users.yaml"), &with(&edited, "yan@acme.io"));
    eventually(AFTER_AN_EDIT, "a rename", || stage.knows("yan@acme.io"));
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(!ran.stderr().contains("disable"), "{}", ran.stderr());
    assert_eq!(ran.stderr().matches("written in place; waiting").count(), 2, "{}", ran.stderr());
}

#[test]
fn a_one_shot_waits_for_a_file_that_was_written_a_moment_ago() {
    let stage = TestEnv::new();
    stage.write("rosterd.yaml", &daemon_config("1s"));
    let ran = stage.run(&["--plan"]).expect(0);
    assert!(!ran.stderr().contains("waiting"), "an old file: {}", ran.stderr());
    let (edited, path) = (with(ROSTER, "zoe@acme.io"), stage.path("users.yaml"));
    std::fs::write(&path, &edited).unwrap();
    let ran = stage.run(&["--plan"]).expect(0);
    assert!(ran.stderr().contains("users.yaml: written a moment ago"), "{}", ran.stderr());
    assert!(ran.stdout().contains("zoe@acme.io"), "{}", ran.stdout());
    // A time that lies ahead is waited for once, for as long.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.set_modified(written + Duration::from_hours(1)).unwrap();
    let (ran, begun) = (stage.run(&["--plan"]).expect(0), Instant::now());
    assert!(ran.stderr().contains("waiting 1.0 s"), "{}", ran.stderr());
    assert!(begun.elapsed() < SOON);
    // Contents of a commit are complete at once.
    let matt = ["-c", "user.name=Matt", "-c", "user.email=matt@acme.io"];
    for arguments in [&["init", "-q"][..], &["add", "users.yaml"], &["commit", "-qm", "roster"]] {
        let mut git = Command::new("git");
        git.current_dir(path.parent().unwrap()).args(matt).args(arguments);
        assert!(git.status().unwrap().success());
    }
    let ran = stage.run(&["--plan"]).expect(0);
    assert!(!ran.stderr().contains("waiting"), "committed: {}", ran.stderr());
}

#[test]
fn an_idle_daemon_has_no_wake_ups() {
    let stage = TestEnv::new();
    // Also the folder above the roster is one that nobody else writes to.
    std::fs::create_dir_all(stage.path("quiet/here")).unwrap();
    stage.write("quiet/here/users.yaml", ROSTER);
    let daemon = stage.spawn(&["-u", "quiet/here/users.yaml"]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    // Its own timers are half a minute apart, and threads that had something to do end after ten
    // seconds.
    eventually(3 * SOON, "three seconds of sleep", || {
        let before = daemon.sleeps();
        std::thread::sleep(Duration::from_secs(3));
        daemon.sleeps() == before
    });
    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn an_invalid_edit_changes_nothing_and_a_fixed_one_is_applied() {
    let stage = TestEnv::new();
    let daemon = stage.spawn_daemon(&[]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    let before = stage.state();
    stage.write("users.yaml", "version: 1\nusers:\n  - { email: matt@acme.io");
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!(before["workspaces"], stage.state()["workspaces"]);
    stage.write("users.yaml", &with(ROSTER, "zoe@acme.io"));
    eventually(AFTER_AN_EDIT, "the mended file", || stage.knows("zoe@acme.io"));
    daemon.signal("INT");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(ran.stderr().contains("users.yaml"), "{}", ran.stderr());
}

#[test]
fn a_daemon_without_a_valid_roster_waits_for_one() {
    let stage = TestEnv::new();
    stage.write("users.yaml", "version: 1\nusers:\n");
    let mut daemon = stage.spawn_daemon(&[]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(daemon.is_running());
    stage.write("users.yaml", ROSTER);
    eventually(AFTER_AN_EDIT, "the roster is used", || stage.knows("alice@acme.io"));
    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn a_daemon_with_an_invalid_configuration_does_not_start() {
    let stage = TestEnv::new();
    stage.write("rosterd.yaml", "version: 1\nworkspaces: []\n");
    stage.run(&[]).expect(78);
}

/// The lines of a log in JSON; every line is one.
fn rows(ran: &super::test_env::Ran) -> Vec<serde_json::Value> {
    let log = ran.stderr();
    log.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn the_log_has_one_line_for_each_change_and_each_run() {
    let stage = TestEnv::new();
    let daemon = stage.spawn_daemon(&["--log-format", "json"]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    stage.write("users.yaml", "version: 1\nusers:\n  - { email: matt, role: ADMIN }\n");
    std::thread::sleep(LONG_ENOUGH);
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert_eq!(ran.stdout(), "", "nobody looks on");
    let rows = rows(&ran);
    let messages: Vec<_> = rows.iter().filter_map(|row| row["message"].as_str()).collect();
    assert_eq!(messages[..4], ["rosterd has started", "change", "change", "run"], "{messages:?}");
    assert!(rows[3]["next"].is_string(), "{}", rows[3]);
    let place = rows.iter().find_map(|row| row["place"].as_str().filter(|it| it.len() > 12));
    assert_eq!(place, Some("users.yaml:3:14"), "{rows:?}");
    let runs_on: Vec<_> = rows.iter().filter(|row| row["stale"] == true).collect();
    assert_eq!(runs_on.len(), 1, "{rows:?}");
    assert_eq!((&runs_on[0]["message"], &runs_on[0]["trigger"]), (&"run".into(), &"file".into()));
}

#[test]
fn a_deleted_configuration_is_not_replaced_by_another_file() {
    let stage = TestEnv::new();
    let configuration = |users: &str| {
        format!(
            "version: 1\nworkspaces:\n  - name: acme\n    endpoint: \
              ${{PARADIME_API_ENDPOINT}}\n    \
             credentials: {{ api_key: {{ env: PARADIME_API_KEY }}, api_secret: {{ env: \
             PARADIME_API_SECRET }} }}\n    users: {users}\n"
        )
    };
    stage.write("rosterd.yaml", &configuration("users.yaml"));
    std::fs::create_dir(stage.path("config")).unwrap();
    stage.write("config/rosterd.yaml", &configuration("others.yaml"));
    stage.write("config/others.yaml", &with(ROSTER, "zoe@acme.io"));
    let daemon = stage.spawn(&["--log-format", "json"]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    std::fs::remove_file(stage.path("rosterd.yaml")).unwrap();
    std::thread::sleep(LONG_ENOUGH);
    assert!(!stage.knows("zoe@acme.io"));
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(ran.stderr().contains("the last valid one stays in force"), "{}", ran.stderr());
}

#[test]
fn sighup_runs_at_once() {
    let stage = TestEnv::new();
    let daemon = stage.spawn_daemon(&[]);
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
fn sigterm_is_obeyed_while_the_api_hangs() {
    let stage = TestEnv::with_sandbox(&["--latency", "60s"]);
    let daemon = stage.spawn_daemon(&[]);
    std::thread::sleep(Duration::from_secs(1));
    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(9)).expect(0);
}

#[test]
fn sigterm_ends_once_while_the_listing_hangs() {
    let stage = TestEnv::with_sandbox(&["--latency", "60s"]);
    let once = stage.spawn(&["--once", "-u", "users.yaml"]);
    std::thread::sleep(Duration::from_secs(1));
    once.signal("INT");
    let ran = once.ended_within(Duration::from_secs(3)).expect(1);
    assert!(ran.stderr().contains("nothing was sent"), "{}", ran.stderr());
}

#[test]
fn the_next_run_completes_an_apply_that_was_killed() {
    let stage = TestEnv::with_sandbox(&["--latency", "30ms"]);
    let people: String =
        (0..40).fold(String::new(), |all, n| with(&all, &format!("user{n}@acme.io")));
    stage.write("users.yaml", &format!("{ROSTER}{people}"));
    let daemon = stage.spawn_daemon(&[]);
    eventually(SOON, "some invitation", || stage.knows("@acme.io\"") && stage.knows("user0@"));
    daemon.signal("KILL");
    drop(daemon);
    stage.run(&["--once", "-c", "daemon.yaml"]).expect(0);
    let (held, plan) =
        (stage.state().to_string(), stage.run(&["--plan", "-v", "-c", "daemon.yaml"]));
    let plan = plan.expect(0).stdout();
    for n in 0..40 {
        let email = format!("user{n}@acme.io");
        let settles = |line: &str| line.contains("propagating") && line.contains(&email);
        // What was under way at that instant may have left, and is not sent again at once.
        assert!(held.contains(&email) || plan.lines().any(settles), "{email}\n{plan}");
    }
}

#[test]
fn a_configuration_created_later_is_not_adopted() {
    let stage = TestEnv::new();
    let mut daemon = stage.spawn(&["-u", "users.yaml"]);
    eventually(SOON, "the first run", || stage.knows("alice@acme.io"));
    stage.write("rosterd.yaml", "version: 1\nworkspaces: []\n");
    stage.write("users.yaml", &with(ROSTER, "zoe@acme.io"));
    daemon.signal("HUP");
    eventually(SOON, "the run after it", || stage.knows("zoe@acme.io"));
    assert!(daemon.is_running());
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(!ran.stderr().contains("rosterd.yaml"), "{}", ran.stderr());
}
