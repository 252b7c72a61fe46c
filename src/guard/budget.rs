//! Budgets: how much of one kind may happen within a window.

use jiff::{SignedDuration, Timestamp};

use super::evaluate::{Decisions, GuardContext};
use super::{Budget, BudgetName, Guard};
use crate::memory::{self, BudgetUsage};
use crate::plan::Facts;

impl Budget {
    /// `max(floor, percent of managed accounts)`, the percentage rounded down.
    pub fn limit(&self, managed: usize) -> usize {
        self.floor.max(managed * usize::from(self.percent) / 100)
    }
}

/// Holds the whole of what a budget counts when it is exceeded, never the excess alone: that
/// would drip through, window by window. What was approved by having been committed ahead is
/// neither counted nor held.
pub(super) fn budgets(context: &GuardContext<'_>, decisions: &mut Decisions) {
    for (&name, budget) in &context.limits.budgets {
        if name == BudgetName::GrantAdmin && is_bootstrapped(context.facts) {
            continue;
        }
        let counts = |at: &usize| {
            let change = &context.changes[*at];
            name.counts(&change.action) && !change.scheduled
        };
        let wanted: Vec<usize> = (0..context.changes.len()).filter(counts).collect();
        if wanted.is_empty() {
            continue;
        }
        let since = context.now.saturating_sub(budget.window).unwrap_or(Timestamp::MIN);
        let BudgetUsage { certain, mut possible } = context.memory.budget_usage(name, since);
        let effects = context.effects.iter().filter(|it| name.counts(&it.action) && !it.scheduled);
        possible.extend(effects.map(|change| memory::target(&change.action, &change.email)));
        let before = certain + possible.len();
        // A second attempt at one thing is one thing.
        possible.extend(wanted.iter().map(|at| {
            let change = &context.changes[*at];
            memory::target(&change.action, &change.email)
        }));
        let all = certain + possible.len();
        if all > budget.limit(context.facts.managed) {
            decisions.hold(context, Guard::Budget(name), wanted, |_| {
                words(name, *budget, context, before, all)
            });
        }
    }
}

/// A workspace without any admin, or without any account, has to get its first ones.
fn is_bootstrapped(facts: &Facts) -> bool {
    facts.admins == 0
}

fn words(
    name: BudgetName,
    budget: Budget,
    context: &GuardContext<'_>,
    used: usize,
    all: usize,
) -> (String, String) {
    let managed = context.facts.managed;
    let key = name.key();
    let before = match used {
        0 => String::new(),
        used => format!(", {used} of them already made"),
    };
    let message = format!(
        "{all} of {managed} accounts within {}{before}, limit {} (guard.budgets.{key} in \
         rosterd.yaml)",
        window(budget.window),
        budget.limit(managed),
    );
    let hint = format!(
        "if all of them are meant, approve them by name, or raise `guard.budgets.{key}`, in a \
         reviewed commit"
    );
    (message, hint)
}

fn window(window: SignedDuration) -> String {
    match (window.as_hours(), window.as_mins() % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
