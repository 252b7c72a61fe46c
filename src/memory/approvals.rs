//! What is remembered of approvals and budgets: what is used, and the sets that are held.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{ApprovalRecord, ApprovedBy, Seq};
use super::{Attempt, Memory, Target, target};
use crate::action::{Action, ApprovalItem, BudgetName, Subject};
use crate::directory::Uid;
use crate::email::Email;
use crate::role::Role;

/// An approval that a run has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundApproval {
    pub by: ApprovedBy,
    /// The changes that it still releases. One that a listing has shown is no longer among them.
    changes: Vec<(Option<Uid>, Option<Role>)>,
    /// The ends of access or of an elevation that it still releases.
    ends: Vec<Timestamp>,
    /// It named nothing that was held when it was first read.
    pub inert: bool,
    /// When the last change was shown.
    pub used: Option<Timestamp>,
}

/// Changes that one run found to exceed a budget. They are held until all of them that are still
/// wanted are approved, or until they fit the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSet {
    /// Number of its entry.
    pub seq: Seq,
    pub budget: BudgetName,
    pub members: BTreeSet<Subject>,
    /// Members that an approval has released. They still count for the others.
    pub approved: BTreeSet<Subject>,
}

/// Usage of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetUsage<'a> {
    /// Effects that a listing has shown.
    pub certain: usize,
    /// Effects that may have happened; repeated attempts count once.
    pub possible: HashSet<Target<'a>>,
}

impl BoundApproval {
    /// Whether it releases this change. `end` is the date that causes the change.
    pub fn releases(&self, action: &Action, email: &Email, end: Option<Timestamp>) -> bool {
        end.is_some_and(|end| self.ends.contains(&end))
            || self.changes.iter().any(|bound| is_target(bound, &target(action, email)))
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.ends.is_empty()
    }
}

/// Whether a bound change has this target. The address is that of the approval.
fn is_target((uid, role): &(Option<Uid>, Option<Role>), of: &Target<'_>) -> bool {
    (uid.as_ref(), role.as_ref()) == (of.0, of.2)
}

impl Memory {
    /// What an earlier run read of an approval.
    pub fn approval(&self, item: &ApprovalItem) -> Option<&BoundApproval> {
        self.approvals.get(item)
    }

    /// When an approval was used by an earlier version, which did not distinguish reasons.
    pub fn approval_used(&self, budget: BudgetName, email: &Email) -> Option<Timestamp> {
        self.used.get(&(budget, email.clone())).copied()
    }

    /// The sets that a budget holds, the oldest first.
    pub fn sets(&self, budget: BudgetName) -> impl Iterator<Item = &HeldSet> {
        self.sets.iter().filter(move |set| set.budget == budget)
    }

    /// Usage of a budget since an instant. What was approved by name does not count.
    pub fn budget_usage(&self, name: BudgetName, since: Timestamp) -> BudgetUsage<'_> {
        let counted = self.attempts.iter().filter(|attempt| {
            attempt.at > since
                && attempt.status.may_have_happened()
                && !attempt.is_approved_for(name)
                && name.counts(&attempt.action, attempt.scheduled)
        });
        let mut usage = BudgetUsage::default();
        for attempt in counted {
            if attempt.shown {
                usage.certain += 1;
            } else {
                usage.possible.insert(target(&attempt.action, &attempt.email));
            }
        }
        usage
    }

    pub(super) fn add_set(&mut self, seq: Seq, budget: BudgetName, members: &[Subject]) {
        let (members, approved) = (members.iter().cloned().collect(), BTreeSet::new());
        self.sets.push(HeldSet { seq, budget, members, approved });
    }

    pub(super) fn bind(&mut self, record: &ApprovalRecord) {
        let ApprovalRecord { item, by, changes, ends } = record.clone();
        let inert = changes.is_empty() && ends.is_empty();
        let bound = BoundApproval { by, changes, ends, inert, used: None };
        self.approvals.insert(item, bound);
    }

    /// Removes the approvals with this reason; without one, those of an earlier version.
    pub(super) fn unbind(&mut self, action: BudgetName, email: &Email, reason: Option<&String>) {
        match reason.cloned() {
            Some(reason) => {
                self.approvals.remove(&ApprovalItem { action, email: email.clone(), reason });
            }
            None => drop(self.used.remove(&(action, email.clone()))),
        }
    }

    /// Notes that an approval has released a member of a set.
    pub(super) fn count_in_sets(&mut self, attempt: &Attempt) {
        let subject = attempt.action.subject(&attempt.email);
        for set in &mut self.sets {
            let counts = set.budget.action().approves(&attempt.action)
                && attempt.is_approved_for(set.budget);
            if counts && set.members.contains(&subject) {
                set.approved.insert(subject.clone());
            }
        }
    }

    /// An attempt did not happen, as far as a listing shows: its subject counts only if another one
    /// may have.
    pub(super) fn recount_in_sets(&mut self, subject: &Subject) {
        let Self { sets, attempts, .. } = self;
        let happened = |attempt: &Attempt| {
            !attempt.approved.is_empty()
                && attempt.is_propagating()
                && attempt.action.subject(&attempt.email) == *subject
        };
        if sets.iter().any(|set| set.approved.contains(subject)) && !attempts.iter().any(happened) {
            for set in sets {
                set.approved.remove(subject);
            }
        }
    }

    /// An approval releases a change until a listing shows it. `uid` and `role` are what a listing
    /// shows of an account that had the address: without a role, it is gone.
    pub(super) fn spend_approvals(
        &mut self,
        uid: &Uid,
        now: Option<(&Role, &Email)>,
        at: Timestamp,
    ) {
        let shown = (Some(uid.clone()), now.map(|(role, _)| role.clone()));
        self.spend(at, |item, approval| {
            approval.changes.retain(|bound| *bound != shown);
            if now.is_some_and(|(_, email)| item.email == *email) {
                // An account ends all invitations.
                approval.changes.retain(|(uid, _)| uid.is_some());
            }
        });
    }

    /// An effect of ours that a listing shows.
    pub(super) fn spend_by(&mut self, action: &Action, email: &Email, at: Timestamp) {
        let shown = target(action, email);
        self.spend(at, |item, approval| {
            if item.email == *email && item.action.approves(action) {
                approval.changes.retain(|bound| !is_target(bound, &shown));
                approval.ends.retain(|end| *end > at);
            }
        });
    }

    /// A listed invitation.
    pub(super) fn spend_invitation(&mut self, email: &Email, role: &Role, at: Timestamp) {
        self.spend(at, |item, approval| {
            let is_sent = |(uid, to): &(Option<Uid>, Option<Role>)| {
                uid.is_none() && to.as_ref() == Some(role) && item.email == *email
            };
            approval.changes.retain(|bound| !is_sent(bound));
        });
    }

    fn spend(&mut self, at: Timestamp, drop: impl Fn(&ApprovalItem, &mut BoundApproval)) {
        for (item, approval) in &mut self.approvals {
            drop(item, approval);
            if approval.is_empty() && !approval.inert && approval.used.is_none() {
                approval.used = Some(at);
            }
        }
    }
}

impl Attempt {
    /// Whether an approval in the roster released it from this budget, which does not count it
    /// therefore. What was approved on the command line is counted.
    pub fn is_approved_for(&self, budget: BudgetName) -> bool {
        self.approved.contains(&budget.action())
    }
}
