//! Changes and their order of execution.

use crate::diagnostic::Place;
use crate::directory::Uid;
use crate::email::Email;
use crate::role::Role;

pub use crate::action::{Action, Class};

/// A difference, and the action that removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub action: Action,
    /// The user's address, in the spelling of the roster if it has one.
    pub email: Email,
    /// Other addresses of the same person. If the account has another address, that one is first.
    pub aliases: Box<[Email]>,
    pub reason: Reason,
    /// The place in the roster; None for an account that is not in it.
    pub place: Option<Place>,
    /// The name of the account or the member. Untrusted: escape it before showing it.
    pub name: Option<Box<str>>,
    /// The member has dates, so that the change depends on the clock.
    pub dated: bool,
    /// Caused by a date that an earlier run saw while it was in the future.
    pub scheduled: bool,
}

/// Why a change is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The member has neither an account nor an invitation.
    NotInWorkspace,
    /// The same, after the member's `starts`.
    Started,
    /// The member had an account, which rosterd did not disable.
    Vanished,
    /// The member had an account, which rosterd disabled.
    Readded,
    /// The invitation has expired.
    InvitationExpired,
    /// The snapshot does not have the invitation that was sent.
    InvitationMissing,
    /// The role of the account differs from the roster.
    RoleDiffers,
    /// `elevate` is in force.
    Elevated,
    /// `elevate` has ended.
    ElevationEnded,
    /// The account is not in the roster.
    NotInRoster,
    /// The member's `expires` has passed.
    Expired,
}

impl Reason {
    /// A short description for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::NotInWorkspace => "not in the workspace",
            Self::Started => "access starts",
            Self::Vanished => "account vanished",
            Self::Readded => "re-added after a disable",
            Self::InvitationExpired => "invitation expired",
            Self::InvitationMissing => "invitation missing",
            Self::RoleDiffers => "role differs from the roster",
            Self::Elevated => "elevated",
            Self::ElevationEnded => "elevation ended",
            Self::NotInRoster => "not in the roster",
            Self::Expired => "expired",
        }
    }
}

impl Change {
    pub fn class(&self) -> Class {
        self.action.class()
    }

    /// The stable name of the kind: `invite`, `reinvite`, `update_role` or `disable`.
    pub fn kind(&self) -> &'static str {
        self.action.kind()
    }

    pub fn uid(&self) -> Option<&Uid> {
        self.action.uid()
    }

    /// The role before the change; None for an invitation.
    pub fn from(&self) -> Option<&Role> {
        self.action.from()
    }

    /// The role after the change; None for a disable.
    pub fn to(&self) -> Option<&Role> {
        self.action.to()
    }

    /// Whether it removes ADMIN from a user.
    pub fn takes_admin(&self) -> bool {
        self.action.takes_admin()
    }

    /// All addresses of the person.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        std::iter::once(&self.email).chain(&self.aliases)
    }

    /// The order of execution: class, then address, then uid.
    pub fn sort_key(&self) -> (Class, &Email, Option<&Uid>) {
        (self.class(), &self.email, self.uid())
    }
}
