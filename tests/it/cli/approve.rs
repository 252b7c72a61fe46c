//! `rosterd approve`: what it writes, and when it writes nothing.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::test_env::TestEnv;
use crate::support::repository::Repository;

/// A file with what an edit might lose.
const ROSTER: &str = "\
# our people
version: 1
users:
  - { email: alexandra@acme.io, role: ADMIN }  # the boss
";

const SECTION: &str = "
approvals:
  - disable: [jonny@acme.io, matt@acme.io]
    reason: \"moved: away\"
";

/// A workspace that may disable one of the two accounts that are not members.
fn config(names: &[&str]) -> String {
    let workspaces = names.iter().map(|name| {
        format!(
            "  - name: {name}
    endpoint: ${{PARADIME_API_ENDPOINT}}
    credentials: {{ api_key: {{ env: {name} }}, api_secret: {{ env: PARADIME_API_SECRET }} }}
    users: {name}.yaml
    guard: {{ budgets: {{ disable: {{ percent: 20, floor: 1 }} }} }}
"
        )
    });
    format!("version: 1\nworkspaces:\n{}", workspaces.collect::<String>())
}

fn held() -> TestEnv {
    let mut stage = TestEnv::new();
    stage.set("acme", "sandbox-key");
    stage.write("rosterd.yaml", &config(&["acme"]));
    stage.write("acme.yaml", ROSTER);
    Repository::at(&stage.path(""));
    stage
}

const ALL: [&str; 4] = ["approve", "--all", "--reason", "moved: away"];

#[test]
fn everything_that_is_held_is_approved_and_then_applied() {
    let stage = held();
    stage.run(&["--once"]).expect(3);
    let path = stage.path("acme.yaml");
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let ran = stage.run(&ALL).expect(0);
    let lines: String = SECTION.lines().map(|line| format!("+{line}\n")).collect();
    assert!(ran.stdout().starts_with("--- a/acme.yaml\n+++ b/acme.yaml\n@@ "), "{}", ran.stdout());
    assert!(ran.stdout().ends_with(&lines), "{}", ran.stdout());
    assert!(ran.stderr().contains("now commit it"), "{}", ran.stderr());
    assert_eq!(stage.read("acme.yaml"), format!("{ROSTER}{SECTION}"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert!(
        std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .filter(|file| file.as_ref().unwrap().file_name() != ".git")
            .all(|file| { !file.unwrap().file_name().to_string_lossy().starts_with('.') })
    );
    stage.write("acme.yaml", &stage.read("acme.yaml"));
    stage.run(&["--once"]).expect(3);
    let again = stage.run(&ALL).expect(0).stderr();
    assert!(again.contains("has these approvals with this reason already; commit it"), "{again}");
    Repository::at(&stage.path("")).commit("Matt", "Approve both");
    let ran = stage.run(&["--once"]).expect(0).stdout();
    assert!(ran.contains("approved in acme.yaml:7: moved: away (commit "), "{ran}");
    let ran = stage.run(&ALL).expect(0);
    assert!(ran.stderr().contains("nothing is held"), "{}", ran.stderr());
}

#[test]
fn outside_a_work_tree_nothing_is_written() {
    let stage = held();
    std::fs::remove_dir_all(stage.path(".git")).unwrap();
    let ran = stage.run(&ALL).expect(1).stderr();
    assert!(ran.contains("approvals do not count here"), "{ran}");
    assert!(ran.contains("rosterd apply PLAN.json --include-held --reason"), "{ran}");
    assert_eq!(stage.read("acme.yaml"), ROSTER);
    let budgets = "guard: { budgets:";
    let from_file = config(&["acme"]).replace(budgets, "guard: { approvals: file, budgets:");
    stage.write("rosterd.yaml", &from_file);
    stage.run(&ALL).expect(0);
    stage.write("acme.yaml", &stage.read("acme.yaml"));
    stage.run(&["--once"]).expect(0);
}

#[test]
fn only_the_named_people_are_approved() {
    let stage = held();
    let ran = stage.run(&["approve", "MATT@acme.io", "--reason", "left"]).expect(0);
    assert!(ran.stdout().contains("+  - disable: [matt@acme.io]\n+    reason: left\n"));
    let before = stage.read("acme.yaml");
    for (email, why) in [
        ("zoe@acme.io", "nothing is held for zoe@acme.io"),
        ("alexandra@acme.io", "nothing is held for alexandra@acme.io"),
    ] {
        let ran = stage.run(&["approve", "jonny@acme.io", email, "--reason", "x"]).expect(1);
        assert!(ran.stderr().contains(why), "{}", ran.stderr());
    }
    assert_eq!(stage.read("acme.yaml"), before);
}

#[test]
fn without_people_or_a_reason_it_is_wrong_usage() {
    let stage = held();
    let ran = stage.run(&["approve"]).expect(64);
    for line in ["--all", "--reason", "acme  disable  jonny@acme.io", "acme  disable  matt@acme.io"]
    {
        assert!(ran.stderr().contains(line), "{}", ran.stderr());
    }
    for arguments in [
        &["approve", "--all"][..],
        &["approve", "--all", "--reason", " \t"],
        &["approve", "jonny@acme.io"],
        &["approve", "--all", "jonny@acme.io", "--reason", "x"],
    ] {
        stage.run(arguments).expect(64);
    }
    assert_eq!(stage.read("acme.yaml"), ROSTER);
}

#[test]
fn what_no_approval_releases_is_an_error() {
    let stage = held();
    let none = "version: 1\nusers: []\n";
    stage.write("acme.yaml", none);
    let ran = stage.run(&["approve", "alexandra@acme.io", "--reason", "x"]).expect(1);
    let said = "alexandra@acme.io is held by empty-roster";
    assert!(
        ran.stderr().contains(said) || ran.stderr().contains("no approval"),
        "{}",
        ran.stderr()
    );
    assert_eq!(stage.read("acme.yaml"), none);
    let one = "version: 1\nusers: [{ email: alexandra@acme.io, role: BUSINESS }]\n";
    stage.write("acme.yaml", one);
    let ran = stage.run(&["approve", "alexandra@acme.io", "--reason", "x"]).expect(1);
    let message = "alexandra@acme.io is held by min-admins, which no approval releases";
    assert!(ran.stderr().contains(message), "{}", ran.stderr());
    stage.write("acme.yaml", "version: 1\nusers: [");
    stage.run(&ALL).expect(78);
}

#[test]
fn of_several_workspaces_one_is_selected() {
    let mut stage = TestEnv::new();
    stage.set("acme", "one");
    stage.set("beta", "another");
    stage.write("rosterd.yaml", &config(&["acme", "beta"]));
    stage.write("acme.yaml", ROSTER);
    stage.write("beta.yaml", ROSTER);
    Repository::at(&stage.path(""));
    let sandbox = |arguments: &[&str]| stage.run(&[&["--sandbox"], arguments].concat());
    let ran = sandbox(&ALL).expect(64);
    assert!(ran.stderr().contains("--workspace"), "{}", ran.stderr());
    let ran = sandbox(&["approve"]).expect(64);
    assert!(ran.stderr().contains("beta  disable  matt@acme.io"), "{}", ran.stderr());
    sandbox(&[&ALL[..], &["--workspace", "beta"]].concat()).expect(0);
    assert_eq!(stage.read("beta.yaml"), format!("{ROSTER}{SECTION}"));
    stage.write("beta.yaml", &stage.read("beta.yaml"));
    Repository::at(&stage.path("")).commit("Matt", "Approve in beta");
    sandbox(&ALL).expect(0);
    assert_eq!(stage.read("acme.yaml"), format!("{ROSTER}{SECTION}"), "the only one left");
}

#[test]
fn a_link_stays_one_and_only_the_first_file_is_edited() {
    let stage = held();
    std::fs::create_dir_all(stage.path("teams/real")).unwrap();
    stage.write("teams/real/people.yaml", ROSTER);
    symlink("real/people.yaml", stage.path("teams/a.yaml")).unwrap();
    stage.write("teams/b.yaml", "version: 1\nusers: []\n");
    let ran = stage.run(&[&ALL[..], &["-c", "rosterd.yaml", "-u", "teams"]].concat()).expect(0);
    assert!(ran.stdout().contains("+++ b/teams/a.yaml"), "{}", ran.stdout());
    assert_eq!(stage.read("teams/real/people.yaml"), format!("{ROSTER}{SECTION}"));
    assert!(stage.path("teams/a.yaml").is_symlink());
    let elsewhere = tempfile::tempdir().unwrap();
    Repository::at(elsewhere.path());
    std::fs::copy(stage.path("acme.yaml"), elsewhere.path().join("acme.yaml")).unwrap();
    std::fs::remove_file(stage.path("acme.yaml")).unwrap();
    symlink(elsewhere.path().join("acme.yaml"), stage.path("acme.yaml")).unwrap();
    let ran = stage.run(&ALL).expect(78);
    assert!(ran.stderr().contains("acme.yaml is not read"), "{}", ran.stderr());
    assert_eq!(stage.read("acme.yaml"), ROSTER);
}

#[test]
fn what_cannot_be_written_is_printed() {
    let stage = held();
    let alias = "version: 1\nusers: &none []\napprovals: *none\n";
    let member = ROSTER.lines().last().unwrap();
    stage.write(
        "acme.yaml",
        &alias.replace("&none []", &format!("\n{member}")).replace("*none", "[\n]"),
    );
    let before = stage.read("acme.yaml");
    let ran = stage.run(&ALL).expect(1);
    let items = SECTION.trim_start().split_once('\n').unwrap().1;
    assert_eq!(ran.stdout(), items, "the key is there already");
    assert!(ran.stderr().contains("below `approvals:` in acme.yaml"), "{}", ran.stderr());
    assert_eq!(stage.read("acme.yaml"), before);
}
