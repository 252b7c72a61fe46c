//! Revisions of rosters in real repositories, made without a git binary.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::diagnostic::{FileId, Place, Sources};
use rosterd::guard::Limits;
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::entry::Record;
use rosterd::memory::events::{EventKind, events};
use rosterd::plan::OnRemoved;
use rosterd::reconcile::{self, Run, RunOptions, RunSession, WorkspaceSpec};
use rosterd::report::Trigger;
use rosterd::revision::Revision;
use rosterd::role::Role;
use rosterd::roster::policy::Policy;
use rosterd::source::{MAX_BYTES, RosterSource};
use tokio_util::sync::CancellationToken;

use crate::support::directory::{Fake, FrozenClock};
use crate::support::repository::Repository;
use crate::support::run::{SCOPE, records};
use crate::support::world::World;

const ONE: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";

fn of(base: &Path, users: &str) -> Option<Revision> {
    let users = vec![users.to_owned()];
    let source = RosterSource::new(users, base.to_owned());
    source.revision(&source.load().unwrap(), &|_| None)
}

fn commit(revision: Option<Revision>) -> String {
    revision.expect("a revision").commit
}

#[test]
fn the_revision_is_the_last_commit_that_changed_the_files() {
    let mut repository = Repository::new();
    repository.write("team/users.yaml", ONE);
    repository.commit("Alexandra", "Begin");
    repository.write("team/users.yaml", &format!("{ONE}# more\n"));
    let second = repository.commit("Matt", "Say more");
    repository.write("README", "nothing to do with it");
    repository.commit("Zoe", "Something else");
    let found = of(repository.folder(), "team/users.yaml").unwrap();
    assert_eq!(found.commit, second);
    assert_eq!(found.author.as_deref(), Some("Matt <matt@acme.io>"));
    assert_eq!(found.subject.as_deref(), Some("Say more"), "the first line");
    assert_eq!(found.at.unwrap().as_second(), 1_800_000_001);
    assert_eq!((found.to_string(), found.dirty), (second[..7].to_owned(), false));
    assert_eq!(commit(of(repository.folder(), "team")), second, "the folder");
    assert_eq!(commit(of(repository.folder(), "team/*.yaml")), second, "a pattern");
}

#[test]
fn files_have_links_at_the_forge_of_the_remote() {
    let mut repository = Repository::new();
    repository.write("team/users.yaml", ONE);
    let commit = repository.commit("Alexandra", "Begin");
    let place = Place { file: FileId(0), line: 3, column: 1, start: 0, end: 0 };
    let links = |base: &str, users: &str, repo_url: Option<&str>| {
        let source = RosterSource::new(vec![users.to_owned()], repository.path(base));
        let source = RosterSource { repo_url: repo_url.map(|it| it.parse().unwrap()), ..source };
        let sources = source.load().unwrap();
        let revision = source.revision(&sources, &|_| None);
        let links = source.links(&sources, revision.as_ref());
        let sources = sources.linked(links);
        (sources.commit_url(&commit), sources.line_url(place))
    };
    assert_eq!(links("", "team", None), (None, None), "there is no remote");
    let settings = fs::read_to_string(repository.path(".git/config")).unwrap();
    let remote = "\n[remote \"origin\"]\n\turl = https://x:secret@github.com/acme/access.git\n";
    fs::write(repository.path(".git/config"), settings + remote).unwrap();
    let page = "https://github.com/acme/access";
    let expected = (
        Some(format!("{page}/commit/{commit}")),
        Some(format!("{page}/blob/{commit}/team/users.yaml#L3")),
    );
    assert_eq!(links("", "team", None), expected);
    assert_eq!(links("team", "users.yaml", None), expected, "the path is that in the repository");
    let own = "https://git.acme.io/{commit}/{file}";
    let line = Some(format!("https://git.acme.io/{commit}/team/users.yaml"));
    assert_eq!(links("", "team", Some(own)), (None, line));
    repository.write("team/users.yaml", &format!("{ONE}# not committed\n"));
    assert_eq!(links("", "team", None), (expected.0, None), "the commit has other lines");
}

#[test]
fn removing_a_file_from_a_folder_is_a_change() {
    let mut repository = Repository::new();
    repository.write("team/a.yaml", ONE);
    repository.write("team/b.yaml", "version: 1\nusers: []\n");
    repository.commit("Alexandra", "Begin");
    fs::remove_file(repository.path("team/b.yaml")).unwrap();
    let removed = repository.commit("Matt", "Close the other team");
    assert_eq!(commit(of(repository.folder(), "team")), removed);
}

#[test]
fn uncommitted_changes_are_marked_and_have_no_author() {
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    let first = repository.commit("Alexandra", "Begin");
    repository.write("users.yaml", &ONE.replace('\n', "\r\n"));
    assert!(!of(repository.folder(), "users.yaml").unwrap().dirty, "only the line endings differ");
    repository.write("users.yaml", &format!("{ONE}# more\n"));
    let dirty = of(repository.folder(), "users.yaml").unwrap();
    assert_eq!((dirty.to_string(), dirty.author), (format!("{}+", &first[..7]), None));
    repository.write("users.yaml", ONE);
    repository.write("new/users.yaml", ONE);
    assert_eq!(of(repository.folder(), "new/users.yaml"), None, "nothing of it is known");
}

#[test]
fn without_a_commit_there_is_no_revision() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users.yaml"), ONE).unwrap();
    assert_eq!(of(folder.path(), "users.yaml"), None, "no repository");
    let repository = Repository::new();
    repository.write("users.yaml", ONE);
    assert_eq!(of(repository.folder(), "users.yaml"), None, "nothing has been committed");
    fs::write(repository.path(".git/HEAD"), "garbage").unwrap();
    assert_eq!(of(repository.folder(), "users.yaml"), None, "it is broken");
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    repository.commit("Alexandra", "Begin");
    fs::remove_dir_all(repository.path(".git/objects")).unwrap();
    fs::create_dir(repository.path(".git/objects")).unwrap();
    assert_eq!(of(repository.folder(), "users.yaml"), None, "its objects are gone");
}

#[test]
fn a_shallow_clone_limits_the_versions() {
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    let first = repository.commit("Alexandra", "Begin");
    repository.write("README", "more");
    let second = repository.commit("Matt", "Something else");
    let object = format!(".git/objects/{}/{}", &first[..2], &first[2..]);
    fs::remove_file(repository.path(&object)).unwrap();
    fs::write(repository.path(".git/shallow"), format!("{second}\n")).unwrap();
    assert_eq!(commit(of(repository.folder(), "users.yaml")), second);
}

#[test]
fn a_linked_work_tree_behind_a_symbolic_link_is_read() {
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    let first = repository.commit("Alexandra", "Begin");
    let mount = tempfile::tempdir().unwrap();
    let tree = mount.path().join(&first);
    let linked = repository.path(".git/worktrees/one");
    fs::create_dir_all(&linked).unwrap();
    fs::create_dir(&tree).unwrap();
    fs::write(linked.join("HEAD"), format!("{first}\n")).unwrap();
    fs::write(linked.join("commondir"), "../..\n").unwrap();
    fs::write(linked.join("gitdir"), format!("{}\n", tree.join(".git").display())).unwrap();
    fs::write(tree.join(".git"), format!("gitdir: {}\n", linked.display())).unwrap();
    fs::write(tree.join("users.yaml"), ONE).unwrap();
    std::os::unix::fs::symlink(&tree, mount.path().join("current")).unwrap();
    assert_eq!(commit(of(mount.path(), "current/users.yaml")), first);
}

/// One run of the roster in a repository against a directory that knows nobody but an admin.
async fn authors(repository: &Repository, ledger: &Ledger, fake: &Fake) -> Vec<String> {
    let target = WorkspaceSpec {
        workspace: "acme".into(),
        source: RosterSource::new(vec!["users.yaml".into()], repository.folder().to_owned()),
        max_changes: rosterd::reconcile::MAX_CHANGES,
        zone: TimeZone::UTC,
        on_removed: OnRemoved::Disable,
        approvals_in_file: true,
        limits: Limits::default(),
        policy: Policy::default(),
        sending: Sending { concurrency: 1, batch: 25 },
    };
    let loaded = Arc::new(reconcile::load(&target, crate::support::world::now()).unwrap());
    let cancel = CancellationToken::new();
    let session = RunSession::acquire(&records(ledger), &FrozenClock, &cancel).await.unwrap();
    let run = Run {
        directory: fake,
        spec: &target,
        loaded: &loaded,
        session,
        options: RunOptions::new(Trigger::Start),
        clock: &FrozenClock,
        cancel: &cancel,
        on_plan: &|_| Ok(()),
        on_progress: &|_, _| {},
    };
    run.execute().await;
    let entries = ledger.entries().unwrap().into_iter().filter(|(scope, _)| scope == SCOPE);
    let entries: Vec<Record> = entries.map(|(_, noted)| noted).collect();
    let events = events(&entries, None).into_iter();
    let changes = events.filter(|event| matches!(event.kind, EventKind::Change(_)));
    let row = |event: rosterd::memory::events::Event| {
        let by = event.revision.map(|by| by.author.clone().unwrap_or_else(|| by.to_string()));
        format!("{} {}", event.email, by.unwrap_or_default())
    };
    changes.map(row).collect()
}

#[tokio::test]
async fn each_change_names_the_commit_that_caused_it() {
    let mut repository = Repository::new();
    let line = |name: &str, role: &str| format!("  - {{ email: {name}@acme.io, role: {role} }}\n");
    let begin = format!("{ONE}{}{}", line("jonny", "DEVELOPER"), line("max", "DEVELOPER"));
    repository.write("users.yaml", &begin);
    repository.commit("Alexandra", "Begin");
    let next = begin.replace(&line("max", "DEVELOPER"), "");
    repository.write("users.yaml", &next);
    repository.commit("Matt", "Max leaves");
    repository.write("users.yaml", "users: [");
    repository.commit("Yan", "A mistake");
    let next = format!("{next}{}", line("zoe", "ANALYST"));
    repository.write("users.yaml", &next);
    repository.commit("Zoe", "Let Zoe in");
    repository.write("users.yaml", &format!("{next}{}", line("yan", "ANALYST")));
    let world = World::default()
        .account("alexandra", Role::Admin)
        .account("jonny", Role::Business)
        .account("max", Role::Developer);
    let (fake, ledger) = (Fake::new(&world), Ledger::at(Location::Memory));
    let head = of(repository.folder(), "users.yaml").unwrap();
    assert_eq!(
        authors(&repository, &ledger, &fake).await,
        [
            "jonny@acme.io Alexandra <alexandra@acme.io>".to_owned(),
            "max@acme.io Matt <matt@acme.io>".to_owned(),
            format!("yan@acme.io {head}"),
            "zoe@acme.io Zoe <zoe@acme.io>".to_owned(),
        ]
    );
    assert!(head.dirty);
}

#[test]
fn an_earlier_version_includes_files_removed_since() {
    let mut repository = Repository::new();
    repository.write("team/a.yaml", ONE);
    repository.write("team/b.yaml", "version: 1\nusers: []\n");
    repository.commit("Alexandra", "Begin");
    fs::remove_file(repository.path("team/b.yaml")).unwrap();
    repository.commit("Matt", "Close the other team");
    let found = versions(repository.folder(), "team", MAX_BYTES);
    assert_eq!(found, [("Close the other team".into(), Some(2)), ("Begin".into(), Some(0))]);
}

/// The subject of each commit, and the number of files of the version that it replaced.
fn versions(base: &Path, users: &str, limit: usize) -> Vec<(String, Option<usize>)> {
    let users = vec![users.to_owned()];
    let source = RosterSource::new(users, base.to_owned());
    let sources = source.load().unwrap();
    let versions = RosterSource { max_bytes: limit, ..source }.versions(&sources);
    let shown = |(by, sources): (Revision, Option<Sources>)| {
        (by.subject.unwrap_or_default(), sources.map(|sources| sources.iter().count()))
    };
    versions.map(shown).collect()
}

#[test]
fn a_version_that_is_too_large_is_not_read() {
    let mut repository = Repository::new();
    repository.write("team/a.yaml", ONE);
    repository.commit("Alexandra", "Begin");
    repository.write("team/b.yaml", ONE);
    repository.commit("Zoe", "Two files");
    repository.write("team/b.yaml", "");
    repository.commit("Matt", "Make it small");
    let subjects = ["Make it small", "Two files", "Begin"].map(str::to_owned);
    for (limit, counts) in [
        (2 * ONE.len(), [Some(2), Some(1), Some(0)]),
        (2 * ONE.len() - 1, [None, Some(1), Some(0)]),
        (1, [None, None, Some(0)]),
    ] {
        let expected: Vec<_> = subjects.clone().into_iter().zip(counts).collect();
        assert_eq!(versions(repository.folder(), "team", limit), expected);
    }
}

/// Objects of a size that is not read at all, in a file of a few kilobytes.
#[test]
fn a_huge_object_is_not_read() {
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    repository.commit("Alexandra", "Begin");
    repository.write("users.yaml", &"#".repeat(49 << 20));
    repository.commit("Zoe", "Grow");
    repository.write("users.yaml", ONE);
    repository.commit("Matt", "Make it small");
    let found = versions(repository.folder(), "users.yaml", usize::MAX);
    let counts: Vec<_> = found.into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [None, Some(1), Some(0)]);
}

/// A commit can contain a folder that is a repository.
#[test]
fn a_repository_without_a_work_tree_is_none() {
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    repository.commit("Alexandra", "Begin");
    for name in ["HEAD", "config", "objects", "refs"] {
        fs::rename(repository.path(".git").join(name), repository.path(name)).unwrap();
    }
    fs::write(repository.path("config"), "[core]\n\tbare = false\n\tworktree = .\n").unwrap();
    fs::remove_dir_all(repository.path(".git")).unwrap();
    assert_eq!(of(repository.folder(), "users.yaml"), None);
}
