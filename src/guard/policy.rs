//! A roster may ask for an address that the policy does not allow.

use super::Guard;
use super::context::{Decisions, GuardContext};
use crate::plan::change::{Change, Class};
use crate::roster::policy::Rule;

/// Maximum number of addresses in a hint.
const SHOWN: usize = 3;

/// Holds what gives access or a higher role to a member whom the policy does not allow, and nothing
/// that takes it away: a broken rule must not stop offboarding.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let breach = |change: &Change| context.facts.breaches.get(&change.email);
    let gives = |change: &Change| {
        let class = change.action.class();
        class == Class::Grant || class.invites()
    };
    for (rule, remedy) in [
        (Rule::Domains, "correct the address, or add its domain to `policy.domains`"),
        (Rule::Guests, "write `expires` beside the member"),
    ] {
        let broken = context
            .positions(|change| gives(change) && breach(change).is_some_and(|it| it.rule == rule));
        decisions.hold(context, Guard::Policy, broken, |held| {
            let addresses = held.iter().filter_map(|at| breach(&context.changes[*at]));
            let shown = addresses.take(SHOWN).map(|it| it.address.in_ascii()).collect::<Vec<_>>();
            let more = if held.len() > SHOWN { ", …" } else { "" };
            let message = format!(
                "{} of {} members may not get access or a higher role: an address {rule}",
                held.len(),
                context.facts.members,
            );
            (message, format!("{remedy}: {}{more}", shown.join(", ")))
        });
    }
}
