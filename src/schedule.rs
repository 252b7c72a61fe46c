//! When the next run is due: cron as Unix knows it, daylight saving included.
//!
//! The crate `cron` finds matches on a plain calendar. What it does not know is done here: five
//! fields, weekdays from Sunday = 0, day *or* weekday where both are restricted, and what becomes
//! of a match when a zone's clock jumps, which is decided as Vixie cron decides it:
//!
//! - A schedule that names its minute and hour means those times of day. Where the clock jumps
//!   over one, it runs at the jump; where the clock is put back, it does not run again.
//! - A schedule whose minute or hour begins with `*` means a pace. It follows the clock: nothing
//!   is due at times that do not exist, and an hour that comes twice counts twice.

mod field;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime as Instant, Utc};
use jiff::Timestamp;
use jiff::civil::DateTime as Wall;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A cron schedule that fires at least once in a few years.
#[derive(Clone, Debug)]
pub struct Cron {
    written: String,
    /// One calendar, or two where a day of month *or* a weekday will do.
    calendars: Vec<cron::Schedule>,
    /// It names its minute and hour, so it means times of day and not a pace.
    times_of_day: bool,
}

/// Why a schedule cannot be used, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error(
        "a schedule has 5 fields (minute, hour, day of month, month, weekday), this one has {0}; \
         write for example `*/15 * * * *`"
    )]
    Fields(usize),
    #[error("a schedule has no field for seconds; leave the first one out: `{0}`")]
    Seconds(String),
    #[error("`{0}` is not known; use @hourly, @daily, @weekly, @monthly, @yearly or five fields")]
    Nickname(String),
    #[error("{field}: `{part}` {problem}")]
    Field { field: &'static str, part: String, problem: String },
    #[error("`{0}` never comes; choose a day that the month has")]
    NeverFires(String),
}

impl Cron {
    /// The first instant after `now` at which the schedule is due on the clocks of `tz`. None
    /// only beyond the year 2100.
    pub fn next_after(&self, tz: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        if self.times_of_day { self.next_time_of_day(tz, now) } else { self.next_step(tz, now) }
    }

    fn next_time_of_day(&self, tz: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let mut wall = tz.to_datetime(now);
        loop {
            wall = self.next_match(wall)?;
            let due = match tz.to_ambiguous_timestamp(wall).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok()?,
                AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok()?,
                AmbiguousOffset::Gap { before, .. } => jump_before(tz, before, wall)?,
            };
            // Within the second pass of a repeated hour, its matches lie in the first.
            if due > now {
                return Some(due);
            }
        }
    }

    /// Goes from one stretch without a clock change to the next.
    fn next_step(&self, tz: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let second = jiff::SignedDuration::from_secs(1);
        let (mut stretch, mut from) = (now, now);
        loop {
            let offset = tz.to_offset(stretch);
            let due = offset.to_timestamp(self.next_match(offset.to_datetime(from))?).ok()?;
            match tz.following(stretch).next().map(|change| change.timestamp()) {
                Some(change) if change <= due => {
                    (stretch, from) = (change, change.checked_sub(second).ok()?);
                }
                _ => return Some(due),
            }
        }
    }

    /// The first match after `wall` on a calendar whose clocks never change.
    fn next_match(&self, wall: Wall) -> Option<Wall> {
        let shown = Offset::UTC.to_timestamp(wall).ok()?.as_second();
        let after: Instant<Utc> = Instant::from_timestamp(shown, 0)?;
        let matches = self.calendars.iter().filter_map(|calendar| calendar.after(&after).next());
        let first = Timestamp::from_second(matches.min()?.timestamp()).ok()?;
        Some(Offset::UTC.to_datetime(first))
    }
}

/// The instant at which the clock jumped over `wall`.
fn jump_before(tz: &TimeZone, before: Offset, wall: Wall) -> Option<Timestamp> {
    let beyond = before.to_timestamp(wall).ok()?;
    let later = beyond.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
    tz.preceding(later).next().map(|change| change.timestamp())
}

/// `at`, put off by the part `unit_random` (from 0 to 1) of `max`, so that many processes with one
/// schedule do not all ask at once.
pub fn jittered(at: Timestamp, max: Duration, unit_random: f64) -> Timestamp {
    let delay = max.mul_f64(if unit_random.is_nan() { 0.0 } else { unit_random.clamp(0.0, 1.0) });
    at.saturating_add(jiff::SignedDuration::try_from(delay).unwrap_or_default()).unwrap_or(at)
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let written = text.trim();
        let expanded = expand(written)?;
        let fields: Vec<&str> = expanded.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(match fields.len() {
                6 | 7 => CronError::Seconds(fields[1..6].join(" ")),
                count => CronError::Fields(count),
            });
        };
        let times = format!("0 {} {}", field::MINUTE.read(minute)?, field::HOUR.read(hour)?);
        let (days, months) = (field::DAY.read(day)?, field::MONTH.read(month)?);
        let weekdays = field::WEEKDAY.read(weekday)?;
        // Vixie cron asks only whether a field begins with a star: `*/2` does.
        let patterns = if [day, weekday].iter().any(|field| field.starts_with('*')) {
            vec![format!("{times} {days} {months} {weekdays}")]
        } else {
            vec![format!("{times} {days} {months} *"), format!("{times} * {months} {weekdays}")]
        };
        let calendars: Result<_, _> = patterns.iter().map(|text| text.parse()).collect();
        let never = || CronError::NeverFires(written.to_owned());
        let times_of_day = ![minute, hour].iter().any(|field| field.starts_with('*'));
        let cron = Self {
            written: written.to_owned(),
            calendars: calendars.map_err(|_| never())?,
            times_of_day,
        };
        cron.next_match(Wall::constant(2000, 1, 1, 0, 0, 0, 0)).ok_or_else(never)?;
        Ok(cron)
    }
}

/// The five fields behind a nickname.
fn expand(written: &str) -> Result<&str, CronError> {
    if !written.starts_with('@') {
        return Ok(written);
    }
    match written.to_ascii_lowercase().as_str() {
        "@hourly" => Ok("0 * * * *"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@monthly" => Ok("0 0 1 * *"),
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        _ => Err(CronError::Nickname(written.to_owned())),
    }
}

impl Default for Cron {
    /// Every quarter of an hour.
    fn default() -> Self {
        let calendar = cron::Schedule::from_str("0 0,15,30,45 * * * *");
        Self {
            written: "*/15 * * * *".into(),
            calendars: calendar.into_iter().collect(),
            times_of_day: false,
        }
    }
}

impl fmt::Display for Cron {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Cron {}
