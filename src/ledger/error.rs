//! What can be wrong with a ledger, and what to do about it.

use rusqlite::ErrorCode;

use super::chain::ChainError;

/// Why the ledger cannot be used. While it cannot, nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("there is no ledger")]
    None,
    #[error(
        "the ledger is gone while rosterd runs; put it back, or begin a new one with \
         `rosterd ledger init`"
    )]
    Gone,
    #[error(
        "the ledger has been replaced while rosterd runs: {0}; put the right one back, begin a new \
         one with `rosterd ledger init`, or restart rosterd to go on with this one"
    )]
    Replaced(String),
    #[error("another program keeps the ledger locked; it is tried again")]
    Busy,
    #[error("the disk is full; make room, and rosterd goes on by itself")]
    Full,
    #[error("the ledger cannot be written; let the user that runs rosterd write it and its folder")]
    ReadOnly,
    #[error(
        "the ledger is corrupt ({0}); restore it from a backup, or move it away and begin a new \
         one with `rosterd ledger init`"
    )]
    Corrupt(String),
    #[error(
        "the ledger is not what was written: {0}; look at it with `rosterd ledger verify`, restore \
         it from a backup, or begin a new one with `rosterd ledger init`"
    )]
    Broken(ChainError),
    #[error("this is not a ledger of rosterd; name another file under `store`")]
    NotALedger,
    #[error(
        "the ledger has schema {found}, and this rosterd knows {known}; use a newer rosterd, or \
         the ledger from before it was upgraded"
    )]
    Newer { found: usize, known: usize },
    #[error("a ledger is there already; move it away first")]
    Exists,
    #[error("the ledger cannot be used: {0}")]
    Io(String),
}

/// What `SQLite` says of a file or a disk, in our words.
impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error_code() else { return Self::Io(error.to_string()) };
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt => Self::Corrupt(error.to_string()),
            ErrorCode::NotADatabase => Self::Corrupt("it is no SQLite file".to_owned()),
            // A full disk that has no room for the shared memory of the journal is told so.
            ErrorCode::SystemIoFailure => {
                Self::Io(format!("{error}: is the disk full, or does it fail?"))
            }
            ErrorCode::CannotOpen => {
                Self::Io(format!("{error}: may the user that runs rosterd write there?"))
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

impl From<ChainError> for LedgerError {
    fn from(broken: ChainError) -> Self {
        Self::Broken(broken)
    }
}
