//! How long to wait before a retry, and when to stop.

use std::time::Duration;

/// Maximum wait before the second attempt.
pub const BASE: Duration = Duration::from_millis(500);
/// Maximum wait that rosterd chooses; a server may ask for a longer one.
pub const CAP: Duration = Duration::from_secs(30);
/// Maximum wait before a run after the first of several that failed.
const RUN_BASE: Duration = Duration::from_secs(5);
/// Maximum wait before a run after many that failed. A run that is due earlier is not delayed.
const RUN_CAP: Duration = Duration::from_hours(1);
/// Maximum number of attempts at a listing.
pub const ATTEMPTS: u32 = 5;
/// Maximum time between the first attempt at a listing and the start of the last.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// The wait before attempt number `attempt + 1`: doubled each time, at most [`CAP`]. The wait that
/// the server `asked` for is used if it is longer.
pub fn delay(attempt: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    backoff(BASE, CAP, attempt, jitter).max(asked.unwrap_or_default())
}

/// The wait before the next run after `failures` that failed in a row.
pub fn run_delay(failures: u32, jitter: f64) -> Duration {
    backoff(RUN_BASE, RUN_CAP, failures, jitter)
}

/// Shortened by up to a half by `jitter` (in `0..1`), so that clients do not retry together.
fn backoff(base: Duration, cap: Duration, attempt: u32, jitter: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let whole = base.saturating_mul(1 << doublings).min(cap);
    let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
    whole.mul_f64(0.5 + 0.5 * jitter)
}

/// The wait before the next attempt at a listing, after `attempt` attempts and `elapsed` time; None
/// to give up.
pub fn next(
    attempt: u32,
    elapsed: Duration,
    asked: Option<Duration>,
    jitter: f64,
) -> Option<Duration> {
    let wait = delay(attempt, asked, jitter);
    let fits = elapsed.checked_add(wait).is_some_and(|begin| begin <= DEADLINE);
    (attempt < ATTEMPTS && fits).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let whole: Vec<u128> = (1..=9).map(|n| delay(n, None, 1.0).as_millis()).collect();
        assert_eq!(whole, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        let runs: Vec<u64> = (8..=12).map(|n| run_delay(n, 1.0).as_secs()).collect();
        assert_eq!(runs, [640, 1280, 2560, 3600, 3600], "beyond the usual schedule");
        assert_eq!(delay(1, None, 0.0), BASE / 2);
        assert_eq!(delay(0, None, 1.0), BASE, "no attempt yet is as one");
    }

    #[test]
    fn a_jitter_that_is_not_a_number_does_no_harm() {
        for jitter in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 7.0] {
            assert!((BASE / 2..=BASE).contains(&delay(1, None, jitter)), "{jitter}");
        }
    }

    #[test]
    fn readings_end_after_the_last_attempt_or_the_deadline() {
        assert!(next(ATTEMPTS - 1, Duration::ZERO, None, 0.5).is_some());
        assert_eq!(next(ATTEMPTS, Duration::ZERO, None, 0.5), None);
        assert_eq!(next(1, DEADLINE, None, 0.5), None);
        assert_eq!(next(1, Duration::ZERO, Some(DEADLINE), 0.5), Some(DEADLINE));
        assert_eq!(next(1, Duration::from_secs(1), Some(DEADLINE), 0.5), None);
        assert_eq!(next(1, Duration::MAX, Some(Duration::MAX), 0.5), None, "no overflow");
    }

    proptest! {
        #[test]
        fn a_wait_is_bounded_grows_and_obeys_the_server(
            attempt in 0_u32..=u32::MAX, jitter in 0.0..1.0, asked in 0_u64..1_000_000,
        ) {
            let own = delay(attempt, None, jitter);
            prop_assert!(own >= BASE / 2 && own <= CAP);
            prop_assert!(delay(attempt.saturating_add(1), None, jitter) >= own);
            prop_assert!(delay(attempt, None, 1.0) >= own && own >= delay(attempt, None, 0.0));
            let asked = Duration::from_millis(asked);
            prop_assert_eq!(delay(attempt, Some(asked), jitter), own.max(asked));
        }
    }
}
