//! Backoff of invitations and of rejected changes. Pure.

use jiff::{SignedDuration, Timestamp};

/// Wait after the first, second and third invitation. After the fourth, a person has to act.
pub const INVITATIONS: [SignedDuration; 3] = [hours(24), hours(72), hours(7 * 24)];

/// Wait after the first, second and third rejection of a change by the API. After the fourth, a
/// person has to act.
pub const REJECTIONS: [SignedDuration; 3] = [hours(1), hours(6), hours(24)];

const fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// When the next attempt may be made, after `times` attempts, the last at `last`; None if there is
/// none left. The first attempt needs no wait.
pub fn next(backoff: &[SignedDuration], times: usize, last: Timestamp) -> Option<Timestamp> {
    match times.checked_sub(1) {
        None => Some(Timestamp::MIN),
        Some(step) => backoff.get(step).map(|wait| last.saturating_add(*wait).unwrap_or(last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_attempt_is_the_last() {
        let at = Timestamp::UNIX_EPOCH;
        let hours =
            |times| next(&INVITATIONS, times, at).map(|next| next.duration_since(at).as_hours());
        assert_eq!([hours(1), hours(2), hours(3), hours(4)], [Some(24), Some(72), Some(168), None]);
        assert_eq!(next(&REJECTIONS, 0, at), Some(Timestamp::MIN));
        assert_eq!(next(&REJECTIONS, 4, at), None);
        assert_eq!(next(&REJECTIONS, 1, Timestamp::MAX), Some(Timestamp::MAX), "no overflow");
    }
}
