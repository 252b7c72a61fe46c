//! Judging: every guard in turn, each marking what it holds.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{Guard, Held, Limits, Override, Verdict, Violation, admins, budget, signs};
use crate::action::BudgetName;
use crate::email::Email;
use crate::memory::Memory;
use crate::memory::entry::Key;
use crate::plan::change::Change;
use crate::plan::{Facts, Plan};

/// What the guards look at.
pub(super) struct GuardContext<'a> {
    pub changes: &'a [Change],
    pub facts: &'a Facts,
    pub limits: &'a Limits,
    pub memory: &'a Memory,
    /// Changes of this run that were done or may have been.
    pub effects: &'a [Change],
    pub now: Timestamp,
    granted: HashSet<(BudgetName, &'a Email)>,
    overrides: Override,
}

/// What the guards have said so far: who holds which change, and why.
#[derive(Default)]
pub(super) struct Decisions {
    holds: BTreeMap<usize, Vec<Guard>>,
    lifted: BTreeMap<usize, Vec<Guard>>,
    violations: Vec<Violation>,
    pub next: Option<Timestamp>,
}

impl GuardContext<'_> {
    fn is_lifted(&self, guard: Guard, change: &Change) -> bool {
        let Some(budget) = guard.lifted_by() else { return false };
        self.overrides == Override::All
            || change.addresses().any(|email| self.granted.contains(&(budget, email)))
    }
}

impl Decisions {
    /// Holds the changes at these positions in the name of `guard`, but for those that an approval
    /// releases. Where any is left, `words` of them are the refusal.
    pub fn hold(
        &mut self,
        context: &GuardContext<'_>,
        guard: Guard,
        positions: Vec<usize>,
        words: impl FnOnce(&[usize]) -> (String, String),
    ) {
        let (lifted, held): (Vec<usize>, Vec<usize>) =
            positions.into_iter().partition(|at| context.is_lifted(guard, &context.changes[*at]));
        for at in lifted {
            self.lifted.entry(at).or_default().push(guard);
        }
        if held.is_empty() {
            return;
        }
        let (message, hint) = words(&held);
        let approval = guard.lifted_by().map(|budget| {
            (budget, held.iter().map(|at| context.changes[*at].email.clone()).collect())
        });
        for at in held {
            self.holds.entry(at).or_default().push(guard);
        }
        self.violations.push(Violation { guard, message, hint, approval });
    }

    pub fn is_held(&self, position: usize) -> bool {
        self.holds.contains_key(&position)
    }

    fn close(mut self, context: &GuardContext<'_>) -> Verdict {
        let mut verdict = Verdict { next: self.next, ..Verdict::default() };
        for (position, change) in context.changes.iter().enumerate() {
            if let Some(by) = self.holds.remove(&position) {
                let hold = context.memory.hold(&change.action, &change.email);
                let since = hold.map(|hold| hold.since);
                verdict.held.push(Held { change: change.clone(), by, since });
                continue;
            }
            if let Some(lifted) = self.lifted.remove(&position) {
                verdict.lifted.insert(Key::of(&change.action, &change.email), lifted);
            }
            verdict.approved.0.push(change.clone());
        }
        self.violations.sort_by_key(|refusal| refusal.guard);
        verdict.violations = self.violations;
        verdict
    }
}

/// Decides what of a plan may be sent, by what the plan's reading showed and by what is
/// remembered.
pub fn evaluate(plan: &Plan, limits: &Limits, memory: &Memory, overrides: Override) -> Verdict {
    decide(plan, plan.facts(), limits, memory, overrides, plan.changes(), &[])
}

/// Judges what is left of an approved plan again, on what really happened so far: `effects` are
/// the changes of this run that were done or may have been.
pub fn reevaluate(
    plan: &Plan,
    limits: &Limits,
    memory: &Memory,
    overrides: Override,
    left: &[Change],
    effects: &[Change],
) -> Verdict {
    let mut facts = plan.facts().clone();
    for change in effects.iter().filter(|change| change.takes_admin()) {
        if let Some(uid) = change.uid() {
            facts.permanent_admins.remove(uid);
        }
    }
    decide(plan, &facts, limits, memory, overrides, left, effects)
}

/// The order matters in one place: `min-admins` counts what the others let through, so it is last.
fn decide(
    plan: &Plan,
    facts: &Facts,
    limits: &Limits,
    memory: &Memory,
    overrides: Override,
    changes: &[Change],
    effects: &[Change],
) -> Verdict {
    let granted =
        plan.pending_approvals().iter().map(|granted| (granted.budget, &granted.email)).collect();
    let now = plan.now();
    let context = GuardContext { changes, facts, limits, memory, effects, now, granted, overrides };
    let mut decisions = Decisions::default();
    signs::suspend(&context, &mut decisions);
    signs::empty_roster(&context, &mut decisions);
    signs::clock(&context, &mut decisions);
    signs::rename(&context, &mut decisions);
    signs::vanished(&context, &mut decisions);
    budget::budgets(&context, &mut decisions);
    admins::required_admins(&context, &mut decisions);
    admins::min_admins(&context, &mut decisions);
    decisions.close(&context)
}
