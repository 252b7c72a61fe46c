//! Which commits of a repository are accepted: changes of the roster need a listed signature.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use gix::{ObjectId, Repository};

use super::ancestry::{ancestors, merge_bases, parents};
use super::signers::Signers;
use super::tree::Tree;
use crate::clock::{Clock as _, SystemClock};
use crate::diagnostic::Diagnostic;
use crate::escape::escape;

/// Maximum time to look for commits without a signature.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The contents of every file of a roster.
type Contents = Rc<Vec<(String, Option<ObjectId>)>>;

struct History<'r> {
    repository: &'r Repository,
    users: &'r [String],
    signers: Signers,
    /// By commit.
    known: RefCell<HashMap<ObjectId, Contents>>,
    end: Instant,
}

/// Fails unless the roster of a commit is that of the accepted one, or every change of it since
/// is signed. If none is accepted yet, its last change must be signed.
pub(super) fn check(
    repository: &Repository,
    users: &[String],
    signers: &Path,
    accepted: Option<ObjectId>,
    commit: ObjectId,
) -> Result<(), Diagnostic> {
    let (signers, end) = (Signers::read(signers)?, Instant::now() + TIME_LIMIT);
    let history = History { repository, users, signers, known: RefCell::default(), end };
    let Some(accepted) = accepted else { return history.check_last_change(commit) };
    if history.contents(accepted)? == history.contents(commit)? {
        return Ok(());
    }
    let before = ancestors(repository, accepted, end).map_err(broken)?;
    for id in ancestors(repository, commit, end).map_err(broken)?.difference(&before).copied() {
        if history.carried(id)?.is_none() {
            history.check_signature(id)?;
        }
    }
    Ok(())
}

impl History<'_> {
    fn check_last_change(&self, commit: ObjectId) -> Result<(), Diagnostic> {
        let mut current = commit;
        while let Some(parent) = self.carried(current)? {
            current = parent;
        }
        self.check_signature(current)
    }

    /// The parent whose roster a commit carries on: it changes nothing itself. A merge may carry
    /// on one only if the others have changed nothing since they parted, because it would undo
    /// that.
    fn carried(&self, commit: ObjectId) -> Result<Option<ObjectId>, Diagnostic> {
        let roster = self.contents(commit)?;
        let parents = parents(self.repository, commit).map_err(broken)?;
        for parent in &parents {
            if self.contents(*parent)? != roster {
                continue;
            }
            let mut is_carried = true;
            for other in parents.iter().filter(|other| *other != parent) {
                is_carried &=
                    self.contents(*other)? == roster || self.unchanged(*other, *parent)?;
            }
            if is_carried {
                return Ok(Some(*parent));
            }
        }
        Ok(None)
    }

    /// Whether a roster is still as it was where its history and another one parted.
    fn unchanged(&self, commit: ObjectId, other: ObjectId) -> Result<bool, Diagnostic> {
        let bases = merge_bases(self.repository, commit, other, self.end).map_err(broken)?;
        for base in &bases {
            if self.contents(*base)? != self.contents(commit)? {
                return Ok(false);
            }
        }
        Ok(!bases.is_empty())
    }

    fn check_signature(&self, id: ObjectId) -> Result<(), Diagnostic> {
        let commit = self.repository.find_commit(id).map_err(broken)?;
        let Err(why) = self.signers.check(&commit, SystemClock.now()) else { return Ok(()) };
        let author = commit.author().map(|author| author.email.to_string()).unwrap_or_default();
        let (id, author) = (id.to_hex_with_len(12), escape(&author));
        let message = format!("commit {id} of {author} changes the roster, and {}", escape(&why));
        Err(Diagnostic::error("not-signed", message)
            .hint("undo it first; then push it again, signed with a key of `ssh_signers`"))
    }

    fn contents(&self, commit: ObjectId) -> Result<Contents, Diagnostic> {
        if let Some(known) = self.known.borrow().get(&commit) {
            return Ok(Rc::clone(known));
        }
        if Instant::now() > self.end {
            return Err(broken("too many commits since the accepted one"));
        }
        let tree = Tree::of(self.repository, commit)?;
        let contents = Rc::new(tree.blobs(self.users));
        self.known.borrow_mut().insert(commit, Rc::clone(&contents));
        Ok(contents)
    }
}

fn broken(error: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error("not-verified", format!("the signatures cannot be verified: {error}"))
        .hint("the last accepted commit stays in force")
}
