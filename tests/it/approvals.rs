//! Which approvals of a roster count, in real git work trees and outside of them.

use std::path::Path;

use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::guard::Limits;
use rosterd::plan::OnRemoved;
use rosterd::reconcile::{self, WorkspaceSpec};
use rosterd::roster::ApprovalState;
use rosterd::roster::policy::Policy;
use rosterd::source::RosterSource;

use crate::support::repository::Repository;
use crate::support::world::now;

const USERS: &str = "users:\n  - { email: alexandra@acme.io, role: ADMIN }\n";

/// A roster with these items, each an address and a reason.
fn roster(items: &[(&str, &str)]) -> String {
    let items = items.iter().map(|(name, reason)| {
        format!("  - {{ disable: [{name}@acme.io], reason: \"{reason}\" }}\n")
    });
    format!("version: 1\n{USERS}approvals:\n{}", items.collect::<String>())
}

fn spec(base: &Path, users: &str) -> WorkspaceSpec {
    WorkspaceSpec {
        workspace: "acme".into(),
        source: RosterSource::new(vec![users.to_owned()], base.to_owned()),
        max_changes: rosterd::reconcile::MAX_CHANGES,
        zone: TimeZone::UTC,
        on_removed: OnRemoved::Disable,
        limits: Limits::default(),
        approvals_in_file: false,
        policy: Policy::default(),
        sending: Sending { concurrency: 1, batch: 25 },
    }
}

/// The state of each approval, and whether approvals can count at all.
fn states(spec: &WorkspaceSpec) -> (Vec<ApprovalState>, bool) {
    let loaded = reconcile::load(spec, now()).unwrap();
    let states = loaded.roster.approvals().iter().map(|approval| approval.state).collect();
    (states, loaded.takes_approvals)
}

#[test]
fn in_a_work_tree_the_last_commit_decides() {
    use ApprovalState::{Counts, NoReason, NotCommitted};
    let mut repository = Repository::new();
    let mut spec = spec(repository.folder(), "users.yaml");
    spec.approvals_in_file = true;
    let items = [("zoe", "left"), ("yan", " ")];
    repository.write("users.yaml", &roster(&items));
    repository.write("README", "");
    assert_eq!(states(&spec).0, [Counts, NoReason], "no commit: there is nothing that decides");
    std::fs::remove_file(repository.path("users.yaml")).unwrap();
    repository.commit("Matt", "Say hello");
    repository.write("users.yaml", &roster(&items));
    assert_eq!(states(&spec), (vec![NotCommitted, NoReason], true), "the file is not tracked");
    repository.commit("Matt", "Approve Zoe");
    assert_eq!(states(&spec).0, [Counts, NoReason]);
    // Other lines of the file are not committed yet, nor is another reason or person.
    let saved = [("zoe", "left"), ("yan", "left"), ("zoe", "she left"), ("ZOE", "left")];
    repository.write("users.yaml", &format!("# more\n{}", roster(&saved)));
    assert_eq!(states(&spec).0, [Counts, NotCommitted, NotCommitted, Counts]);
    repository.write("users.yaml", "version: 1\nusers: [\n");
    repository.commit("Matt", "Break the file");
    repository.write("users.yaml", &roster(&items));
    assert_eq!(states(&spec).0, [NotCommitted, NoReason], "the commit has no valid roster");
    // What was committed once and is not in the last commit does not count.
    repository.write("users.yaml", &format!("version: 1\n{USERS}"));
    repository.commit("Matt", "Take it back");
    repository.write("users.yaml", &roster(&items));
    assert_eq!(states(&spec).0, [NotCommitted, NoReason]);
}

/// A pipe never answers; the roster is not used without its commits.
#[test]
fn a_repository_that_hangs_is_an_error() {
    let mut repository = Repository::new();
    repository.write("users.yaml", &roster(&[("zoe", "left")]));
    repository.commit("Matt", "Approve Zoe");
    let config = repository.path(".git/config");
    std::fs::remove_file(&config).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&config).status().unwrap();
    assert!(made.success());
    let limit = std::time::Duration::from_millis(100);
    let spec = spec(repository.folder(), "users.yaml");
    let error = reconcile::load_within(limit, &spec, now()).unwrap_err();
    let [problem] = &error.diagnostics[..] else { panic!("{error:?}") };
    assert_eq!(problem.code, "load-timeout");
    assert_eq!(problem.message, "the files of the roster were not read within 100ms");
    // The thread ends.
    drop(std::fs::OpenOptions::new().write(true).open(config).unwrap());
}

#[test]
fn only_the_first_file_of_the_commit_can_approve() {
    let mut repository = Repository::new();
    let spec = spec(repository.folder(), "teams");
    repository.write("teams/b.yaml", &roster(&[("zoe", "left")]));
    repository.commit("Matt", "Approve Zoe");
    assert_eq!(states(&spec).0, [ApprovalState::Counts]);
    // A file that is not committed becomes the first one.
    repository.write("teams/a.yaml", &roster(&[("zoe", "left")]));
    repository.write("teams/b.yaml", "version: 1\nusers: []\n");
    assert_eq!(states(&spec).0, [ApprovalState::NotCommitted]);
}

#[test]
fn outside_of_work_trees_the_configuration_decides() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec(folder.path(), "users.yaml");
    std::fs::write(folder.path().join("users.yaml"), roster(&[("zoe", "left")])).unwrap();
    assert_eq!(states(&spec), (vec![ApprovalState::NoWorkTree], false));
    spec.approvals_in_file = true;
    assert_eq!(states(&spec), (vec![ApprovalState::Counts], true));
}
