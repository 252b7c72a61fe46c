//! Errors of the ledger, and what to do about them.

use rusqlite::ErrorCode;

use super::chain::ChainError;

/// Why the ledger is not usable. Without it, no changes are made.
/// A result of the ledger.
pub type Result<T, E = LedgerError> = std::result::Result<T, E>;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("there is no ledger")]
    None,
    #[error(
        "the ledger was removed while rosterd was running; put it back, or create a new one with \
         `rosterd ledger init`"
    )]
    Gone,
    #[error(
        "the ledger was replaced while rosterd was running: {0}; put the right one back, create a \
         new one with `rosterd ledger init`, or restart rosterd to continue with this one"
    )]
    Replaced(String),
    #[error("the ledger is locked by another program; retrying")]
    Busy,
    #[error("the disk is full; free some space, and rosterd continues by itself")]
    Full,
    #[error(
        "the ledger is not writable; give the user that runs rosterd write access to it and its \
         folder"
    )]
    ReadOnly,
    #[error(
        "the ledger is corrupt ({0}); restore it from a backup, or move it away and create a new \
         one with `rosterd ledger init`"
    )]
    Corrupt(String),
    #[error(
        "the chain of the ledger is broken: {0}; check it with `rosterd ledger verify`, restore it \
         from a backup, or create a new one with `rosterd ledger init`"
    )]
    Broken(#[from] ChainError),
    #[error(
        "the schema of the ledger is not rosterd's: {0}; find out who changed it, and undo that, \
         or restore the ledger from a backup"
    )]
    Schema(String),
    #[error(
        "the ledger does not keep what is written to it; find out which program changes it, and \
         restore it from a backup"
    )]
    NotKept,
    #[error(
        "a row of the ledger is larger than 64 MiB, which rosterd does not write; restore it from \
         a backup"
    )]
    TooLarge,
    #[error("not a ledger of rosterd; set `store` to another file")]
    NotALedger,
    #[error(
        "the ledger has schema {found}, but this rosterd supports up to {known}; use a newer \
         rosterd, or the ledger from before the upgrade"
    )]
    Newer { found: usize, known: usize },
    #[error("a ledger exists already; move it away first")]
    Exists,
    #[error("the ledger is not usable: {0}")]
    Io(String),
}

/// Classifies the errors of `SQLite`.
impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error_code() else { return Self::Io(error.to_string()) };
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt => Self::Corrupt(error.to_string()),
            ErrorCode::TooBig => Self::TooLarge,
            ErrorCode::NotADatabase => Self::Corrupt("not a SQLite file".to_owned()),
            // For example a full disk without space for the shared memory of the journal.
            ErrorCode::SystemIoFailure => {
                Self::Io(format!("{error}: is the disk full or failing?"))
            }
            ErrorCode::CannotOpen => {
                Self::Io(format!("{error}: does the user that runs rosterd have write access?"))
            }
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<std::io::Error> for LedgerError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::None,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io(error.to_string()),
        }
    }
}
