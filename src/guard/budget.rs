//! Budgets: how much of one kind may happen within a window.

use jiff::SignedDuration;

use super::judge::{Case, Docket};
use super::{Budget, BudgetName, Guard, Refusal, Spent};
use crate::plan::Facts;
use crate::plan::change::Change;

impl Budget {
    /// `max(floor, percent of managed accounts)`, the percentage rounded down.
    pub fn limit(&self, managed: usize) -> usize {
        self.floor.max(managed * usize::from(self.percent) / 100)
    }
}

/// Adds `changes` to what has been used.
pub fn spend<'a>(spent: &mut Spent, changes: impl IntoIterator<Item = &'a Change>) {
    for change in changes {
        for name in BudgetName::ALL.into_iter().filter(|name| name.counts(change)) {
            *spent.entry(name).or_default() += 1;
        }
    }
}

/// Holds the whole of what a budget counts when it is exceeded, never the excess alone: that
/// would drip through, window by window.
pub(super) fn budgets(case: &Case<'_>, docket: &mut Docket) {
    for (&name, budget) in &case.limits.budgets {
        if name == BudgetName::GrantAdmin && is_bootstrapped(case.facts) {
            continue;
        }
        let wanted: Vec<usize> = (0..case.changes.len())
            .filter(|&position| name.counts(&case.changes[position]))
            .collect();
        let used = case.spent.get(&name).copied().unwrap_or_default();
        let limit = budget.limit(case.facts.managed);
        if !wanted.is_empty() && used + wanted.len() > limit {
            docket.hold(wanted.iter().copied(), refusal(name, *budget, case, used, wanted.len()));
        }
    }
}

/// A workspace without any admin, or without any account, has to get its first ones.
fn is_bootstrapped(facts: &Facts) -> bool {
    facts.admins == 0
}

fn refusal(
    name: BudgetName,
    budget: Budget,
    case: &Case<'_>,
    used: usize,
    wanted: usize,
) -> Refusal {
    let managed = case.facts.managed;
    let key = name.key();
    let before = match used {
        0 => String::new(),
        used => format!(", {used} of them already made"),
    };
    Refusal {
        guard: Guard::Budget(name),
        message: format!(
            "{} of {managed} accounts within {}{before}, limit {} (guard.budgets.{key} in \
             rosterd.yaml)",
            used + wanted,
            window(budget.window),
            budget.limit(managed),
        ),
        hint: format!(
            "if all of them are meant, raise `guard.budgets.{key}` in rosterd.yaml in a reviewed \
             commit, and lower it again afterwards"
        ),
    }
}

fn window(window: SignedDuration) -> String {
    match (window.as_hours(), window.as_mins() % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
