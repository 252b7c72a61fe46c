//! An address that only looks like a member's may be the member's own.

use super::Guard;
use super::context::{Decisions, GuardContext};
use crate::plan::change::Change;

/// Maximum number of pairs in a message.
const SHOWN: usize = 3;

/// Holds the disable of the account, which cannot be undone, and the invitation of the member, who
/// may have access already. The plan says which resemble each other.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let invites = |change: &Change| change.action.class().invites();
    for (what, why, hint, of_this_kind) in [
        (
            "disables",
            "the address resembles a member's",
            "if it is the member's account, correct its address in the workspace; if not, approve \
             the disable",
            false,
        ),
        (
            "invitations",
            "there is an account or an invitation whose address resembles the member's",
            "the hold ends when the other address is gone; approve the invitation to send it now",
            true,
        ),
    ] {
        let all = context.positions(|change| invites(change) == of_this_kind).len();
        let alike = context
            .positions(|change| invites(change) == of_this_kind && !change.resembles.is_empty());
        decisions.hold(context, Guard::Lookalike, alike, |held| {
            let pairs = held.iter().take(SHOWN).map(|at| {
                let change = &context.changes[*at];
                format!("{} and {}", change.email.in_ascii(), change.lookalikes())
            });
            let pairs = pairs.collect::<Vec<_>>().join("; ");
            let more = if held.len() > SHOWN { "; …" } else { "" };
            (format!("{} of {all} {what}, because {why}: {pairs}{more}", held.len()), hint.into())
        });
    }
}
