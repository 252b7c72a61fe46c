//! Copies of a ledger: a backup while other processes write, and the way back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::NamedTempFile;

use super::sqlite::{Sqlite, beside, create_folder_of, folder_of};
use super::{Ledger, LedgerError, Location, Result, Verified, verify};
use crate::files;

/// Copies the rows of `from` as of now into a file in `folder`, and verifies the copy. Processes
/// that write to the ledger are not stopped. The file is removed when dropped.
fn copy(from: &Path, folder: &Path) -> Result<(NamedTempFile, Verified)> {
    let file = temporary(folder)?;
    Sqlite::open_read_only(from)?.copy_into(file.path())?;
    let verified = verify(&Sqlite::open_read_only(file.path())?, None)?;
    file.as_file().sync_all()?;
    Ok((file, verified))
}

/// A new file for its owner only.
fn temporary(folder: &Path) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix(".rosterd-").tempfile_in(folder);
    file.map_err(|error| LedgerError::Io(error.to_string()))
}

impl Ledger {
    /// The file of the ledger; an error if it is in memory.
    fn file(&self) -> Result<&Path> {
        match &self.location {
            Location::Memory => Err(LedgerError::None),
            Location::File(path) => Ok(path),
        }
    }

    /// Copies the ledger, as of now, into a file in the folder of `to`, or in its own. Blocks.
    pub fn copy(&self, to: Option<&Path>) -> Result<(NamedTempFile, Verified)> {
        let path = self.file()?;
        copy(path, folder_of(to.unwrap_or(path)))
    }

    /// Replaces the ledger by a copy. Returns where the replaced one is now, if there was one. The
    /// caller holds the locks of all workspaces. A daemon that has seen newer rows changes nothing
    /// until it is restarted.
    pub fn restore(&self, mut from: impl io::Read, now: Timestamp) -> Result<(Verified, PathBuf)> {
        let path = self.file()?;
        create_folder_of(path)?;
        let folder = folder_of(path);
        let mut received = temporary(folder)?;
        io::copy(&mut from, &mut received)?;
        let (file, verified) = copy(received.path(), folder)?;
        let owner = fs::metadata(path).or_else(|_| fs::metadata(folder))?;
        files::give(file.as_file(), &owner);
        let replaced = beside(path, &now.strftime(".replaced-%Y%m%dT%H%M%SZ").to_string());
        // The journal has rows that are not in the file yet. Left behind, it would damage the copy.
        for suffix in ["-wal", "-shm", ""] {
            match fs::rename(beside(path, suffix), beside(&replaced, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        file.persist(path).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()?;
        Ok((verified, replaced))
    }
}
