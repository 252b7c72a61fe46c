//! The commit that last changed the files of a roster, and its earlier versions.
//!
//! Without a repository, the environment may contain the commit. Missing information is never an
//! error here.

use std::collections::BTreeSet;
use std::iter::from_fn;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use super::deadline::{self, TIME_LIMIT, within};
use super::git::{self, Checkout, Found, blobs};
use super::{RosterSource, is_glob, read_limited};
use crate::diagnostic::Sources;
use crate::link::{Links, RepoUrl};
use crate::revision::{Revision, shortened};

/// The commit, if the files are not in a git work tree.
pub const VARIABLE: &str = "ROSTERD_REVISION";
/// Path of a file with the commit, followed by lines `author: …` and `subject: …`.
pub const FILE_VARIABLE: &str = "ROSTERD_REVISION_FILE";

const MAX_FILE: usize = 4 * 1024;

/// Whose work trees are believed: those of this process's user, of root and of `owner`, and those
/// in the folders that the configuration lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The uid that owns the configuration.
    pub owner: Option<u32>,
    pub safe_directories: Vec<PathBuf>,
}

/// The roster of the last commit, compared with the files that were read.
#[derive(Debug)]
pub enum LastCommit {
    /// The files are not in a work tree with a commit.
    None,
    /// The work tree belongs to somebody who is not trusted.
    Untrusted,
    /// All files are as in the commit.
    Same,
    /// The commit has other files. They are empty if it has not the first file.
    Other(Sources),
}

impl RosterSource {
    /// The commit of the files that were read.
    pub fn revision(
        &self,
        sources: &Sources,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Revision> {
        from_env(env).or_else(|| self.checkout(sources).readable()?.revision())
    }

    /// Links to the files that were read, if a forge shows them. Lines have links in `revision`,
    /// unless there are uncommitted changes.
    pub fn links(&self, sources: &Sources, revision: Option<&Revision>) -> Option<Links> {
        let checkout = self.checkout(sources).readable();
        let remote = || match &self.git {
            Some(remote) => Some(remote.url.to_string()),
            None => checkout.as_ref()?.origin(),
        };
        Some(Links {
            repo: self.repo_url.clone().or_else(|| RepoUrl::of_remote(&remote()?))?,
            commit: revision.filter(|it| !it.dirty).map(|it| it.commit.clone()),
            files: checkout.as_ref().map(Checkout::paths).unwrap_or_default(),
        })
    }

    /// The earlier versions of the roster, each with the commit that replaced it, newest first, one
    /// at a time. Uncommitted changes are the first. One that cannot be read, or is too large, is
    /// None.
    pub fn versions(
        &self,
        sources: &Sources,
    ) -> impl Iterator<Item = (Revision, Option<Sources>)> + use<> {
        let checkout = self.checkout_later(sources);
        let (sender, versions) = sync_channel(0);
        let read = move || {
            let checkout = checkout().readable();
            checkout.map(|checkout| checkout.versions(|version| sender.send(version).is_ok()));
        };
        // Without the thread the channel is closed.
        let _ = deadline::spawn(read);
        let end = Instant::now() + TIME_LIMIT;
        from_fn(move || versions.recv_timeout(end.saturating_duration_since(Instant::now())).ok())
    }

    /// Whether the files are in a git work tree, trusted or not.
    pub fn is_in_work_tree(&self) -> bool {
        self.git.is_some() || !matches!(git::repository(&self.roots(), &self.trust), Found::Nothing)
    }

    /// The roster of the last commit.
    pub fn last_commit(&self, sources: &Sources) -> LastCommit {
        match self.checkout(sources) {
            Found::Nothing => LastCommit::None,
            Found::Untrusted => LastCommit::Untrusted,
            Found::Readable(checkout) => match checkout.changed() {
                None => LastCommit::Same,
                Some(committed) => LastCommit::Other(committed),
            },
        }
    }

    /// The names of the files whose contents are those of the last commit.
    pub fn committed(&self, sources: &Sources) -> BTreeSet<String> {
        let checkout = self.checkout_later(sources);
        let committed = within(TIME_LIMIT, move || Some(checkout().readable()?.committed()));
        committed.flatten().unwrap_or_default()
    }

    fn checkout(&self, sources: &Sources) -> Found<Checkout> {
        self.checkout_later(sources)()
    }

    /// The same, to be opened in another thread.
    fn checkout_later(&self, sources: &Sources) -> impl FnOnce() -> Found<Checkout> + use<> {
        let (source, files) = (self.clone(), blobs(sources));
        let commit = sources.commit().map(str::to_owned);
        move || match &source.git {
            Some(remote) => {
                let checkout = || {
                    let repository = remote.open().ok()?.repository;
                    Checkout::of_commit(repository, &commit?, &source, files)
                };
                checkout().map_or(Found::Nothing, Found::Readable)
            }
            None => Checkout::of(&source, files),
        }
    }

    /// Each file or folder of `users`; for a pattern, the folder before its first wildcard.
    pub(super) fn roots(&self) -> Vec<PathBuf> {
        let root = |written: &String| {
            let path = if is_glob(written) { super::fixed(written) } else { Path::new(written) };
            self.base.join(path)
        };
        self.users.iter().map(root).collect()
    }
}

/// The commit in the environment.
fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Option<Revision> {
    if let Some(text) = env(VARIABLE).filter(|text| !text.trim().is_empty()) {
        return Some(plain(&text));
    }
    let path = env(FILE_VARIABLE).filter(|path| !path.is_empty())?;
    let bytes = read_limited(Path::new(&path), MAX_FILE).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut revision = plain(lines.next()?);
    for line in lines {
        match line.split_once(':') {
            Some(("author", author)) => revision.author = Some(shortened(author)),
            Some(("subject", subject)) => revision.subject = Some(shortened(subject)),
            _ => {}
        }
    }
    Some(revision)
}

fn plain(text: &str) -> Revision {
    let commit = shortened(text);
    Revision { commit, author: None, subject: None, at: None, dirty: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::MAX_CHARS;

    #[test]
    fn the_environment_takes_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revision");
        std::fs::write(&file, "3f2c1ab\nauthor: Matt <matt@acme.io>\nsubject: let: Zoe in\nx\n")
            .unwrap();
        let path = file.to_str().unwrap().to_owned();
        let of_file = from_env(&|name| (name == FILE_VARIABLE).then(|| path.clone())).unwrap();
        assert_eq!(of_file.author.as_deref(), Some("Matt <matt@acme.io>"));
        assert_eq!(of_file.subject.as_deref(), Some("let: Zoe in"));
        let both =
            |name: &str| Some(if name == VARIABLE { " v42 \n".to_owned() } else { path.clone() });
        assert_eq!(from_env(&both), Some(plain("v42")));
        assert_eq!(from_env(&|_| Some(String::new())), None);
        assert_eq!(from_env(&|name| (name == FILE_VARIABLE).then(|| "/nowhere".into())), None);
        assert_eq!(plain(&"x".repeat(1000)).commit.len(), MAX_CHARS);
    }
}
