//! The runs that a ledger tells of, each with what it did. Pure.

use jiff::Timestamp;

use super::entry::{Entry, Record, RunRecord, Seq};
use super::events::{Event, story};

/// One run that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The number of its row.
    pub seq: Seq,
    /// When it ended.
    pub at: Timestamp,
    pub fact: RunRecord,
    /// What it changed, and what it began or ceased to hold, in order.
    pub events: Vec<Event>,
}

/// The last `most` runs before the row `before`, the newest first. What a run that was killed left
/// behind is told with the next one.
pub fn runs(entries: &[Record], before: Option<Seq>, most: usize) -> Vec<Run> {
    let ended = entries.iter().filter_map(|noted| match &noted.entry {
        Entry::Run(fact) => Some((noted.seq, noted.at, fact)),
        _ => None,
    });
    let ended: Vec<_> =
        ended.filter(|(seq, ..)| before.is_none_or(|before| *seq < before)).collect();
    let events = story(entries, None);
    let wanted = ended.len().saturating_sub(most);
    let mut found = Vec::new();
    for (position, (seq, at, fact)) in ended.iter().enumerate().skip(wanted) {
        let after = position.checked_sub(1).map_or(0, |earlier| ended[earlier].0);
        let first = events.partition_point(|event| event.seq <= after);
        let last = events.partition_point(|event| event.seq <= *seq);
        let events = events[first..last].to_vec();
        found.push(Run { seq: *seq, at: *at, fact: RunRecord::clone(fact), events });
    }
    found.reverse();
    found
}
