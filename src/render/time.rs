//! Instants and spans as people say them.

use jiff::{SignedDuration, Timestamp};

/// ` 3 days ago`, with a space before it; empty within a minute.
pub fn ago(since: Timestamp, now: Timestamp) -> String {
    match span(now.duration_since(since)) {
        None => String::new(),
        Some(span) => format!(" {span} ago"),
    }
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

/// `2026-12-01T18:00:00Z`, for programs.
pub fn exact(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_that_fits_is_told() {
        let told = |minutes| span(SignedDuration::from_mins(minutes));
        assert_eq!(told(0), None);
        assert_eq!(told(59).as_deref(), Some("59 min"));
        assert_eq!(told(60 * 23 + 59).as_deref(), Some("23 h"));
        assert_eq!(told(60 * 47).as_deref(), Some("1 day"));
        assert_eq!(told(60 * 49).as_deref(), Some("2 days"));
        assert_eq!(told(-5), None, "a clock that was put back");
    }
}
