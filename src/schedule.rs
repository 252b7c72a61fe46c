//! Cron schedules with the semantics of Unix cron, including daylight saving time.
//!
//! The crate `cron` finds matches in UTC. This module adds five-field syntax, weekdays from
//! Sunday = 0, day *or* weekday if both are restricted, and the behaviour of Vixie cron at clock
//! changes:
//!
//! - If minute and hour are both fixed, the schedule runs at times of day. A time that the clock
//!   skips runs at the clock change; a time that the clock repeats runs once.
//! - If minute or hour begins with `*`, the schedule is an interval. It follows the local clock:
//!   skipped times do not run, and repeated times run twice.

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

/// A cron schedule. It matches at least once in a few years.
#[derive(Clone, Debug)]
pub struct Cron {
    written: String,
    /// One calendar, or two if both day of month and weekday are restricted.
    calendars: Vec<cron::Schedule>,
    /// Minute and hour are fixed: times of day, not an interval.
    times_of_day: bool,
}

/// Why a schedule is invalid, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error(
        "a schedule has 5 fields (minute, hour, day of month, month, weekday), not {0}; write for \
         example `*/15 * * * *`"
    )]
    Fields(usize),
    #[error("a schedule has no field for seconds; remove the first field: `{0}`")]
    Seconds(String),
    #[error("unknown nickname `{0}`; use @hourly, @daily, @weekly, @monthly, @yearly or 5 fields")]
    Nickname(String),
    #[error("{field}: `{part}` {problem}")]
    Field { field: &'static str, part: String, problem: String },
    #[error("`{0}` never matches; choose a day that exists in the month")]
    NeverFires(String),
}

impl Cron {
    /// The first instant after `now` at which the schedule matches in `tz`. None only after the
    /// year 2100.
    pub fn next_after(&self, tz: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        if self.times_of_day { self.next_time_of_day(tz, now) } else { self.next_interval(tz, now) }
    }

    fn next_time_of_day(&self, tz: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let mut wall = tz.to_datetime(now);
        loop {
            wall = self.next_match(wall)?;
            let due = match tz.to_ambiguous_timestamp(wall).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok()?,
                AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok()?,
                AmbiguousOffset::Gap { before, .. } => clock_change_at(tz, before, wall)?,
            };
            // The matches of a repeated hour are in its first occurrence, so `now` may be later.
            if due > now {
                return Some(due);
            }
        }
    }

    /// Searches one period of constant UTC offset after the other.
    fn next_interval(&self, tz: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let second = jiff::SignedDuration::from_secs(1);
        let (mut period, mut from) = (now, now);
        loop {
            let offset = tz.to_offset(period);
            let due = offset.to_timestamp(self.next_match(offset.to_datetime(from))?).ok()?;
            match tz.following(period).next().map(|change| change.timestamp()) {
                Some(change) if change <= due => {
                    (period, from) = (change, change.checked_sub(second).ok()?);
                }
                _ => return Some(due),
            }
        }
    }

    /// The first match after `wall`, without clock changes.
    fn next_match(&self, wall: Wall) -> Option<Wall> {
        let shown = Offset::UTC.to_timestamp(wall).ok()?.as_second();
        let after: Instant<Utc> = Instant::from_timestamp(shown, 0)?;
        let matches = self.calendars.iter().filter_map(|calendar| calendar.after(&after).next());
        let first = Timestamp::from_second(matches.min()?.timestamp()).ok()?;
        Some(Offset::UTC.to_datetime(first))
    }
}

/// The instant of the clock change that skipped `wall`.
fn clock_change_at(tz: &TimeZone, before: Offset, wall: Wall) -> Option<Timestamp> {
    let after = before.to_timestamp(wall).ok()?.checked_add(jiff::SignedDuration::from_secs(1));
    tz.preceding(after.ok()?).next().map(|change| change.timestamp())
}

/// Delays `at` by `unit_random` (0 to 1) times `max`, so that processes with the same schedule do
/// not run at the same time.
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
        let times = format!("0 {} {}", field::MINUTE.parse(minute)?, field::HOUR.parse(hour)?);
        let (days, months) = (field::DAY.parse(day)?, field::MONTH.parse(month)?);
        let weekdays = field::WEEKDAY.parse(weekday)?;
        // As in Vixie cron, a field that begins with `*` is unrestricted, even `*/2`.
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

/// Replaces a nickname by its five fields.
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
    /// Every 15 minutes.
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
