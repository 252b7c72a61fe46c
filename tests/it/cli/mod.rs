//! The binary as a user drives it: exit codes, streams, files, signals.

mod approve;
mod daemon;
mod health;
mod ledger;
mod operators;
mod pipelines;
mod secrets;
pub mod test_env;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use test_env::{ROSTER, TestEnv};

#[test]
fn a_workspace_in_sync_needs_nothing() {
    let stage = TestEnv::new();
    stage.run(&["--once", "-u", "users.yaml"]).expect(0);
    let plan = stage.run(&["--plan", "--detailed-exitcode", "-u", "users.yaml"]).expect(0);
    assert!(plan.stdout().contains("in sync"), "{}", plan.stdout());
}

#[test]
fn a_plan_changes_nothing_and_says_what_it_would_do() {
    let stage = TestEnv::new();
    let before = stage.state();
    let plan = stage.run(&["--plan", "-u", "users.yaml"]).expect(0);
    for part in ["+ invite", "alice@acme.io", "~ role", "ADMIN → BUSINESS", "users.yaml:4"] {
        assert!(plan.stdout().contains(part), "{part} is missing in\n{}", plan.stdout());
    }
    assert_eq!(before["workspaces"], stage.state()["workspaces"]);
    stage.run(&["--plan", "--detailed-exitcode", "-u", "users.yaml"]).expect(2);
}

#[test]
fn once_makes_the_workspace_equal_to_the_file() {
    let stage = TestEnv::new();
    let run = stage.run(&["--once", "-u", "users.yaml"]).expect(0);
    assert!(run.stdout().contains("in sync"), "{}", run.stdout());
    assert!(stage.knows("alice@acme.io"));
}

#[test]
fn quiet_prints_nothing_on_success() {
    let stage = TestEnv::new();
    let quiet = ["-q", "--once", "-u", "users.yaml"];
    let ran = stage.run(&quiet).expect(0);
    assert!(stage.knows("alice@acme.io"));
    assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), ("", ""));
    stage.write("users.yaml", "version: 1\nusers: []\n");
    assert!(stage.run(&quiet).expect(3).stdout().contains("held"));
}

#[test]
fn held_changes_exit_with_3() {
    let stage = TestEnv::new();
    stage.write("users.yaml", "version: 1\nusers: []\n");
    let plan = stage.run(&["--plan", "--detailed-exitcode", "-u", "users.yaml"]).expect(3);
    assert!(plan.stdout().contains("held by empty-roster: 3 of 3 accounts"), "{}", plan.stdout());
    stage.run(&["--plan", "-u", "users.yaml"]).expect(0);
    let before = stage.state();
    stage.run(&["--once", "-u", "users.yaml"]).expect(3);
    assert_eq!(before["workspaces"], stage.state()["workspaces"]);
}

#[test]
fn wrong_usage_is_64_and_help_is_a_result() {
    let stage = TestEnv::new();
    for arguments in [
        &["--no-such-flag"][..],
        &["--plan", "--once"],
        &["--plan", "check"],
        &["--format", "json"],
        &["--plan", "--format", "xml"],
        &["no-such-command"],
    ] {
        let ran = stage.run(arguments).expect(64);
        assert!(ran.stdout().is_empty() && !ran.stderr().is_empty());
    }
    assert!(stage.run(&["--help"]).expect(0).stdout().contains("--plan"));
    assert!(stage.run(&["--version"]).expect(0).stdout().starts_with("rosterd "));
}

#[test]
fn help_is_short_or_has_examples() {
    let stage = TestEnv::new();
    for command in [&[][..], &["apply"], &["check"], &["import"], &["sandbox"], &["schema"]] {
        let help = stage.run(&[command, &["-h"]].concat()).expect(0).stdout();
        assert!(help.lines().count() <= 50 && !help.contains("ossible values"), "{help}");
        let options = help.find("\nOptions of every command:");
        assert!(help.find("--config") > options && options.is_some(), "{help}");
    }
    let long = stage.run(&["--help"]).expect(0).stdout();
    assert!(long.contains("\nExamples:\n  rosterd import -u users.yaml"), "{long}");
}

#[test]
fn an_invalid_roster_is_78_with_every_problem_at_its_place() {
    let stage = TestEnv::new();
    stage.write(
        "users.yaml",
        "version: 1\nusers:\n  - { email: matt@acme.io, role: DEVELOPR }\n  - { emial: x@acme.io, role: ADMIN }\n",
    );
    let before = stage.state();
    for arguments in [
        &["check", "-u", "users.yaml"][..],
        &["--plan", "-u", "users.yaml"],
        &["--once", "-u", "users.yaml"],
    ] {
        let ran = stage.run(arguments).expect(78);
        let said = format!("{}{}", ran.stdout(), ran.stderr());
        for part in ["users.yaml:3:", "DEVELOPER", "users.yaml:4:", "emial", "email"] {
            assert!(said.contains(part), "{part} is missing in\n{said}");
        }
    }
    assert_eq!(stage.state()["workspaces"], before["workspaces"], "nothing is sent");
}

#[test]
fn without_a_configuration_the_searched_paths_are_listed() {
    let stage = TestEnv::new();
    let ran = stage.run(&["--plan"]).expect(78);
    for part in ["ROSTERD_CONFIG", "rosterd.yaml", "/etc/rosterd/rosterd.yaml", "--users"] {
        assert!(ran.stderr().contains(part), "{part} is missing in\n{}", ran.stderr());
    }
}

#[test]
fn a_saved_plan_is_applied_as_it_was_printed() {
    let stage = TestEnv::new();
    stage.run(&["--plan", "--format", "json", "--out", "plan.json", "-u", "users.yaml"]).expect(0);
    stage.run(&["apply", "plan.json", "-u", "users.yaml"]).expect(0);
    assert!(stage.knows("alice@acme.io"));
}

#[test]
fn a_saved_plan_is_refused_when_the_workspace_or_the_roster_has_moved() {
    let stage = TestEnv::new();
    let save = ["--plan", "--format", "json", "--out", "plan.json", "-u", "users.yaml"];
    stage.run(&save).expect(0);
    stage.control("POST", "role", r#"{"email":"jonny@acme.io","accountType":"DEVELOPER"}"#);
    let before = stage.state();
    let refused = stage.run(&["apply", "plan.json", "-u", "users.yaml"]).expect(1);
    assert!(refused.stderr().contains("stale"), "{}", refused.stderr());
    assert!(refused.stderr().contains("jonny@acme.io"), "{}", refused.stderr());
    assert_eq!(before["workspaces"], stage.state()["workspaces"]);

    stage.run(&save).expect(0);
    stage.write("users.yaml", &format!("{ROSTER}  - {{ email: zoe@acme.io, role: BUSINESS }}\n"));
    let refused = stage.run(&["apply", "plan.json", "-u", "users.yaml"]).expect(1);
    assert!(refused.stderr().contains("zoe@acme.io"), "{}", refused.stderr());
}

#[test]
fn a_file_that_is_not_a_plan_is_rejected() {
    let stage = TestEnv::new();
    stage.write("plan.json", "{\"format_version\": 99}");
    let ran = stage.run(&["apply", "plan.json", "-u", "users.yaml"]).expect(1);
    assert!(ran.stderr().contains("plan.json"), "{}", ran.stderr());
    for path in ["missing.json", "/", "/dev/null"] {
        stage.run(&["apply", path, "-u", "users.yaml"]).expect(1);
    }
}

#[test]
fn a_plan_in_a_file_has_no_colour_unless_it_is_asked_for() {
    let stage = TestEnv::new();
    stage.run(&["--plan", "--out", "plan.txt", "-u", "users.yaml"]).expect(0);
    let printed = stage.run(&["--plan", "-u", "users.yaml"]).expect(0).stdout();
    assert_eq!(stage.read("plan.txt"), printed);
    let asked = ["--color", "always", "--plan", "--out", "plan.txt", "-u", "users.yaml"];
    stage.run(&asked).expect(0);
    assert!(stage.read("plan.txt").contains('\u{1b}'));
    let device = stage.run(&["--plan", "--out", "/dev/stdout", "-u", "users.yaml"]).expect(0);
    assert_eq!(device.stdout(), printed);
    let piped = stage.run(&["--plan", "--out", "-", "-u", "users.yaml"]).expect(0);
    assert_eq!(piped.stdout(), printed);
}

#[test]
fn what_is_written_is_for_its_owner_only_unless_it_was_not_before() {
    let stage = TestEnv::new();
    let mode = |name: &str| std::fs::metadata(stage.path(name)).unwrap().mode() & 0o777;
    let set = |name: &str, mode| {
        std::fs::set_permissions(stage.path(name), Permissions::from_mode(mode)).unwrap();
    };
    let plan = || stage.run(&["--plan", "--out", "plan.txt", "-u", "users.yaml"]).expect(0);
    plan();
    set("plan.txt", 0o644);
    plan();
    assert_eq!(mode("plan.txt"), 0o600);
    set("users.yaml", 0o664);
    stage.run(&["import", "--yes", "-u", "users.yaml"]).expect(0);
    assert_eq!(mode("users.yaml"), 0o664);
    stage.run(&["import", "-u", "new.yaml"]).expect(0);
    assert_eq!(mode("new.yaml"), 0o600);
    stage.run(&["--sandbox", "--state", "kept.json", "--once", "-u", "users.yaml"]).expect(0);
    assert_eq!((mode("kept.json"), mode("kept.json.ledger.db")), (0o600, 0o600));
    // Under a name that is known in advance, nothing is written through a link.
    for name in ["kept.json.new", ".kept.json.new"] {
        std::os::unix::fs::symlink("precious", stage.path(name)).unwrap();
    }
    stage.run(&["--sandbox", "--state", "kept.json", "--once", "-u", "users.yaml"]).expect(0);
    assert!(!stage.path("precious").exists());
}

#[test]
fn every_format_of_a_plan_is_a_result() {
    let stage = TestEnv::new();
    for (format, part) in [
        ("text", "1 to invite, 1 role to change"),
        ("diff", "+"),
        ("json", "\"format_version\": 2"),
        ("markdown", "<!-- rosterd:plan:"),
        ("github", "::notice "),
    ] {
        let plan = stage.run(&["--plan", "--format", format, "-u", "users.yaml"]).expect(0);
        assert!(plan.stdout().contains(part), "{format}:\n{}", plan.stdout());
        assert!(plan.stdout().contains("alice@acme.io"), "{format}:\n{}", plan.stdout());
    }
}

#[test]
fn an_import_needs_no_change() {
    let stage = TestEnv::new();
    stage.run(&["import", "-u", "imported.yaml"]).expect(0);
    let text = stage.read("imported.yaml");
    assert!(text.contains("alexandra@acme.io") && text.contains("john@acme.io"), "{text}");
    stage.run(&["check", "-u", "imported.yaml"]).expect(0);
    stage.run(&["--plan", "--detailed-exitcode", "-u", "imported.yaml"]).expect(0);
}

#[test]
fn an_import_over_a_roster_shows_the_difference_and_asks() {
    let stage = TestEnv::new();
    let ran = stage.run(&["import", "-u", "users.yaml"]).expect(1);
    assert!(ran.stdout().contains("-  - email: alice@acme.io") || ran.stdout().contains("alice"));
    assert!(ran.stderr().contains("--yes"), "{}", ran.stderr());
    assert_eq!(stage.read("users.yaml"), ROSTER);
    stage.run(&["import", "--yes", "-u", "users.yaml"]).expect(0);
    assert!(!stage.read("users.yaml").contains("alice@acme.io"));
}

#[test]
fn an_import_keeps_links_and_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = TestEnv::new();
    stage.write("real.yaml", ROSTER);
    let private = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(stage.path("real.yaml"), private).unwrap();
    std::os::unix::fs::symlink("real.yaml", stage.path("link.yaml")).unwrap();
    let ran = stage.run(&["import", "--yes", "-u", "link.yaml"]).expect(0);
    assert!(ran.stderr().contains("\nlink.yaml: 4 members written"), "{}", ran.stderr());
    assert!(stage.path("link.yaml").is_symlink());
    assert!(!stage.read("real.yaml").contains("alice@acme.io"));
    let mode = std::fs::metadata(stage.path("real.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_viewer_key_plans_and_names_the_missing_capability() {
    let mut stage = TestEnv::new();
    stage.key("sandbox-viewer-key", "sandbox-viewer-secret");
    stage.run(&["--plan", "--detailed-exitcode", "-u", "users.yaml"]).expect(2);
    let ran = stage.run(&["--once", "-u", "users.yaml"]).expect(1);
    let said = format!("{}{}", ran.stdout(), ran.stderr());
    assert!(said.contains("User Management Admin"), "{said}");
    stage.key("sandbox-key", "wrong");
    for mode in ["--plan", "--once"] {
        let ran = stage.run(&[mode, "-u", "users.yaml"]).expect(1);
        assert!(ran.stdout().is_empty(), "{}", ran.stdout());
        assert!(ran.stderr().contains("credentials (401)"), "{}", ran.stderr());
        assert!(ran.stderr().contains("and the environment variable PARADIME_API_SECRET\n"));
    }
    stage.key("sandbox-key", "\"sandbox-secret\"");
    let ran = stage.run(&["--plan", "-u", "users.yaml"]).expect(1);
    assert!(ran.stderr().contains("PARADIME_API_SECRET, which is in quotes"), "{}", ran.stderr());
}

#[test]
fn check_needs_no_network_and_has_three_formats() {
    let mut stage = TestEnv::new();
    stage.set("PARADIME_API_ENDPOINT", "https://api.invalid/graphql");
    let valid = stage.run(&["check", "-u", "users.yaml"]).expect(0).stdout();
    assert_eq!(valid, "users.yaml: OK, 5 members\n");
    stage.write("users.yaml", "version: 1\nusers:\n  - { email: nobody, role: ADMIN }\n");
    let json = stage.run(&["check", "--format", "json", "-u", "users.yaml"]).expect(78);
    let found: serde_json::Value = serde_json::from_str(&json.stdout()).unwrap();
    assert_eq!((&found[0]["line"], &found[0]["severity"]), (&3.into(), &"error".into()));
    let github = stage.run(&["check", "--format", "github", "-u", "users.yaml"]).expect(78);
    assert!(github.stdout().starts_with("::error file=users.yaml,line=3,"), "{}", github.stdout());
}

#[test]
fn check_rejects_what_the_policy_does_not_allow_and_a_run_holds_it() {
    let stage = TestEnv::new();
    let typo = ROSTER.replace("alice@acme.io", "alice@acme.oi");
    stage.write(
        "users.yaml",
        &typo.replace("jonny@acme.io, ", "jonny@acme.io, aliases: [jo@b.io], "),
    );
    stage.write(
        "rosterd.yaml",
        "version: 1\nworkspaces:\n  - name: acme\n    endpoint: ${PARADIME_API_ENDPOINT}\n    \
         credentials: { api_key: { env: PARADIME_API_KEY }, api_secret: { env: \
         PARADIME_API_SECRET } }\n    users: users.yaml\n    policy: { domains: [acme.io], \
         guests: [b.io] }\n",
    );
    let check = stage.run(&["check", "--format", "github"]).expect(78).stdout();
    let lines: Vec<&str> = check.lines().collect();
    assert_eq!(lines.len(), 2, "{check}");
    assert!(
        lines[0].starts_with("::error file=users.yaml,line=4,") && lines[0].contains("`jo@b.io`")
    );
    assert!(
        lines[1].starts_with("::error file=users.yaml,line=7,") && lines[1].contains("acme.oi")
    );
    let once = stage.run(&["--once"]).expect(3).stdout();
    assert!(once.contains("1 of 5 members may not get access or a higher role"), "{once}");
    assert!(!stage.knows("alice@acme.oi"));
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let stage = TestEnv::new();
    let plain = stage.run(&["--plan", "-u", "users.yaml"]).expect(0);
    assert!(!plain.stdout().contains('\u{1b}'));
    let coloured = stage.run(&["--plan", "--color", "always", "-u", "users.yaml"]).expect(0);
    assert!(coloured.stdout().contains('\u{1b}'));
}

#[test]
fn schemas_are_printed() {
    let stage = TestEnv::new();
    for which in ["users", "config"] {
        let schema = stage.run(&["schema", which]).expect(0).stdout();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert!(schema["properties"]["version"].is_object());
    }
    let graphql = stage.run(&["schema", "graphql"]).expect(0).stdout();
    assert!(graphql.contains("enum UserAccountType"), "{graphql}");
}

#[test]
fn the_embedded_sandbox_needs_nothing_around_it() {
    let stage = TestEnv::new();
    let plan =
        stage.run(&["--sandbox", "--plan", "--detailed-exitcode", "-u", "users.yaml"]).expect(2);
    assert!(plan.stdout().contains("alice@acme.io"));
    stage.run(&["--sandbox", "--once", "-u", "users.yaml"]).expect(0);
    assert!(!stage.knows("alice@acme.io"), "the other sandbox is another workspace");
    std::fs::remove_file(stage.path("users.yaml")).unwrap();
    let example = stage.run(&["--sandbox", "--plan", "--detailed-exitcode"]).expect(2);
    assert!(example.stdout().contains("alice@acme.io"), "the example needs no file");
}

#[test]
fn one_workspace_that_fails_does_not_stop_the_others() {
    let stage = TestEnv::new();
    stage.write("broken.yaml", "version: 1\nusers:\n");
    let workspace = |name: &str, users: &str| {
        format!(
            "  - name: {name}\n    endpoint: ${{PARADIME_API_ENDPOINT}}\n    credentials: \
             {{ api_key: {{ env: PARADIME_API_KEY }}, api_secret: {{ env: PARADIME_API_SECRET }} }}\n    \
             users: {users}\n"
        )
    };
    let bad = workspace("bad", "broken.yaml").replace("PARADIME_API_KEY", "OTHER_KEY");
    let good = workspace("good", "users.yaml");
    stage.write("rosterd.yaml", &format!("version: 1\nworkspaces:\n{bad}{good}"));
    stage.run(&["--once"]).expect(78);
    assert!(stage.knows("alice@acme.io"));
    stage.run(&["--plan", "--workspace", "good", "--detailed-exitcode"]).expect(0);
    stage.run(&["--plan", "--workspace", "gone"]).expect(78);
}
