//! A git repository on this machine, such as the clone of a sidecar.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use gix::zlib::Decompress;
use gix::zlib::stream::inflate;
use gix::{ObjectId, Repository};
use reqwest::Url;

use super::git::{MAX_OBJECT, opened};
use super::pack;

/// Maximum size of its objects together, in bytes.
const MAX_OBJECTS: u64 = 256 << 20;

pub(super) struct Local(Repository);

impl Local {
    /// The repository in a folder: of a work tree, or bare.
    pub fn open(url: &Url) -> Result<Self, String> {
        let path = url.to_file_path().map_err(|()| "write file:// and an absolute path")?;
        let inner = path.join(".git");
        let folder = if inner.is_dir() { inner } else { path };
        let repository = opened(&folder).ok_or("there is no git repository")?;
        if repository.is_shallow().unwrap_or(true) {
            return Err("it is a shallow clone; fetch its whole history".into());
        }
        Ok(Self(repository))
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

    /// Copies the objects that the folder lacks. Each is compared with its name, which signatures
    /// rely on: a server's objects have no other name either.
    pub fn copy(&self, objects: &Path, deadline: Instant) -> Result<(), String> {
        let mut left = MAX_OBJECTS;
        for folder in entries(self.0.objects.store_ref().path()) {
            let name = folder.file_name().unwrap_or_default();
            let target = objects.join(name);
            for file in entries(&folder) {
                let size = file.metadata().map_or(0, |it| it.len());
                left = left.checked_sub(size).ok_or("it is larger than 256 MiB")?;
                if name == "pack" {
                    copy_pack(&file, &target, deadline)?;
                } else {
                    copy(&file, &target).map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Its index is made again.
fn copy_pack(file: &Path, packs: &Path, deadline: Instant) -> Result<(), String> {
    if file.extension().is_none_or(|it| it != "pack") {
        return Ok(());
    }
    let open = || {
        let mut pack = fs::File::open(file)?;
        let mut checksum = [0; 20];
        pack.seek(SeekFrom::End(-20))?;
        pack.read_exact(&mut checksum)?;
        pack.rewind()?;
        Ok((pack, ObjectId::from(checksum)))
    };
    let (mut pack, checksum) = open().map_err(|error: io::Error| error.to_string())?;
    if packs.join(format!("pack-{checksum}.idx")).exists() {
        return Ok(());
    }
    pack::store(&mut pack, packs, deadline)
}

/// Completely or not at all: the other repository may write it just now. One that is too large to
/// be read is left out.
fn copy(file: &Path, folder: &Path) -> io::Result<()> {
    let [folder_name, file_name] = [folder, file].map(|path| path.file_name().unwrap_or_default());
    let target = folder.join(file_name);
    let name = [folder_name, file_name].map(|name| name.to_string_lossy()).concat();
    let Ok(id) = name.parse::<ObjectId>() else { return Ok(()) };
    let size = file.metadata().map_or(u64::MAX, |it| it.len());
    if target.exists() || !file.is_file() || size > MAX_OBJECT as u64 {
        return Ok(());
    }
    let bytes = fs::read(file)?;
    if digest(&bytes)? != Some(id) {
        return Err(io::Error::other(format!("the object {id} has other contents")));
    }
    fs::create_dir_all(folder)?;
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(&bytes)?;
    beside.persist(target).map(drop).map_err(|error| error.error)
}

/// The name of an object that is stored so. None if it is too large.
fn digest(mut bytes: &[u8]) -> io::Result<Option<ObjectId>> {
    let (mut state, mut chunk, mut size) = (Decompress::default(), vec![0; 64 << 10], 0);
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    while size <= MAX_OBJECT {
        match inflate::read(&mut bytes, &mut state, &mut chunk)? {
            0 => return hasher.try_finalize().map(Some).map_err(io::Error::other),
            count => hasher.update(&chunk[..count]),
        }
        size += chunk.len();
    }
    Ok(None)
}
