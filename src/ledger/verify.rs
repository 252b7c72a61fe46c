//! The whole chain, from the first row that is there to the last.

use super::LedgerError;
use super::chain::{Break, Link};
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
    pub head: Link,
    /// Whether it leads over the hash that was asked for; true where none was.
    pub leads_over: bool,
}

/// Checks every row. `head` is a hash that an earlier look showed: a chain that does not lead over
/// it has lost its end, or was written anew.
pub fn verify(store: &dyn Store, head: Option<&str>) -> Result<Verified, LedgerError> {
    let mut link = beginning(store)?;
    let head = head.map(|head| head.trim().to_ascii_lowercase());
    let is_head = |hash: &str| head.as_deref().is_none_or(|head| head == hash);
    let dropped = link.seq;
    let mut verified = Verified {
        rows: 0,
        first: None,
        dropped,
        head: link.clone(),
        leads_over: is_head(&link.hash),
    };
    store.rows(dropped, &mut |row| {
        link.follow(&row)?;
        row.read()?;
        verified.rows += 1;
        verified.first = verified.first.or(Some(row.seq));
        verified.leads_over |= is_head(&row.hash);
        Ok(())
    })?;
    verified.head = link;
    Ok(verified)
}

/// The last anchor, if rows have ever been dropped.
pub fn anchor(store: &dyn Store) -> Result<Option<Anchor>, LedgerError> {
    let Some(row) = store.newest("anchor")? else { return Ok(None) };
    match row.read()?.entry {
        Entry::Anchor(anchor) => Ok(Some(*anchor)),
        _ => Err(Break::Unreadable(row.seq, "it is called an anchor, and is none".into()).into()),
    }
}

/// Before the first row that must be there.
pub fn beginning(store: &dyn Store) -> Result<Link, LedgerError> {
    Ok(anchor(store)?.map_or_else(Link::root, |anchor| Link::after(&anchor)))
}
