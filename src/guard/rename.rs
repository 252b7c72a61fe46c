//! A disable and an invitation in one plan may be one person with a new address.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::Guard;
use super::context::{Decisions, GuardContext};
use crate::plan::change::{Change, Class};

/// The longest time for which `rename` holds a disable.
pub const RENAME_HOLDS: SignedDuration = SignedDuration::from_hours(24);

/// Holds the disable of an account whose name is also that of an invited member. The invitation
/// goes out; the old account stays for [`RENAME_HOLDS`], so that somebody can look at it before a
/// disable that cannot be undone.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let invited: HashSet<String> =
        context.changes.iter().filter(|it| it.action.class().invites()).filter_map(name).collect();
    let ends = |change: &Change| {
        let hold = context.memory.hold(&change.action, &change.email)?;
        let first = hold.first.get(&Guard::Rename.to_string())?;
        Some(first.saturating_add(RENAME_HOLDS).unwrap_or(Timestamp::MAX))
    };
    let renamed = context.positions(|change| {
        let same_name = || name(change).is_some_and(|name| invited.contains(&name));
        change.action.class() == Class::Disable
            && ends(change).map_or_else(same_name, |end| context.now < end)
    });
    let new_end = context.now.saturating_add(RENAME_HOLDS).unwrap_or(Timestamp::MAX);
    let all = renamed.iter().map(|at| ends(&context.changes[*at]).unwrap_or(new_end));
    decisions.next = all.chain(decisions.next).min();
    decisions.hold(context, Guard::Rename, renamed, |held| {
        let message = format!(
            "{} of {} disables, because a member of the same name is invited: is it one person \
             with a new address? held for at most {} h",
            held.len(),
            context.positions(|change| change.action.class() == Class::Disable).len(),
            RENAME_HOLDS.as_hours(),
        );
        let hint = "if it is one person, add the old address to `aliases` of the new one; if not, \
                    approve the disable";
        (message, hint.into())
    });
}

fn name(change: &Change) -> Option<String> {
    let name = change.name.as_deref()?.trim().to_lowercase();
    (!name.is_empty()).then_some(name)
}
