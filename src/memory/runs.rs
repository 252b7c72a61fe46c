//! The recorded runs, each with its events. Pure.

use jiff::Timestamp;

use super::entry::{Entry, Record, RunRecord, Seq};
use super::events::{Event, events};

/// One finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Number of its entry.
    pub seq: Seq,
    /// When it ended.
    pub at: Timestamp,
    pub record: RunRecord,
    /// Its changes, and the changes that it held or released, in order.
    pub events: Vec<Event>,
}

/// The last `limit` runs before the entry `before`, newest first. Events of a run that was killed
/// belong to the next one.
pub fn runs(entries: &[Record], before: Option<Seq>, limit: usize) -> Vec<Run> {
    let ended = entries.iter().filter_map(|record| match &record.entry {
        Entry::Run(run) => Some((record.seq, record.at, run)),
        _ => None,
    });
    let ended: Vec<_> =
        ended.filter(|(seq, ..)| before.is_none_or(|before| *seq < before)).collect();
    let events = events(entries, None);
    let skipped = ended.len().saturating_sub(limit);
    let mut found = Vec::new();
    for (position, (seq, at, run)) in ended.iter().enumerate().skip(skipped) {
        let after = position.checked_sub(1).map_or(0, |earlier| ended[earlier].0);
        let first = events.partition_point(|event| event.seq <= after);
        let last = events.partition_point(|event| event.seq <= *seq);
        let events = events[first..last].to_vec();
        found.push(Run { seq: *seq, at: *at, record: RunRecord::clone(run), events });
    }
    found.reverse();
    found
}
