//! What is written into the ledger: one entry a fact, in the order in which it became known.
//!
//! An entry is never changed. A later one says what became of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::{Action, BudgetName};
use crate::directory::Uid;
use crate::email::Email;
use crate::revision::Revision;
use crate::role::Role;

/// The number of an entry in its ledger, from 1, without gaps.
pub type Seq = u64;

/// An entry with its number and the time at which it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub seq: Seq,
    pub at: Timestamp,
    pub entry: Entry,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A ledger begins.
    #[serde(rename = "begun")]
    LedgerCreated(LedgerCreated),
    /// Another roster is in force, or the same one from another commit.
    Roster(RosterRecord),
    /// A reading shows what was not known before.
    Seen(Seen),
    /// Ends of access that lie ahead, seen for the first time.
    Ends { ends: Vec<End> },
    /// A mutation is about to be sent.
    Intent(Box<Intent>),
    /// What became of an intent.
    Outcome(OutcomeEntry),
    /// A reading shows the effects of these intents.
    Shown { of: Vec<Seq> },
    /// Guards hold a change.
    Held { change: Key, by: Vec<String> },
    /// A change is held no longer.
    Released { change: Key },
    /// A line of `approvals:` has served.
    ApprovalUsed { budget: BudgetName, email: Email },
    /// A line of `approvals:` that had served has left the file.
    ApprovalGone { budget: BudgetName, email: Email },
    /// A run has ended.
    Run(Box<RunRecord>),
    /// Earlier entries have been dropped, and this is what they left.
    Anchor(Box<Anchor>),
}

/// How a ledger began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCreated {
    /// An operator asked for it; otherwise there was none.
    pub by_operator: bool,
    /// The version of rosterd.
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterRecord {
    /// The workspace's name in the configuration.
    pub workspace: String,
    /// SHA-256 over the contents of the files, in hexadecimal.
    pub digest: String,
    pub files: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

/// The difference between a reading and what earlier ones showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// New, under another address, or with another role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<(Email, Uid, Role)>,
    /// No longer there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Uid>,
    /// New, or with another role or status; true is expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invitations: Vec<(Email, Role, bool)>,
    /// Invitations that are no longer there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Email>,
}

/// Which end of a member's access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    Expires,
    Elevation,
}

/// An end of a member's access, and when it falls due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct End {
    pub email: Email,
    pub kind: EndKind,
    pub at: Timestamp,
}

/// A mutation that may have happened from the moment this was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub action: Action,
    pub email: Email,
    /// Other addresses of the same person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Email>,
    /// A few words for people.
    pub reason: String,
    /// `users.yaml:14`; a removal has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// An end that was committed while it lay ahead: budgets do not count it.
    #[serde(rename = "foreseen", default, skip_serializing_if = "std::ops::Not::not")]
    pub scheduled: bool,
    /// The commit that asked for it, where that is not the last one that touched the roster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The guards that an approval lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted: Vec<String>,
    /// So many changes are in its request.
    pub batch: usize,
}

/// What became of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEntry {
    pub of: Seq,
    #[serde(rename = "fate")]
    pub status: AttemptStatus,
    /// In the words of the API, or of the reading that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How an intent stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Nothing has been written about it since.
    #[default]
    Open,
    Done,
    /// The API refused it by itself.
    Rejected,
    /// It may have happened.
    Unknown,
    /// It certainly did not run.
    NotSent,
    /// It was answered with `ok`, and no reading has shown it since.
    NoEffect,
    /// Nobody knew what became of it, and a reading long enough after it does not show it. It is
    /// tried again, and counted all the same.
    Lapsed,
}

/// What a change does to whom: the identity of a change across runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub action: Action,
    pub email: Email,
}

/// One pass over one workspace, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub trigger: String,
    pub started: Timestamp,
    /// `converged`, `held`, `failed` or `early`.
    pub status: String,
    /// The digest of the roster in force.
    pub roster: String,
    /// The commit of the roster in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// An earlier roster was in force, as the files could not be used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// The fingerprint of the plan, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    pub done: usize,
    pub rejected: usize,
    pub unknown: usize,
    pub not_sent: usize,
    pub held: usize,
    pub in_sync: usize,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What dropped entries left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchor {
    /// The last entry that was dropped, and so how many there were.
    pub through: Seq,
    /// The hash of that entry, in hexadecimal.
    pub hash: String,
    /// What is still needed of them, by scope.
    pub kept: std::collections::BTreeMap<String, super::Memory>,
}

impl Key {
    pub fn of(action: &Action, email: &Email) -> Self {
        Self { action: action.clone(), email: email.clone() }
    }
}

impl Entry {
    /// Whom it concerns, where that is one person.
    pub fn subject(&self) -> Option<&Email> {
        match self {
            Self::Intent(intent) => Some(&intent.email),
            Self::Held { change, .. } | Self::Released { change } => Some(&change.email),
            Self::ApprovalUsed { email, .. } | Self::ApprovalGone { email, .. } => Some(email),
            _ => None,
        }
    }

    /// The stable name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LedgerCreated(_) => "begun",
            Self::Roster(_) => "roster",
            Self::Seen(_) => "seen",
            Self::Ends { .. } => "ends",
            Self::Intent(_) => "intent",
            Self::Outcome(_) => "outcome",
            Self::Shown { .. } => "shown",
            Self::Held { .. } => "held",
            Self::Released { .. } => "released",
            Self::ApprovalUsed { .. } => "approval_used",
            Self::ApprovalGone { .. } => "approval_gone",
            Self::Run(_) => "run",
            Self::Anchor(_) => "anchor",
        }
    }
}

impl AttemptStatus {
    /// The word in tables and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::NotSent => "not sent",
            Self::NoEffect => "no effect",
            Self::Lapsed => "lapsed",
        }
    }

    /// Whether the mutation may have happened.
    pub fn may_have_happened(self) -> bool {
        !matches!(self, Self::Rejected | Self::NotSent)
    }
}
