//! Where a roster comes from: the commit that last touched its files, and its earlier versions.
//!
//! A mount without a repository can tell its commit in the environment. What cannot be told is
//! not told: nothing about a repository is ever an error here.

use std::path::{Path, PathBuf};

use super::git::Checkout;
use super::{bounded, is_glob};
use crate::diagnostic::Sources;
use crate::revision::Revision;

/// The commit, where the files come from somewhere else than a git work tree.
pub const VARIABLE: &str = "ROSTERD_REVISION";
/// A file that tells the same: the commit, then lines `author: …` and `subject: …`.
pub const FILE_VARIABLE: &str = "ROSTERD_REVISION_FILE";

/// A longer text tells nothing about a commit.
pub(super) const LONGEST: usize = 200;
const MAX_FILE: u64 = 4 * 1024;

/// The commit of the roster that was read from `users`, relative to `base`.
pub fn of(
    users: &[String],
    base: &Path,
    sources: &Sources,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<Revision> {
    told(env).or_else(|| Checkout::of(&roots(users, base), base, sources)?.revision())
}

/// The versions of the roster before the one that was read, each with the commit that replaced it
/// by the next one: the newest first. What is not committed comes first of all.
pub fn versions(users: &[String], base: &Path, sources: &Sources) -> Vec<(Revision, Sources)> {
    let checkout = Checkout::of(&roots(users, base), base, sources);
    checkout.map(|checkout| checkout.versions()).unwrap_or_default()
}

/// Each file or folder that is written; of a pattern the folder before its first wildcard.
fn roots(users: &[String], base: &Path) -> Vec<PathBuf> {
    let root = |written: &String| {
        if is_glob(written) { base.join(super::fixed(written)) } else { base.join(written) }
    };
    users.iter().map(root).collect()
}

/// What the environment says.
fn told(env: &dyn Fn(&str) -> Option<String>) -> Option<Revision> {
    if let Some(text) = env(VARIABLE).filter(|text| !text.trim().is_empty()) {
        return Some(plain(&text));
    }
    let path = env(FILE_VARIABLE).filter(|path| !path.is_empty())?;
    let bytes = bounded(Path::new(&path), MAX_FILE).ok()?;
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

pub(super) fn shortened(text: &str) -> String {
    text.trim().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_the_first_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revision");
        std::fs::write(&file, "3f2c1ab\nauthor: Matt <matt@acme.io>\nsubject: let: Zoe in\nx\n")
            .unwrap();
        let path = file.to_str().unwrap().to_owned();
        let of_file = told(&|name| (name == FILE_VARIABLE).then(|| path.clone())).unwrap();
        assert_eq!(of_file.author.as_deref(), Some("Matt <matt@acme.io>"));
        assert_eq!(of_file.subject.as_deref(), Some("let: Zoe in"));
        let both =
            |name: &str| Some(if name == VARIABLE { " v42 \n".to_owned() } else { path.clone() });
        assert_eq!(told(&both), Some(plain("v42")));
        assert_eq!(told(&|_| Some(String::new())), None);
        assert_eq!(told(&|name| (name == FILE_VARIABLE).then(|| "/nowhere".into())), None);
        assert_eq!(plain(&"x".repeat(1000)).commit.len(), LONGEST);
    }
}
