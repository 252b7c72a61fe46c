//! Real git repositories, made without a git binary.

use std::fs;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use tempfile::TempDir;

/// A work tree with a repository, and what it holds.
pub struct Repository {
    folder: PathBuf,
    git: gix::Repository,
    head: Vec<ObjectId>,
    _temporary: Option<TempDir>,
}

impl Repository {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let repository = Self::at(temporary.path());
        Self { _temporary: Some(temporary), ..repository }
    }

    /// The work tree of a folder, which may be new.
    pub fn at(folder: &Path) -> Self {
        let git = gix::open(folder).or_else(|_| gix::init(folder)).unwrap();
        let head = git.head_id().map(gix::Id::detach).into_iter().collect();
        Self { folder: folder.to_owned(), git, head, _temporary: None }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits the files that are in the work tree, but for hidden ones and the folder `state`.
    pub fn commit(&mut self, author: &str, subject: &str) -> String {
        let tree = self.tree(&self.folder);
        let at = 1_800_000_000 + i64::try_from(self.head.len()).unwrap();
        let email = format!("{}@acme.io", author.to_lowercase());
        let time = format!("{at} +0000");
        let who = gix::actor::SignatureRef {
            name: author.into(),
            email: email.as_str().into(),
            time: &time,
        };
        let parents = self.head.last().copied();
        let text = format!("{subject}\n\nand more\n");
        let id = self.git.commit_as(who, who, "HEAD", text, tree, parents).unwrap().detach();
        self.head.push(id);
        id.to_string()
    }

    fn tree(&self, folder: &Path) -> ObjectId {
        let mut entries: Vec<Entry> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| {
                let name = entry.file_name();
                !name.to_string_lossy().starts_with('.') && name != "state"
            })
            .map(|entry| {
                let is_folder = entry.path().is_dir();
                let oid = if is_folder {
                    self.tree(&entry.path())
                } else {
                    self.git.write_blob(fs::read(entry.path()).unwrap()).unwrap().detach()
                };
                let kind = if is_folder { EntryKind::Tree } else { EntryKind::Blob };
                let filename = entry.file_name().to_str().unwrap().into();
                Entry { mode: kind.into(), filename, oid }
            })
            .collect();
        entries.sort();
        self.git.write_object(gix::objs::Tree { entries }).unwrap().detach()
    }
}
