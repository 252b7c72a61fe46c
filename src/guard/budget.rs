//! Budgets: how much of one kind may happen within a window.

use jiff::{SignedDuration, Timestamp};

use super::context::{Decisions, GuardContext};
use super::{Budget, BudgetName, Guard};
use crate::memory::{self, BudgetUsage};
use crate::plan::change::Change;

impl Budget {
    /// `max(floor, percent of managed accounts)`, the percentage rounded down, but at most `max`.
    pub fn limit(&self, managed: usize) -> usize {
        self.floor.max(managed * usize::from(self.percent) / 100).min(self.max)
    }
}

/// Holds everything that a budget counts once the budget is exceeded. The excess alone would
/// drip through, window by window. Not counted are scheduled ends, which were committed ahead,
/// accounts that may be a member's, and members whom the policy does not allow.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    for (&name, budget) in &context.limits.budgets {
        let mut budget = *budget;
        // A workspace without an admin must be able to get its first ones, but not any number.
        if name == BudgetName::GrantAdmin && context.facts.admins == 0 {
            budget.floor = budget.max;
        }
        let counts = |change: &Change| name.counts(&change.action) && !change.scheduled;
        let mut wanted = context.positions(counts);
        let others = [Guard::Rename, Guard::Lookalike, Guard::Policy];
        wanted.retain(|at| !others.iter().any(|guard| decisions.is_held_by(*at, *guard)));
        if wanted.is_empty() {
            continue;
        }
        let since = context.now.saturating_sub(budget.window).unwrap_or(Timestamp::MIN);
        let BudgetUsage { certain, mut possible } = context.memory.budget_usage(name, since);
        let effects = context.effects.iter().filter(|it| name.counts(&it.action) && !it.scheduled);
        possible.extend(effects.map(|change| memory::target(&change.action, &change.email)));
        let before = certain + possible.len();
        // Two attempts at one change count once.
        possible.extend(wanted.iter().map(|at| {
            let change = &context.changes[*at];
            memory::target(&change.action, &change.email)
        }));
        let all = certain + possible.len();
        if all > budget.limit(context.facts.managed) {
            let managed = context.facts.managed;
            decisions.hold(context, Guard::Budget(name), wanted, |_| {
                describe(name, budget, managed, before, all)
            });
        }
    }
}

fn describe(
    name: BudgetName,
    budget: Budget,
    managed: usize,
    used: usize,
    all: usize,
) -> (String, String) {
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
        "if all of them are intended, approve them by name, or raise `guard.budgets.{key}`, in a \
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
