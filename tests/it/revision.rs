//! Revisions of rosters in real repositories, made without a git binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::diagnostic::Sources;
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
use rosterd::source::{self, revision};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::directory::{Fake, FrozenClock};
use crate::support::run::{SCOPE, records};
use crate::support::world::World;

const ONE: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";

/// A work tree with a repository, and what it holds.
struct Repository {
    folder: TempDir,
    git: gix::Repository,
    head: Vec<ObjectId>,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = gix::init(folder.path()).unwrap();
        Self { folder, git, head: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits the files that are in the work tree, but for what begins with a dot.
    fn commit(&mut self, author: &str, subject: &str) -> String {
        let tree = self.tree(self.folder.path());
        let at = 1_800_000_000 + i64::try_from(self.head.len()).unwrap();
        let email = format!("{}@acme.io", author.to_lowercase());
        let time = format!("{at} +0000");
        let who = gix::actor::SignatureRef {
            name: author.into(),
            email: email.as_str().into(),
            time: &time,
        };
        let parents = self.head.last().copied();
        let text = format!("{subject}\n\nand more\n");
        let id = self.git.commit_as(who, who, "HEAD", text, tree, parents).unwrap().detach();
        self.head.push(id);
        id.to_string()
    }

    fn tree(&self, folder: &Path) -> ObjectId {
        let mut entries: Vec<Entry> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .map(|entry| {
                let is_folder = entry.path().is_dir();
                let oid = if is_folder {
                    self.tree(&entry.path())
                } else {
                    self.git.write_blob(fs::read(entry.path()).unwrap()).unwrap().detach()
                };
                let kind = if is_folder { EntryKind::Tree } else { EntryKind::Blob };
                let filename = entry.file_name().to_str().unwrap().into();
                Entry { mode: kind.into(), filename, oid }
            })
            .collect();
        entries.sort();
        self.git.write_object(gix::objs::Tree { entries }).unwrap().detach()
    }

    fn of(&self, users: &str) -> Option<Revision> {
        of(self.folder.path(), users)
    }
}

fn of(base: &Path, users: &str) -> Option<Revision> {
    let users = vec![users.to_owned()];
    let sources = source::load(&users, base).unwrap();
    revision::of(&users, base, &sources, &|_| None)
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
    let found = repository.of("team/users.yaml").unwrap();
    assert_eq!(found.commit, second);
    assert_eq!(found.author.as_deref(), Some("Matt <matt@acme.io>"));
    assert_eq!(found.subject.as_deref(), Some("Say more"), "the first line");
    assert_eq!(found.at.unwrap().as_second(), 1_800_000_001);
    assert_eq!((found.to_string(), found.dirty), (second[..7].to_owned(), false));
    assert_eq!(commit(repository.of("team")), second, "the folder");
    assert_eq!(commit(repository.of("team/*.yaml")), second, "a pattern");
}

#[test]
fn removing_a_file_from_a_folder_is_a_change() {
    let mut repository = Repository::new();
    repository.write("team/a.yaml", ONE);
    repository.write("team/b.yaml", "version: 1\nusers: []\n");
    repository.commit("Alexandra", "Begin");
    fs::remove_file(repository.path("team/b.yaml")).unwrap();
    let removed = repository.commit("Matt", "Close the other team");
    assert_eq!(commit(repository.of("team")), removed);
}

#[test]
fn uncommitted_changes_are_marked_and_have_no_author() {
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    let first = repository.commit("Alexandra", "Begin");
    repository.write("users.yaml", &ONE.replace('\n', "\r\n"));
    assert!(!repository.of("users.yaml").unwrap().dirty, "only the line endings differ");
    repository.write("users.yaml", &format!("{ONE}# more\n"));
    let dirty = repository.of("users.yaml").unwrap();
    assert_eq!((dirty.to_string(), dirty.author), (format!("{}+", &first[..7]), None));
    repository.write("users.yaml", ONE);
    repository.write("new/users.yaml", ONE);
    assert_eq!(repository.of("new/users.yaml"), None, "nothing of it is known");
}

#[test]
fn without_a_commit_there_is_no_revision() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users.yaml"), ONE).unwrap();
    assert_eq!(of(folder.path(), "users.yaml"), None, "no repository");
    let repository = Repository::new();
    repository.write("users.yaml", ONE);
    assert_eq!(repository.of("users.yaml"), None, "nothing has been committed");
    fs::write(repository.path(".git/HEAD"), "garbage").unwrap();
    assert_eq!(repository.of("users.yaml"), None, "it is broken");
    let mut repository = Repository::new();
    repository.write("users.yaml", ONE);
    repository.commit("Alexandra", "Begin");
    fs::remove_dir_all(repository.path(".git/objects")).unwrap();
    fs::create_dir(repository.path(".git/objects")).unwrap();
    assert_eq!(repository.of("users.yaml"), None, "its objects are gone");
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
    assert_eq!(commit(repository.of("users.yaml")), second);
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
        users: vec!["users.yaml".into()],
        base: repository.folder.path().to_owned(),
        zone: TimeZone::UTC,
        on_removed: OnRemoved::Disable,
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
    let head = repository.of("users.yaml").unwrap();
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
    let users = vec!["team".to_owned()];
    let base = repository.folder.path();
    let sources = source::load(&users, base).unwrap();
    let versions = revision::versions(&users, base, &sources);
    let told: Vec<(String, usize)> = versions
        .iter()
        .map(|(by, sources): &(Revision, Sources)| {
            (by.subject.clone().unwrap_or_default(), sources.iter().count())
        })
        .collect();
    assert_eq!(told, [("Close the other team".into(), 2), ("Begin".into(), 0)]);
}
