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

/// The last `limit` runs before the entry `before` that are `wanted`, newest first. Events of a run
/// that was killed belong to the next one.
pub fn runs(
    entries: &[Record],
    before: Option<Seq>,
    limit: usize,
    wanted: impl Fn(&RunRecord) -> bool,
) -> Vec<Run> {
    let mut last = 0;
    let ended = entries.iter().filter_map(|record| match &record.entry {
        Entry::Run(run) => Some((std::mem::replace(&mut last, record.seq), record, run)),
        _ => None,
    });
    let is_before = |seq| before.is_none_or(|before| seq < before);
    let found: Vec<_> =
        ended.filter(|(_, record, run)| is_before(record.seq) && wanted(run)).collect();
    let events = events(entries, None);
    let newest = found.into_iter().rev().take(limit);
    let newest = newest.map(|(earlier, record, run)| {
        let first = events.partition_point(|event| event.seq <= earlier);
        let last = events.partition_point(|event| event.seq <= record.seq);
        let events = events[first..last].to_vec();
        Run { seq: record.seq, at: record.at, record: RunRecord::clone(run), events }
    });
    newest.collect()
}
