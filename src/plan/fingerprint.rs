//! The fingerprint: which changes, from which roster, and nothing else.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::change::Change;
use crate::roster::Digest;

/// SHA-256 over the roster digest and the set of (kind, address, uid, from, to).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The order of the changes does not matter: a plan is a set of them.
    pub fn of(roster: Digest, changes: &[Change]) -> Self {
        let mut rows: Vec<String> = changes.iter().map(row).collect();
        rows.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(roster.0);
        for row in rows {
            hash.update((row.len() as u64).to_be_bytes());
            hash.update(row.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// 64 hexadecimal digits.
    pub fn hex(self) -> String {
        Digest(self.0).hex()
    }

    /// The first eight digits, for people.
    pub fn short(self) -> String {
        self.hex().chars().take(8).collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// One change as a line that no other change can spell: the parts hold no newline of ours, and
/// their lengths stand before them.
fn row(change: &Change) -> String {
    // In full, so that a new field of a change must be decided on here.
    let Change { action: _, email, also: _, reason: _, place: _, name: _ } = change;
    let parts = [
        change.kind().to_owned(),
        email.folded(),
        change.uid().map(ToString::to_string).unwrap_or_default(),
        change.from().map(ToString::to_string).unwrap_or_default(),
        change.to().map(ToString::to_string).unwrap_or_default(),
    ];
    parts.iter().fold(String::new(), |row, part| row + &format!("{}:{part}\n", part.len()))
}
