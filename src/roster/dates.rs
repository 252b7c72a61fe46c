//! Dates and instants as people write them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::diagnostic::Diagnostic;
use crate::yaml::Node;

/// Which instant a date stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The first instant of that day.
    Start,
    /// The first instant of the day after it: the date is the last day.
    End,
}

/// Reads `2026-12-01` or `2026-12-01T18:00:00Z`; a date is that day in `zone`.
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
        out.push(
            Diagnostic::error("bad-date", format!("`{what}` is not a date: `{text}`"))
                .at(node.place)
                .label("not a date")
                .hint("write a day (2026-12-01) or an instant (2026-12-01T18:00:00Z)"),
        );
    }
    instant
}

fn of_date(text: &str, edge: Edge, zone: &TimeZone) -> Option<Timestamp> {
    // The parser of dates would take a time of day as well, and drop it.
    let is_day = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = is_day.then(|| text.parse().ok()).flatten()?;
    let day = match edge {
        Edge::Start => date,
        Edge::End => date.tomorrow().ok()?,
    };
    // Where the clocks are put forward at midnight, the day begins with its first instant.
    day.to_zoned_datetime(zone.clone()).ok().map(|midnight| midnight.timestamp())
}
