//! A member's account is gone, and rosterd did not disable it.

use super::Guard;
use super::context::{Decisions, GuardContext};
use crate::plan::change::Reason;

/// Holds the invitation: the account was removed by hand, or the listing is incomplete.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let vanished = context.positions(|change| change.reason == Reason::Vanished);
    decisions.hold(context, Guard::Vanished, vanished, |held| {
        let message = format!(
            "{} of {} invitations, because the account existed and rosterd did not disable it: \
             was it removed by hand, or is the listing incomplete?",
            held.len(),
            context.positions(|change| change.action.class().invites()).len(),
        );
        let hint = "the hold ends when the account is back; approve it to invite the member again";
        (message, hint.into())
    });
}
