//! One run per workspace at a time, whichever process makes it.
//!
//! A lock is a file beside the ledger that the system locks: it is free at the instant at which
//! its process ends, however it ends. The file says who holds it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::LedgerError;
use super::sqlite::{beside, make_folder_of};
use crate::roster::Digest;

/// The right to make a run on one workspace; dropping it gives it back.
#[derive(Debug, Default)]
pub struct Lock {
    file: Option<File>,
    _within: Option<Within>,
}

/// Locks of a ledger that only this process has: by scope, with the holder.
pub type Holders = Arc<Mutex<HashMap<String, String>>>;

#[derive(Debug)]
struct Within {
    holders: Holders,
    scope: String,
}

/// Takes the lock, or tells who holds it.
pub fn beside_file(
    ledger: &Path,
    scope: &str,
    holder: &str,
) -> Result<Result<Lock, String>, LedgerError> {
    let path = path(ledger, scope);
    make_folder_of(&path)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            // The words are for people; the lock holds without them.
            let _ = file.write_all(holder.as_bytes());
            Ok(Ok(Lock { file: Some(file), _within: None }))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(1_000).read_to_string(&mut holder);
            Ok(Err(if holder.is_empty() { "another process".to_owned() } else { holder }))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The same within one process.
pub fn within(holders: &Holders, scope: &str, holder: &str) -> Result<Lock, String> {
    let mut held = holders.lock();
    if let Some(holder) = held.get(scope) {
        return Err(holder.clone());
    }
    held.insert(scope.to_owned(), holder.to_owned());
    let within = Within { holders: Arc::clone(holders), scope: scope.to_owned() };
    Ok(Lock { file: None, _within: Some(within) })
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A process that is being started holds a copy of every open file for a moment; the lock
        // ends now all the same.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let mut held = self.holders.lock();
        held.remove(&self.scope);
    }
}

fn path(ledger: &Path, scope: &str) -> PathBuf {
    let digest: String = Digest::of([scope]).hex().chars().take(12).collect();
    beside(ledger, &format!("-{digest}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_others_out_and_says_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        let take = |scope, who| beside_file(&ledger, scope, who).unwrap();
        let first = take("acme", "process 1 since noon").unwrap();
        assert_eq!(take("acme", "process 2").unwrap_err(), "process 1 since noon");
        take("other", "process 2").unwrap();
        // As a process that is being started has it.
        let copy = first.file.as_ref().unwrap().try_clone().unwrap();
        drop(first);
        take("acme", "process 2").unwrap();
        drop(copy);
    }

    #[test]
    fn the_same_holds_within_a_process() {
        let holders = Holders::default();
        let first = within(&holders, "acme", "one").unwrap();
        assert_eq!(within(&holders, "acme", "two").unwrap_err(), "one");
        drop(first);
        within(&holders, "acme", "two").unwrap();
    }
}
