//! A schedule: always later, and the same wherever one begins to look.
//!
//! The lines of an input are the schedule, the time zone, and the instant to look from.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rosterd::schedule::Cron;

use super::now;

/// Every schedule comes again before the calendar of the crate `cron` ends, where one looks from
/// these seconds: 1970 to 2040.
const SECONDS: i64 = 2_208_988_800;

/// What any line means as a schedule.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let cron = match lines.next().unwrap_or_default().parse::<Cron>() {
        Ok(cron) => cron,
        Err(error) => return assert!(error.to_string().contains(' '), "an error has words"),
    };
    assert_eq!(cron.to_string().parse(), Ok(cron.clone()), "it is read as it is shown");
    let zone = lines.next().unwrap_or_default();
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let from = lines.next().and_then(|text| text.parse::<Timestamp>().ok()).unwrap_or(now());
    let from = Timestamp::new(from.as_second().rem_euclid(SECONDS), 0).expect("in range");
    let mut at = from;
    for _ in 0..3 {
        let due = cron.next_after(&zone, at).expect("it comes again");
        assert!(due > at, "{cron}: {due} is not after {at}");
        let between = Timestamp::from_second(at.as_second().midpoint(due.as_second()));
        let just_before = due - jiff::SignedDuration::from_nanos(1);
        for start in [between.expect("in range"), just_before] {
            assert_eq!(cron.next_after(&zone, start), Some(due), "{cron} from {start}");
        }
        at = due;
    }
}
