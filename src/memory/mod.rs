//! What the ledger remembers of one workspace, as plain data.
//!
//! [`entry`] is what is written, `fold` turns entries into a [`Memory`], [`mod@observe`] says what
//! a reading adds to it. All of it is pure: the store knows only text, and a plan depends on
//! nothing that it was not given.

pub mod backoff;
pub mod entry;
pub mod events;
mod fold;
pub mod observe;
pub mod runs;
mod serde_pairs;
pub mod timeline;

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::action::{Action, BudgetName};
use crate::directory::Uid;
use crate::email::Email;
use crate::revision::Revision;
use crate::role::Role;
use entry::{AttemptStatus, End, Key, Seq};

/// For so long after an effect of ours a reading may not show it yet.
pub const SETTLING: SignedDuration = SignedDuration::from_mins(10);

/// Whether something that happened at `at` may not be shown yet. By a clock that was ahead, it may
/// lie in the future.
pub fn is_young(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).abs() < SETTLING
}

/// What is known beyond the two states. It is an argument of the planner and of the guards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// There is a ledger; without one nothing at all is known.
    known: bool,
    /// The last entry that is part of this, and the time of the newest.
    through: Seq,
    newest: Option<Timestamp>,
    /// The workspace's name in the configuration.
    workspace: String,
    /// The digest of the roster that was in force last.
    roster: Option<String>,
    /// Every commit that a roster came from; others point into this list.
    revisions: Vec<Revision>,
    revision: Option<u32>,
    /// Every account that a reading has ever shown.
    accounts: HashMap<Uid, AccountRecord>,
    /// The account that was seen last under an address.
    by_address: HashMap<Email, Uid>,
    /// Accounts that were seen under it before that one: they may be there still, elsewhere.
    before: HashMap<Email, Vec<Uid>>,
    /// The invitations that the last reading showed.
    invitations: HashMap<Email, Invited>,
    /// Invitations of ours that may have left and have not led to a new account.
    sent: HashMap<Email, Vec<(Seq, Timestamp)>>,
    #[serde(with = "serde_pairs")]
    refused: HashMap<Key, Refused>,
    /// Mutations that were intended, in order.
    #[serde(rename = "deeds")]
    attempts: Vec<Attempt>,
    ends: HashSet<End>,
    #[serde(with = "serde_pairs")]
    holds: BTreeMap<Key, Hold>,
    /// Approvals that have served, since when.
    #[serde(with = "serde_pairs")]
    used: BTreeMap<(BudgetName, Email), Timestamp>,
    /// The end of the last run that converged.
    converged: Option<Timestamp>,
    /// How runs have ended lately, and since when they have ended so.
    streak: Option<(String, Timestamp)>,
}

/// An account that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    pub email: Email,
    pub role: Role,
    /// When a reading showed it for the first time.
    pub since: Timestamp,
    /// When it was first shown with this role.
    pub role_since: Timestamp,
    /// Since when no reading shows it.
    pub gone: Option<Timestamp>,
    /// It is gone because rosterd disabled it.
    pub disabled: bool,
    /// When it was shown after it had not been.
    appeared: Timestamp,
    /// The commit that gave it its role.
    by: Option<u32>,
}

/// An invitation that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invited {
    pub role: Role,
    pub expired: bool,
    /// When a reading first showed it so: pending, or expired where it never was seen pending.
    pub since: Timestamp,
    by: Option<u32>,
}

/// Attempts at one change that led to nothing by themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    pub times: usize,
    pub last: Timestamp,
    pub why: String,
}

/// A mutation that was intended, and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub seq: Seq,
    pub at: Timestamp,
    pub action: Action,
    pub email: Email,
    pub also: Vec<Email>,
    #[serde(rename = "fate")]
    pub status: AttemptStatus,
    /// A reading has shown its effect.
    pub shown: bool,
    #[serde(rename = "foreseen")]
    pub scheduled: bool,
    pub batch: usize,
    by: Option<u32>,
}

/// A change that guards hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub since: Timestamp,
    /// The names of the guards.
    pub by: Vec<String>,
    /// Since when each guard has held it at all.
    pub first: BTreeMap<String, Timestamp>,
}

/// The invitations of ours to one person that may have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub times: usize,
    pub last: Timestamp,
}

/// What a budget has used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetUsage<'a> {
    /// Effects that a reading has shown.
    pub certain: usize,
    /// What may have happened; attempts at one thing are one.
    pub possible: HashSet<Target<'a>>,
}

/// Whom an effect concerns and what it comes to, so that two attempts at one thing are one.
pub type Target<'a> = (Option<&'a Uid>, Option<&'a Email>, Option<&'a Role>);

/// The target of an action on a person.
pub fn target<'a>(action: &'a Action, email: &'a Email) -> Target<'a> {
    let uid = action.uid();
    (uid, uid.is_none().then_some(email), action.to())
}

impl Memory {
    /// Nothing is known of earlier runs.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether there is a ledger at all.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// The last entry that is part of this.
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

    /// The digest of the roster that was in force last.
    pub fn roster(&self) -> Option<&str> {
        self.roster.as_deref()
    }

    /// The commit of the roster that was in force last.
    pub fn revision(&self) -> Option<&Revision> {
        self.revision_of(self.revision)
    }

    pub fn converged(&self) -> Option<Timestamp> {
        self.converged
    }

    /// Since when every run has ended like this: `converged`, `held`, `failed`, or `stale` where an
    /// earlier roster was in force.
    pub fn status_since(&self, word: &str) -> Option<Timestamp> {
        let (known, since) = self.streak.as_ref()?;
        (known == word).then_some(*since)
    }

    /// The accounts that the last reading showed, with their roles.
    pub fn present(&self) -> impl Iterator<Item = (&Uid, &Role)> {
        let here = self.accounts.iter().filter(|(_, known)| known.gone.is_none());
        here.map(|(uid, known)| (uid, &known.role))
    }

    fn revision_of(&self, index: Option<u32>) -> Option<&Revision> {
        self.revisions.get(usize::try_from(index?).ok()?)
    }

    /// The uids that were ever seen under an address.
    pub fn uids_of(&self, email: &Email) -> impl Iterator<Item = &Uid> {
        let before = self.before.get(email).into_iter().flatten();
        self.by_address.get(email).into_iter().chain(before)
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

    /// The account that was seen last under one of these addresses: where no reading shows it
    /// there any more, it is gone, or has another address that is not the person's. Of several the
    /// one that went last.
    pub fn former<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a Email>,
    ) -> Option<&AccountRecord> {
        let uids = addresses.into_iter().filter_map(|email| self.by_address.get(email));
        uids.filter_map(|uid| self.accounts.get(uid)).max_by_key(|account| account.gone)
    }

    /// The invitations of ours to any of these addresses that may have left and came to nothing.
    pub fn sent<'a>(&self, addresses: impl IntoIterator<Item = &'a Email>) -> Option<Sent> {
        let lists = addresses.into_iter().filter_map(|email| self.sent.get(email));
        let all: Vec<Timestamp> = lists.flatten().map(|(_, at)| *at).collect();
        Some(Sent { times: all.len(), last: all.iter().copied().max()? })
    }

    /// How often the API refused this very change.
    pub fn refused(&self, action: &Action, email: &Email) -> Option<&Refused> {
        if self.refused.is_empty() {
            return None;
        }
        self.refused.get(&Key::of(action, email))
    }

    /// Mutations that were intended, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The commit that asked for a deed.
    pub fn asked_by(&self, attempt: &Attempt) -> Option<&Revision> {
        self.revision_of(attempt.by)
    }

    /// What may have happened so shortly before `now` that a reading need not show it. One that has
    /// shown it does not end this: the next may come from a server that lags. What is done to the
    /// same account later does.
    pub fn settling(&self, now: Timestamp) -> HashMap<Target<'_>, &Attempt> {
        let (mut fresh, mut later) = (HashMap::new(), HashSet::new());
        for attempt in self.attempts.iter().rev().filter(|attempt| attempt.is_young(now)) {
            let uid = attempt.action.uid();
            let is_last = uid.is_some_and(|uid| !later.contains(uid));
            if attempt.is_settling() && (is_last || !attempt.shown) {
                fresh.entry(target(&attempt.action, &attempt.email)).or_insert(attempt);
            }
            later.extend(uid.filter(|_| attempt.status.may_have_happened()));
        }
        fresh
    }

    /// Accounts from which ADMIN may have been taken so shortly before `now` that a reading need
    /// not show it.
    pub fn losing_admin(&self, now: Timestamp) -> HashSet<&Uid> {
        let fresh = self.attempts.iter().filter(|attempt| {
            attempt.action.takes_admin()
                && attempt.status.may_have_happened()
                && attempt.is_young(now)
        });
        fresh.filter_map(|attempt| attempt.action.uid()).collect()
    }

    /// What a budget has used since an instant. What was approved by having been committed ahead
    /// does not count.
    pub fn spent(&self, name: BudgetName, since: Timestamp) -> BudgetUsage<'_> {
        let counted = self.attempts.iter().filter(|attempt| {
            attempt.at > since
                && attempt.status.may_have_happened()
                && !attempt.scheduled
                && name.counts(&attempt.action)
        });
        let mut spent = BudgetUsage::default();
        for attempt in counted {
            if attempt.shown {
                spent.certain += 1;
            } else {
                spent.possible.insert(target(&attempt.action, &attempt.email));
            }
        }
        spent
    }

    /// The size of the request in which each thing was last tried without anybody knowing what
    /// became of it.
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

    pub fn foresaw(&self, end: &End) -> bool {
        self.ends.contains(end)
    }

    pub fn holds(&self) -> &BTreeMap<Key, Hold> {
        &self.holds
    }

    /// Since when a change has been held.
    pub fn hold(&self, action: &Action, email: &Email) -> Option<&Hold> {
        if self.holds.is_empty() {
            return None;
        }
        self.holds.get(&Key::of(action, email))
    }

    /// Since when an approval has served.
    pub fn used(&self, budget: BudgetName, email: &Email) -> Option<Timestamp> {
        self.used.get(&(budget, email.clone())).copied()
    }
}

impl Attempt {
    /// Whether it may have happened so near to `now`, by a clock that may have been corrected.
    fn is_young(&self, now: Timestamp) -> bool {
        is_young(self.at, now)
    }

    fn is_settling(&self) -> bool {
        matches!(self.status, AttemptStatus::Open | AttemptStatus::Done | AttemptStatus::Unknown)
    }
}
