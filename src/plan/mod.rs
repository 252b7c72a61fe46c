//! The plan: every change from the snapshot to the roster, and every finding, each with its reason.
//! [`diff`] makes it. Pure: no I/O and no clock.

pub mod approvals;
pub mod change;
pub mod diff;
mod draft;
pub mod fingerprint;
mod lookalike;
pub mod matching;
pub mod rename;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use strum::IntoStaticStr;

use crate::action::BudgetName;
use crate::diagnostic::Place;
use crate::directory::{Snapshot, Uid};
use crate::email::Email;
use crate::role::Role;
use crate::roster::policy::{Breach, Policy};
use crate::roster::{Approval, ApprovalState, Digest, Roster};
use change::Change;

pub use diff::plan;
pub use fingerprint::fingerprint;

/// The changes and findings of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    changes: Vec<Change>,
    findings: Vec<Finding>,
    pub facts: Facts,
    /// Identifies the plan. It approves nothing.
    pub fingerprint: Digest,
    /// The digest of the roster that the plan is based on.
    pub roster: Digest,
    pending_approvals: Vec<Approval>,
    /// The first instant at which a pending finding becomes due.
    pub next: Option<Timestamp>,
    /// Whether the plan is based on a ledger. Without one, backoff times and used budgets are
    /// unknown.
    pub has_history: bool,
    /// The instant that the plan was made for.
    pub now: Timestamp,
    /// The time zone of the workspace, in which people read times.
    pub zone: TimeZone,
}

/// A fact that the plan reports without a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    pub email: Email,
    /// The current role, or the role in the roster if the user has none.
    pub role: Role,
    /// The place in the roster.
    pub place: Option<Place>,
    /// When it began, if the ledger knows it.
    pub since: Option<Timestamp>,
    /// When rosterd acts on it next, if it will.
    pub next: Option<Timestamp>,
}

/// What a finding reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FindingKind {
    /// An invitation with the member's role is pending.
    Invited,
    /// An invitation with another role is pending. The API cannot change it before it is accepted.
    InvitedWithOtherRole { wanted: Role },
    /// The member's invitation has expired; the next one is not due yet.
    InvitationExpired,
    /// An invitation was sent, but the snapshot has neither it nor an account; the next one is not
    /// due yet.
    InvitationMissing,
    /// The maximum number of invitations was sent and none was accepted.
    InvitationsExhausted { times: usize },
    /// A recent change that the snapshot does not show yet. `answered`: the API confirmed it.
    Propagating { answered: bool },
    /// The API rejected the change; a retry follows.
    Rejected { error: String },
    /// The API rejected the change and no retry follows: it must be made in the workspace.
    ManualActionRequired { error: String },
    /// The account exists before the member's `starts`; unchanged until then.
    ActiveBeforeStart { at: Timestamp },
    /// The member's `starts` is in the future and there is no account.
    NotStarted { at: Timestamp },
    /// The member's account has another address than `email`.
    EmailDiffers { account: Email },
    /// An account that is not in the roster may be the member's.
    MaybeRenamed { account: Email },
    /// Several accounts match one member; none is changed.
    SeveralAccounts { accounts: Vec<Email> },
    /// A pending invitation of a user without access. The API cannot withdraw it.
    UnexpectedInvitation,
    /// An expired invitation of a user without access.
    UnexpectedInvitationExpired,
    /// An account that is not in the roster, unchanged because of `on_removed: report`.
    Drift,
    /// An invitation status that this version does not know.
    UnknownStatus { status: Box<str> },
    /// An approval that has been used and has no effect any more.
    ApprovalUsed { budget: BudgetName },
    /// An approval that names nothing that was held when it was first read.
    ApprovalInert { budget: BudgetName },
    /// An approval that does not count where it stands.
    ApprovalNotCounted { budget: BudgetName, why: ApprovalState },
    /// The address of an invitation, or of an account that is not to be disabled, resembles that of
    /// a member.
    Lookalike { member: Email },
    /// An entry of `unmanaged` that matches no account and no invitation.
    UnmanagedIdle,
    /// An entry of `required_admins` that matches no account.
    RequiredAdminIdle,
}

/// The category of a finding, as counted in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FindingCategory {
    /// Resolves without an operator: later, or when the user accepts an invitation.
    Pending,
    /// A recent change that the snapshot does not show yet.
    Propagating,
    /// An operator must act outside rosterd.
    NeedsAction,
    /// A difference that the configuration says to report only.
    Drift,
    /// For information.
    Info,
}

/// The counts that the guards use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Members of the roster, regardless of dates.
    pub members: usize,
    /// Accounts that are not unmanaged.
    pub managed: usize,
    /// All accounts.
    pub accounts: usize,
    /// All accounts with the role ADMIN.
    pub admins: usize,
    /// Managed accounts that are ADMIN now and whose role in the roster, without elevation, is
    /// ADMIN.
    pub permanent_admins: BTreeSet<Uid>,
    /// Members without a difference.
    pub in_sync: usize,
    /// Members whom the policy does not allow, by `email`.
    pub breaches: BTreeMap<Email, Breach>,
    /// The server time of the snapshot.
    pub server_time: Option<Timestamp>,
}

/// What to do with an account that is not in the roster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRemoved {
    #[default]
    Disable,
    Report,
}

/// The settings of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub on_removed: OnRemoved,
    /// An end of access that stood this long before it came was committed ahead: the window of the
    /// budget `scheduled`.
    pub end_window: SignedDuration,
    /// The time zone of the workspace.
    pub zone: TimeZone,
}

impl Default for Rules {
    /// The defaults of the configuration.
    fn default() -> Self {
        let end_window = SignedDuration::from_hours(24);
        Self { on_removed: OnRemoved::default(), end_window, zone: TimeZone::UTC }
    }
}

impl Plan {
    /// The changes, in order of execution.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The findings, sorted by address.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Approvals that count and have not been used, in file order.
    pub fn pending_approvals(&self) -> &[Approval] {
        &self.pending_approvals
    }

    /// Adds the members whom the policy does not allow.
    #[must_use]
    pub fn with_policy(mut self, policy: &Policy, roster: &Roster) -> Self {
        let breaches = roster.members().iter().filter_map(|member| {
            let breach = policy.breach(member)?;
            Some((member.email.clone(), breach))
        });
        self.facts.breaches = breaches.collect();
        self
    }

    /// Adds a finding for each required admin without an account.
    #[must_use]
    pub fn with_required_admins(mut self, required: &[Email], of: &Roster, in_: &Snapshot) -> Self {
        let is_listed = |address: &Email| in_.accounts().iter().any(|it| it.email == *address);
        for email in required {
            let mut members = of.members().iter();
            let theirs = members.find(|it| it.email == *email);
            if !is_listed(email) && !theirs.is_some_and(|it| it.addresses().any(is_listed)) {
                let kind = FindingKind::RequiredAdminIdle;
                self.findings.push(Finding::new(kind, email, &Role::none(), None));
            }
        }
        self.findings.sort_by(|a, b| (&a.email, &a.kind).cmp(&(&b.email, &b.kind)));
        self
    }
}

impl Finding {
    fn new(kind: FindingKind, email: &Email, role: &Role, place: Option<Place>) -> Self {
        let (email, role) = (email.clone(), role.clone());
        Self { kind, email, role, place, since: None, next: None }
    }
}

impl FindingCategory {
    /// The name in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl FindingKind {
    /// The stable name in JSON.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    pub fn category(&self) -> FindingCategory {
        match self {
            Self::Invited
            | Self::InvitedWithOtherRole { .. }
            | Self::InvitationExpired
            | Self::InvitationMissing
            | Self::Rejected { .. }
            | Self::ActiveBeforeStart { .. } => FindingCategory::Pending,
            Self::Propagating { .. } => FindingCategory::Propagating,
            Self::InvitationsExhausted { .. }
            | Self::ManualActionRequired { .. }
            | Self::MaybeRenamed { .. }
            | Self::SeveralAccounts { .. }
            | Self::Lookalike { .. }
            | Self::UnexpectedInvitation => FindingCategory::NeedsAction,
            Self::Drift => FindingCategory::Drift,
            Self::NotStarted { .. }
            | Self::EmailDiffers { .. }
            | Self::UnexpectedInvitationExpired
            | Self::UnknownStatus { .. }
            | Self::ApprovalUsed { .. }
            | Self::ApprovalInert { .. }
            | Self::ApprovalNotCounted { .. }
            | Self::UnmanagedIdle
            | Self::RequiredAdminIdle => FindingCategory::Info,
        }
    }
}
