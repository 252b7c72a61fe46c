//! Dates and instants as people write them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::diagnostic::Diagnostic;
use crate::escape::escape;
use crate::yaml::Node;

/// Which instant a date stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The first instant of that day.
    Start,
    /// The first instant of the day after it: the date is the last day.
    End,
}

/// Reads `2026-12-01` or `2026-12-01T18:00:00Z`; a date is that day in `zone`. `what` names the
/// key as messages show it.
pub fn read(
    node: &Node<'_>,
    what: &str,
    edge: Edge,
    zone: &TimeZone,
    out: &mut Vec<Diagnostic>,
) -> Option<Timestamp> {
    let text = node.text(what, out)?;
    let instant = text.parse::<Timestamp>().ok().or_else(|| of_date(text, edge, zone));
    if instant.is_none() {
        let (label, hint) = why(text);
        out.push(
            Diagnostic::error("bad-date", format!("{what} is not a date: `{}`", escape(text)))
                .at(node.place)
                .label(label)
                .hint(hint),
        );
    }
    instant
}

fn why(text: &str) -> (&'static str, &'static str) {
    const FORMS: &str = "write a day (2026-12-01) or an instant (2026-12-01T18:00:00Z)";
    if is_day(text) {
        ("the calendar has no such day", FORMS)
    } else if text.len() > 10 && text.parse::<DateTime>().is_ok() {
        ("of which time zone?", "end it with Z, or with an offset such as +01:00")
    } else {
        ("not a date", FORMS)
    }
}

/// The parser of dates would take a time of day as well, and drop it.
fn is_day(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| {
        if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() }
    };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}

fn of_date(text: &str, edge: Edge, zone: &TimeZone) -> Option<Timestamp> {
    let date: Date = is_day(text).then(|| text.parse().ok()).flatten()?;
    let day = match edge {
        Edge::Start => date,
        Edge::End => match date.tomorrow() {
            Ok(next) => next,
            // The last day that can be written: it has no end.
            Err(_) => return Some(Timestamp::MAX),
        },
    };
    // Where the clocks are put forward at midnight, the day begins with its first instant.
    let midnight = day.to_zoned_datetime(zone.clone()).ok()?;
    midnight.start_of_day().ok().map(|first| first.timestamp())
}
