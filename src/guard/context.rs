//! What the guards see, and where they leave their decisions.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{Guard, Held, Limits, Override, Verdict, Violation};
use crate::action::BudgetName;
use crate::email::Email;
use crate::memory::Memory;
use crate::memory::entry::Key;
use crate::plan::change::Change;
use crate::plan::{Facts, Plan};

/// The input of every guard.
pub(super) struct GuardContext<'a> {
    pub changes: &'a [Change],
    pub facts: &'a Facts,
    pub limits: &'a Limits,
    pub memory: &'a Memory,
    /// Changes of this run that were made, or may have been.
    pub effects: &'a [Change],
    pub now: Timestamp,
    pub approvals: HashSet<(BudgetName, &'a Email)>,
    pub overrides: Override,
}

/// Which guards hold which change, and why.
#[derive(Default)]
pub(super) struct Decisions {
    holds: BTreeMap<usize, Vec<Guard>>,
    overridden: BTreeMap<usize, Vec<Guard>>,
    violations: Vec<Violation>,
    /// The first instant at which a hold ends by itself.
    pub next: Option<Timestamp>,
}

impl<'a> GuardContext<'a> {
    /// All changes of a plan, before any of them is made.
    pub fn new(plan: &'a Plan, limits: &'a Limits, memory: &'a Memory, by: Override) -> Self {
        let approvals = plan.pending_approvals().iter().map(|it| (it.budget, &it.email)).collect();
        Self {
            changes: plan.changes(),
            facts: &plan.facts,
            limits,
            memory,
            effects: &[],
            now: plan.now,
            approvals,
            overrides: by,
        }
    }

    /// The positions of the changes that fulfil a condition.
    pub fn positions(&self, wanted: impl Fn(&Change) -> bool) -> Vec<usize> {
        (0..self.changes.len()).filter(|at| wanted(&self.changes[*at])).collect()
    }

    fn is_overridden(&self, guard: Guard, change: &Change) -> bool {
        let Some(budget) = guard.approved_by(change) else { return false };
        self.overrides == Override::All || self.approvals.contains(&(budget, &change.email))
    }
}

impl Decisions {
    /// Holds the changes at these positions on behalf of `guard`, except those that an approval
    /// releases. One action of an approval releases them all. If any remain, `describe` gives the
    /// message and the hint of the violation.
    pub fn hold(
        &mut self,
        context: &GuardContext<'_>,
        guard: Guard,
        positions: Vec<usize>,
        describe: impl FnOnce(&[usize]) -> (String, String),
    ) {
        let (overridden, held): (Vec<usize>, Vec<usize>) = positions
            .into_iter()
            .partition(|at| context.is_overridden(guard, &context.changes[*at]));
        for at in overridden {
            self.overridden.entry(at).or_default().push(guard);
        }
        if held.is_empty() {
            return;
        }
        let (message, hint) = describe(&held);
        let approval = guard.approved_by(&context.changes[held[0]]).map(|budget| {
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

    pub fn is_held_by(&self, position: usize, guard: Guard) -> bool {
        self.holds.get(&position).is_some_and(|by| by.contains(&guard))
    }

    /// Separates what is approved from what is held.
    pub fn into_verdict(mut self, context: &GuardContext<'_>) -> Verdict {
        let mut verdict = Verdict { next: self.next, ..Verdict::default() };
        for (position, change) in context.changes.iter().enumerate() {
            if let Some(by) = self.holds.remove(&position) {
                let since = context.memory.hold(&change.action, &change.email).map(|it| it.since);
                verdict.held.push(Held { change: change.clone(), by, since });
                continue;
            }
            if let Some(guards) = self.overridden.remove(&position) {
                verdict.overridden.insert(Key::of(&change.action, &change.email), guards);
            }
            verdict.approved.0.push(change.clone());
        }
        self.violations.sort_by_key(|violation| violation.guard);
        verdict.violations = self.violations;
        verdict
    }
}
