//! Actions: the mutations of the directory, their order classes and their budgets.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::directory::Uid;
use crate::email::Email;
use crate::role::{Role, Tier};

/// One mutation of the directory.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    Invite {
        role: Role,
    },
    /// Sends the same mutation again, after an invitation that was not accepted.
    Reinvite {
        role: Role,
    },
    UpdateRole {
        uid: Uid,
        from: Role,
        to: Role,
    },
    Disable {
        uid: Uid,
        role: Role,
    },
}

/// The order classes, in order of execution. Each is a barrier: the next class starts when every
/// request of the previous one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Class {
    /// Role updates to a higher tier.
    Grant,
    /// All other role updates.
    Demote,
    Disable,
    Invite,
    Reinvite,
}

/// The name of a budget. All but [`BudgetName::Scheduled`] are also the actions of `approvals:`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BudgetName {
    Disable,
    Demote,
    GrantAdmin,
    Invite,
    /// Ends of access that were committed a whole window ahead.
    Scheduled,
}

/// One address of `approvals:`: what is approved, for whom, and why. With another reason it is
/// another approval.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApprovalItem {
    #[serde(rename = "budget")]
    pub action: BudgetName,
    pub email: Email,
    pub reason: String,
}

/// Whom an action concerns: an account, or the address of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Uid(Uid),
    Email(Email),
}

impl Class {
    pub const ALL: [Self; 5] =
        [Self::Grant, Self::Demote, Self::Disable, Self::Invite, Self::Reinvite];

    /// The stable name: `grant`, `demote`, `disable`, `invite` or `reinvite`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the class removes privileges or access.
    pub fn takes_away(self) -> bool {
        matches!(self, Self::Demote | Self::Disable)
    }

    /// Whether the class sends invitations.
    pub fn invites(self) -> bool {
        matches!(self, Self::Invite | Self::Reinvite)
    }
}

impl Action {
    pub fn class(&self) -> Class {
        match self {
            Self::Invite { .. } => Class::Invite,
            Self::Reinvite { .. } => Class::Reinvite,
            Self::UpdateRole { from, to, .. } if from.grows_to(to) => Class::Grant,
            Self::UpdateRole { .. } => Class::Demote,
            Self::Disable { .. } => Class::Disable,
        }
    }

    /// The stable name of the kind: `invite`, `reinvite`, `update_role` or `disable`.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    pub fn uid(&self) -> Option<&Uid> {
        match self {
            Self::Invite { .. } | Self::Reinvite { .. } => None,
            Self::UpdateRole { uid, .. } | Self::Disable { uid, .. } => Some(uid),
        }
    }

    pub fn subject(&self, email: &Email) -> Subject {
        self.uid().map_or_else(|| Subject::Email(email.clone()), |uid| Subject::Uid(uid.clone()))
    }

    /// The role before the action; None for an invitation.
    pub fn from(&self) -> Option<&Role> {
        match self {
            Self::Invite { .. } | Self::Reinvite { .. } => None,
            Self::UpdateRole { from, .. } => Some(from),
            Self::Disable { role, .. } => Some(role),
        }
    }

    /// The role after the action; None for a disable.
    pub fn to(&self) -> Option<&Role> {
        match self {
            Self::Invite { role } | Self::Reinvite { role } => Some(role),
            Self::UpdateRole { to, .. } => Some(to),
            Self::Disable { .. } => None,
        }
    }

    /// Whether it gives another role that is administrative, wholly or partly, or whose privileges
    /// are not known.
    pub fn gives_admin_role(&self) -> bool {
        let is_admin_role = |to: &Role| to.tier().is_none_or(|tier| tier >= Tier::PartAdmin);
        self.to().is_some_and(is_admin_role) && self.from() != self.to()
    }

    /// Whether it removes ADMIN from a user.
    pub fn takes_admin(&self) -> bool {
        self.from().is_some_and(Role::is_admin) && !self.to().is_some_and(Role::is_admin)
    }
}

impl BudgetName {
    pub const ALL: [Self; 5] =
        [Self::Disable, Self::Demote, Self::GrantAdmin, Self::Invite, Self::Scheduled];

    /// The actions of `approvals:`.
    pub const ACTIONS: [Self; 4] = [Self::Disable, Self::Demote, Self::GrantAdmin, Self::Invite];

    /// The key below `guard.budgets` in the configuration and in `approvals` in the roster.
    pub fn key(self) -> &'static str {
        self.into()
    }

    /// The action of `approvals:` that releases what the budget holds.
    #[must_use]
    pub fn action(self) -> Self {
        if self == Self::Scheduled { Self::Disable } else { self }
    }

    /// Whether the budget counts this action. `scheduled`: a date causes it that was committed
    /// ahead. Several budgets may count the same action.
    pub fn counts(self, action: &Action, scheduled: bool) -> bool {
        match self {
            // The end of an elevation of our own is not counted.
            Self::Scheduled => scheduled && action.class() == Class::Disable,
            _ => !scheduled && self.approves(action),
        }
    }

    /// Whether an approval of this name may release the action.
    pub fn approves(self, action: &Action) -> bool {
        match self {
            Self::Disable => action.class() == Class::Disable,
            Self::Demote => action.class() == Class::Demote,
            Self::GrantAdmin => action.gives_admin_role(),
            Self::Invite => action.class().invites(),
            Self::Scheduled => false,
        }
    }
}
