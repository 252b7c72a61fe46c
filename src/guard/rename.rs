//! An account without a member may belong to a member under another address.

use super::Guard;
use super::context::{Decisions, GuardContext};
use crate::plan::change::Class;
use crate::plan::rename::NAME_HOLDS;

/// Holds the disable of an account that may be a member's, see [`crate::plan::rename`].
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let renamed = context.positions(|change| change.suspect.is_some());
    decisions.hold(context, Guard::Rename, renamed, |held| {
        let message = format!(
            "{} of {} disables, because the account may belong to a member under another address",
            held.len(),
            context.positions(|change| change.action.class() == Class::Disable).len(),
        );
        let hint = format!(
            "if it does, add its address to `aliases` of the member; if not, approve the disable; \
             the hold ends when the member is removed; if only the names are the same, after {} h; \
             else when the member has another account",
            NAME_HOLDS.as_hours(),
        );
        (message, hint)
    });
}
