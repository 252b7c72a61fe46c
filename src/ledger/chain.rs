//! The hash chain: each row is hashed together with the hash of the row before it, so that edited,
//! removed and moved rows are detected.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::memory::entry::{Anchor, Entry, Record, Seq};

use super::{LedgerError, Result};

/// The hash before the first row.
pub const ROOT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub seq: Seq,
    pub at: String,
    pub scope: String,
    pub kind: String,
    pub subject: Option<String>,
    pub body: String,
    pub hash: String,
}

/// The end of a chain: number and hash of its last row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    pub seq: Seq,
    pub hash: String,
}

/// Why the chain is broken at a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("row {missing} is missing: row {found} follows row {after}")]
    Missing { missing: Seq, after: Seq, found: Seq },
    #[error(
        "row {0} does not match its hash: this row or the one before it was edited, moved or \
         replaced"
    )]
    Changed(Seq),
    #[error("row {0} is not readable: {1}")]
    Unreadable(Seq, String),
    #[error("the first row is {0}, and there is no anchor for earlier rows")]
    NoBeginning(Seq),
    #[error("row {0} is an anchor for rows that were not dropped, or not by rosterd")]
    Anchor(Seq),
    #[error(
        "the rows up to {dropped} are missing, but the oldest that is left is of {oldest}: rosterd \
         drops nothing that is younger than a day"
    )]
    Dropped { dropped: Seq, oldest: Timestamp },
}

impl Row {
    /// The hash of this row after a row with the hash `before`.
    pub fn hash_after(&self, before: &str) -> String {
        let Self { seq, at, scope, kind, subject, body, hash: _ } = self;
        let seq = seq.to_string();
        let subject = subject.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [before, &seq, at, scope, kind, subject, body] {
            hash.update(part.len().to_string());
            hash.update(":");
            hash.update(part);
            hash.update("\n");
        }
        crate::roster::Digest(hash.finalize().into()).hex()
    }

    /// When it was written.
    pub fn time(&self) -> Result<Timestamp, ChainError> {
        let unreadable = |error: jiff::Error| ChainError::Unreadable(self.seq, error.to_string());
        self.at.parse().map_err(unreadable)
    }

    /// Parses the entry of the row.
    pub fn read(&self) -> Result<Record> {
        let unreadable = |why: String| LedgerError::Broken(ChainError::Unreadable(self.seq, why));
        let at = self.time()?;
        let entry: Entry =
            serde_json::from_str(&self.body).map_err(|error| unreadable(error.to_string()))?;
        if entry.kind() != self.kind {
            return Err(unreadable(format!("it is marked as {:?}", self.kind)));
        }
        Ok(Record { seq: self.seq, at, entry })
    }
}

impl ChainHead {
    /// Before the first row.
    pub fn root() -> Self {
        Self { seq: 0, hash: ROOT.to_owned() }
    }

    /// After the rows that an anchor replaces.
    pub fn after(anchor: &Anchor) -> Self {
        Self { seq: anchor.through, hash: anchor.hash.clone() }
    }

    /// Advances to the next row, if it follows.
    pub fn follow(&mut self, row: &Row) -> Result<(), ChainError> {
        if row.seq != self.seq + 1 {
            return Err(match self.seq {
                0 => ChainError::NoBeginning(row.seq),
                after => ChainError::Missing { missing: after + 1, after, found: row.seq },
            });
        }
        if row.hash_after(&self.hash) != row.hash {
            return Err(ChainError::Changed(row.seq));
        }
        *self = Self { seq: row.seq, hash: row.hash.clone() };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: Seq, body: &str, before: &str) -> Row {
        let mut row = Row {
            seq,
            at: "2026-11-25T12:00:00Z".into(),
            scope: "acme".into(),
            kind: "run".into(),
            subject: None,
            body: body.into(),
            hash: String::new(),
        };
        row.hash = row.hash_after(before);
        row
    }

    #[test]
    fn an_edited_removed_or_moved_row_breaks_the_chain() {
        let one = row(1, "{}", ROOT);
        let two = row(2, "[]", &one.hash);
        let follow = |rows: &[&Row]| {
            let mut head = ChainHead::root();
            rows.iter().try_for_each(|row| head.follow(row))
        };
        assert_eq!(follow(&[&one, &two]), Ok(()));
        let edited = Row { body: "{ }".into(), ..one.clone() };
        assert_eq!(follow(&[&edited, &two]), Err(ChainError::Changed(1)));
        let moved = Row { seq: 1, ..two.clone() };
        assert_eq!(follow(&[&moved]), Err(ChainError::Changed(1)));
        assert_eq!(follow(&[&two]), Err(ChainError::NoBeginning(2)));
        let three = row(3, "", &two.hash);
        let gap = ChainError::Missing { missing: 2, after: 1, found: 3 };
        assert_eq!(follow(&[&one, &three]), Err(gap));
        let other = Row { subject: Some("matt@acme.io".into()), ..one };
        assert_eq!(follow(&[&other]), Err(ChainError::Changed(1)));
    }
}
