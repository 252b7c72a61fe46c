//! A git repository on this machine, such as the clone of a sidecar.

use std::fs;
use std::path::{Path, PathBuf};

use gix::{ObjectId, Repository};
use reqwest::Url;

use super::git::opened;

/// Maximum size of its objects together, in bytes.
const MAX_OBJECTS: u64 = 256 << 20;

pub(super) struct Local(Repository);

impl Local {
    /// The repository in a folder: of a work tree, or bare.
    pub fn open(url: &Url) -> Result<Self, String> {
        let path = url.to_file_path().map_err(|()| "write file:// and an absolute path")?;
        let inner = path.join(".git");
        let folder = if inner.is_dir() { inner } else { path };
        opened(&folder).map(Self).ok_or_else(|| "there is no git repository".to_owned())
    }

    /// The commit that a ref names: `HEAD`, a branch, a tag, or a name that begins with `refs/`.
    pub fn tip(&self, reference: &str) -> Result<ObjectId, String> {
        let mut names = vec![reference.to_owned()];
        if reference != "HEAD" && !reference.starts_with("refs/") {
            names = ["heads", "tags"].map(|kind| format!("refs/{kind}/{reference}")).to_vec();
        }
        let found = names.iter().find_map(|name| self.0.try_find_reference(name).ok().flatten());
        let found = found.ok_or_else(|| format!("there is no branch or tag `{reference}`"))?;
        let id = found.into_fully_peeled_id().map_err(|error| error.to_string())?;
        Ok(id.detach())
    }

    /// Copies the objects that the folder lacks.
    pub fn copy(&self, objects: &Path) -> Result<(), String> {
        let source = self.0.objects.store_ref().path();
        let mut left = MAX_OBJECTS;
        for folder in entries(source).into_iter().filter(|path| path.is_dir()) {
            let name = folder.file_name().unwrap_or_default();
            let (target, mut files) = (objects.join(name), entries(&folder));
            if name == "info" {
                continue;
            }
            // An index is of use only with its pack.
            files.sort_by_key(|path| path.extension().is_some_and(|it| it == "idx"));
            for file in files {
                let size = file.metadata().map_or(0, |it| it.len());
                left = left.checked_sub(size).ok_or("it is larger than 256 MiB")?;
                copy(&file, &target).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Completely or not at all: the other repository may write it just now.
fn copy(file: &Path, folder: &Path) -> std::io::Result<()> {
    let target = folder.join(file.file_name().unwrap_or_default());
    if target.exists() || !file.is_file() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    std::io::copy(&mut fs::File::open(file)?, &mut beside)?;
    beside.persist(target).map(drop).map_err(|error| error.error)
}
