//! What the guards see, and where they leave their decisions.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{Guard, Held, Limits, NewSet, Override, Release, Verdict, Violation};
use crate::action::{BudgetName, Subject};
use crate::email::Email;
use crate::memory::Memory;
use crate::memory::entry::{ApprovedBy, Key, Seq};
use crate::plan::change::Change;
use crate::plan::{Facts, Plan};
use crate::roster::Approval;

/// The input of every guard.
pub(super) struct GuardContext<'a> {
    pub changes: &'a [Change],
    pub facts: &'a Facts,
    pub limits: &'a Limits,
    pub memory: &'a Memory,
    /// Changes of this run that were made, or may have been.
    pub effects: &'a [Change],
    pub now: Timestamp,
    pub approvals: HashMap<(BudgetName, &'a Email), Vec<&'a Approval>>,
    pub overrides: &'a Override,
}

/// Which guards hold which change, and why.
#[derive(Default)]
pub(super) struct Decisions {
    holds: BTreeMap<usize, Vec<Guard>>,
    overridden: BTreeMap<usize, Release>,
    violations: Vec<Violation>,
    /// Changes that a budget begins to hold together, by position.
    pub new_sets: Vec<(BudgetName, Vec<usize>)>,
    /// Sets that a budget no longer holds.
    pub ended_sets: Vec<Seq>,
    /// The first instant at which a hold ends by itself.
    pub next: Option<Timestamp>,
}

impl<'a> GuardContext<'a> {
    /// All changes of a plan, before any of them is made.
    pub fn new(plan: &'a Plan, limits: &'a Limits, memory: &'a Memory, by: &'a Override) -> Self {
        let mut approvals: HashMap<_, Vec<&Approval>> = HashMap::new();
        for approval in plan.pending_approvals() {
            let key = (approval.item.action, &approval.item.email);
            approvals.entry(key).or_default().push(approval);
        }
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

    /// The approval by name that releases this change from a guard.
    pub fn approval(&self, guard: Guard, change: &Change) -> Option<&'a ApprovedBy> {
        let action = guard.approved_by(change)?;
        let named = self.approvals.get(&(action, &change.email))?.iter();
        let mut bound = named.filter_map(|approval| self.memory.approval(&approval.item));
        let releases = bound.find(|it| it.releases(&change.action, &change.email, change.end));
        releases.map(|bound| &bound.by)
    }

    pub fn is_approved(&self, guard: Guard, position: usize) -> bool {
        self.approval(guard, &self.changes[position]).is_some()
    }

    pub fn subject(&self, position: usize) -> Subject {
        let change = &self.changes[position];
        change.action.subject(&change.email)
    }

    /// What releases this change from a guard: an approval, or a person who has read the plan.
    fn overridden_by(&self, guard: Guard, change: &Change) -> Option<ApprovedBy> {
        if let Some(by) = self.approval(guard, change) {
            return Some(by.clone());
        }
        guard.approved_by(change)?;
        match self.overrides {
            Override::None => None,
            Override::All { reason } => {
                Some(ApprovedBy { place: None, reason: reason.clone(), revision: None })
            }
        }
    }
}

impl Decisions {
    /// Holds the changes at these positions on behalf of `guard`, except those that an approval
    /// releases. One action of an approval releases them all. If any remain, `describe` gives the
    /// message and the hint of the violation. Returns whether any remain.
    pub fn hold(
        &mut self,
        context: &GuardContext<'_>,
        guard: Guard,
        positions: Vec<usize>,
        describe: impl FnOnce(&[usize]) -> (String, String),
    ) -> bool {
        let mut held = Vec::new();
        for at in positions {
            let Some(by) = context.overridden_by(guard, &context.changes[at]) else {
                held.push(at);
                continue;
            };
            let action = guard.approved_by(&context.changes[at]).filter(|_| by.place.is_some());
            let release = self.overridden.entry(at).or_insert_with(|| {
                let (guards, approved) = (Vec::new(), Vec::new());
                Release { guards, by, approved }
            });
            release.guards.push(guard);
            let is_new = |action: &BudgetName| !release.approved.contains(action);
            release.approved.extend(action.filter(is_new));
        }
        if held.is_empty() {
            return false;
        }
        let (message, hint) = describe(&held);
        for at in held {
            self.holds.entry(at).or_default().push(guard);
        }
        self.violations.push(Violation { guard, message, hint });
        true
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
            if let Some(release) = self.overridden.remove(&position) {
                verdict.overridden.insert(Key::of(&change.action, &change.email), release);
            }
            verdict.approved.0.push(change.clone());
        }
        self.violations.sort_by_key(|violation| violation.guard);
        verdict.violations = self.violations;
        verdict.ended_sets = self.ended_sets;
        let subject = |at| context.subject(at);
        verdict.new_sets = self
            .new_sets
            .into_iter()
            .map(|(budget, of)| NewSet { budget, members: of.into_iter().map(subject).collect() })
            .collect();
        verdict
    }
}
