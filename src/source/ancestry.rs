//! Which commits are before which. Dates do not count: the author of a commit chooses its date,
//! and searches that are faster because of dates find wrong answers.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use gix::{ObjectId, Repository};

pub(super) fn parents(repository: &Repository, commit: ObjectId) -> Result<Vec<ObjectId>, String> {
    let commit = repository.find_commit(commit).map_err(|error| error.to_string())?;
    Ok(commit.parent_ids().map(gix::Id::detach).collect())
}

/// Whether a commit is `of`, or one of those before it. It is not if a shallow clone ends between.
pub(super) fn is_ancestor(repository: &Repository, commit: ObjectId, of: ObjectId) -> bool {
    let (mut found, mut open) = (HashSet::from([of]), VecDeque::from([of]));
    while let Some(next) = open.pop_front() {
        if next == commit {
            return true;
        }
        let parents = parents(repository, next).unwrap_or_default();
        open.extend(parents.into_iter().filter(|parent| found.insert(*parent)));
    }
    false
}

/// A commit and all before it.
pub(super) fn ancestors(
    repository: &Repository,
    commit: ObjectId,
    deadline: Instant,
) -> Result<HashSet<ObjectId>, String> {
    let (mut found, mut open) = (HashSet::from([commit]), vec![commit]);
    while let Some(next) = open.pop() {
        if Instant::now() > deadline {
            return Err("its history is too long".into());
        }
        let parents = parents(repository, next)?;
        open.extend(parents.into_iter().filter(|parent| found.insert(*parent)));
    }
    Ok(found)
}

/// Where two histories have parted: their last common commits.
pub(super) fn merge_bases(
    repository: &Repository,
    one: ObjectId,
    other: ObjectId,
    deadline: Instant,
) -> Result<HashSet<ObjectId>, String> {
    let others = ancestors(repository, other, deadline)?;
    let mut bases = ancestors(repository, one, deadline)?;
    bases.retain(|commit| others.contains(commit));
    for commit in bases.clone() {
        for parent in parents(repository, commit)? {
            bases.remove(&parent);
        }
    }
    Ok(bases)
}
