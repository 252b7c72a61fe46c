//! A git work tree, read without the git binary: packed or loose, shallow, a linked work tree, a
//! link that is swapped. It is only read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::objs::tree::EntryKind;
use gix::{Commit, ObjectId, Repository};
use jiff::Timestamp;

use super::revision::shortened;
use crate::diagnostic::Sources;
use crate::revision::Revision;

/// So many commits are looked at, for so long, to find one that touched the roster.
const MOST_COMMITS: usize = 10_000;
const LONGEST: Duration = Duration::from_secs(2);
/// So many earlier versions of a roster are read at most.
const MOST_VERSIONS: usize = 100;

/// The roster's files in the work tree that they lie in.
pub(super) struct Checkout<'s> {
    repository: Repository,
    /// Files and folders of the roster, from the work tree's top.
    roots: Vec<PathBuf>,
    /// The files that were read, from the work tree's top, each with its name and its text.
    files: Vec<(PathBuf, &'s str, &'s str)>,
    head: ObjectId,
    until: Instant,
}

/// What a commit holds at each root.
type Held = Vec<Option<ObjectId>>;

impl<'s> Checkout<'s> {
    /// None where there is no work tree, no commit in it, or none of the files in the commit.
    pub fn of(roots: &[PathBuf], base: &Path, sources: &'s Sources) -> Option<Self> {
        let first = roots.first()?.canonicalize().ok()?;
        let folder = if first.is_dir() { first } else { first.parent()?.to_owned() };
        let repository = gix::discover(folder).ok()?;
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
        Some(Self { repository, roots, files, head, until: Instant::now() + LONGEST })
    }

    /// The last commit that touched the files.
    pub fn revision(&self) -> Option<Revision> {
        let dirty = self.is_dirty()?;
        let commit = self.touched(self.head).unwrap_or(self.head);
        self.told(commit, dirty)
    }

    /// The versions before the one that was read, each with the commit that ended it.
    pub fn versions(&self) -> Vec<(Revision, Sources)> {
        let Some(dirty) = self.is_dirty() else { return Vec::new() };
        let mut versions = Vec::new();
        let mut current = self.touched(self.head).unwrap_or(self.head);
        if dirty
            && let (Some(revision), Some(sources)) = (self.told(current, true), self.at(current))
        {
            versions.push((revision, sources));
        }
        while versions.len() < MOST_VERSIONS && Instant::now() < self.until {
            let Some(revision) = self.told(current, false) else { break };
            let parents = self.commit(current).map(|it| parents(&it)).unwrap_or_default();
            let Some(before) = parents.into_iter().find(|parent| self.commit(*parent).is_some())
            else {
                // The first commit made it out of nothing.
                versions.push((revision, Sources::default()));
                break;
            };
            versions.push((revision, self.at(before).unwrap_or_default()));
            let Some(next) = self.touched(before) else { break };
            current = next;
        }
        versions
    }

    /// Walks back from a commit to the one that gave the files what they hold there; None where it
    /// is too far away. As `git log` does, it follows a parent that holds the same.
    fn touched(&self, from: ObjectId) -> Option<ObjectId> {
        let mut current = from;
        let held = self.held(current)?;
        for _ in 0..MOST_COMMITS {
            let commit = self.commit(current)?;
            let same =
                parents(&commit).into_iter().find(|it| self.held(*it).as_ref() == Some(&held));
            match same {
                Some(parent) => current = parent,
                None => return Some(current),
            }
            if Instant::now() > self.until {
                return None;
            }
        }
        None
    }

    /// A commit that a shallow clone does not have is none.
    fn commit(&self, id: ObjectId) -> Option<Commit<'_>> {
        self.repository.find_commit(id).ok()
    }

    fn held(&self, commit: ObjectId) -> Option<Held> {
        let tree = self.commit(commit)?.tree().ok()?;
        let at = |root: &PathBuf| {
            if root.as_os_str().is_empty() {
                return Some(tree.id);
            }
            tree.lookup_entry_by_path(root).ok()?.map(|entry| entry.object_id())
        };
        Some(self.roots.iter().map(at).collect())
    }

    /// Whether the files differ from the commit; None where it holds none of them.
    fn is_dirty(&self) -> Option<bool> {
        let tree = self.commit(self.head)?.tree().ok()?;
        let (mut tracked, mut dirty) = (false, false);
        for (path, _, text) in &self.files {
            let entry = tree.lookup_entry_by_path(path).ok().flatten();
            let Some(entry) = entry.filter(|_| !path.as_os_str().is_empty()) else {
                dirty = true;
                continue;
            };
            tracked = true;
            let id = entry.object_id();
            // A checkout may have other line endings than what is committed.
            dirty |= !self.is_blob(id, text) && !self.is_blob(id, &text.replace("\r\n", "\n"));
        }
        tracked.then_some(dirty)
    }

    fn is_blob(&self, id: ObjectId, text: &str) -> bool {
        let (kind, blob) = (self.repository.object_hash(), gix::objs::Kind::Blob);
        gix::objs::compute_hash(kind, blob, text.as_bytes()).is_ok_and(|hash| hash == id)
    }

    /// The files of the roster as a commit has them, by the names under which they were read; those
    /// of a folder by their own.
    fn at(&self, commit: ObjectId) -> Option<Sources> {
        let tree = self.commit(commit)?.tree().ok()?;
        let mut paths: Vec<(PathBuf, &str)> =
            self.files.iter().map(|(path, name, _)| (path.clone(), *name)).collect();
        let known: BTreeSet<PathBuf> = paths.iter().map(|(path, _)| path.clone()).collect();
        let others: Vec<PathBuf> = self
            .roots
            .iter()
            .flat_map(|root| self.folder(&tree, root))
            .filter(|path| !known.contains(path))
            .collect();
        paths.extend(others.into_iter().map(|path| (path, "")));
        let mut sources = Sources::default();
        for (path, name) in paths {
            let Some(text) = self.text(&tree, &path) else { continue };
            let name = if name.is_empty() { path.display().to_string() } else { name.to_owned() };
            sources.add(name, text);
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
            let extension = Path::new(&name).extension().and_then(|it| it.to_str());
            let is_yaml = matches!(extension, Some("yaml" | "yml"));
            if is_yaml && !name.starts_with('.') && entry.mode().kind() != EntryKind::Tree {
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

    fn told(&self, commit: ObjectId, dirty: bool) -> Option<Revision> {
        let found = self.commit(commit)?;
        if dirty {
            // Nobody has put a name to what is not committed.
            let commit = commit.to_string();
            return Some(Revision { commit, author: None, subject: None, at: None, dirty });
        }
        let author =
            found.author().ok().map(|it| shortened(&format!("{} <{}>", it.name, it.email)));
        let subject = found.message().ok().map(|message| shortened(&message.summary().to_string()));
        let seconds = found.author().ok().and_then(|author| author.time().ok());
        let at = seconds.and_then(|time| Timestamp::from_second(time.seconds).ok());
        Some(Revision { commit: commit.to_string(), author, subject, at, dirty })
    }
}

fn parents(commit: &Commit<'_>) -> Vec<ObjectId> {
    commit.parent_ids().map(gix::Id::detach).collect()
}
