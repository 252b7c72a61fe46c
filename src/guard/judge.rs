//! Judging: every guard in turn, each marking what it holds.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{Guard, Held, Lift, Limits, Refusal, Verdict, admins, budget, signs};
use crate::action::BudgetName;
use crate::email::Email;
use crate::memory::Memory;
use crate::memory::entry::Key;
use crate::plan::change::Change;
use crate::plan::{Facts, Plan};

/// What the guards look at.
pub(super) struct Case<'a> {
    pub changes: &'a [Change],
    pub facts: &'a Facts,
    pub limits: &'a Limits,
    pub memory: &'a Memory,
    /// Changes of this run that were done or may have been.
    pub effects: &'a [Change],
    pub now: Timestamp,
    granted: HashSet<(BudgetName, &'a Email)>,
    lift: Lift,
}

/// What the guards have said so far: who holds which change, and why.
#[derive(Default)]
pub(super) struct Docket {
    holds: BTreeMap<usize, Vec<Guard>>,
    lifted: BTreeMap<usize, Vec<Guard>>,
    refusals: Vec<Refusal>,
    pub next: Option<Timestamp>,
}

impl Case<'_> {
    fn is_lifted(&self, guard: Guard, change: &Change) -> bool {
        let Some(budget) = guard.lifted_by() else { return false };
        self.lift == Lift::Everything
            || change.addresses().any(|email| self.granted.contains(&(budget, email)))
    }
}

impl Docket {
    /// Holds the changes at these positions in the name of `guard`, but for those that an approval
    /// releases. Where any is left, `words` of them are the refusal.
    pub fn hold(
        &mut self,
        case: &Case<'_>,
        guard: Guard,
        positions: Vec<usize>,
        words: impl FnOnce(&[usize]) -> (String, String),
    ) {
        let (lifted, held): (Vec<usize>, Vec<usize>) =
            positions.into_iter().partition(|at| case.is_lifted(guard, &case.changes[*at]));
        for at in lifted {
            self.lifted.entry(at).or_default().push(guard);
        }
        if held.is_empty() {
            return;
        }
        let (message, hint) = words(&held);
        let approval = guard.lifted_by().map(|budget| {
            (budget, held.iter().map(|at| case.changes[*at].email.clone()).collect())
        });
        for at in held {
            self.holds.entry(at).or_default().push(guard);
        }
        self.refusals.push(Refusal { guard, message, hint, approval });
    }

    pub fn is_held(&self, position: usize) -> bool {
        self.holds.contains_key(&position)
    }

    fn close(mut self, case: &Case<'_>) -> Verdict {
        let mut verdict = Verdict { next: self.next, ..Verdict::default() };
        for (position, change) in case.changes.iter().enumerate() {
            if let Some(by) = self.holds.remove(&position) {
                let hold = case.memory.hold(&change.action, &change.email);
                let since = hold.map(|hold| hold.since);
                verdict.held.push(Held { change: change.clone(), by, since });
                continue;
            }
            if let Some(lifted) = self.lifted.remove(&position) {
                verdict.lifted.insert(Key::of(&change.action, &change.email), lifted);
            }
            verdict.approved.0.push(change.clone());
        }
        self.refusals.sort_by_key(|refusal| refusal.guard);
        verdict.refusals = self.refusals;
        verdict
    }
}

/// Decides what of a plan may be sent, by what the plan's reading showed and by what is
/// remembered.
pub fn judge(plan: &Plan, limits: &Limits, memory: &Memory, lift: Lift) -> Verdict {
    decide(plan, plan.facts(), limits, memory, lift, plan.changes(), &[])
}

/// Judges what is left of an approved plan again, on what really happened so far: `effects` are
/// the changes of this run that were done or may have been.
pub fn rejudge(
    plan: &Plan,
    limits: &Limits,
    memory: &Memory,
    lift: Lift,
    left: &[Change],
    effects: &[Change],
) -> Verdict {
    let mut facts = plan.facts().clone();
    for change in effects.iter().filter(|change| change.takes_admin()) {
        if let Some(uid) = change.uid() {
            facts.lasting_admins.remove(uid);
        }
    }
    decide(plan, &facts, limits, memory, lift, left, effects)
}

/// The order matters in one place: `min-admins` counts what the others let through, so it is last.
fn decide(
    plan: &Plan,
    facts: &Facts,
    limits: &Limits,
    memory: &Memory,
    lift: Lift,
    changes: &[Change],
    effects: &[Change],
) -> Verdict {
    let granted = plan.granted().iter().map(|granted| (granted.budget, &granted.email)).collect();
    let now = plan.now();
    let case = Case { changes, facts, limits, memory, effects, now, granted, lift };
    let mut docket = Docket::default();
    signs::suspend(&case, &mut docket);
    signs::empty_roster(&case, &mut docket);
    signs::clock(&case, &mut docket);
    signs::rename(&case, &mut docket);
    signs::vanished(&case, &mut docket);
    budget::budgets(&case, &mut docket);
    admins::required_admins(&case, &mut docket);
    admins::min_admins(&case, &mut docket);
    docket.close(&case)
}
