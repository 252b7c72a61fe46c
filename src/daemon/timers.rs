//! What falls due by time, for one workspace. Pure: the clock is an argument.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::events::merge;
use crate::report::Trigger;

/// How often the wall clock is read again. Timers of the operating system stop while a machine
/// sleeps, and ignore a clock that is set: a run may then begin this much late.
pub(super) const RECHECK: Duration = Duration::from_mins(5);

/// A clock that goes back by at most this was only adjusted.
const SLACK: SignedDuration = SignedDuration::from_secs(5);

/// The next runs that are due by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timers {
    pub schedule: Option<Timestamp>,
    /// The next date of the roster.
    pub date: Option<Timestamp>,
    pub retry: Option<Timestamp>,
    /// The latest time seen.
    seen: Option<Timestamp>,
}

/// When a run is due by time, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextRun {
    pub at: Timestamp,
    pub trigger: Trigger,
}

impl Timers {
    /// Removes every timer that is due at `now`.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Trigger> {
        let mut found = None;
        for (timer, trigger) in [
            (&mut self.schedule, Trigger::Schedule),
            (&mut self.date, Trigger::Date),
            (&mut self.retry, Trigger::Retry),
        ] {
            if timer.is_some_and(|at| at <= now) {
                *timer = None;
                found = Some(merge(found, trigger));
            }
        }
        found
    }

    /// The time until the next check; None if nothing will ever be due.
    pub(super) fn sleep(&self, now: Timestamp) -> Option<Duration> {
        let left = Duration::try_from(self.next()?.at.duration_since(now)).unwrap_or_default();
        Some(left.min(RECHECK))
    }

    /// The next run that is due by time.
    pub(super) fn next(&self) -> Option<NextRun> {
        let due = |at: Option<Timestamp>, trigger| at.map(|at| NextRun { at, trigger });
        let all = [
            due(self.date, Trigger::Date),
            due(self.schedule, Trigger::Schedule),
            due(self.retry, Trigger::Retry),
        ];
        all.into_iter().flatten().min_by_key(|due| due.at)
    }

    /// Records the time. If the clock was set back, timers of the old clock are moved; the result
    /// is true, and `schedule` must be computed again.
    pub(super) fn note(&mut self, now: Timestamp) -> bool {
        let back =
            self.seen.replace(now).map_or(SignedDuration::ZERO, |seen| seen.duration_since(now));
        if back <= SLACK {
            return false;
        }
        self.schedule = None;
        self.retry = self.retry.map(|at| at.saturating_sub(back).unwrap_or(now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn what_is_due_is_taken_out_together() {
        let mut timers =
            Timers { schedule: Some(at(10)), date: Some(at(9)), retry: Some(at(50)), seen: None };
        assert_eq!(timers.due(at(8)), None);
        assert_eq!(timers.next(), Some(NextRun { at: at(9), trigger: Trigger::Date }));
        assert_eq!(timers.sleep(at(8)), Some(Duration::from_secs(1)));
        assert_eq!(timers.due(at(10)), Some(Trigger::Date));
        assert_eq!(timers.due(at(10)), None);
        assert_eq!(timers.sleep(at(10)), Some(Duration::from_secs(40)));
    }

    #[test]
    fn nothing_due_is_nothing_to_wake_for() {
        assert_eq!(Timers::default().sleep(at(0)), None);
        let far = Timers { date: Some(at(1_000_000)), ..Timers::default() };
        assert_eq!(far.sleep(at(0)), Some(RECHECK));
    }

    #[test]
    fn a_clock_put_back_takes_its_timers_along() {
        let mut timers =
            Timers { schedule: Some(at(900)), retry: Some(at(20)), ..Timers::default() };
        assert!(!timers.note(at(0)));
        assert!(!timers.note(at(-3)), "a small correction");
        assert!(timers.note(at(-3603)));
        assert_eq!(timers.schedule, None);
        assert_eq!(timers.retry, Some(at(20 - 3600)));
    }
}
