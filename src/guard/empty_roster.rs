//! A roster without members holds every disable.

use super::Guard;
use super::context::{Decisions, GuardContext};
use crate::plan::change::Class;

/// `users: []` is valid, and almost always a mistake.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    if context.facts.members > 0 {
        return;
    }
    let disables = context.positions(|change| change.action.class() == Class::Disable);
    decisions.hold(context, Guard::EmptyRoster, disables, |held| {
        let message = format!(
            "{} of {} accounts, because the roster has no members (users in users.yaml)",
            held.len(),
            context.facts.managed,
        );
        (message, "add at least one member; an empty roster disables no account".into())
    });
}
