//! The recorded history of one workspace, as plain data.
//!
//! [`entry`] defines the entries of the ledger, `fold` turns them into a [`Memory`], and
//! [`mod@observe`] derives new entries from a listing. All of it is pure.

mod approvals;
pub mod backoff;
pub mod entry;
pub mod events;
mod fold;
mod join;
pub mod observe;
pub mod place;
mod rename;
pub mod runs;
pub mod scope;
mod serde_pairs;
pub mod timeline;

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::action::{Action, ApprovalItem, BudgetName};
use crate::directory::Uid;
use crate::email::Email;
use crate::revision::Revision;
use crate::role::Role;
use crate::status::Health;
use entry::{ApprovedBy, AttemptStatus, End, Key, Rename, Seq};
use place::WorkspacePlace;

pub use approvals::{BoundApproval, BudgetUsage, HeldSet};

/// How long a listing may be stale: an effect may not be visible for this time.
pub const PROPAGATION_TIME: SignedDuration = SignedDuration::from_mins(10);

/// Whether an effect at `at` may not be visible yet. If the clock was ahead, `at` may be in the
/// future.
pub fn is_young(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).abs() < PROPAGATION_TIME
}

/// What is known of earlier runs. The planner and the guards take it as an argument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Whether there is a ledger.
    known: bool,
    /// Number of the last entry, and the time of the newest.
    through: Seq,
    newest: Option<Timestamp>,
    /// Name of the workspace in the configuration.
    workspace: String,
    /// The former names whose chains were carried over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    former_names: Vec<String>,
    /// Where the workspace is.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<WorkspacePlace>,
    /// Digest of the last roster.
    roster: Option<String>,
    /// Every commit of a roster. Other fields are indices into this list.
    revisions: Vec<Revision>,
    revision: Option<u32>,
    /// Every account that was ever listed.
    accounts: HashMap<Uid, AccountRecord>,
    /// The last account with an address.
    by_address: HashMap<Email, Uid>,
    /// Earlier accounts with the address. They may still exist, with another address.
    before: HashMap<Email, Vec<Uid>>,
    /// The invitations of the last listing.
    invitations: HashMap<Email, Invited>,
    /// Invitations that may have been sent and have not led to a new account.
    sent: HashMap<Email, Vec<(Seq, Timestamp)>>,
    #[serde(with = "serde_pairs")]
    #[serde(rename = "refused")]
    rejections: HashMap<Key, Rejection>,
    /// Attempted mutations, in order.
    #[serde(rename = "deeds")]
    attempts: Vec<Attempt>,
    /// Ends of access, each with when it was first seen.
    #[serde(serialize_with = "serde_pairs::serialize", deserialize_with = "serde_pairs::ends")]
    ends: BTreeMap<End, Timestamp>,
    /// Signs of another address, each with when it was first seen.
    renames: Vec<(Timestamp, Rename)>,
    #[serde(with = "serde_pairs")]
    holds: BTreeMap<Key, Hold>,
    /// Sets of changes that budgets hold, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sets: Vec<HeldSet>,
    /// The approvals of the roster, with what is left of what they release.
    #[serde(with = "serde_pairs", skip_serializing_if = "BTreeMap::is_empty")]
    approvals: BTreeMap<ApprovalItem, BoundApproval>,
    /// Used approvals of an earlier version, and when they were used.
    #[serde(with = "serde_pairs")]
    used: BTreeMap<(BudgetName, Email), Timestamp>,
    /// The end of the last run that converged.
    converged: Option<Timestamp>,
    /// What the last runs say, and since when they say so.
    streak: Option<(Health, Timestamp)>,
}

/// An account that was listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    pub email: Email,
    pub role: Role,
    /// When it was first listed.
    pub since: Timestamp,
    /// When it was first listed with this role.
    pub role_since: Timestamp,
    /// Since when it is no longer listed.
    pub gone: Option<Timestamp>,
    /// It is gone because rosterd disabled it.
    pub disabled: bool,
    /// When it was first listed after an absence.
    appeared: Timestamp,
    /// The member whose elevation gave it its role, and the role before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elevated: Option<(Email, Role)>,
    /// The commit that gave it its role.
    by: Option<u32>,
    /// Where and why its role was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovedBy>,
}

/// An invitation that was listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invited {
    pub role: Role,
    pub expired: bool,
    /// When it was first listed as pending, or as expired if it was never listed as pending.
    pub since: Timestamp,
    by: Option<u32>,
}

/// Attempts at one change that the API rejected or that had no effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejection {
    pub times: usize,
    pub last: Timestamp,
    pub why: String,
}

/// An attempted mutation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub seq: Seq,
    pub at: Timestamp,
    pub action: Action,
    pub email: Email,
    pub also: Vec<Email>,
    #[serde(rename = "fate")]
    pub status: AttemptStatus,
    /// A listing has shown its effect.
    pub shown: bool,
    #[serde(rename = "foreseen")]
    pub scheduled: bool,
    /// An elevation in force is the reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elevates: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovedBy>,
    /// The actions for which approvals in the roster released it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<BudgetName>,
    pub batch: usize,
    by: Option<u32>,
}

/// A change that guards hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub since: Timestamp,
    /// The names of the guards.
    pub by: Vec<String>,
}

/// Invitations to one person that may have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub times: usize,
    pub last: Timestamp,
}

/// The person and the result of an action. Repeated attempts have the same target.
pub type Target<'a> = (Option<&'a Uid>, Option<&'a Email>, Option<&'a Role>);

/// The target of an action on a person.
pub fn target<'a>(action: &'a Action, email: &'a Email) -> Target<'a> {
    let uid = action.uid();
    (uid, uid.is_none().then_some(email), action.to())
}

impl Memory {
    /// The memory without a ledger.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether there is a ledger.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Number of the last entry.
    pub fn through(&self) -> Seq {
        self.through
    }

    /// The time of the newest entry.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    /// Whether the chain of this former name, if there was one, has been carried over.
    pub fn has_former_name(&self, name: &str) -> bool {
        self.former_names.iter().any(|known| known == name)
    }

    /// Notes that the chain of a former name has been carried over.
    pub fn add_former_name(&mut self, name: &str) {
        self.former_names.push(name.to_owned());
    }

    /// Digest of the last roster.
    pub fn roster(&self) -> Option<&str> {
        self.roster.as_deref()
    }

    /// Commit of the last roster.
    pub fn revision(&self) -> Option<&Revision> {
        self.revision_of(self.revision)
    }

    pub fn converged(&self) -> Option<Timestamp> {
        self.converged
    }

    /// Since when every run has said this; None if the last run says something else.
    pub fn health_since(&self, health: Health) -> Option<Timestamp> {
        let (known, since) = self.streak?;
        (known == health).then_some(since)
    }

    /// The accounts of the last listing, with their roles.
    pub fn present(&self) -> impl Iterator<Item = (&Uid, &Role)> {
        let here = self.accounts.iter().filter(|(_, known)| known.gone.is_none());
        here.map(|(uid, known)| (uid, &known.role))
    }

    fn revision_of(&self, index: Option<u32>) -> Option<&Revision> {
        self.revisions.get(usize::try_from(index?).ok()?)
    }

    /// The uids of all accounts that ever had this address.
    pub fn uids_of(&self, email: &Email) -> impl Iterator<Item = &Uid> {
        let before = self.before.get(email).into_iter().flatten();
        self.by_address.get(email).into_iter().chain(before)
    }

    /// When accounts were first listed: those were there before rosterd.
    pub fn first_listing(&self) -> Option<Timestamp> {
        self.accounts.values().map(|account| account.since).min()
    }

    pub fn account(&self, uid: &Uid) -> Option<&AccountRecord> {
        self.accounts.get(uid)
    }

    /// The commit that gave an account its role, or an invitation its own.
    pub fn given_by(&self, uid: &Uid) -> Option<&Revision> {
        self.revision_of(self.accounts.get(uid)?.by)
    }

    pub fn invitation(&self, email: &Email) -> Option<&Invited> {
        self.invitations.get(email)
    }

    pub fn invited_by(&self, email: &Email) -> Option<&Revision> {
        self.revision_of(self.invitations.get(email)?.by)
    }

    /// The last account with one of these addresses. If it is no longer listed there, it is gone or
    /// has an address that is not the person's. Of several, the one that was removed last.
    pub fn former<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a Email>,
    ) -> Option<&AccountRecord> {
        let uids = addresses.into_iter().filter_map(|email| self.by_address.get(email));
        uids.filter_map(|uid| self.accounts.get(uid)).max_by_key(|account| account.gone)
    }

    /// Invitations to these addresses that may have been sent and were not accepted.
    pub fn sent<'a>(&self, addresses: impl IntoIterator<Item = &'a Email>) -> Option<Sent> {
        let lists = addresses.into_iter().filter_map(|email| self.sent.get(email));
        let all: Vec<Timestamp> = lists.flatten().map(|(_, at)| *at).collect();
        Some(Sent { times: all.len(), last: all.iter().copied().max()? })
    }

    /// Earlier rejections of this change.
    pub fn rejection(&self, action: &Action, email: &Email) -> Option<&Rejection> {
        if self.rejections.is_empty() {
            return None;
        }
        self.rejections.get(&Key::of(action, email))
    }

    /// The last rejection of an invitation to this address, with any role.
    pub fn rejected_invitation(&self, email: &Email) -> Option<&Rejection> {
        let all = self.rejections.iter();
        let invites = all.filter(|(key, _)| key.action.class().invites() && key.email == *email);
        invites.map(|(_, rejected)| rejected).max_by_key(|rejected| rejected.last)
    }

    /// Attempted mutations, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Effects so recent that a listing may not show them. One listing that shows an effect is not
    /// enough, because the next may be stale; a later attempt on the same account is.
    pub fn propagating(&self, now: Timestamp) -> HashMap<Target<'_>, &Attempt> {
        let (mut fresh, mut later) = (HashMap::new(), HashSet::new());
        for attempt in self.attempts.iter().rev().filter(|attempt| is_young(attempt.at, now)) {
            let uid = attempt.action.uid();
            let is_last = uid.is_some_and(|uid| !later.contains(uid));
            if attempt.is_propagating() && (is_last || !attempt.shown) {
                fresh.entry(target(&attempt.action, &attempt.email)).or_insert(attempt);
            }
            later.extend(uid.filter(|_| attempt.status.may_have_happened()));
        }
        fresh
    }

    /// Accounts that may have lost ADMIN so recently that a listing may not show it.
    pub fn losing_admin(&self, now: Timestamp) -> HashSet<&Uid> {
        let fresh = self.attempts.iter().filter(|attempt| {
            attempt.action.takes_admin()
                && attempt.status.may_have_happened()
                && is_young(attempt.at, now)
        });
        fresh.filter_map(|attempt| attempt.action.uid()).collect()
    }

    /// Attempts whose outcome is unknown, each with the number of changes in its last request.
    pub fn unknown_batches(&self) -> HashMap<Target<'_>, usize> {
        let mut found = HashMap::new();
        for attempt in &self.attempts {
            let key = target(&attempt.action, &attempt.email);
            if matches!(
                attempt.status,
                AttemptStatus::Unknown | AttemptStatus::Open | AttemptStatus::Lapsed
            ) && !attempt.shown
            {
                found.insert(key, attempt.batch);
            } else if attempt.status != AttemptStatus::NotSent {
                found.remove(&key);
            }
        }
        found
    }

    /// When an end of access was first seen; since then every roster had it.
    pub fn end_since(&self, end: &End) -> Option<Timestamp> {
        self.ends.get(end).copied()
    }

    /// The role of an account before the elevation that gave it its present one.
    pub fn before_elevation(&self, uid: &Uid) -> Option<&Role> {
        self.accounts.get(uid)?.elevated.as_ref().map(|(_, role)| role)
    }

    pub fn holds(&self) -> &BTreeMap<Key, Hold> {
        &self.holds
    }

    /// The hold of a change.
    pub fn hold(&self, action: &Action, email: &Email) -> Option<&Hold> {
        if self.holds.is_empty() {
            return None;
        }
        self.holds.get(&Key::of(action, email))
    }
}

impl Attempt {
    fn is_propagating(&self) -> bool {
        matches!(self.status, AttemptStatus::Open | AttemptStatus::Done | AttemptStatus::Unknown)
    }
}
