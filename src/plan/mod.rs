//! The plan: every change from snapshot to roster, and everything that cannot be changed, each
//! with its reason. [`diff`] makes it; nothing here does I/O or reads a clock.

pub mod approvals;
pub mod change;
pub mod diff;
mod draft;
pub mod fingerprint;
pub mod matching;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::action::BudgetName;
use crate::diagnostic::Place;
use crate::directory::Uid;
use crate::email::Email;
use crate::role::Role;
use crate::roster::Digest;
use change::Change;

pub use diff::plan;
pub use fingerprint::Fingerprint;

/// What one run would do, and what it found and cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    changes: Vec<Change>,
    findings: Vec<Finding>,
    facts: Facts,
    fingerprint: Fingerprint,
    roster: Digest,
    granted: Vec<PendingApproval>,
    next: Option<Timestamp>,
    has_history: bool,
    now: Timestamp,
}

/// A person of a line of `approvals:` that has not served yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PendingApproval {
    pub budget: BudgetName,
    pub email: Email,
}

/// Something that the plan tells and does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    pub email: Email,
    /// The role that the workspace shows, or that the roster asks for where it shows none.
    pub role: Role,
    /// The line of the roster that it belongs to.
    pub place: Option<Place>,
    /// Since when, where the ledger knows it.
    pub since: Option<Timestamp>,
    /// When rosterd acts on it, if it will.
    pub next: Option<Timestamp>,
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// Invited with the member's role, not yet accepted.
    Invited,
    /// Invited with another role: it can be corrected only once accepted.
    InvitedWithOtherRole { wanted: Role },
    /// The member's invitation has expired; the next one has to wait.
    InvitationExpired,
    /// An invitation was sent, and no reading shows it any more; the next one has to wait.
    InvitationGone,
    /// So many invitations led to nothing: a person has to ask what is wrong.
    InvitationsExhausted { times: usize },
    /// It was done a moment ago, or may have been, and the reading does not show it yet.
    Propagating { answered: bool },
    /// The API refused it, and it is tried again later.
    Refused { why: String },
    /// The API refuses it: a person has to do it in the workspace.
    NeedsPerson { why: String },
    /// `starts` lies ahead and the account is already there: left alone until then.
    StartsLater { at: Timestamp },
    /// `starts` lies ahead and there is no account: nothing to do yet.
    NotYet { at: Timestamp },
    /// The member's account was found under an alias: write that address.
    KnownAs { account: Email },
    /// Several accounts match one member: none is touched.
    SeveralAccounts { accounts: Vec<Email> },
    /// Somebody who should have no access holds an invitation that the API cannot withdraw.
    UninvitedPending,
    /// Somebody who should have no access holds an invitation that has expired.
    UninvitedExpired,
    /// Not in the roster, and `on_removed: report` leaves the account.
    Drift,
    /// The reading shows an invitation status that this version does not know.
    UnknownStatus { status: Box<str> },
    /// A line of `approvals:` has served and releases nothing any more.
    ApprovalUsed { budget: BudgetName },
    /// A line of `approvals:` matches nothing that is wanted now.
    ApprovalIdle { budget: BudgetName },
}

/// The ways in which a finding matters, in the words of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingCategory {
    /// It will end by itself, or by the invited person.
    Pending,
    /// It was done a moment ago, and a reading will show it.
    Propagating,
    /// A person has to act outside rosterd.
    NeedsAction,
    /// The file says to report it only.
    Drift,
    /// Good to know.
    Info,
}

/// What the guards count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Members of the roster, whatever their dates.
    pub members: usize,
    /// Accounts that no `unmanaged` pattern covers.
    pub managed: usize,
    /// Accounts of any kind.
    pub accounts: usize,
    /// Accounts of any kind that the reading shows as ADMIN.
    pub admins: usize,
    /// Managed accounts shown as ADMIN whose own roster role, without elevation, is ADMIN.
    pub permanent_admins: BTreeSet<Uid>,
    /// Members that need nothing.
    pub in_sync: usize,
    /// The server's clock at the reading.
    pub server_time: Option<Timestamp>,
}

/// What happens to an account that no line of the roster names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRemoved {
    #[default]
    Disable,
    Report,
}

impl Plan {
    /// The changes, in the order in which they are made.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Everything else that people must know, sorted by address.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Identifies the plan; approves nothing.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The digest of the roster it was made from.
    pub fn roster(&self) -> Digest {
        self.roster
    }

    /// Approvals that have not served yet, in the order written.
    pub fn granted(&self) -> &[PendingApproval] {
        &self.granted
    }

    /// Whether it was made with a ledger; without one waiting times and budgets in use are unknown.
    pub fn has_history(&self) -> bool {
        self.has_history
    }

    /// The first instant at which something that waits now may be acted on.
    pub fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// The instant it was made for.
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

impl FindingCategory {
    /// The word in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Propagating => "propagating",
            Self::NeedsAction => "needs_action",
            Self::Drift => "drift",
            Self::Info => "info",
        }
    }
}

impl FindingKind {
    pub fn category(&self) -> FindingCategory {
        match self {
            Self::Invited
            | Self::InvitedWithOtherRole { .. }
            | Self::InvitationExpired
            | Self::InvitationGone
            | Self::Refused { .. }
            | Self::StartsLater { .. } => FindingCategory::Pending,
            Self::Propagating { .. } => FindingCategory::Propagating,
            Self::InvitationsExhausted { .. }
            | Self::NeedsPerson { .. }
            | Self::SeveralAccounts { .. }
            | Self::UninvitedPending => FindingCategory::NeedsAction,
            Self::Drift => FindingCategory::Drift,
            Self::NotYet { .. }
            | Self::KnownAs { .. }
            | Self::UninvitedExpired
            | Self::UnknownStatus { .. }
            | Self::ApprovalUsed { .. }
            | Self::ApprovalIdle { .. } => FindingCategory::Info,
        }
    }
}
