//! Dates are not trusted while this machine's clock is wrong.

use jiff::{SignedDuration, Timestamp};

use super::context::{Decisions, GuardContext};
use super::{Guard, operator};
use crate::memory::Memory;
use crate::plan::{Facts, Plan};

/// The largest accepted difference between our clock and the server's.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Holds every change of a member who has dates while our clock and the server's differ, or while
/// our time is before the newest row of the ledger. That includes changes that no date causes: if
/// an invitation has expired, the member's access may be over by the right clock.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let Some(why) = wrong_clock(context) else { return };
    let dated = context.positions(|change| change.dated);
    decisions.hold(context, Guard::Clock, dated, |held| {
        let (held, all) = (held.len(), context.changes.len());
        let message = format!("{held} of {all} changes depend on the time, and {why}");
        let mut hint = "correct the clock of this machine; the next run decides again".to_owned();
        if let Some(hold) = operator::ledger_ahead(context.memory, context.now) {
            let command = hold.command(context.memory.workspace());
            hint = format!("{hint} (if only an earlier clock was wrong: {command})");
        }
        (message, hint)
    });
}

/// Whether our clock agrees with the server's.
pub fn clock_is_trusted(plan: &Plan) -> bool {
    difference(&plan.facts, plan.now).is_none()
}

/// How far the server's clock is ahead of ours, if that is more than the tolerance.
fn difference(facts: &Facts, now: Timestamp) -> Option<SignedDuration> {
    let difference = facts.server_time?.duration_since(now);
    (difference.abs() > CLOCK_TOLERANCE).then_some(difference)
}

fn wrong_clock(context: &GuardContext<'_>) -> Option<String> {
    if let Some(difference) = difference(context.facts, context.now) {
        let side = if difference.is_negative() { "ahead of" } else { "behind" };
        return Some(format!(
            "this machine's clock is {} s {side} the server's, limit {} s",
            difference.abs().as_secs(),
            CLOCK_TOLERANCE.as_secs(),
        ));
    }
    ahead(context.memory, context.now)
}

/// How far the newest row of the ledger is ahead of our clock, if it is.
pub(super) fn ahead(memory: &Memory, now: Timestamp) -> Option<String> {
    let newest = memory.newest().filter(|newest| *newest > now)?;
    let ahead = newest.duration_since(now).as_secs();
    Some(format!("the newest row of the ledger is dated {ahead} s in the future"))
}
