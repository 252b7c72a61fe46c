//! Parses the dates of a roster.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::diagnostic::Diagnostic;
use crate::escape::escape;
use crate::yaml::Node;

/// The instant that a date stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayBoundary {
    /// The start of that day.
    Start,
    /// The start of the next day: the date is the last day.
    End,
}

/// Parses `2026-12-01` or `2026-12-01T18:00:00Z`. A date is that day in `zone`. `what` names the
/// key in messages.
pub fn parse(
    node: &Node<'_>,
    what: &str,
    boundary: DayBoundary,
    zone: &TimeZone,
    out: &mut Vec<Diagnostic>,
) -> Option<Timestamp> {
    let text = node.text(what, out)?;
    let instant = text.parse::<Timestamp>().ok().or_else(|| parse_date(text, boundary, zone));
    if instant.is_none() {
        let (label, hint) = explain(text);
        Diagnostic::error("bad-date", format!("{what} is not a date: `{}`", escape(text)))
            .marked(node.place, label)
            .hint(hint)
            .emit(out);
    }
    instant
}

/// The label and the hint for an invalid date.
fn explain(text: &str) -> (&'static str, &'static str) {
    const FORMATS: &str = "write a date (2026-12-01) or a timestamp (2026-12-01T18:00:00Z)";
    if is_date(text) {
        ("no such day in the calendar", FORMATS)
    } else if text.len() > 10 && text.parse::<DateTime>().is_ok() {
        ("no time zone", "end it with Z, or with an offset such as +01:00")
    } else {
        ("not a date", FORMATS)
    }
}

/// Whether the text has the form `2026-12-01`. The date parser would also accept a time of day,
/// and ignore it.
fn is_date(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| {
        if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() }
    };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}

fn parse_date(text: &str, boundary: DayBoundary, zone: &TimeZone) -> Option<Timestamp> {
    let date: Date = is_date(text).then(|| text.parse().ok()).flatten()?;
    let day = match (boundary, date.tomorrow()) {
        (DayBoundary::Start, _) => date,
        (DayBoundary::End, Ok(next)) => next,
        // The last day that can be represented.
        (DayBoundary::End, Err(_)) => return Some(Timestamp::MAX),
    };
    // With a daylight saving change at midnight, the day starts later than 00:00.
    let midnight = day.to_zoned_datetime(zone.clone()).ok()?;
    midnight.start_of_day().ok().map(|first| first.timestamp())
}
