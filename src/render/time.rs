//! Formats instants and durations.

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

/// `2026-12-01 18:00 UTC`.
pub fn at(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-12-01T18:00:00Z`, for machine-readable output.
pub fn exact(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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
