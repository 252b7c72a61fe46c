//! The whole chain, from the first row that is there to the last.

use super::LedgerError;
use super::chain::{ChainError, ChainHead};
use super::store::Store;
use crate::memory::entry::{Anchor, Entry, Seq};

/// A chain without a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The rows that are there.
    pub rows: u64,
    /// The number of the first, where there is one.
    pub first: Option<Seq>,
    /// Rows that were dropped when they were old, and that the anchor stands for.
    pub dropped: u64,
    /// The last row.
    pub head: ChainHead,
    /// Whether it leads over the hash that was asked for; true where none was.
    pub contains_head: bool,
}

/// Checks every row. `known` is a hash that an earlier look showed: a chain that does not lead over
/// it has lost its end, or was written anew.
pub fn verify(store: &dyn Store, known: Option<&str>) -> Result<Verified, LedgerError> {
    let mut head = beginning(store)?;
    let known = known.map(|known| known.trim().to_ascii_lowercase());
    let is_known = |hash: &str| known.as_deref().is_none_or(|known| known == hash);
    let dropped = head.seq;
    let mut verified = Verified {
        rows: 0,
        first: None,
        dropped,
        head: head.clone(),
        contains_head: is_known(&head.hash),
    };
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
    match row.read()?.entry {
        Entry::Anchor(anchor) => Ok(Some(*anchor)),
        _ => {
            Err(ChainError::Unreadable(row.seq, "it is called an anchor, and is none".into())
                .into())
        }
    }
}

/// Before the first row that must be there.
pub fn beginning(store: &dyn Store) -> Result<ChainHead, LedgerError> {
    Ok(anchor(store)?.map_or_else(ChainHead::root, |anchor| ChainHead::after(&anchor)))
}
