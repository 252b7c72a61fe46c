//! Formats instants and durations.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// ` 3 days ago`, with a leading space; empty below a minute.
pub fn ago(since: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(since)).map(|span| format!(" {span} ago")).unwrap_or_default()
}

/// `3 days`, `5 h`, `12 min`; None below a minute.
pub fn span(span: SignedDuration) -> Option<String> {
    let (days, hours, minutes) = (span.as_hours() / 24, span.as_hours(), span.as_mins());
    Some(match (days, hours, minutes) {
        (1, ..) => "1 day".to_owned(),
        (2.., ..) => format!("{days} days"),
        (_, 1.., _) => format!("{hours} h"),
        (_, _, 1..) => format!("{minutes} min"),
        _ => return None,
    })
}

/// `2026-12-01 18:00 UTC`, or `2026-12-01 19:00 CET`.
pub fn at(instant: Timestamp, zone: &TimeZone) -> String {
    instant.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// An end of access: an end at midnight is that of the last day, as a roster writes it.
/// `2026-12-31 24:00 CET`, where [`at`] is `2027-01-01 00:00 CET`.
pub fn end(instant: Timestamp, zone: &TimeZone) -> String {
    let shown = at(instant, zone);
    match shown.split_once(" 00:00 ") {
        Some((_, name)) => format!("{} 24:00 {name}", last_day(instant, zone)),
        None => shown,
    }
}

/// The day of the last instant before an end: `2026-12-31`.
pub fn last_day(end: Timestamp, zone: &TimeZone) -> String {
    let last = end.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(end);
    last.to_zoned_datetime(zone.clone()).date().to_string()
}

/// The same as [`at`], to the second, of a time for machines.
pub fn to_second(exact: &str, zone: &TimeZone) -> String {
    local(exact, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// A time for machines in another form, in `zone`.
pub fn local(exact: &str, zone: &TimeZone, form: &str) -> String {
    let instant = exact.parse::<Timestamp>();
    let shown = instant.map(|it| it.to_zoned_datetime(zone.clone()).strftime(form));
    shown.map_or_else(|_| exact.to_owned(), |it| it.to_string())
}

/// `2026-12-01T18:00:00Z`, for machine-readable output.
pub fn exact(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_that_of_the_zone_and_names_it() {
        let midnight = "2026-11-30T23:00:00Z".parse().unwrap();
        assert_eq!(at(midnight, &TimeZone::UTC), "2026-11-30 23:00 UTC");
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(at(midnight, &berlin), "2026-12-01 00:00 CET");
        assert_eq!(to_second("2026-07-01T10:00:09Z", &berlin), "2026-07-01 12:00:09 CEST");
        assert_eq!(to_second("never", &berlin), "never");
        let end = |instant: &str| super::end(instant.parse().unwrap(), &berlin);
        assert_eq!(end("2026-12-31T23:00:00Z"), "2026-12-31 24:00 CET", "`expires: 2026-12-31`");
        assert_eq!(end("2026-12-31T17:00:00Z"), "2026-12-31 18:00 CET");
    }

    #[test]
    fn a_span_uses_the_largest_unit_that_fits() {
        let minutes = |minutes| span(SignedDuration::from_mins(minutes));
        assert_eq!(minutes(0), None);
        assert_eq!(minutes(59).as_deref(), Some("59 min"));
        assert_eq!(minutes(60 * 23 + 59).as_deref(), Some("23 h"));
        assert_eq!(minutes(60 * 47).as_deref(), Some("1 day"));
        assert_eq!(minutes(60 * 49).as_deref(), Some("2 days"));
        assert_eq!(minutes(-5), None, "the clock went backwards");
    }
}
