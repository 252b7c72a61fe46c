//! Budgets: how much of one kind may happen within a window.

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::context::{Decisions, GuardContext};
use super::{Budget, BudgetName, Guard};
use crate::action::Subject;
use crate::directory;
use crate::memory::{self, BudgetUsage, Target};

impl Budget {
    /// `max(floor, percent of managed accounts)`, the percentage rounded down, but at most `max`.
    pub fn limit(&self, managed: usize) -> usize {
        self.floor.max(managed * usize::from(self.percent) / 100).min(self.max)
    }
}

/// Holds everything that a budget counts once the budget is exceeded. The excess alone would
/// drip through, window by window.
///
/// What one run holds is a set. It stays held until all of it that is still wanted is approved, or
/// until what is approved and what is wanted fit the limit. Later changes are counted without it,
/// so that a mass removal that is never approved does not hold every later leaver. Not counted are
/// changes that are approved by name, accounts that may be a member's, and members whom the policy
/// does not allow.
pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let suspects: HashSet<usize> = {
        let guards = [Guard::Rename, Guard::Lookalike, Guard::Policy];
        let is_suspect = |at: &usize| guards.iter().any(|it| decisions.is_held_by(*at, *it));
        (0..context.changes.len()).filter(is_suspect).collect()
    };
    let in_sets = sets(context, decisions, &suspects);
    for (&name, budget) in &context.limits.budgets {
        let mut wanted = context.positions(|it| name.counts(&it.action, it.scheduled));
        wanted.retain(|at| !suspects.contains(at) && !in_sets.contains(&(name, *at)));
        let guard = Guard::Budget(name);
        let (approved, new): (Vec<usize>, Vec<usize>) =
            wanted.into_iter().partition(|at| context.is_approved(guard, *at));
        let tally = Tally::new(context, name, *budget);
        decisions.hold(context, guard, approved, |_| tally.describe(0, 0));
        let all = tally.with(&new, &BTreeSet::new());
        let exceeds = !new.is_empty() && all > tally.limit;
        if exceeds && decisions.hold(context, guard, new.clone(), |_| tally.describe(all, 0)) {
            decisions.new_sets.push((name, new));
        }
    }
}

/// Holds the sets of earlier runs that do not fit, and ends the others. Returns the positions of
/// what is held, each with the budgets that do not count it therefore.
fn sets(
    context: &GuardContext<'_>,
    decisions: &mut Decisions,
    suspects: &HashSet<usize>,
) -> HashSet<(BudgetName, usize)> {
    let mut held = HashSet::new();
    for (&name, budget) in &context.limits.budgets {
        let guard = Guard::Budget(name);
        // A disable stays in its set if its date is changed.
        let disables = [BudgetName::Disable, BudgetName::Scheduled];
        let names = if disables.contains(&name) { &disables[..] } else { &[name] };
        for set in context.memory.sets(name) {
            let mut theirs = context.positions(|change| {
                let counts = |name: &BudgetName| name.counts(&change.action, change.scheduled);
                names.iter().any(counts)
                    && set.members.contains(&change.action.subject(&change.email))
            });
            let tally = Tally::new(context, name, *budget);
            let all = tally.with(&theirs, &set.approved);
            let is_approved = |at: &usize| context.is_approved(guard, *at);
            if all <= tally.limit || theirs.iter().all(is_approved) {
                decisions.ended_sets.push(set.seq);
                continue;
            }
            held.extend(names.iter().flat_map(|name| theirs.iter().map(|at| (*name, *at))));
            theirs.retain(|at| !suspects.contains(at));
            let approved = set.approved.len();
            decisions.hold(context, guard, theirs, |_| tally.describe(all, approved));
        }
    }
    held
}

/// How much of a budget is used.
struct Tally<'a> {
    context: &'a GuardContext<'a>,
    name: BudgetName,
    budget: Budget,
    limit: usize,
    /// Effects that a listing has shown.
    certain: usize,
    /// Effects that may have happened or are about to. Two attempts at one change count once.
    possible: HashSet<Target<'a>>,
}

impl<'a> Tally<'a> {
    /// What was used within the window, and by this run.
    fn new(context: &'a GuardContext<'a>, name: BudgetName, mut budget: Budget) -> Self {
        // A workspace without an admin must be able to get its first ones, but not any number.
        if name == BudgetName::GrantAdmin && context.facts.admins == 0 {
            budget.floor = budget.max;
        }
        let now = directory::earlier(context.now, context.facts.server_time);
        let since = now.saturating_sub(budget.window).unwrap_or(Timestamp::MIN);
        let BudgetUsage { certain, mut possible } = context.memory.budget_usage(name, since);
        let effects = context.effects.iter().filter(|it| {
            let is_approved = context.approval(Guard::Budget(name), it).is_some();
            name.counts(&it.action, it.scheduled) && !is_approved
        });
        possible.extend(effects.map(|it| memory::target(&it.action, &it.email)));
        let limit = budget.limit(context.facts.managed);
        Self { context, name, budget, limit, certain, possible }
    }

    fn used(&self) -> usize {
        self.certain + self.possible.len()
    }

    fn targets(&self, positions: &[usize]) -> impl Iterator<Item = Target<'a>> {
        let changes = self.context.changes;
        positions.iter().map(|at| memory::target(&changes[*at].action, &changes[*at].email))
    }

    /// The number with these changes, and with those of their set that were approved before.
    fn with(&self, positions: &[usize], approved: &BTreeSet<Subject>) -> usize {
        let new = self.targets(positions).filter(|it| !self.possible.contains(it));
        let new: HashSet<Target<'_>> = new.collect();
        let wanted: BTreeSet<Subject> =
            positions.iter().map(|at| self.context.subject(*at)).collect();
        self.used() + new.len() + approved.difference(&wanted).count()
    }

    fn describe(&self, all: usize, approved: usize) -> (String, String) {
        let (key, managed) = (self.name.key(), self.context.facts.managed);
        let parts = [(self.used(), "already made"), (approved, "already approved")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let before: String =
            parts.map(|(count, what)| format!(", {count} of them {what}")).collect();
        let message = format!(
            "{all} of {managed} accounts within {}{before}, limit {} (guard.budgets.{key} in \
             rosterd.yaml)",
            window(self.budget.window),
            self.limit,
        );
        let hint = format!(
            "if all of them are intended, approve them by name, or raise `guard.budgets.{key}`, in \
             a reviewed commit"
        );
        (message, hint)
    }
}

fn window(window: SignedDuration) -> String {
    match (window.as_hours(), window.as_mins() % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
