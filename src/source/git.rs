//! Reads a git work tree without the git binary: also shallow clones, linked work trees and swapped
//! symbolic links.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::discover::path::{from_gitdir_file, from_plain_file};
use gix::objs::tree::EntryKind;
use gix::{Commit, ObjectId, Repository};
use jiff::Timestamp;

use super::revision::Trust;
use super::{is_visible_yaml, tree};
use crate::diagnostic::Sources;
use crate::revision::{Revision, shortened};

/// Maximum number of commits and maximum time to search for one that changed the roster.
const MAX_COMMITS: usize = 10_000;
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Maximum number of earlier versions of a roster.
const MAX_VERSIONS: usize = 100;

/// Maximum size of an object, and of what it is computed from: a file, and twice as much for a
/// version that is stored as a difference.
pub(super) const MAX_OBJECT: usize = 48 << 20;

/// The work tree of the roster, with its files.
pub(super) struct Checkout {
    repository: Repository,
    /// Files and folders of the roster, relative to the work tree.
    roots: Vec<PathBuf>,
    /// The files that were read; their paths are relative to the work tree.
    files: Vec<FileBlob>,
    head: ObjectId,
    deadline: Instant,
    /// Maximum size of the files of a version.
    limit: usize,
    /// What is read of a clone: all of it is committed.
    users: Option<Vec<String>>,
}

/// A file that was read, as git would store it.
pub(super) struct FileBlob {
    path: PathBuf,
    name: String,
    /// Of its text, and of the text with the line endings of a commit.
    ids: [Option<ObjectId>; 2],
}

/// What is above the files.
pub(super) enum Found<T> {
    /// No work tree that can be read.
    Nothing,
    /// A work tree of somebody who is not trusted. Nothing of it was read.
    Untrusted,
    Readable(T),
}

/// The object of a commit at each root.
type RootObjects = Vec<Option<ObjectId>>;

/// The files as git would store them.
pub(super) fn blobs(base: &Path, sources: &Sources) -> Vec<FileBlob> {
    let files = sources.iter().map(|(_, file)| FileBlob {
        path: base.join(&file.name),
        name: file.name.clone(),
        ids: [Some(&*file.text), converted(&file.text).as_deref()]
            .map(|text| text.and_then(blob_id)),
    });
    files.collect()
}

/// With the line endings of a commit, if the checkout may have converted them.
fn converted(text: &str) -> Option<String> {
    text.contains("\r\n").then(|| text.replace("\r\n", "\n"))
}

fn blob_id(text: &str) -> Option<ObjectId> {
    gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, text.as_bytes()).ok()
}

impl Checkout {
    /// Nothing if the work tree has no commit. A version that is read has at most `limit` bytes.
    pub fn of(
        roots: &[PathBuf],
        files: impl FnOnce() -> Vec<FileBlob>,
        trust: &Trust,
        limit: usize,
    ) -> Found<Self> {
        match repository(roots, trust) {
            Found::Readable(repository) => Self::in_repository(repository, roots, files(), limit)
                .map_or(Found::Nothing, Found::Readable),
            Found::Untrusted => Found::Untrusted,
            Found::Nothing => Found::Nothing,
        }
    }

    fn in_repository(
        repository: Repository,
        roots: &[PathBuf],
        mut files: Vec<FileBlob>,
        limit: usize,
    ) -> Option<Self> {
        let top = repository.workdir()?.canonicalize().ok()?;
        let within = |path: &Path| {
            let path = path.canonicalize().ok()?;
            path.strip_prefix(&top).ok().map(Path::to_owned)
        };
        let roots: Vec<PathBuf> = roots.iter().filter_map(|root| within(root)).collect();
        for file in &mut files {
            file.path = within(&file.path).unwrap_or_default();
        }
        let head = repository.head_id().ok()?.detach();
        let deadline = Instant::now() + TIME_LIMIT;
        Some(Self { repository, roots, files, head, deadline, limit, users: None })
    }

    /// A commit of a clone, as `users` has been read from it.
    pub fn of_commit(
        repository: Repository,
        commit: &str,
        users: Vec<String>,
        roots: Vec<PathBuf>,
        mut files: Vec<FileBlob>,
        limit: usize,
    ) -> Option<Self> {
        let head = commit.parse().ok()?;
        for file in &mut files {
            file.path = PathBuf::from(&file.name);
        }
        let deadline = Instant::now() + TIME_LIMIT;
        Some(Self { repository, roots, files, head, deadline, limit, users: Some(users) })
    }

    /// The files of the last commit, if those that were read differ. They are empty if it has not
    /// the first of those.
    pub fn changed(&self) -> Option<Sources> {
        if self.is_dirty() == Some(false) {
            return None;
        }
        let first = self.files.first().map(|file| &*file.name);
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

    /// The earlier versions, each with the commit that replaced it, until one is not taken. It is
    /// None if it cannot be read.
    pub fn versions(
        mut self,
        mut take: impl FnMut((Revision, Option<Sources>)) -> bool,
    ) -> Option<()> {
        let dirty = self.is_dirty()?;
        // The time that somebody else takes is not ours.
        let mut offer = |checkout: &mut Self, version| {
            let begun = Instant::now();
            let taken = take(version);
            checkout.deadline += begun.elapsed();
            taken.then_some(())
        };
        let mut current = self.last_change(self.head).unwrap_or(self.head);
        if dirty {
            let version = (self.describe(current, true)?, self.at(current));
            offer(&mut self, version)?;
        }
        for _ in 0..MAX_VERSIONS {
            let revision = self.describe(current, false)?;
            let parents = parents(&self.commit(current)?);
            let before = parents.into_iter().find(|parent| self.commit(*parent).is_some());
            // The first commit created the files.
            let version = before.map_or(Some(Sources::default()), |before| self.at(before));
            offer(&mut self, (revision, version))?;
            current = self.last_change(before?).filter(|_| Instant::now() < self.deadline)?;
        }
        None
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
        if self.users.is_some() {
            return Some(false);
        }
        let tree = self.commit(self.head)?.tree().ok()?;
        let states: Vec<_> = self.files.iter().map(|file| file.is_committed(&tree)).collect();
        let tracked = states.iter().any(Option::is_some);
        tracked.then(|| states.iter().any(|state| *state != Some(true)))
    }

    /// The names of the files that are as in the commit.
    pub fn committed(&self) -> BTreeSet<String> {
        if self.users.is_some() {
            return self.files.iter().map(|file| file.name.clone()).collect();
        }
        let tree = self.commit(self.head).and_then(|commit| commit.tree().ok());
        let Some(tree) = tree else { return BTreeSet::new() };
        let same = self.files.iter().filter(|file| file.is_committed(&tree) == Some(true));
        same.map(|file| file.name.clone()).collect()
    }

    /// The files of the roster in a commit. Files that were read keep their names; others have
    /// their paths. None if they are not text, or together too large.
    fn at(&self, commit: ObjectId) -> Option<Sources> {
        if let Some(users) = &self.users {
            return match tree::read(&self.repository, commit, users, self.limit) {
                Err(problems) if problems.iter().all(tree::is_missing) => Some(Sources::default()),
                found => found.ok(),
            };
        }
        let tree = self.commit(commit)?.tree().ok()?;
        let mut sources = Sources::default();
        let mut known = BTreeSet::new();
        let mut left = self.limit;
        let read = self.files.iter().map(|file| (file.path.clone(), file.name.clone()));
        let others = self.roots.iter().flat_map(|root| self.folder(&tree, root));
        for (path, name) in
            read.chain(others.map(|path| (path.clone(), path.display().to_string())))
        {
            if !known.insert(path.clone()) {
                continue;
            }
            let Ok(Some(entry)) = tree.lookup_entry_by_path(&path) else { continue };
            let text = self.text(entry.object_id(), left)?;
            left -= text.len();
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
            if is_visible_yaml(Path::new(&name)) && entry.mode().kind() != EntryKind::Tree {
                paths.push(root.join(name));
            }
        }
        paths
    }

    /// The text of an object, if it has at most `limit` bytes.
    fn text(&self, id: ObjectId, limit: usize) -> Option<String> {
        let size = self.repository.find_header(id).ok()?.size();
        let is_small = usize::try_from(size).is_ok_and(|size| size <= limit);
        let mut blob = is_small.then(|| self.repository.find_blob(id).ok())??;
        String::from_utf8(blob.take_data()).ok()
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

impl<T> Found<T> {
    pub fn readable(self) -> Option<T> {
        if let Self::Readable(found) = self { Some(found) } else { None }
    }
}

impl FileBlob {
    /// Whether the file is as in the commit; None if it does not contain the file.
    fn is_committed(&self, tree: &gix::Tree<'_>) -> Option<bool> {
        let entry = tree.lookup_entry_by_path(&self.path).ok().flatten();
        let id = entry.filter(|_| !self.path.as_os_str().is_empty())?.object_id();
        Some(self.ids.contains(&Some(id)))
    }
}

/// The repository of the first root. Nothing of it is read before its owner is known: its settings
/// could name other files.
pub(super) fn repository(roots: &[PathBuf], trust: &Trust) -> Found<Repository> {
    let Some(top) = work_tree(roots) else { return Found::Nothing };
    let entry = top.join(".git");
    let is_safe = |folder: &PathBuf| folder.canonicalize().is_ok_and(|it| top == it);
    let is_safe = trust.safe_directories.iter().any(is_safe);
    if !is_safe && ![&top, &entry].into_iter().all(|path| is_owned(path, trust)) {
        return Found::Untrusted;
    }
    // A linked work tree has a file that names its part of the repository.
    let git_dir = if entry.is_dir() { Some(entry) } else { from_gitdir_file(&entry).ok() };
    let Some(git_dir) = git_dir else { return Found::Nothing };
    let common = from_plain_file(&git_dir.join("commondir")).and_then(Result::ok);
    let common = common.map_or_else(|| git_dir.clone(), |common| git_dir.join(common));
    if !is_safe && ![&git_dir, &common].into_iter().all(|path| is_owned(path, trust)) {
        return Found::Untrusted;
    }
    opened(&top.join(".git")).map_or(Found::Nothing, Found::Readable)
}

/// A repository whose owner is trusted. Neither variables nor settings of the user count, and no
/// object may be huge.
pub(super) fn opened(git_dir: &Path) -> Option<Repository> {
    let limit = format!("gitoxide.objects.allocLimit={MAX_OBJECT}");
    let options = gix::open::Options::isolated().with(gix::sec::Trust::Full);
    gix::open_opts(git_dir, options.config_overrides([limit])).ok()
}

/// The folder with the `.git` of the first root, on the same file system. A folder that is a
/// repository without a work tree is none: a commit can contain one.
fn work_tree(roots: &[PathBuf]) -> Option<PathBuf> {
    let first = roots.first()?.canonicalize().ok()?;
    let folder = if first.is_dir() { &*first } else { first.parent()? };
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    let here = device(folder);
    let mut above = folder.ancestors().take_while(|path| device(path) == here);
    above.find(|path| path.join(".git").symlink_metadata().is_ok()).map(Path::to_owned)
}

/// Whether this process's user, root or somebody whom the configuration names owns it; of a link,
/// the link too.
fn is_owned(path: &Path, trust: &Trust) -> bool {
    let is_owned = |path: &Path| {
        let owner = path.symlink_metadata().map(|metadata| metadata.uid());
        let is_ours = gix::sec::identity::is_path_owned_by_current_user(path);
        is_ours.unwrap_or(false) || owner.is_ok_and(|it| it == 0 || Some(it) == trust.owner)
    };
    is_owned(path) && path.canonicalize().is_ok_and(|real| is_owned(&real))
}

fn parents(commit: &Commit<'_>) -> Vec<ObjectId> {
    commit.parent_ids().map(gix::Id::detach).collect()
}
