//! One change, and the order in which changes are made.

use crate::diagnostic::Place;
use crate::directory::Uid;
use crate::email::Email;
use crate::role::Role;

/// One difference that a mutation removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub action: Action,
    /// Whom it concerns, in the roster's spelling where there is one.
    pub email: Email,
    /// Other addresses of the same person: the account's first, where it has another one.
    pub also: Box<[Email]>,
    pub reason: Reason,
    /// The line of the roster that asks for it; a removal has none.
    pub place: Option<Place>,
    /// The account's or the member's name, if one is known. Escape it before showing it.
    pub name: Option<Box<str>>,
}

/// What is done, with the old and the new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Invite { role: Role },
    UpdateRole { uid: Uid, from: Role, to: Role },
    Disable { uid: Uid, role: Role },
}

/// Why a change is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A member with neither account nor invitation.
    NotInWorkspace,
    /// The same, and the member's `starts` has come.
    Started,
    /// The account has another role than the roster says.
    RoleDiffers,
    /// `elevate` is in force.
    Elevated,
    /// `elevate` was in force and has ended.
    ElevationEnded,
    /// No line of the roster names the account.
    NotInRoster,
    /// The member's `expires` has passed.
    Expired,
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
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Grant, Self::Demote, Self::Disable, Self::Invite];

    /// Whether the class takes something away from somebody.
    pub fn takes_away(self) -> bool {
        matches!(self, Self::Demote | Self::Disable)
    }
}

impl Reason {
    /// Whether a date of the roster caused the change, rather than an edit.
    pub fn is_dated(self) -> bool {
        matches!(self, Self::Started | Self::Elevated | Self::ElevationEnded | Self::Expired)
    }

    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotInWorkspace => "not in the workspace yet",
            Self::Started => "access begins",
            Self::RoleDiffers => "another role in the roster",
            Self::Elevated => "elevated",
            Self::ElevationEnded => "elevation ended",
            Self::NotInRoster => "not in the roster",
            Self::Expired => "expired",
        }
    }
}

impl Change {
    pub fn class(&self) -> Class {
        match &self.action {
            Action::Invite { .. } => Class::Invite,
            Action::UpdateRole { from, to, .. } if from.grows_to(to) => Class::Grant,
            Action::UpdateRole { .. } => Class::Demote,
            Action::Disable { .. } => Class::Disable,
        }
    }

    /// The stable name of the kind: `invite`, `update_role` or `disable`.
    pub fn kind(&self) -> &'static str {
        match self.action {
            Action::Invite { .. } => "invite",
            Action::UpdateRole { .. } => "update_role",
            Action::Disable { .. } => "disable",
        }
    }

    pub fn uid(&self) -> Option<&Uid> {
        match &self.action {
            Action::Invite { .. } => None,
            Action::UpdateRole { uid, .. } | Action::Disable { uid, .. } => Some(uid),
        }
    }

    /// The role before, if the person has one.
    pub fn from(&self) -> Option<&Role> {
        match &self.action {
            Action::Invite { .. } => None,
            Action::UpdateRole { from, .. } => Some(from),
            Action::Disable { role, .. } => Some(role),
        }
    }

    /// The role after, if the person keeps access.
    pub fn to(&self) -> Option<&Role> {
        match &self.action {
            Action::Invite { role } => Some(role),
            Action::UpdateRole { to, .. } => Some(to),
            Action::Disable { .. } => None,
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

    /// Every address of the person.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        std::iter::once(&self.email).chain(&self.also)
    }

    /// Order of execution: class, then address, then uid.
    pub fn sort_key(&self) -> (Class, &Email, Option<&Uid>) {
        (self.class(), &self.email, self.uid())
    }
}
