//! Verifies the whole chain, from the first row to the last.

use super::LedgerError;
use super::chain::{ChainError, ChainHead};
use super::store::Store;
use crate::memory::entry::{Anchor, Entry, Seq};

/// A verified chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Number of rows.
    pub rows: u64,
    /// Number of the first row, if there is one.
    pub first: Option<Seq>,
    /// Number of old rows that were dropped and that the anchor replaces.
    pub dropped: u64,
    /// The last row.
    pub head: ChainHead,
    /// Whether it contains the given hash; true if none was given.
    pub contains_head: bool,
}

/// Checks every row. `known` is a hash from an earlier verification: a chain that does not contain
/// it was truncated or rewritten.
pub fn verify(store: &dyn Store, known: Option<&str>) -> Result<Verified, LedgerError> {
    let mut head = beginning(store)?;
    let known = known.map(|known| known.trim().to_ascii_lowercase());
    let is_known = |hash: &str| known.as_deref().is_none_or(|known| known == hash);
    let (dropped, contains_head) = (head.seq, is_known(&head.hash));
    let mut verified =
        Verified { rows: 0, first: None, dropped, head: head.clone(), contains_head };
    store.rows(dropped, &mut |row| {
        head.follow(&row)?;
        row.read()?;
        verified.rows += 1;
        verified.first = verified.first.or(Some(row.seq));
        verified.contains_head |= is_known(&row.hash);
        Ok(())
    })?;
    verified.head = head;
    Ok(verified)
}

/// The last anchor, if rows have ever been dropped.
pub fn anchor(store: &dyn Store) -> Result<Option<Anchor>, LedgerError> {
    let Some(row) = store.newest("anchor")? else { return Ok(None) };
    if let Entry::Anchor(anchor) = row.read()?.entry {
        return Ok(Some(*anchor));
    }
    let why = "it is marked as an anchor but contains none".into();
    Err(ChainError::Unreadable(row.seq, why).into())
}

/// The chain head before the first row.
pub fn beginning(store: &dyn Store) -> Result<ChainHead, LedgerError> {
    Ok(anchor(store)?.map_or_else(ChainHead::root, |anchor| ChainHead::after(&anchor)))
}
