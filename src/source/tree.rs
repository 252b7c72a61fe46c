//! Reads the files of a roster from a commit. Links are followed only within the commit.

use std::collections::{BTreeSet, VecDeque};

use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};
use glob::{MatchOptions, Pattern};

use super::file::{TOO_LARGE, not_text, too_large};
use super::{
    MAX_FILES, bad_glob, fixed, is_glob, is_visible_yaml, no_file, roster_too_large, too_many,
};
use crate::diagnostic::{Diagnostic, Sources};

/// Maximum number of links on the way to a file, like Linux's.
const MAX_LINKS: usize = 40;
/// Maximum length of the target of a link.
const MAX_TARGET: usize = 4096;
/// Maximum number of names that a pattern is compared with.
const MAX_NAMES: usize = 100_000;
const LFS: &str = "version https://git-lfs.github.com/spec/";

/// The files of one commit.
pub(super) struct Tree<'r> {
    repository: &'r Repository,
    root: ObjectId,
}

/// What is at a path.
enum Object {
    File(ObjectId),
    Folder(ObjectId),
}

impl<'r> Tree<'r> {
    pub fn of(repository: &'r Repository, commit: ObjectId) -> Result<Self, Diagnostic> {
        let commit = repository.find_commit(commit);
        let root = commit.and_then(|commit| commit.tree_id()).map(gix::Id::detach);
        let root = root.map_err(|error| {
            let message = format!("the commit cannot be read: {error}");
            Diagnostic::error("unreadable-commit", message)
        })?;
        Ok(Self { repository, root })
    }

    /// Reads `users`: files, folders or globs. Together the files have at most `limit` bytes.
    pub fn read(&self, users: &[String], limit: usize) -> Result<Sources, Vec<Diagnostic>> {
        let (mut sources, mut problems, mut left) = (Sources::default(), Vec::new(), limit);
        for name in self.names(users)? {
            match self.text(&name, left) {
                Ok(text) => {
                    left -= text.len();
                    sources.add(name, text);
                }
                Err(problem) if problem.code == TOO_LARGE => {
                    problems.push(roster_too_large(&name, limit));
                    break;
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(sources) } else { Err(problems) }
    }

    /// Those of `users` that the commit has: an earlier one may lack some.
    pub fn existing(&self, users: &[String]) -> Vec<String> {
        let exists = |written: &&String| self.expand(written).is_ok_and(|found| !found.is_empty());
        users.iter().filter(exists).cloned().collect()
    }

    /// What `users` name, without what links in their folders lead to: the same objects are mostly
    /// the same roster.
    pub fn roots(&self, users: &[String]) -> Vec<Option<ObjectId>> {
        let root = |written: &String| {
            let path = if is_glob(written) { fixed(written) } else { written.as_ref() };
            match self.object(&path.to_string_lossy()).ok()? {
                Object::File(id) | Object::Folder(id) => Some(id),
            }
        };
        users.iter().map(root).collect()
    }

    /// The contents of every file of `users`: the same contents are the same roster.
    pub fn blobs(&self, users: &[String]) -> Vec<(String, Option<ObjectId>)> {
        let names = self.names(&self.existing(users)).unwrap_or_default();
        names.into_iter().map(|name| (name.clone(), self.blob_id(&name))).collect()
    }

    /// The object of a file.
    pub fn blob_id(&self, path: &str) -> Option<ObjectId> {
        if let Object::File(id) = self.object(path).ok()? { Some(id) } else { None }
    }

    /// The paths of all files, each once, in the order of `users`, then by name.
    fn names(&self, users: &[String]) -> Result<Vec<String>, Vec<Diagnostic>> {
        let (mut names, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for written in users {
            match self.expand(written) {
                Ok(found) if found.is_empty() => problems.push(no_file(written)),
                Ok(found) => {
                    names.extend(found.into_iter().filter(|name| seen.insert(name.clone())));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if names.len() > MAX_FILES {
            problems.push(too_many(names.len()));
        }
        if problems.is_empty() { Ok(names) } else { Err(problems) }
    }

    fn expand(&self, written: &str) -> Result<Vec<String>, Diagnostic> {
        if is_glob(written) {
            return self.matches(written);
        }
        let Object::Folder(folder) = self.object(written)? else {
            return Ok(vec![written.to_owned()]);
        };
        let names = self.entries(folder, written)?.into_iter().map(|(name, _)| name);
        let names = names.filter(|name| is_visible_yaml(name.as_ref()));
        let names = names.map(|name| join(written, &name));
        Ok(names.filter(|path| !matches!(self.object(path), Ok(Object::Folder(_)))).collect())
    }

    fn matches(&self, written: &str) -> Result<Vec<String>, Diagnostic> {
        let pattern = Pattern::new(written).map_err(|error| bad_glob(written, &error))?;
        let options = MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..MatchOptions::default()
        };
        let top = fixed(written).to_string_lossy().into_owned();
        let Ok(Object::Folder(folder)) = self.object(&top) else { return Ok(Vec::new()) };
        let (mut found, mut count) = (Vec::new(), 0);
        let mut folders = vec![(top, folder)];
        while let Some((path, folder)) = folders.pop() {
            for (name, is_folder) in self.entries(folder, &path)? {
                count += 1;
                let path = join(&path, &name);
                if let Some(folder) = is_folder {
                    folders.push((path, folder));
                } else if pattern.matches_with(&path, options) {
                    found.push(path);
                }
            }
            if count > MAX_NAMES {
                let message = format!("`{written}` searches more than {MAX_NAMES} names");
                return Err(Diagnostic::error("too-many-files", message)
                    .hint("begin the pattern with the name of a folder"));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The names in a folder, sorted; of folders, with their object.
    fn entries(
        &self,
        folder: ObjectId,
        path: &str,
    ) -> Result<Vec<(String, Option<ObjectId>)>, Diagnostic> {
        let tree = self.repository.find_tree(folder).map_err(|error| broken(path, &error))?;
        let entry = |entry: gix::object::tree::EntryRef<'_, '_>| {
            let folder = entry.mode().is_tree().then(|| entry.object_id());
            (entry.filename().to_string(), folder)
        };
        let mut entries: Vec<_> = tree.iter().flatten().map(entry).collect();
        entries.sort();
        Ok(entries)
    }

    /// What is at a path, with the links resolved.
    fn object(&self, path: &str) -> Result<Object, Diagnostic> {
        let outside = || {
            let message = format!("{path} leads out of the repository");
            Diagnostic::error("outside", message)
                .hint("paths and links are relative, and stay in the repository")
        };
        let mut left: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let (mut folders, mut links) = (vec![self.root], 0);
        if path.starts_with('/') {
            return Err(outside());
        }
        while let Some(part) = left.pop_front() {
            if part == ".." {
                folders.pop();
            }
            let folder = *folders.last().ok_or_else(outside)?;
            if ["", ".", ".."].contains(&&*part) {
                continue;
            }
            let tree = self.repository.find_tree(folder).map_err(|error| broken(path, &error))?;
            let entry = tree.iter().flatten().find(|entry| entry.filename() == part.as_str());
            let Some(entry) = entry else { return Err(missing(path)) };
            match entry.mode().kind() {
                EntryKind::Tree => folders.push(entry.object_id()),
                EntryKind::Link => {
                    links += 1;
                    let target = self.blob(entry.object_id(), path, MAX_TARGET)?;
                    if links > MAX_LINKS || target.starts_with('/') {
                        return Err(outside());
                    }
                    target.split('/').rev().for_each(|part| left.push_front(part.to_owned()));
                }
                EntryKind::Commit => {
                    let message = format!("{path} is in a submodule, which is not read");
                    return Err(Diagnostic::error("submodule", message)
                        .hint("name the submodule's own repository under `git`"));
                }
                EntryKind::Blob | EntryKind::BlobExecutable if left.is_empty() => {
                    return Ok(Object::File(entry.object_id()));
                }
                EntryKind::Blob | EntryKind::BlobExecutable => return Err(missing(path)),
            }
        }
        folders.last().copied().map(Object::Folder).ok_or_else(outside)
    }

    fn text(&self, path: &str, limit: usize) -> Result<String, Diagnostic> {
        let Object::File(id) = self.object(path)? else {
            return Err(Diagnostic::error("not-a-file", format!("{path} is a folder")));
        };
        let text = self.blob(id, path, limit)?;
        if text.starts_with(LFS) {
            let message = format!("{path} is stored in Git LFS, which is not read");
            return Err(Diagnostic::error("lfs", message).hint("store the roster in git itself"));
        }
        Ok(text)
    }

    /// The text of an object. Its size is known before it is read.
    fn blob(&self, id: ObjectId, path: &str, limit: usize) -> Result<String, Diagnostic> {
        let header = self.repository.find_header(id).map_err(|error| broken(path, &error))?;
        if usize::try_from(header.size()).is_ok_and(|size| size <= limit) {
            let blob = self.repository.find_blob(id).map_err(|error| broken(path, &error));
            String::from_utf8(blob?.take_data()).map_err(|error| not_text(path, &error))
        } else {
            Err(too_large(path, limit))
        }
    }
}

fn join(folder: &str, name: &str) -> String {
    let folder = folder.trim_end_matches('/');
    if folder.is_empty() || folder == "." { name.to_owned() } else { format!("{folder}/{name}") }
}

fn missing(path: &str) -> Diagnostic {
    Diagnostic::error("missing-file", format!("{path} does not exist in the commit"))
        .hint("check `path` and `ref`")
}

fn broken(path: &str, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error("unreadable-file", format!("cannot read {path} of the commit: {error}"))
        .hint("if this persists, delete the clone in the state directory")
}
