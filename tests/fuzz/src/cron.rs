//! Schedules: the next time is later than the start, and the same for every start before it.
//!
//! The lines of an input are the schedule, the time zone, and the start.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rosterd::schedule::Cron;

use super::now;

/// Starts are between 1970 and 2040: every schedule has a later time in the calendar of the crate
/// `cron`.
const SECONDS: i64 = 2_208_988_800;

/// Parses the schedule, and checks its next three times.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let cron = match lines.next().unwrap_or_default().parse::<Cron>() {
        Ok(cron) => cron,
        Err(error) => return assert!(error.to_string().contains(' '), "an error is a sentence"),
    };
    assert_eq!(cron.to_string().parse(), Ok(cron.clone()), "parsing what is displayed");
    let zone = lines.next().unwrap_or_default();
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let from = lines.next().and_then(|text| text.parse::<Timestamp>().ok()).unwrap_or(now());
    let from = Timestamp::new(from.as_second().rem_euclid(SECONDS), 0).expect("in range");
    let mut at = from;
    for _ in 0..3 {
        let due = cron.next_after(&zone, at).expect("a later time");
        assert!(due > at, "{cron}: {due} is not after {at}");
        let between = Timestamp::from_second(at.as_second().midpoint(due.as_second()));
        let just_before = due - jiff::SignedDuration::from_nanos(1);
        for start in [between.expect("in range"), just_before] {
            assert_eq!(cron.next_after(&zone, start), Some(due), "{cron} from {start}");
        }
        at = due;
    }
}
