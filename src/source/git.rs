//! Reads a git work tree without the git binary: also shallow clones, linked work trees and swapped
//! symbolic links.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::objs::tree::EntryKind;
use gix::{Commit, ObjectId, Repository};
use jiff::Timestamp;

use super::is_visible_yaml;
use super::revision::Trust;
use crate::diagnostic::Sources;
use crate::revision::{Revision, shortened};

/// Maximum number of commits and maximum time to search for one that changed the roster.
const MAX_COMMITS: usize = 10_000;
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Maximum number of earlier versions of a roster.
const MAX_VERSIONS: usize = 100;

/// The work tree of the roster, with its files.
pub(super) struct Checkout<'s> {
    repository: Repository,
    /// Files and folders of the roster, relative to the work tree.
    roots: Vec<PathBuf>,
    /// The files that were read: path relative to the work tree, name and text.
    files: Vec<(PathBuf, &'s str, &'s str)>,
    head: ObjectId,
    deadline: Instant,
}

/// The object of a commit at each root.
type RootObjects = Vec<Option<ObjectId>>;

impl<'s> Checkout<'s> {
    /// None if there is no work tree or it has no commit.
    pub fn of(roots: &[PathBuf], base: &Path, sources: &'s Sources) -> Option<Self> {
        let repository = repository(roots)?;
        let top = repository.workdir()?.canonicalize().ok()?;
        let within = |path: &Path| {
            let path = path.canonicalize().ok()?;
            path.strip_prefix(&top).ok().map(Path::to_owned)
        };
        let roots: Vec<PathBuf> = roots.iter().filter_map(|root| within(root)).collect();
        let each = sources.iter().map(|(_, file)| {
            let path = within(&base.join(&file.name)).unwrap_or_default();
            (path, file.name.as_str(), file.text.as_str())
        });
        let files = each.collect();
        let head = repository.head_id().ok()?.detach();
        Some(Self { repository, roots, files, head, deadline: Instant::now() + TIME_LIMIT })
    }

    /// Whether this process's user, root or somebody whom the configuration names owns it.
    pub fn is_trusted(&self, trust: &Trust) -> bool {
        let top = self.repository.workdir().and_then(|top| top.canonicalize().ok());
        let Some(top) = top else { return false };
        let is_safe = |folder: &PathBuf| folder.canonicalize().is_ok_and(|it| top == it);
        let is_owned = |path: &Path| {
            let owner = path.metadata().map(|metadata| metadata.uid());
            let is_ours = gix::sec::identity::is_path_owned_by_current_user(path);
            is_ours.unwrap_or(false) || owner.is_ok_and(|it| it == 0 || Some(it) == trust.owner)
        };
        let folders = [&*top, self.repository.git_dir(), self.repository.common_dir()];
        trust.safe_directories.iter().any(is_safe) || folders.into_iter().all(is_owned)
    }

    /// The files of the last commit, if those that were read differ. They are empty if it has not
    /// the first of those.
    pub fn changed(&self) -> Option<Sources> {
        if self.is_dirty() == Some(false) {
            return None;
        }
        let first = self.files.first().map(|(_, name, _)| *name);
        let committed = self.at(self.head).unwrap_or_default();
        let has_first = committed.iter().next().map(|(_, file)| file.name.as_str()) == first;
        Some(if has_first { committed } else { Sources::default() })
    }

    /// The last commit that changed the files. None if it contains none of them.
    pub fn revision(&self) -> Option<Revision> {
        let dirty = self.is_dirty()?;
        let commit = self.last_change(self.head).unwrap_or(self.head);
        self.describe(commit, dirty)
    }

    /// The earlier versions, each with the commit that replaced it.
    pub fn versions(&self) -> Vec<(Revision, Sources)> {
        let Some(dirty) = self.is_dirty() else { return Vec::new() };
        let mut versions = Vec::new();
        let mut current = self.last_change(self.head).unwrap_or(self.head);
        if dirty
            && let (Some(revision), Some(sources)) =
                (self.describe(current, true), self.at(current))
        {
            versions.push((revision, sources));
        }
        while versions.len() < MAX_VERSIONS && Instant::now() < self.deadline {
            let Some(revision) = self.describe(current, false) else { break };
            let parents = self.commit(current).map(|commit| parents(&commit)).unwrap_or_default();
            let Some(before) = parents.into_iter().find(|parent| self.commit(*parent).is_some())
            else {
                // The first commit created the files.
                versions.push((revision, Sources::default()));
                break;
            };
            versions.push((revision, self.at(before).unwrap_or_default()));
            let Some(next) = self.last_change(before) else { break };
            current = next;
        }
        versions
    }

    /// The last commit that changed the files, as of a commit; None if it is beyond the limits.
    /// Like `git log`, it follows a parent with the same files.
    fn last_change(&self, from: ObjectId) -> Option<ObjectId> {
        let mut current = from;
        let objects = self.root_objects(current)?;
        for _ in 0..MAX_COMMITS {
            let commit = self.commit(current)?;
            let same = parents(&commit)
                .into_iter()
                .find(|parent| self.root_objects(*parent).as_ref() == Some(&objects));
            match same {
                Some(parent) => current = parent,
                None => return Some(current),
            }
            if Instant::now() > self.deadline {
                return None;
            }
        }
        None
    }

    /// None if a shallow clone does not contain the commit.
    fn commit(&self, id: ObjectId) -> Option<Commit<'_>> {
        self.repository.find_commit(id).ok()
    }

    fn root_objects(&self, commit: ObjectId) -> Option<RootObjects> {
        let tree = self.commit(commit)?.tree().ok()?;
        let at = |root: &PathBuf| {
            if root.as_os_str().is_empty() {
                return Some(tree.id);
            }
            tree.lookup_entry_by_path(root).ok()?.map(|entry| entry.object_id())
        };
        Some(self.roots.iter().map(at).collect())
    }

    /// Whether the files differ from the commit; None if it contains none of them.
    fn is_dirty(&self) -> Option<bool> {
        let tree = self.commit(self.head)?.tree().ok()?;
        let states = self.files.iter().map(|(path, _, text)| self.is_committed(&tree, path, text));
        let states: Vec<_> = states.collect();
        let tracked = states.iter().any(Option::is_some);
        tracked.then(|| states.iter().any(|state| *state != Some(true)))
    }

    /// The names of the files that are as in the commit.
    pub fn committed(&self) -> BTreeSet<String> {
        let tree = self.commit(self.head).and_then(|commit| commit.tree().ok());
        let Some(tree) = tree else { return BTreeSet::new() };
        let files = self.files.iter();
        let same =
            files.filter(|(path, _, text)| self.is_committed(&tree, path, text) == Some(true));
        same.map(|(_, name, _)| (*name).to_owned()).collect()
    }

    /// Whether a file is as in the commit; None if it does not contain the file.
    fn is_committed(&self, tree: &gix::Tree<'_>, path: &Path, text: &str) -> Option<bool> {
        let entry = tree.lookup_entry_by_path(path).ok().flatten();
        let id = entry.filter(|_| !path.as_os_str().is_empty())?.object_id();
        // A checkout may convert line endings.
        Some(self.is_blob(id, text) || self.is_blob(id, &text.replace("\r\n", "\n")))
    }

    fn is_blob(&self, id: ObjectId, text: &str) -> bool {
        let (kind, blob) = (self.repository.object_hash(), gix::objs::Kind::Blob);
        gix::objs::compute_hash(kind, blob, text.as_bytes()).is_ok_and(|hash| hash == id)
    }

    /// The files of the roster in a commit. Files that were read keep their names; others have
    /// their paths.
    fn at(&self, commit: ObjectId) -> Option<Sources> {
        let tree = self.commit(commit)?.tree().ok()?;
        let mut sources = Sources::default();
        let mut known = BTreeSet::new();
        for (path, name, _) in &self.files {
            known.insert(path.clone());
            if let Some(text) = self.text(&tree, path) {
                sources.add(*name, text);
            }
        }
        for path in self.roots.iter().flat_map(|root| self.folder(&tree, root)) {
            if !known.contains(&path)
                && let Some(text) = self.text(&tree, &path)
            {
                sources.add(path.display().to_string(), text);
            }
        }
        Some(sources)
    }

    /// The YAML files of a folder in a commit.
    fn folder(&self, tree: &gix::Tree<'_>, root: &Path) -> Vec<PathBuf> {
        let entry = tree.lookup_entry_by_path(root).ok().flatten();
        let Some(entry) = entry.filter(|entry| entry.mode().is_tree()) else { return Vec::new() };
        let Ok(folder) = self.repository.find_tree(entry.object_id()) else { return Vec::new() };
        let mut paths = Vec::new();
        for entry in folder.iter().flatten() {
            let name = entry.filename().to_string();
            if is_visible_yaml(Path::new(&name)) && entry.mode().kind() != EntryKind::Tree {
                paths.push(root.join(name));
            }
        }
        paths
    }

    fn text(&self, tree: &gix::Tree<'_>, path: &Path) -> Option<String> {
        let entry = tree.lookup_entry_by_path(path).ok()??;
        let blob = self.repository.find_blob(entry.object_id()).ok()?;
        String::from_utf8(blob.data.clone()).ok()
    }

    fn describe(&self, commit: ObjectId, dirty: bool) -> Option<Revision> {
        let found = self.commit(commit)?;
        if dirty {
            // Uncommitted changes have no author.
            let commit = commit.to_string();
            return Some(Revision { commit, author: None, subject: None, at: None, dirty });
        }
        let author = found.author().ok();
        let seconds = author.as_ref().and_then(|author| author.time().ok());
        let author = author.map(|name| shortened(&format!("{} <{}>", name.name, name.email)));
        let subject = found.message().ok().map(|message| shortened(&message.summary().to_string()));
        let at = seconds.and_then(|time| Timestamp::from_second(time.seconds).ok());
        Some(Revision { commit: commit.to_string(), author, subject, at, dirty })
    }
}

/// The repository of the first root.
pub(super) fn repository(roots: &[PathBuf]) -> Option<Repository> {
    let first = roots.first()?.canonicalize().ok()?;
    let folder = if first.is_dir() { first } else { first.parent()?.to_owned() };
    gix::discover(folder).ok()
}

fn parents(commit: &Commit<'_>) -> Vec<ObjectId> {
    commit.parent_ids().map(gix::Id::detach).collect()
}
