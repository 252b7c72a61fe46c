//! The plan: every change from snapshot to roster, and everything that cannot be changed, each
//! with its reason. [`diff`] makes it; nothing here does I/O or reads a clock.

pub mod change;
pub mod diff;
pub mod fingerprint;
mod matching;

use std::collections::BTreeSet;

use jiff::Timestamp;

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
    now: Timestamp,
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
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// Invited with the member's role, not yet accepted.
    Invited,
    /// Invited with another role: it can be corrected only once accepted.
    InvitedWithOtherRole { wanted: Role },
    /// The member's invitation has expired.
    InvitationExpired,
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
}

/// The three ways in which a finding matters, in the words of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It will end by itself, or by the invited person.
    Waiting,
    /// A person has to act outside rosterd.
    Unfixable,
    /// The file says to report it only.
    Drift,
    /// Good to know.
    Noted,
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
    pub lasting_admins: BTreeSet<Uid>,
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

    /// The instant it was made for.
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

impl FindingKind {
    pub fn standing(&self) -> Standing {
        match self {
            Self::Invited | Self::InvitedWithOtherRole { .. } | Self::StartsLater { .. } => {
                Standing::Waiting
            }
            Self::InvitationExpired | Self::SeveralAccounts { .. } | Self::UninvitedPending => {
                Standing::Unfixable
            }
            Self::Drift => Standing::Drift,
            Self::NotYet { .. }
            | Self::KnownAs { .. }
            | Self::UninvitedExpired
            | Self::UnknownStatus { .. } => Standing::Noted,
        }
    }
}
