//! The guards: pure and named, and the only code that makes an [`Approved`].
//!
//! A guard decides by what the listing showed, never by what the plan promises. So every subset
//! of the approved changes is as safe as all of them.

mod admins;
pub mod approvals;
mod budget;
mod clock;
mod context;
mod empty_roster;
mod evaluate;
mod lookalike;
pub mod operator;
mod policy;
mod rename;
mod suspend;
mod vanished;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use strum::IntoStaticStr;

use crate::action::Subject;
use crate::email::Email;
use crate::memory::entry::{ApprovedBy, Key, Seq};
use crate::order::natural_key;
use crate::plan::change::{Change, Class};
use crate::roster::write;
use crate::yaml::scalar;

pub use crate::action::BudgetName;
pub use clock::{CLOCK_TOLERANCE, clock_is_trusted};
pub use evaluate::{evaluate, reevaluate};

/// The safety settings of one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Minimum number of permanent admins that must remain.
    pub min_admins: usize,
    /// These stay ADMIN whatever the roster says.
    pub required_admins: Vec<Email>,
    pub budgets: BTreeMap<BudgetName, Budget>,
    /// Hold every change.
    pub suspend: bool,
}

/// The limit on changes of one kind within a window: `max(floor, percent of managed accounts)`, but
/// at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub percent: u8,
    pub floor: usize,
    pub max: usize,
    pub window: SignedDuration,
}

/// Which guards a person overrides, besides the roster's `approvals:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Override {
    #[default]
    None,
    /// Every guard that an approval could release: a person has read exactly this plan.
    All { reason: String },
}

/// The changes that may be sent, in order. Only this module makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approved(Vec<Change>);

/// A change that is not sent, with every guard that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub change: Change,
    pub by: Vec<Guard>,
    /// When the hold began; None if it is new, or without a ledger.
    pub since: Option<Timestamp>,
}

/// The name of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Guard {
    /// `suspend: true` in the configuration.
    Suspend,
    /// A roster without members would disable every account.
    EmptyRoster,
    MinAdmins,
    RequiredAdmins,
    Budget(BudgetName),
    /// An account without a member may be a member's under another address.
    Rename,
    /// The address of an account or invitation resembles that of a member.
    Lookalike,
    /// The policy does not allow the address of a member.
    Policy,
    /// A member's account is gone and rosterd did not disable it.
    Vanished,
    /// Our clock and the server's differ: dates cannot be trusted.
    Clock,
}

/// What one guard holds: `n` of `m`, and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub guard: Guard,
    /// One sentence: how many of how many, the limit, and where the limit is set.
    pub message: String,
    /// What a person can do about it.
    pub hint: String,
}

/// Why a change is approved although guards would hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub guards: Vec<Guard>,
    pub by: ApprovedBy,
    /// The actions of the approvals in the roster.
    pub approved: Vec<BudgetName>,
}

/// Changes that a budget begins to hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSet {
    pub budget: BudgetName,
    pub members: Vec<Subject>,
}

/// What the guards decided about a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub approved: Approved,
    /// In the plan's order.
    pub held: Vec<Held>,
    /// In the order of [`Guard`].
    pub violations: Vec<Violation>,
    /// The approved changes that guards would hold without an approval.
    pub overridden: BTreeMap<Key, Release>,
    pub new_sets: Vec<NewSet>,
    /// The numbers of the sets that are not held any more.
    pub ended_sets: Vec<Seq>,
    /// The first instant at which a hold ends by itself.
    pub next: Option<Timestamp>,
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
        self.0.iter().filter(move |change| change.action.class() == class)
    }
}

impl Verdict {
    /// The people whom an approval would release, by its action. Whom another guard holds as well,
    /// which no approval overrides, is left out.
    pub fn releasable(&self) -> BTreeMap<BudgetName, Vec<&Email>> {
        let mut people: BTreeMap<BudgetName, Vec<&Email>> = BTreeMap::new();
        for Held { change, by, .. } in &self.held {
            let actions: Option<Vec<_>> = by.iter().map(|it| it.approved_by(change)).collect();
            for action in actions.into_iter().flatten() {
                people.entry(action).or_default().push(&change.email);
            }
        }
        for emails in people.values_mut() {
            emails.sort_by_cached_key(|email| natural_key(email.as_str()));
            emails.dedup();
        }
        people
    }

    /// The items of `approvals:` that would release the held changes, but for their reasons. With
    /// `indent`, to paste them below existing items that are indented like this; else with the key.
    pub fn approvals(&self, indent: Option<usize>) -> Option<String> {
        let people = self.releasable();
        (!people.is_empty()).then(|| write::approvals(&people, write::REASON, indent))
    }

    /// The same on one line.
    pub fn approvals_in_short(&self) -> Option<String> {
        let people = self.releasable();
        let items = people.iter().map(|(action, people)| {
            let people: Vec<String> = people.iter().map(|email| scalar(email.as_str())).collect();
            format!("{{ {}: [{}] }}", action.key(), people.join(", "))
        });
        let items: Vec<String> = items.collect();
        (!items.is_empty()).then(|| format!("approvals: [{}]", items.join(", ")))
    }

    /// Adds what the guards held when they evaluated again.
    pub fn add(&mut self, held: Vec<Held>, violations: Vec<Violation>) {
        self.held.extend(held);
        self.held.sort_by(|a, b| a.change.sort_key().cmp(&b.change.sort_key()));
        for violation in violations {
            if !self.violations.contains(&violation) {
                self.violations.push(violation);
            }
        }
        self.violations.sort_by_key(|violation| violation.guard);
    }
}

impl Guard {
    /// The action of an approval that releases this change, if one can.
    pub fn approved_by(self, change: &Change) -> Option<BudgetName> {
        match self {
            Self::Budget(name) => Some(name.action()),
            Self::Rename => Some(BudgetName::Disable),
            Self::Lookalike if change.action.class() == Class::Disable => Some(BudgetName::Disable),
            Self::Vanished | Self::Lookalike => Some(BudgetName::Invite),
            Self::Suspend
            | Self::EmptyRoster
            | Self::MinAdmins
            | Self::RequiredAdmins
            | Self::Policy
            | Self::Clock => None,
        }
    }
}

impl Default for Limits {
    /// The defaults of the configuration.
    fn default() -> Self {
        let day = SignedDuration::from_hours(24);
        let budget = |percent, floor, max| Budget { percent, floor, max, window: day };
        Self {
            min_admins: 1,
            required_admins: Vec::new(),
            budgets: BTreeMap::from([
                (BudgetName::Disable, budget(20, 3, 50)),
                (BudgetName::Demote, budget(20, 3, 50)),
                (BudgetName::GrantAdmin, budget(5, 3, 10)),
                (BudgetName::Invite, budget(20, 50, 500)),
                (BudgetName::Scheduled, budget(50, 10, 50)),
            ]),
            suspend: false,
        }
    }
}

impl std::fmt::Display for Guard {
    /// The stable kebab-case name. That of a budget begins with the budget's own.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Self::Budget(name) = self {
            write!(f, "{}-", name.key().replace('_', "-"))?;
        }
        f.write_str(self.into())
    }
}
