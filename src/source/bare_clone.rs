//! The bare clone of a repository in the state directory. Only commits that it has are read.
//!
//! It has a ref for the commit that was fetched last, for each roster one for the last commit in
//! which it was usable, and one for a rewritten history that an operator accepted.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use gix::refs::transaction::PreviousValue;
use gix::{ObjectId, Repository};

use super::RosterSource;
use super::ancestry::is_ancestor;
use super::git::opened;
use super::remote::{GitRemote, REACHED};
use super::tree::Tree;
use super::trust;
use crate::diagnostic::{Diagnostic, Sources};
use crate::escape::escape;
use crate::guard::operator::OperatorHold;
use crate::memory::entry::Acceptable;
use crate::roster::Digest;

pub(super) const FETCHED: &str = "refs/rosterd/fetched";
/// The last commit with a usable roster.
const ACCEPTED: &str = "accepted";
/// The commit of a rewritten history that an operator accepted.
const REWRITTEN: &str = "rewritten";
/// How long a server may be away before that is an outage, besides the time between two fetches.
const TOLERATED: Duration = Duration::from_mins(5);
/// A lock of a ref is held for much less than this.
const LOCK_AGE: Duration = Duration::from_mins(1);
/// When this process first needed a clone. A restart may find an old one.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The clone as it is now.
pub(super) struct BareClone {
    pub repository: Repository,
    /// Time since the last successful fetch.
    reached: Option<Duration>,
}

impl GitRemote {
    /// The clone; it is made if it is missing.
    pub(super) fn open(&self) -> Result<BareClone, Diagnostic> {
        let failed = |error: &dyn std::fmt::Display| {
            let folder = self.clone.to_string_lossy();
            let folder = escape(&folder);
            Diagnostic::error("clone", format!("the clone in {folder} is not usable: {error}"))
                .hint("delete the folder; the next fetch makes it again")
        };
        LazyLock::force(&STARTED);
        if !self.clone.join("HEAD").exists() {
            std::fs::create_dir_all(&self.clone).map_err(|error| failed(&error))?;
            gix::init_bare(&self.clone).map_err(|error| failed(&error))?;
        }
        remove_old_locks(&self.clone.join("refs/rosterd"));
        let repository = opened(&self.clone).ok_or_else(|| failed(&"it is no git repository"))?;
        Ok(BareClone { repository, reached: self.age() })
    }

    /// Time since the last successful fetch; None before the first.
    pub fn age(&self) -> Option<Duration> {
        let reached = std::fs::metadata(self.clone.join(REACHED)).and_then(|it| it.modified());
        reached.ok().map(|time: SystemTime| time.elapsed().unwrap_or_default())
    }
}

impl BareClone {
    fn fetched(&self) -> Result<ObjectId, Diagnostic> {
        commit_of(&self.repository, FETCHED).ok_or_else(|| {
            Diagnostic::error("not-fetched", "nothing was fetched of the repository yet")
                .hint("the daemon and `rosterd --plan` fetch it")
        })
    }

    /// The commit to read, unless that would go back, a signature is missing, or the server
    /// has been away for long.
    fn newest(&self, users: &[String], remote: &GitRemote) -> Result<ObjectId, Diagnostic> {
        let fetched = self.fetched()?;
        if is_away(self.reached, STARTED.elapsed(), remote.poll) {
            let message = "the git server has not answered for more than 5 minutes";
            return Err(Diagnostic::error("git-away", message)
                .hint("the last accepted commit stays in force; see the problem of the fetch"));
        }
        if let Some(rewritten) = self.rewritten(users) {
            return Err(Diagnostic::error("rewritten", rewritten.message)
                .hint("push a commit that follows it, or accept it: `rosterd accept history`"));
        }
        if let Some(file) = &remote.ssh_signers {
            trust::check(&self.repository, users, file, self.base(users), fetched)?;
        }
        Ok(fetched)
    }

    /// The commit that was fetched, if it does not follow the last accepted one.
    fn rewritten(&self, users: &[String]) -> Option<OperatorHold> {
        let (fetched, accepted) = (self.fetched().ok()?, self.base(users)?);
        if is_ancestor(&self.repository, accepted, fetched) {
            return None;
        }
        let message = format!(
            "the history was rewritten: commit {} does not follow {}, the last accepted one",
            fetched.to_hex_with_len(12),
            accepted.to_hex_with_len(12),
        );
        Some(OperatorHold::new(Acceptable::History, message, &[&fetched.to_string()]))
    }

    /// The last commit with a usable roster.
    fn accepted(&self, users: &[String]) -> Option<ObjectId> {
        commit_of(&self.repository, &reference(ACCEPTED, users))
    }

    /// The commit that the next one must follow: the last one with a usable roster, or of a
    /// rewritten history the one that an operator accepted, whose roster may not be usable.
    fn base(&self, users: &[String]) -> Option<ObjectId> {
        self.accepted_rewritten(users).or_else(|| self.accepted(users))
    }

    fn accepted_rewritten(&self, users: &[String]) -> Option<ObjectId> {
        commit_of(&self.repository, &reference(REWRITTEN, users))
    }

    fn point(&self, kind: &str, users: &[String], commit: ObjectId) -> Result<(), Diagnostic> {
        point(&self.repository, &reference(kind, users), commit)
            .map_err(|why| Diagnostic::error("clone", format!("the clone is not writable: {why}")))
    }
}

/// A process that was killed while it wrote a ref has left its lock.
fn remove_old_locks(refs: &Path) {
    for entry in std::fs::read_dir(refs).into_iter().flatten().flatten() {
        let path = entry.path();
        let written = entry.metadata().and_then(|it| it.modified());
        let age = written.ok().and_then(|time| time.elapsed().ok());
        if path.extension().is_some_and(|it| it == "lock") && age > Some(LOCK_AGE) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The ref of a roster in these files.
fn reference(kind: &str, users: &[String]) -> String {
    let digest = Digest::of(users.iter().map(String::as_str)).hex();
    format!("refs/rosterd/{kind}-{}", &digest[..16])
}

/// Whether the server has been away for long: after a restart, that is not known at once.
fn is_away(reached: Option<Duration>, running: Duration, poll: Duration) -> bool {
    running > TOLERATED && reached.is_none_or(|age| age > poll + TOLERATED)
}

pub(super) fn commit_of(repository: &Repository, name: &str) -> Option<ObjectId> {
    let found = repository.try_find_reference(name).ok()??;
    found.try_id().map(gix::Id::detach)
}

pub(super) fn point(repository: &Repository, name: &str, commit: ObjectId) -> Result<(), String> {
    let written = repository.reference(name, commit, PreviousValue::Any, "rosterd");
    written.map(drop).map_err(|error| error.to_string())
}

impl RosterSource {
    /// The files of the newest commit.
    pub(super) fn fetched(&self, remote: &GitRemote) -> Result<Sources, Vec<Diagnostic>> {
        let newest = || {
            let clone = remote.open()?;
            let commit = clone.newest(&self.users, remote)?;
            Ok((clone, commit))
        };
        let (clone, commit) = newest().map_err(|problem| vec![problem])?;
        self.of_commit(&clone, commit)
    }

    /// The files of the last commit with a usable roster, if the newest has none.
    pub fn last_accepted(&self) -> Option<Sources> {
        let clone = self.git.as_ref()?.open().ok()?;
        self.of_commit(&clone, clone.accepted(&self.users)?).ok()
    }

    /// The commit of these files has a usable roster: after a restart it is still in force. A later
    /// run may have accepted a newer one already.
    pub fn accept(&self, sources: &Sources) -> Result<(), Diagnostic> {
        let commit = sources.commit().and_then(|it| it.parse().ok());
        let (Some(remote), Some(commit)) = (&self.git, commit) else { return Ok(()) };
        let clone = remote.open()?;
        let (accepted, base) = (clone.accepted(&self.users), clone.base(&self.users));
        let precedes = |one, other| one != other && is_ancestor(&clone.repository, one, other);
        // The last accepted commit may also follow the history that an operator accepted since.
        let moves = base.is_none_or(|base| precedes(base, commit));
        if accepted == Some(commit) && !moves || base.is_some_and(|base| precedes(commit, base)) {
            return Ok(());
        }
        if clone.accepted_rewritten(&self.users).is_some() {
            clone.point(REWRITTEN, &self.users, commit)?;
        }
        clone.point(ACCEPTED, &self.users, commit)
    }

    /// The commit that was fetched, if an operator must accept it.
    pub fn rewritten(&self) -> Option<OperatorHold> {
        self.git.as_ref()?.open().ok()?.rewritten(&self.users)
    }

    /// Takes the commit that was fetched although it does not follow the last accepted one, if it
    /// is the one that `hold` shows. It comes into force when its roster is found usable.
    pub fn accept_rewritten(&self, hold: &OperatorHold) -> Result<(), Diagnostic> {
        let Some(remote) = &self.git else { return Ok(()) };
        let clone = remote.open()?;
        if clone.rewritten(&self.users).as_ref() != Some(hold) {
            return Err(Diagnostic::error("moved", "another commit was fetched meanwhile"));
        }
        clone.point(REWRITTEN, &self.users, clone.fetched()?)
    }

    fn of_commit(&self, clone: &BareClone, commit: ObjectId) -> Result<Sources, Vec<Diagnostic>> {
        let tree = Tree::of(&clone.repository, commit).map_err(|problem| vec![problem])?;
        let sources = tree.read(&self.users, self.max_bytes)?;
        Ok(sources.at_commit(commit.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lock_that_nobody_holds_is_removed() {
        let refs = tempfile::tempdir().unwrap();
        let [old, young, commit] =
            ["old.lock", "young.lock", "fetched"].map(|it| refs.path().join(it));
        for path in [&old, &young, &commit] {
            std::fs::write(path, "").unwrap();
        }
        let long_ago = SystemTime::UNIX_EPOCH;
        for path in [&old, &commit] {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        remove_old_locks(refs.path());
        assert!(!old.exists() && young.exists() && commit.exists());
    }

    #[test]
    fn a_server_is_away_after_five_minutes_in_which_it_could_have_been_reached() {
        let [short, long] = [Duration::from_mins(5), Duration::from_secs(301)];
        let is_away = |reached, running| is_away(reached, running, Duration::from_hours(1));
        let [old, young] = [3_901, 3_900].map(|age| Some(Duration::from_secs(age)));
        assert!(is_away(old, long) && is_away(None, long));
        assert!(!is_away(young, long), "the next fetch is not late");
        assert!(!is_away(Some(Duration::from_hours(9)), short), "after a restart");
        assert!(!is_away(None, short), "the first fetch is under way");
    }
}
