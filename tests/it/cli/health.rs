//! What those are told who look after a process: health checks, and a service manager.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::test_env::{ROSTER, Running, TestEnv, eventually};

const SOON: Duration = Duration::from_secs(20);
const BROKEN: &str = "version: 1\nusers:\n  - { email: matt@acme.io";

/// A stage whose daemon listens on a free port.
fn stage() -> TestEnv {
    let mut stage = TestEnv::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stage.set("ROSTERD_LISTEN", &free.to_string());
    stage
}

fn lives(stage: &TestEnv) -> bool {
    stage.run(&["health"]).code() == 0
}

fn is_ready(stage: &TestEnv) -> bool {
    stage.run(&["health", "--ready"]).code() == 0
}

fn leave(daemon: Running) {
    daemon.signal("TERM");
    daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn a_daemon_stays_ready_after_its_first_roster() {
    let stage = stage();
    let before = stage.run(&["health"]).expect(1);
    assert!(before.stderr().contains("/livez: Connection refused"), "{}", before.stderr());
    stage.write("users.yaml", BROKEN);
    let daemon = stage.spawn_daemon(&[]);
    eventually(SOON, "it lives", || lives(&stage));
    let waiting = stage.run(&["health", "--ready"]).expect(1);
    assert!(waiting.stderr().contains("default: no roster can be used"), "{}", waiting.stderr());
    stage.write("users.yaml", ROSTER);
    eventually(SOON, "it is ready", || is_ready(&stage));
    stage.write("users.yaml", BROKEN);
    std::thread::sleep(Duration::from_secs(3));
    assert!(is_ready(&stage), "the last good roster is in force");
    leave(daemon);
    assert!(!lives(&stage));
}

#[test]
fn health_does_not_depend_on_the_api() {
    let mut stage = stage();
    stage.endpoint = "http://127.0.0.1:9/graphql".into();
    stage.key("key", "secret");
    let daemon = stage.spawn_daemon(&[]);
    eventually(SOON, "it is ready", || is_ready(&stage));
    assert!(lives(&stage));
    leave(daemon);
}

#[test]
fn an_address_in_use_stops_the_start() {
    let mut stage = TestEnv::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    stage.set("ROSTERD_LISTEN", &address);
    let ran = stage.run(&["-u", "users.yaml"]).expect(1);
    assert!(ran.stderr().contains(&format!("listen: {address}: Address already in use")));
}

#[test]
fn the_address_may_be_written_in_the_configuration() {
    let stage = TestEnv::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let workspace = "{ name: acme, endpoint: \"${PARADIME_API_ENDPOINT}\", users: users.yaml, \
        credentials: { api_key: { env: PARADIME_API_KEY }, \
        api_secret: { env: PARADIME_API_SECRET } } }";
    let config = format!("version: 1\nlisten: {free}\nworkspaces: [{workspace}]\n");
    stage.write("rosterd.yaml", &config);
    let daemon = stage.spawn(&[]);
    eventually(SOON, "it is ready", || is_ready(&stage));
    stage.write("rosterd.yaml", &config.replace(&free.to_string(), "127.0.0.1:1"));
    std::thread::sleep(Duration::from_secs(3));
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(8)).expect(0);
    assert!(ran.stderr().contains("`listen` has changed"), "{}", ran.stderr());
    stage.write("rosterd.yaml", &config.replace("listen", "#"));
    let ran = stage.run(&["health"]).expect(64);
    assert!(ran.stderr().contains("ROSTERD_LISTEN"), "{}", ran.stderr());
}

#[test]
fn health_finds_a_daemon_whose_address_is_only_on_its_command_line() {
    let stage = stage();
    let daemon = stage.spawn_daemon(&["--listen", "127.0.0.1:0"]);
    eventually(SOON, "it is ready", || is_ready(&stage));
    let written = stage.path("state/rosterd/ledger.db-address");
    let address = std::fs::read_to_string(&written).unwrap();
    let given = stage.run(&["health", "--listen", "127.0.0.1:1"]).expect(1);
    assert!(given.stderr().contains("127.0.0.1:1/livez"), "{}", given.stderr());
    // The configuration is invalid meanwhile.
    stage.write("rosterd.yaml", "version: 2\n");
    assert!(lives(&stage));
    // A machine that is not this one is not asked.
    std::fs::write(&written, "192.0.2.1:9464").unwrap();
    let other = stage.run(&["health"]).expect(1).stderr();
    assert!(!other.contains("192.0.2.1"), "{other}");
    std::fs::write(&written, &address).unwrap();
    leave(daemon);
    assert!(!lives(&stage));
    std::fs::remove_file(stage.path("rosterd.yaml")).unwrap();
    leave({
        let daemon = stage.spawn_daemon(&[]);
        eventually(SOON, "the next one is asked", || is_ready(&stage));
        daemon
    });
}

/// Needs root, who can choose another user for the daemon.
#[test]
fn what_it_may_not_use_is_named_with_its_owner() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    let stage = stage();
    let open = |path: &std::path::Path, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    };
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let state = stage.path("state/rosterd");
    std::fs::create_dir_all(&state).unwrap();
    for path in [stage.path(""), stage.path("state"), state.clone(), stage.path("users.yaml")] {
        open(&path, 0o755);
    }
    let once = || {
        let mut command = stage.command(&["--once", "-u", "users.yaml"]);
        let ran = command.uid(65_532).gid(65_532).output().unwrap();
        String::from_utf8(ran.stderr).unwrap() + &String::from_utf8(ran.stdout).unwrap()
    };
    let said = once();
    let state = state.display();
    let expected = format!(
        "{state} is owned by uid 0 (mode 755); rosterd runs as uid 65532: chown 65532 {state}"
    );
    assert!(said.contains(&expected), "{said}");
    chown(state.to_string(), Some(65_532), None).unwrap();
    assert!(once().contains("invite"));
    open(&stage.path("users.yaml"), 0o600);
    let said = once();
    assert!(said.contains("users.yaml is owned by uid 0 (mode 600); rosterd runs as"), "{said}");
}

#[test]
fn systemd_gets_ready_watchdog_and_stopping() {
    let mut stage = TestEnv::new();
    let socket = stage.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    stage.set("NOTIFY_SOCKET", socket.to_str().unwrap());
    stage.set("WATCHDOG_USEC", "400000");
    stage.write("users.yaml", BROKEN);
    let daemon = stage.spawn_daemon(&[]);
    let mut told = String::new();
    let mut hears = |what: &str| {
        let until = Instant::now() + SOON;
        while !told.contains(what) && Instant::now() < until {
            let mut message = [0; 4096];
            let length = manager.recv(&mut message).unwrap_or_default();
            told += &String::from_utf8_lossy(&message[..length]);
        }
        assert!(told.contains(what), "{what} is not in\n{told}");
        std::mem::take(&mut told)
    };
    // A boot does not wait for a roster.
    hears("READY=1");
    hears("STATUS=default: failed: no valid roster yet");
    hears("WATCHDOG=1");
    stage.write("users.yaml", ROSTER);
    hears("STATUS=default: converged at");
    stage.write("users.yaml", BROKEN);
    hears("STATUS=default: stale: the last valid roster is in force at");
    daemon.signal("TERM");
    hears("STOPPING=1");
    daemon.ended_within(Duration::from_secs(8)).expect(0);
}

#[test]
fn shells_and_man_know_every_command() {
    let stage = TestEnv::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = stage.run(&["completions", shell]).expect(0).stdout();
        assert!(script.contains("detailed-exitcode") && script.contains("health"), "{shell}");
    }
    let page = stage.run(&["man"]).expect(0).stdout();
    assert!(page.contains(".SH OPTIONS") && page.contains("rosterd\\-health(1)"), "{page}");
    stage.run(&["man", "--out", "pages"]).expect(0);
    let mut pages: Vec<_> = std::fs::read_dir(stage.path("pages"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(pages.contains(&"rosterd-ledger-verify.1".to_owned()), "{pages:?}");
}

#[test]
fn what_could_never_work_is_not_ready() {
    let mut stage = stage();
    stage.set("PARADIME_API_SECRET", "\u{1}unusable");
    let daemon = stage.spawn_daemon(&[]);
    eventually(SOON, "it says why", || {
        let ran = stage.run(&["health", "--ready"]);
        ran.code() == 1 && ran.stderr().contains("PARADIME_API_SECRET")
    });
    assert!(lives(&stage), "a restart would not mend it");
    leave(daemon);
}

#[test]
fn an_empty_variable_is_none_and_a_wrong_one_is_named() {
    let mut stage = TestEnv::new();
    stage.set("ROSTERD_LISTEN", "");
    stage.set("ROSTERD_USERS", "users.yaml");
    stage.run(&["--plan"]).expect(0);
    stage.set("ROSTERD_LISTEN", "9464");
    let wrong = stage.run(&["--plan"]).expect(64);
    assert!(
        wrong.stderr().contains("ROSTERD_LISTEN: `9464`: invalid socket"),
        "{}",
        wrong.stderr()
    );
}
