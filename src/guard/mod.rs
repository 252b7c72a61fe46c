//! The guards: pure, named, and the only makers of [`Approved`].
//!
//! A guard never decides by what a plan promises, only by what a reading showed, so that every
//! subset of the approved changes is as safe as all of them.

mod admins;
mod budget;
mod judge;
mod signs;

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::email::Email;
use crate::plan::change::{Change, Class};

pub use budget::spend;
pub use judge::{judge, rejudge};
pub use signs::CLOCK_TOLERANCE;

/// The safety settings of one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At least so many lasting admins stay.
    pub min_admins: usize,
    /// These stay ADMIN whatever the roster says.
    pub required_admins: Vec<Email>,
    pub budgets: BTreeMap<BudgetName, Budget>,
    /// Nothing at all is applied.
    pub suspend: bool,
}

/// What one budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetName {
    Disable,
    Demote,
    GrantAdmin,
    Invite,
}

/// So many changes of one kind within a window: `max(floor, percent of managed accounts)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub percent: u8,
    pub floor: usize,
    pub window: SignedDuration,
}

/// How much of each budget earlier changes have used within its window.
pub type Spent = BTreeMap<BudgetName, usize>;

/// The changes that may be sent, in order. Only this module makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approved(Vec<Change>);

/// A change that is not sent, and every guard that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub change: Change,
    pub by: Vec<Guard>,
}

/// The name of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// `suspend: true` in the configuration.
    Suspend,
    /// A roster without members would disable everybody.
    EmptyRoster,
    MinAdmins,
    RequiredAdmins,
    Budget(BudgetName),
    /// A disable and an invitation in one plan that look like one person.
    Rename,
    /// Our clock and the server's disagree: dates cannot be trusted.
    Clock,
}

/// What one guard refused: `n` of `m`, and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub guard: Guard,
    /// One sentence: what was wanted, of how many, the limit, and where the limit is set.
    pub message: String,
    /// What a person can do to let it through.
    pub hint: String,
}

/// The outcome of judging a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub approved: Approved,
    /// In the plan's order.
    pub held: Vec<Held>,
    /// In the order of [`Guard`].
    pub refusals: Vec<Refusal>,
}

impl Approved {
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes of one order class.
    pub fn of(&self, class: Class) -> impl Iterator<Item = &Change> {
        self.0.iter().filter(move |change| change.class() == class)
    }
}

impl Verdict {
    /// Adds what was held when the guards judged again.
    pub fn add(&mut self, held: Vec<Held>, refusals: Vec<Refusal>) {
        self.held.extend(held);
        self.held.sort_by(|a, b| a.change.sort_key().cmp(&b.change.sort_key()));
        for refusal in refusals {
            if !self.refusals.contains(&refusal) {
                self.refusals.push(refusal);
            }
        }
        self.refusals.sort_by_key(|refusal| refusal.guard);
    }
}

impl BudgetName {
    pub const ALL: [Self; 4] = [Self::Disable, Self::Demote, Self::GrantAdmin, Self::Invite];

    /// The key in the configuration, below `guard.budgets`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Demote => "demote",
            Self::GrantAdmin => "grant_admin",
            Self::Invite => "invite",
        }
    }

    /// Whether the budget counts this change. A change may count in several.
    pub fn counts(self, change: &Change) -> bool {
        match self {
            Self::Disable => change.class() == Class::Disable,
            Self::Demote => change.class() == Class::Demote,
            Self::GrantAdmin => change.gives_admin(),
            Self::Invite => change.class() == Class::Invite,
        }
    }
}

impl Default for Limits {
    /// The defaults of the configuration.
    fn default() -> Self {
        let day = SignedDuration::from_hours(24);
        let budget = |percent, floor| Budget { percent, floor, window: day };
        Self {
            min_admins: 1,
            required_admins: Vec::new(),
            budgets: BTreeMap::from([
                (BudgetName::Disable, budget(20, 3)),
                (BudgetName::Demote, budget(20, 3)),
                (BudgetName::GrantAdmin, budget(5, 3)),
                (BudgetName::Invite, budget(20, 50)),
            ]),
            suspend: false,
        }
    }
}

impl std::fmt::Display for Guard {
    /// The stable kebab-case name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Suspend => "suspend",
            Self::EmptyRoster => "empty-roster",
            Self::MinAdmins => "min-admins",
            Self::RequiredAdmins => "required-admins",
            Self::Budget(BudgetName::Disable) => "disable-budget",
            Self::Budget(BudgetName::Demote) => "demote-budget",
            Self::Budget(BudgetName::GrantAdmin) => "grant-admin-budget",
            Self::Budget(BudgetName::Invite) => "invite-budget",
            Self::Rename => "rename",
            Self::Clock => "clock",
        })
    }
}
