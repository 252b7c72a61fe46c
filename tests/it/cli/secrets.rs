//! No secret in any output, however much is said.

use std::time::Duration;

use super::test_env::{Ran, TestEnv, eventually};

const SECRETS: [&str; 4] =
    ["sandbox-secret", "sandbox-viewer-secret", "prdm_cmp_sandbox", "prdm_wsp_sandbox"];

#[track_caller]
fn shows_none(ran: &Ran) {
    let said = format!("{}{}", ran.stdout(), ran.stderr());
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} is shown in\n{said}");
    }
}

#[test]
fn no_secret_is_shown_under_trace() {
    let mut stage = TestEnv::new();
    stage.set("RUST_LOG", "trace");
    for (key, secret) in [
        ("sandbox-key", "sandbox-secret"),
        ("sandbox-viewer-key", "sandbox-viewer-secret"),
        ("", "prdm_wsp_sandbox"),
        ("", "prdm_cmp_sandbox"),
        ("sandbox-key", "sandbox-viewer-secret"),
    ] {
        stage.key(key, secret);
        stage.set("RUST_LOG", "trace");
        for arguments in [
            &["check", "-u", "users.yaml"][..],
            &["--plan", "-vv", "-u", "users.yaml"],
            &["--once", "-vv", "--log-format", "json", "-u", "users.yaml"],
            &["--sandbox", "--once", "-vv", "-u", "users.yaml"],
        ] {
            let ran = stage.run(arguments);
            assert!(ran.stderr().len() + ran.stdout().len() > 0);
            shows_none(&ran);
        }
    }
}

#[test]
fn a_secret_in_the_configuration_is_refused_and_not_repeated() {
    let stage = TestEnv::new();
    for credentials in [
        "{ api_key: sandbox-key, api_secret: sandbox-secret }",
        "{ api_secret: prdm_wsp_sandbox }",
        "{ api_secret: { env: prdm_wsp_sandbox } }",
    ] {
        stage.write(
            "rosterd.yaml",
            &format!(
                "version: 1\nworkspaces:\n  - name: acme\n    endpoint: https://api.invalid/graphql\n    \
                 credentials: {credentials}\n    users: users.yaml\n"
            ),
        );
        let ran = stage.run(&["check"]);
        assert_eq!(ran.code(), 78, "{}", ran.stderr());
        shows_none(&ran);
    }
}

#[test]
fn a_daemon_shows_no_secret() {
    let mut stage = TestEnv::new();
    stage.set("RUST_LOG", "trace");
    let daemon = stage.spawn_daemon(&["-vv"]);
    eventually(Duration::from_secs(20), "the invitation", || stage.knows("alice@acme.io"));
    daemon.signal("TERM");
    let ran = daemon.ended_within(Duration::from_secs(9));
    assert_eq!(ran.code(), 0);
    shows_none(&ran);
}

#[test]
fn a_mistake_near_a_secret_does_not_show_it() {
    let stage = TestEnv::new();
    for credentials in [
        "api_secrt: sandbox-secret",
        "token: sandbox-secret",
        "api_secret:\n        - sandbox-secret",
        "api_secret:\n        value: sandbox-secret",
        "api_secret:\n        \"sandbox-secret",
        "sandbox-secret",
        "{ sandbox-secret }",
        "api_secret: { env: sandbox-secret }",
        "api_secret: &anchor sandbox-secret",
        "api_secret: |\n        sandbox-secret",
        "? sandbox-secret\n      : ADMIN",
    ] {
        let text = format!(
            "version: 1\nworkspaces:\n  - name: acme\n    endpoint: https://api.invalid/graphql\n    \
             users: users.yaml\n    credentials:\n      {credentials}\n"
        );
        stage.write("rosterd.yaml", &text);
        for format in ["text", "json", "github"] {
            shows_none(&stage.run(&["check", "--format", format]).expect(78));
        }
        shows_none(&stage.run(&["--plan"]).expect(78));
    }
    for key in ["name", "workspace_uid"] {
        let text = format!("version: 1\nworkspaces:\n  - {key}: prdm_wsp_sandbox\n");
        stage.write("rosterd.yaml", &text);
        shows_none(&stage.run(&["check"]).expect(78));
    }
}

#[test]
fn a_secret_in_a_pipe_is_refused_and_not_waited_for() {
    let stage = TestEnv::new();
    let made = std::process::Command::new("mkfifo").arg(stage.path("pipe")).status().unwrap();
    assert!(made.success());
    stage.write(
        "rosterd.yaml",
        "version: 1\nworkspaces:\n  - name: acme\n    endpoint: ${PARADIME_API_ENDPOINT}\n    \
         users: users.yaml\n    credentials: { api_secret: { file: pipe } }\n",
    );
    let running = stage.spawn(&["--plan"]);
    let ran = running.ended_within(Duration::from_secs(20)).expect(1);
    assert!(ran.stderr().contains("not a regular file"), "{}", ran.stderr());
}
