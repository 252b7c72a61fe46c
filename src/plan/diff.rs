//! The table of DESIGN section 4.

use jiff::Timestamp;

use super::{OnRemoved, Plan};
use crate::directory::Snapshot;
use crate::memory::Memory;
use crate::roster::Roster;

/// Compares the two states.
pub fn plan(
    _roster: &Roster,
    _snapshot: &Snapshot,
    _memory: &Memory,
    _on_removed: OnRemoved,
    _now: Timestamp,
) -> Plan {
    todo!()
}
