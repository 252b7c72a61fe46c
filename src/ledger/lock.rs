//! Locks that allow one run per workspace at a time, across processes.
//!
//! A lock is a locked file beside the ledger. The system releases it when its process ends. The
//! file contains the holder.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::sqlite::{beside, create_folder_of, folder_of};
use super::{LedgerError, Result};
use crate::files;
use crate::roster::Digest;

/// The lock of one workspace. Dropping it releases it.
#[derive(Debug, Default)]
pub struct Lock {
    file: Option<File>,
    _in_process: Option<InProcess>,
}

/// Locks of a ledger in memory: the holder, by scope.
pub type Holders = Arc<Mutex<HashMap<String, String>>>;

#[derive(Debug)]
struct InProcess {
    holders: Holders,
    scope: String,
}

/// Takes the lock of a ledger file, or returns the holder.
pub fn of_file(ledger: &Path, scope: &str, holder: &str) -> Result<Result<Lock, String>> {
    let digest: String = Digest::of([scope]).hex().chars().take(12).collect();
    let path = beside(ledger, &format!("-{digest}.lock"));
    create_folder_of(&path)?;
    let mut file = open(&path, ledger)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            // Only a hint for people; the lock does not depend on it.
            let _ = file.write_all(holder.as_bytes());
            Ok(Ok(Lock { file: Some(file), _in_process: None }))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(1_000).read_to_string(&mut holder);
            Ok(Err(if holder.is_empty() { "another process".to_owned() } else { holder }))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Opens the lock, or creates it for the owner of the ledger: root may be the first who runs.
fn open(path: &Path, ledger: &Path) -> Result<File> {
    let like = if ledger.exists() { ledger } else { folder_of(ledger) };
    match files::create_new(path, like) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return Ok(created?),
    }
    let file = files::open_regular(path).map_err(|error| {
        let why = files::denied(path, true).unwrap_or_else(|| error.to_string());
        let lock = format!("the lock {} cannot be opened: {why}", path.display());
        LedgerError::Io(lock + "; or remove it while no rosterd runs")
    })?;
    files::give(&file, &fs::metadata(like)?);
    Ok(file)
}

/// Takes the lock of a ledger in memory, or returns the holder.
pub fn in_process(holders: &Holders, scope: &str, holder: &str) -> Result<Lock, String> {
    let mut held = holders.lock();
    if let Some(holder) = held.get(scope) {
        return Err(holder.clone());
    }
    held.insert(scope.to_owned(), holder.to_owned());
    let in_process = InProcess { holders: Arc::clone(holders), scope: scope.to_owned() };
    Ok(Lock { file: None, _in_process: Some(in_process) })
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A child process that is being started holds a copy of the open file for a moment, so
        // closing the file would not release the lock.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        let mut held = self.holders.lock();
        held.remove(&self.scope);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown};
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_lock_excludes_others_and_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        let take = |scope, who| of_file(&ledger, scope, who).unwrap();
        let first = take("acme", "process 1 since noon").unwrap();
        assert_eq!(take("acme", "process 2").unwrap_err(), "process 1 since noon");
        take("other", "process 2").unwrap();
        // As in a child process that is being started.
        let copy = first.file.as_ref().unwrap().try_clone().unwrap();
        drop(first);
        take("acme", "process 2").unwrap();
        drop(copy);
    }

    /// The path of the lock of `acme`.
    fn lock_of(ledger: &Path) -> PathBuf {
        drop(of_file(ledger, "acme", "process 1").unwrap().unwrap());
        let files = fs::read_dir(folder_of(ledger)).unwrap();
        let mut paths = files.map(|file| file.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|it| it == "lock")).unwrap()
    }

    #[test]
    fn a_lock_that_is_a_link_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, precious) = (folder.path().join("ledger.db"), folder.path().join("precious"));
        let lock = lock_of(&ledger);
        for link in [std::os::unix::fs::symlink::<&Path, &Path>, fs::hard_link] {
            fs::write(&precious, "precious").unwrap();
            fs::remove_file(&lock).unwrap();
            link(&precious, &lock).unwrap();
            let error = of_file(&ledger, "acme", "process 2").unwrap_err().to_string();
            assert!(error.contains(&format!("the lock {}", lock.display())), "{error}");
            assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        }
    }

    #[test]
    fn the_lock_belongs_to_the_owner_of_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        if chown(folder.path(), Some(54_321), None).is_err() {
            return; // Only root can give files away.
        }
        // There is no ledger yet.
        let lock = lock_of(&ledger);
        assert_eq!(owner(&lock), 54_321);
        drop(super::super::sqlite::Sqlite::create(&ledger).unwrap());
        assert_eq!(owner(&ledger), 54_321);
        chown(&lock, Some(0), None).unwrap();
        lock_of(&ledger);
        assert_eq!(owner(&lock), 54_321, "an earlier version made it");
    }

    #[test]
    fn a_lock_in_memory_excludes_others_and_names_the_holder() {
        let holders = Holders::default();
        let first = in_process(&holders, "acme", "one").unwrap();
        assert_eq!(in_process(&holders, "acme", "two").unwrap_err(), "one");
        drop(first);
        in_process(&holders, "acme", "two").unwrap();
    }
}
