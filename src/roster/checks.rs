//! Turns what was written into a roster, or into every problem at once.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Roster;
use super::raw::RawRoster;
use crate::diagnostic::{Diagnostic, Sources};

/// A roster only where there is no error; every problem, warnings included, in any case.
/// A date is that day in `zone`.
pub fn validate(
    _raw: RawRoster,
    _sources: &Sources,
    _zone: &TimeZone,
    _now: Timestamp,
) -> (Option<Roster>, Vec<Diagnostic>) {
    (None, Vec::new())
}
