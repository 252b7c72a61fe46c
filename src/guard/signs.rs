//! Guards that hold because something looks wrong: a suspended workspace, clocks that disagree,
//! a person who seems to have changed address.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::Guard;
use super::evaluate::{Decisions, GuardContext};
use crate::plan::change::{Change, Class, Reason};
use crate::plan::{Facts, Plan};

/// How far our clock and the server's may lie apart before dates are not trusted.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A disable that looks like a change of address is held for so long at most.
pub const RENAME_HOLDS: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn suspend(context: &GuardContext<'_>, decisions: &mut Decisions) {
    if !context.limits.suspend || context.changes.is_empty() {
        return;
    }
    decisions.hold(context, Guard::Suspend, (0..context.changes.len()).collect(), |held| {
        let message = format!(
            "all {} changes, as the workspace is suspended (suspend in rosterd.yaml)",
            held.len()
        );
        (message, "set `suspend: false` to let rosterd change this workspace".into())
    });
}

/// `users: []` is a valid roster, and almost always a mistake: it holds every disable, however
/// few they are.
pub(super) fn empty_roster(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let disables = positions(context.changes, |change| change.class() == Class::Disable);
    if context.facts.members > 0 || disables.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} accounts, as the roster has no members at all (users in users.yaml)",
        disables.len(),
        context.facts.managed,
    );
    let hint = "write at least one member; an empty roster disables nobody".into();
    decisions.hold(context, Guard::EmptyRoster, disables, |_| (message, hint));
}

/// Dates are not trusted while our clock and the server's lie apart, or while it is earlier than
/// something that has already been written down. That holds every change of a member who has one:
/// an invitation that has expired, say, is no reason to invite somebody whose access is over by the
/// right clock.
pub(super) fn clock(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let Some(why) = clock_is_wrong(context) else { return };
    let dated = positions(context.changes, |change| change.dated);
    decisions.hold(context, Guard::Clock, dated, |held| {
        let (held, all) = (held.len(), context.changes.len());
        let message = format!("{held} of {all} changes concern people with dates, and {why}");
        let hint = "correct the clock of this machine; the next run decides anew (where an earlier \
                    clock was wrong, begin a new ledger)";
        (message, hint.into())
    });
}

/// By how much the server's clock is ahead of ours, where that is too much.
fn apart(facts: &Facts, now: Timestamp) -> Option<SignedDuration> {
    let apart = facts.server_time?.duration_since(now);
    (apart.abs() > CLOCK_TOLERANCE).then_some(apart)
}

/// Whether nothing that a reading shows speaks against our clock.
pub fn clock_is_trusted(plan: &Plan) -> bool {
    apart(plan.facts(), plan.now()).is_none()
}

fn clock_is_wrong(context: &GuardContext<'_>) -> Option<String> {
    if let Some(apart) = apart(context.facts, context.now) {
        let side = if apart.is_negative() { "ahead of" } else { "behind" };
        return Some(format!(
            "this machine's clock is {} s {side} the server's, limit {} s",
            apart.abs().as_secs(),
            CLOCK_TOLERANCE.as_secs(),
        ));
    }
    let newest = context.memory.newest().filter(|newest| *newest > context.now)?;
    let ahead = newest.duration_since(context.now).as_secs();
    Some(format!("the newest row of the ledger was written {ahead} s later than it is now"))
}

/// One person under a new address looks like a removal and an invitation. The invitation goes
/// out; the old account stays for [`RENAME_HOLDS`], so that somebody can see it before it cannot
/// be undone.
pub(super) fn rename(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let name = |change: &Change| {
        change
            .name
            .as_deref()
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.is_empty())
    };
    let invited: HashSet<String> =
        context.changes.iter().filter(|c| c.class().invites()).filter_map(name).collect();
    let first = |change: &Change| {
        let hold = context.memory.hold(&change.action, &change.email)?;
        hold.first.get(&Guard::Rename.to_string()).copied()
    };
    let ends = |at: Timestamp| at.saturating_add(RENAME_HOLDS).unwrap_or(Timestamp::MAX);
    let renamed = positions(context.changes, |change| {
        let looks_so = || name(change).is_some_and(|name| invited.contains(&name));
        change.class() == Class::Disable
            && match first(change) {
                Some(first) => context.now < ends(first),
                None => looks_so(),
            }
    });
    let over = renamed.iter().map(|at| ends(first(&context.changes[*at]).unwrap_or(context.now)));
    decisions.next = over.chain(decisions.next).min();
    decisions.hold(context, Guard::Rename, renamed, |held| {
        let message = format!(
            "{} of {} disables, as somebody of the same name is invited: is it one person with a \
             new address? held for {} h at most",
            held.len(),
            context.changes.iter().filter(|change| change.class() == Class::Disable).count(),
            RENAME_HOLDS.as_hours(),
        );
        let hint = "if it is one person, write the old address under `aliases` of the new one; if \
                    not, approve the disable";
        (message, hint.into())
    });
}

/// An account that nobody here disabled is gone: by another hand, or because the listing is short.
pub(super) fn vanished(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let vanished = positions(context.changes, |change| change.reason == Reason::Vanished);
    decisions.hold(context, Guard::Vanished, vanished, |held| {
        let invitations = context.changes.iter().filter(|it| it.class().invites()).count();
        let message = format!(
            "{} of {invitations} invitations, as the account was there and rosterd did not disable \
             it: did somebody remove it by hand, or is the listing short?",
            held.len(),
        );
        let hint = "it ends when the account is back; approve it to invite the person again";
        (message, hint.into())
    });
}

fn positions(changes: &[Change], wanted: impl Fn(&Change) -> bool) -> Vec<usize> {
    changes.iter().enumerate().filter(|(_, change)| wanted(change)).map(|(at, _)| at).collect()
}
