//! Verifies the whole chain, from the first row to the last.

use jiff::{SignedDuration, Timestamp};

use super::Result;
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
    /// Time of the first row.
    pub oldest: Option<Timestamp>,
    /// Number of old rows that were dropped and that the anchor replaces.
    pub dropped: u64,
    /// The last row.
    pub head: ChainHead,
    /// Whether it contains the given hash; true if none was given.
    pub contains_head: bool,
}

/// The shortest `retention`.
const MIN_RETENTION: SignedDuration = SignedDuration::from_hours(24);

impl Verified {
    /// The time of the oldest row, if rows are missing that `retention` would not have dropped.
    pub fn falls_short(&self, retention: SignedDuration, now: Timestamp) -> Option<Timestamp> {
        let oldest = self.oldest.filter(|_| self.dropped > 0)?;
        (!reaches(oldest, retention, now)).then_some(oldest)
    }
}

/// Checks every row. `known` is a hash from an earlier verification: a chain that does not contain
/// it was truncated or rewritten.
pub fn verify(store: &dyn Store, known: Option<&str>) -> Result<Verified> {
    let mut head = beginning(store)?;
    let known = known.map(|known| known.trim().to_ascii_lowercase());
    let is_known = |hash: &str| known.as_deref().is_none_or(|known| known == hash);
    let (dropped, contains_head) = (head.seq, is_known(&head.hash));
    let mut verified =
        Verified { rows: 0, first: None, oldest: None, dropped, head: head.clone(), contains_head };
    let mut through = 0;
    store.rows(dropped, &mut |row| {
        head.follow(&row)?;
        let record = row.read()?;
        verified.rows += 1;
        verified.first = verified.first.or(Some(row.seq));
        verified.oldest = verified.oldest.or(Some(record.at));
        if let Entry::Anchor(anchor) = record.entry {
            // Each anchor replaces more rows than the one before it.
            if anchor.through <= std::mem::replace(&mut through, anchor.through) {
                return Err(ChainError::Anchor(row.seq).into());
            }
        }
        verified.contains_head |= is_known(&row.hash);
        Ok(())
    })?;
    verified.head = head;
    Ok(verified)
}

/// The last anchor, if rows have ever been dropped. It has to replace exactly the missing ones.
pub fn anchor(store: &dyn Store) -> Result<Option<Anchor>> {
    let Some((first, row)) = store.anchor()? else { return Ok(None) };
    match row.read()?.entry {
        Entry::Anchor(anchor) if anchor.through > 0 && first == anchor.through + 1 => {
            Ok(Some(*anchor))
        }
        _ => Err(ChainError::Anchor(row.seq).into()),
    }
}

/// Fails if rows are missing that no `retention` drops. An anchor proves nothing: whoever can
/// delete rows can write one. But it cannot make a younger row follow the deleted ones.
pub fn check_age(store: &dyn Store, now: Timestamp) -> Result<()> {
    let Some(first) = store.first()? else { return Ok(()) };
    let (dropped, oldest) = (first.seq.saturating_sub(1), first.time()?);
    let is_old_enough = |now| reaches(oldest, MIN_RETENTION, now);
    if dropped == 0 || is_old_enough(now) {
        return Ok(());
    }
    // If the clock is behind, the rows know better. That is for the guard `clock`.
    match store.latest()? {
        Some(latest) if is_old_enough(latest.time()?) => Ok(()),
        _ => Err(ChainError::Dropped { dropped, oldest }.into()),
    }
}

/// Whether a ledger whose oldest row is of this time reaches back as far as `retention`. Clocks
/// may differ, and earlier versions kept no row from before.
fn reaches(oldest: Timestamp, retention: SignedDuration, now: Timestamp) -> bool {
    now.duration_since(oldest) >= retention - MIN_RETENTION.min(retention / 8)
}

/// The chain head before the first row.
pub fn beginning(store: &dyn Store) -> Result<ChainHead> {
    Ok(anchor(store)?.map_or_else(ChainHead::root, |anchor| ChainHead::after(&anchor)))
}
