//! Reads a git work tree without the git binary: also shallow clones, linked work trees and swapped
//! symbolic links.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::discover::path::{from_gitdir_file, from_plain_file};
use gix::{Commit, ObjectId, Repository};
use jiff::Timestamp;

use super::revision::Trust;
use super::tree::Tree;
use super::{RosterSource, fixed, is_glob};
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

/// The roster in a repository, with the files that were read.
pub(super) struct Checkout {
    repository: Repository,
    /// Files, folders and globs of the roster, relative to the repository.
    users: Vec<String>,
    files: Vec<FileBlob>,
    head: ObjectId,
    deadline: Instant,
    /// Maximum size of the files of a version.
    limit: usize,
    /// A clone has no other files than those of its commits.
    is_clone: bool,
}

/// A file that was read, as git would store it.
pub(super) struct FileBlob {
    /// The name under which it was read; relative to the repository in a [`Checkout`].
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

/// The files as git would store them.
pub(super) fn blobs(sources: &Sources) -> Vec<FileBlob> {
    let files = sources.iter().map(|(_, file)| FileBlob {
        path: PathBuf::from(&file.name),
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
    /// In a work tree; nothing if that has no commit.
    pub fn of(source: &RosterSource, files: Vec<FileBlob>) -> Found<Self> {
        match repository(&source.roots(), &source.trust) {
            Found::Readable(repository) => Self::in_work_tree(repository, source, files)
                .map_or(Found::Nothing, Found::Readable),
            Found::Untrusted => Found::Untrusted,
            Found::Nothing => Found::Nothing,
        }
    }

    fn in_work_tree(
        repository: Repository,
        source: &RosterSource,
        mut files: Vec<FileBlob>,
    ) -> Option<Self> {
        let top = repository.workdir()?.canonicalize().ok()?;
        let within = |path: PathBuf| {
            // A file may be a link, or deleted.
            let real = match (path.is_dir(), path.parent(), path.file_name()) {
                (false, Some(folder), Some(name)) => folder.canonicalize().ok()?.join(name),
                _ => path.canonicalize().ok()?,
            };
            real.strip_prefix(&top).ok().map(Path::to_owned)
        };
        let user = |written: &String| {
            let fixed = if is_glob(written) { fixed(written) } else { Path::new(written) };
            let wildcards = Path::new(written).strip_prefix(fixed).ok()?;
            let path = within(source.base.join(fixed))?;
            // An empty part would end the path of a file with a slash.
            let whole = path.iter().chain(wildcards).collect::<PathBuf>();
            Some(whole.to_string_lossy().into_owned())
        };
        let users = source.users.iter().filter_map(user).collect();
        for file in &mut files {
            file.path = within(source.base.join(&file.path)).unwrap_or_default();
        }
        let head = repository.head_id().ok()?.detach();
        Some(Self::new(repository, users, files, head, source.max_bytes))
    }

    /// Of a commit in a clone.
    pub fn of_commit(
        repository: Repository,
        commit: &str,
        source: &RosterSource,
        files: Vec<FileBlob>,
    ) -> Option<Self> {
        let head = commit.parse().ok()?;
        let users = source.users.clone();
        let checkout = Self::new(repository, users, files, head, source.max_bytes);
        Some(Self { is_clone: true, ..checkout })
    }

    fn new(
        repository: Repository,
        users: Vec<String>,
        files: Vec<FileBlob>,
        head: ObjectId,
        limit: usize,
    ) -> Self {
        let deadline = Instant::now() + TIME_LIMIT;
        Self { repository, users, files, head, deadline, limit, is_clone: false }
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
        let roots = |commit| Some(self.tree(commit)?.roots(&self.users));
        let objects = roots(current)?;
        for _ in 0..MAX_COMMITS {
            let commit = self.commit(current)?;
            let same = parents(&commit)
                .into_iter()
                .find(|parent| roots(*parent).as_ref() == Some(&objects));
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

    fn tree(&self, commit: ObjectId) -> Option<Tree<'_>> {
        Tree::of(&self.repository, commit).ok()
    }

    /// Whether the files differ from the commit; None if it contains none of them.
    fn is_dirty(&self) -> Option<bool> {
        let tree = self.tree(self.head)?;
        let states: Vec<_> = self.files.iter().map(|file| self.is_committed(file, &tree)).collect();
        let tracked = self.is_clone || states.iter().any(Option::is_some);
        tracked.then(|| states.iter().any(|state| *state != Some(true)))
    }

    /// Whether the file is as in the commit; None if it does not contain the file.
    fn is_committed(&self, file: &FileBlob, tree: &Tree<'_>) -> Option<bool> {
        if self.is_clone {
            return Some(true);
        }
        let id = tree.blob_id(&file.path.to_string_lossy())?;
        Some(file.ids.contains(&Some(id)))
    }

    /// The URL of the remote `origin`.
    pub fn origin(&self) -> Option<String> {
        Some(self.repository.config_snapshot().string("remote.origin.url")?.to_string())
    }

    /// The path of each file in the repository.
    pub fn paths(&self) -> Vec<Option<String>> {
        self.files.iter().map(|file| file.path.to_str().map(str::to_owned)).collect()
    }

    /// The names of the files that are as in the commit.
    pub fn committed(&self) -> BTreeSet<String> {
        let Some(tree) = self.tree(self.head) else { return BTreeSet::new() };
        let same = self.files.iter().filter(|file| self.is_committed(file, &tree) == Some(true));
        same.map(|file| file.name.clone()).collect()
    }

    /// The files of the roster in a commit. Files that were read keep their names; others have
    /// their paths. None if they are not text, or together too large.
    fn at(&self, commit: ObjectId) -> Option<Sources> {
        let tree = self.tree(commit)?;
        let found = tree.read(&tree.existing(&self.users), self.limit).ok()?;
        Some(found.renamed(|path| {
            let read = self.files.iter().find(|file| file.path == Path::new(path));
            read.map(|file| file.name.clone())
        }))
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
