//! Runs every guard over a plan.

use super::context::{Decisions, GuardContext};
use super::{Limits, Override, Verdict};
use super::{admins, budget, clock, empty_roster, lookalike, policy, rename, suspend, vanished};
use crate::memory::Memory;
use crate::plan::Plan;
use crate::plan::change::Change;

/// Decides which changes of a plan may be sent, from what the listing showed and what the ledger
/// remembers.
pub fn evaluate(plan: &Plan, limits: &Limits, memory: &Memory, overrides: &Override) -> Verdict {
    run(&GuardContext::new(plan, limits, memory, overrides))
}

/// Decides again about the `remaining` changes of an approved plan. `effects` are the changes of
/// this run that were made, or may have been.
pub fn reevaluate(
    plan: &Plan,
    limits: &Limits,
    memory: &Memory,
    overrides: &Override,
    remaining: &[Change],
    effects: &[Change],
) -> Verdict {
    let mut facts = plan.facts.clone();
    for change in effects.iter().filter(|change| change.action.takes_admin()) {
        if let Some(uid) = change.action.uid() {
            facts.permanent_admins.remove(uid);
        }
    }
    let context = GuardContext::new(plan, limits, memory, overrides);
    run(&GuardContext { changes: remaining, facts: &facts, effects, ..context })
}

/// `min-admins` counts what the other guards let through, so it must be last.
fn run(context: &GuardContext<'_>) -> Verdict {
    let mut decisions = Decisions::default();
    suspend::check(context, &mut decisions);
    empty_roster::check(context, &mut decisions);
    clock::check(context, &mut decisions);
    rename::check(context, &mut decisions);
    lookalike::check(context, &mut decisions);
    policy::check(context, &mut decisions);
    vanished::check(context, &mut decisions);
    budget::check(context, &mut decisions);
    admins::required_admins(context, &mut decisions);
    admins::min_admins(context, &mut decisions);
    decisions.into_verdict(context)
}
