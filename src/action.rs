//! What is done to one person, with the old and the new value, and the names under which it is
//! ordered, budgeted and approved.

use serde::{Deserialize, Serialize};

use crate::directory::Uid;
use crate::role::Role;

/// One mutation of the directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    Invite {
        role: Role,
    },
    /// The same mutation again, after an invitation that led to nothing.
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

/// The order classes, each a barrier: a later one starts when every request of the earlier one
/// has been answered or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Role updates that grant.
    Grant,
    /// Role updates that take away.
    Demote,
    Disable,
    Invite,
    Reinvite,
}

/// What one budget counts, and what a line of `approvals:` releases: the same four words in both
/// files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetName {
    Disable,
    Demote,
    GrantAdmin,
    Invite,
}

impl Class {
    pub const ALL: [Self; 5] =
        [Self::Grant, Self::Demote, Self::Disable, Self::Invite, Self::Reinvite];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Demote => "demote",
            Self::Disable => "disable",
            Self::Invite => "invite",
            Self::Reinvite => "reinvite",
        }
    }

    /// Whether the class takes something away from somebody.
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
        match self {
            Self::Invite { .. } => "invite",
            Self::Reinvite { .. } => "reinvite",
            Self::UpdateRole { .. } => "update_role",
            Self::Disable { .. } => "disable",
        }
    }

    pub fn uid(&self) -> Option<&Uid> {
        match self {
            Self::Invite { .. } | Self::Reinvite { .. } => None,
            Self::UpdateRole { uid, .. } | Self::Disable { uid, .. } => Some(uid),
        }
    }

    /// The role before, if the person has one.
    pub fn from(&self) -> Option<&Role> {
        match self {
            Self::Invite { .. } | Self::Reinvite { .. } => None,
            Self::UpdateRole { from, .. } => Some(from),
            Self::Disable { role, .. } => Some(role),
        }
    }

    /// The role after, if the person keeps access.
    pub fn to(&self) -> Option<&Role> {
        match self {
            Self::Invite { role } | Self::Reinvite { role } => Some(role),
            Self::UpdateRole { to, .. } => Some(to),
            Self::Disable { .. } => None,
        }
    }

    /// Whether it gives ADMIN to somebody who does not have it.
    pub fn gives_admin(&self) -> bool {
        self.to().is_some_and(Role::is_admin) && !self.from().is_some_and(Role::is_admin)
    }

    /// Whether it takes ADMIN from somebody who has it.
    pub fn takes_admin(&self) -> bool {
        self.from().is_some_and(Role::is_admin) && !self.to().is_some_and(Role::is_admin)
    }
}

impl BudgetName {
    pub const ALL: [Self; 4] = [Self::Disable, Self::Demote, Self::GrantAdmin, Self::Invite];

    /// The key below `guard.budgets` in the configuration and in `approvals` in the roster.
    pub fn key(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Demote => "demote",
            Self::GrantAdmin => "grant_admin",
            Self::Invite => "invite",
        }
    }

    /// Whether the budget counts this action. One may count in several.
    pub fn counts(self, action: &Action) -> bool {
        match self {
            Self::Disable => action.class() == Class::Disable,
            Self::Demote => action.class() == Class::Demote,
            Self::GrantAdmin => action.gives_admin(),
            Self::Invite => action.class().invites(),
        }
    }
}
