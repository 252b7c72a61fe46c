//! The entries of the ledger: one fact each, in the order in which they became known.
//!
//! An entry is never changed; a later entry records its outcome.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::IntoStaticStr;

use super::place::WorkspacePlace;
use crate::action::{Action, ApprovalItem, BudgetName, Subject};
use crate::directory::Uid;
use crate::email::Email;
use crate::revision::Revision;
use crate::role::Role;
use crate::status::{RunCounts, RunStatus, Trigger};

/// Number of an entry in its ledger, from 1, without gaps.
pub type Seq = u64;

/// An entry with its number and the time it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub seq: Seq,
    pub at: Timestamp,
    pub entry: Entry,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Entry {
    /// The ledger was created.
    #[serde(rename = "begun")]
    #[strum(serialize = "begun")]
    LedgerCreated(LedgerCreated),
    /// Another roster is used, or the same one from another commit.
    Roster(RosterRecord),
    /// A listing differs from the earlier ones.
    Seen(Seen),
    /// Future ends of access, seen for the first time, and those that the roster no longer has.
    Ends {
        ends: Vec<End>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        withdrawn: Vec<End>,
    },
    /// A mutation is about to be sent.
    Intent(Box<Intent>),
    /// The outcome of an intent.
    Outcome(OutcomeEntry),
    /// A listing shows the effects of these intents.
    Shown { of: Vec<Seq> },
    /// Accounts without a member may belong to members under another address.
    Rename(Rename),
    /// Guards hold a change.
    Held { change: Key, by: Vec<String> },
    /// A change is no longer held.
    Released { change: Key },
    /// A budget holds these changes together.
    Set { budget: BudgetName, members: Vec<Subject> },
    /// Budgets no longer hold these sets.
    SetEnded { of: Vec<Seq> },
    /// An approval has been read for the first time.
    Approval(Box<ApprovalRecord>),
    /// An approval of an earlier version has been used.
    ApprovalUsed { budget: BudgetName, email: Email },
    /// Approvals have been removed from the file: those with this reason, or without one, those of
    /// an earlier version.
    ApprovalGone {
        budget: BudgetName,
        email: Email,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A run has ended.
    Run(Box<RunRecord>),
    /// The place of the workspace, or a uid that is new in it.
    Place(WorkspacePlace),
    /// An operator has accepted what a run held.
    Accepted(Accepted),
    /// The chain continues earlier chains of the workspace. This is what they held.
    Continued { from: Vec<String>, memory: Box<super::Memory> },
    /// The chain has ended: another one, of the same workspace, continues it.
    Closed { by: String },
    /// Earlier entries have been dropped; this is what is still needed of them.
    Anchor(Box<Anchor>),
}

/// How a ledger was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCreated {
    /// By `rosterd ledger init`; otherwise by a run that found none.
    pub by_operator: bool,
    /// The version of rosterd.
    pub version: String,
}

/// What an operator can accept.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Acceptable {
    /// A listing that lacks most accounts of the last one.
    Listing,
    /// Another place of the workspace.
    Place,
    /// Rows of the ledger from the future.
    Clock,
    /// A rewritten history of a repository.
    History,
}

/// An operator's decision.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub what: Acceptable,
    /// Identifies what was accepted.
    pub digest: String,
    pub reason: String,
    /// The accepted place.
    pub place: Option<WorkspacePlace>,
}

#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterRecord {
    /// Name of the workspace in the configuration.
    pub workspace: String,
    /// SHA-256 of the contents of the files, in hexadecimal.
    pub digest: String,
    pub files: Vec<String>,
    pub revision: Option<Revision>,
}

/// The difference between a listing and the earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// New accounts, and those with another address or role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<(Email, Uid, Role)>,
    /// Accounts that are no longer listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Uid>,
    /// New invitations, and those with another role or status; true is expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invitations: Vec<(Email, Role, bool)>,
    /// Invitations that are no longer listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Email>,
}

/// Accounts and the members to whom they may belong. Of an arrival without a likeness it is only
/// known that each account may belong to any of the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    pub sign: RenameSign,
    pub accounts: Vec<Uid>,
    pub members: Vec<Email>,
}

/// Why an account may belong to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenameSign {
    /// It is new, and the invitation of a member is not listed.
    Arrival,
    /// It has the name of a member.
    Name,
}

/// Kind of an end of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    Expires,
    Elevation,
}

/// An end of a member's access.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct End {
    pub email: Email,
    pub kind: EndKind,
    pub at: Timestamp,
}

/// What an approval releases: what it named when a run first read it, and nothing else. An approval
/// that names nothing then never releases anything.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    #[serde(flatten)]
    pub item: ApprovalItem,
    #[serde(flatten)]
    pub by: ApprovedBy,
    /// Changes that were held: the account, if there is one, and the role afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<(Option<Uid>, Option<Role>)>,
    /// Future ends of access or of an elevation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<Timestamp>,
}

/// Where a change was approved, and why.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedBy {
    /// Such as `users.yaml:14`; None on the command line.
    pub place: Option<String>,
    #[serde(rename = "why")]
    pub reason: String,
    /// The commit that approved it.
    pub revision: Option<Revision>,
}

/// A mutation. From when this is written, it may have been executed.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub action: Action,
    pub email: Email,
    /// Other addresses of the same person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Email>,
    /// A short reason, for people.
    pub reason: String,
    /// Such as `users.yaml:14`; None for a removal.
    pub place: Option<String>,
    /// A date that was committed ahead, or the end of an elevation of our own.
    #[serde(rename = "foreseen", default, skip_serializing_if = "std::ops::Not::not")]
    pub scheduled: bool,
    /// An elevation in force is the reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elevates: bool,
    pub approval: Option<ApprovedBy>,
    /// The actions for which approvals in the roster released it. Their budgets do not count it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<BudgetName>,
    /// The commit that caused it, if that is not the last one that changed the roster.
    pub revision: Option<Revision>,
    /// The guards that an approval overrode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted: Vec<String>,
    /// Number of changes in its request.
    pub batch: usize,
}

/// The outcome of an intent.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEntry {
    pub of: Seq,
    #[serde(rename = "fate")]
    pub status: AttemptStatus,
    /// The message of the API, or how a listing decided it.
    pub detail: Option<String>,
}

/// Status of an intent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AttemptStatus {
    /// No outcome has been written.
    #[default]
    Open,
    Done,
    /// The API rejected this change.
    Rejected,
    /// It may have been executed.
    Unknown,
    /// It was certainly not executed.
    #[strum(serialize = "not sent")]
    NotSent,
    /// The API answered `ok: true`, but no listing shows the effect.
    #[strum(serialize = "no effect")]
    NoEffect,
    /// The outcome was unknown, and a listing after [`super::PROPAGATION_TIME`] does not show the
    /// effect. It is tried again, and still counts for budgets.
    Lapsed,
}

/// Action and person: the identity of a change across runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub action: Action,
    pub email: Email,
}

/// A run of one workspace, in numbers.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub trigger: Trigger,
    pub started: Timestamp,
    pub status: RunStatus,
    /// Digest of the roster that was used.
    pub roster: String,
    /// Commit of the roster that was used.
    pub commit: Option<String>,
    /// An earlier roster was used, because the files were not valid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// Fingerprint of the plan, if there was one.
    pub plan: Option<String>,
    #[serde(flatten)]
    pub counts: RunCounts,
    /// Why it failed.
    pub failure: Option<String>,
}

impl RunRecord {
    /// Whether it changed the workspace, or may have.
    pub fn has_changed(&self) -> bool {
        self.counts.done + self.counts.unknown > 0
    }
}

/// What is still needed of dropped entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchor {
    /// Number of the last dropped entry, and so of all dropped ones.
    pub through: Seq,
    /// The hash of that entry, in hexadecimal.
    pub hash: String,
    /// The memory of them, by scope.
    pub kept: std::collections::BTreeMap<String, super::Memory>,
}

impl Key {
    pub fn of(action: &Action, email: &Email) -> Self {
        Self { action: action.clone(), email: email.clone() }
    }
}

impl Entry {
    /// The person it concerns, if it is one.
    pub fn subject(&self) -> Option<&Email> {
        match self {
            Self::Intent(intent) => Some(&intent.email),
            Self::Held { change, .. } | Self::Released { change } => Some(&change.email),
            Self::ApprovalUsed { email, .. } | Self::ApprovalGone { email, .. } => Some(email),
            Self::Approval(approval) => Some(&approval.item.email),
            _ => None,
        }
    }

    /// The stable name of the kind.
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

impl Acceptable {
    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl AttemptStatus {
    /// Name in tables and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the mutation may have been executed.
    pub fn may_have_happened(self) -> bool {
        !matches!(self, Self::Rejected | Self::NotSent)
    }
}
