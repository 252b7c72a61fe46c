//! Guards that hold because something looks wrong: a suspended workspace, clocks that disagree,
//! a person who seems to have changed address.

use std::collections::HashSet;

use jiff::SignedDuration;

use super::judge::{Case, Docket};
use super::{Guard, Refusal};
use crate::plan::change::{Change, Class};

/// How far our clock and the server's may lie apart before dates are not trusted.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn suspend(case: &Case<'_>, docket: &mut Docket) {
    if !case.limits.suspend || case.changes.is_empty() {
        return;
    }
    docket.hold(
        0..case.changes.len(),
        Refusal {
            guard: Guard::Suspend,
            message: format!(
                "all {} changes, as the workspace is suspended (suspend in rosterd.yaml)",
                case.changes.len()
            ),
            hint: "set `suspend: false` to let rosterd change this workspace".into(),
        },
    );
}

/// `users: []` is a valid roster, and almost always a mistake: it holds every disable, however
/// few they are.
pub(super) fn empty_roster(case: &Case<'_>, docket: &mut Docket) {
    let disables = positions(case.changes, |change| change.class() == Class::Disable);
    if case.facts.members > 0 || disables.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} accounts, as the roster has no members at all (users in users.yaml)",
        disables.len(),
        case.facts.managed,
    );
    let hint = "write at least one member; an empty roster disables nobody".into();
    docket.hold(disables, Refusal { guard: Guard::EmptyRoster, message, hint });
}

pub(super) fn clock(case: &Case<'_>, docket: &mut Docket) {
    let Some(server) = case.facts.server_time else { return };
    let apart = server.duration_since(case.now);
    if apart.abs() <= CLOCK_TOLERANCE {
        return;
    }
    let dated = positions(case.changes, |change| change.reason.is_dated());
    if dated.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} changes come from dates, and this machine's clock is {} s {} the server's, \
         limit {} s",
        dated.len(),
        case.changes.len(),
        apart.abs().as_secs(),
        if apart.is_negative() { "ahead of" } else { "behind" },
        CLOCK_TOLERANCE.as_secs(),
    );
    let hint = "correct the clock of this machine; the next run decides anew".into();
    docket.hold(dated, Refusal { guard: Guard::Clock, message, hint });
}

/// One person under a new address looks like a removal and an invitation. The invitation goes
/// out; the old account stays until the plan no longer holds both.
pub(super) fn rename(case: &Case<'_>, docket: &mut Docket) {
    let name = |change: &Change| {
        change
            .name
            .as_deref()
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.is_empty())
    };
    let invited: HashSet<String> =
        case.changes.iter().filter(|c| c.class() == Class::Invite).filter_map(name).collect();
    let renamed = positions(case.changes, |change| {
        change.class() == Class::Disable && name(change).is_some_and(|name| invited.contains(&name))
    });
    if renamed.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} disables, as the plan also invites somebody of the same name: is it one person \
         with a new address?",
        renamed.len(),
        case.changes.iter().filter(|change| change.class() == Class::Disable).count(),
    );
    let hint = "if it is one person, write the old address under `aliases` of the new one".into();
    docket.hold(renamed, Refusal { guard: Guard::Rename, message, hint });
}

fn positions(changes: &[Change], wanted: impl Fn(&Change) -> bool) -> Vec<usize> {
    changes.iter().enumerate().filter(|(_, change)| wanted(change)).map(|(at, _)| at).collect()
}
