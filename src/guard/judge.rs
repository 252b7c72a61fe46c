//! Judging: every guard in turn, each marking what it holds.

use std::collections::BTreeMap;

use super::{Guard, Held, Limits, Refusal, Spent, Verdict, admins, budget, signs};
use crate::plan::change::Change;
use crate::plan::{Facts, Plan};

/// What the guards look at.
pub(super) struct Case<'a> {
    pub changes: &'a [Change],
    pub facts: &'a Facts,
    pub limits: &'a Limits,
    pub spent: &'a Spent,
    pub now: jiff::Timestamp,
}

/// What the guards have said so far: who holds which change, and why.
#[derive(Default)]
pub(super) struct Docket {
    holds: BTreeMap<usize, Vec<Guard>>,
    refusals: Vec<Refusal>,
}

impl Docket {
    /// Holds the changes at these positions in the name of `refusal`'s guard.
    pub fn hold(&mut self, positions: impl IntoIterator<Item = usize>, refusal: Refusal) {
        for position in positions {
            self.holds.entry(position).or_default().push(refusal.guard);
        }
        self.refusals.push(refusal);
    }

    pub fn is_held(&self, position: usize) -> bool {
        self.holds.contains_key(&position)
    }

    fn close(mut self, changes: &[Change]) -> Verdict {
        let mut verdict = Verdict::default();
        for (position, change) in changes.iter().enumerate() {
            match self.holds.remove(&position) {
                Some(by) => verdict.held.push(Held { change: change.clone(), by }),
                None => verdict.approved.0.push(change.clone()),
            }
        }
        self.refusals.sort_by_key(|refusal| refusal.guard);
        verdict.refusals = self.refusals;
        verdict
    }
}

/// Decides what of a plan may be sent. `spent` is what earlier changes used of each budget.
pub fn judge(plan: &Plan, limits: &Limits, spent: &Spent) -> Verdict {
    decide(&Case { changes: plan.changes(), facts: plan.facts(), limits, spent, now: plan.now() })
}

/// Judges what is left of an approved plan again, on what really happened so far: `effects` are
/// the changes of this run that were done or may have been.
pub fn rejudge(
    plan: &Plan,
    limits: &Limits,
    spent: &Spent,
    left: &[Change],
    effects: &[Change],
) -> Verdict {
    let mut facts = plan.facts().clone();
    for change in effects.iter().filter(|change| change.takes_admin()) {
        if let Some(uid) = change.uid() {
            facts.lasting_admins.remove(uid);
        }
    }
    let mut spent = spent.clone();
    budget::spend(&mut spent, effects);
    decide(&Case { changes: left, facts: &facts, limits, spent: &spent, now: plan.now() })
}

/// The order matters in one place: `min-admins` counts what the others let through, so it is last.
fn decide(case: &Case<'_>) -> Verdict {
    let mut docket = Docket::default();
    signs::suspend(case, &mut docket);
    signs::empty_roster(case, &mut docket);
    signs::clock(case, &mut docket);
    signs::rename(case, &mut docket);
    budget::budgets(case, &mut docket);
    admins::required_admins(case, &mut docket);
    admins::min_admins(case, &mut docket);
    docket.close(case.changes)
}
