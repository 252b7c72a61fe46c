//! One change, and the order in which changes are made.

use crate::diagnostic::Place;
use crate::directory::Uid;
use crate::email::Email;
use crate::role::Role;

pub use crate::action::{Action, Class};

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
    /// Access or an elevation of this member begins or ends at a date, so that another clock could
    /// ask for something else.
    pub dated: bool,
    /// The end of access or of an elevation that asks for it was committed while it lay ahead.
    pub scheduled: bool,
}

/// Why a change is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A member with neither account nor invitation.
    NotInWorkspace,
    /// The same, and the member's `starts` has come.
    Started,
    /// A member whose account an earlier reading showed and nobody here disabled.
    Vanished,
    /// A member whose account rosterd disabled before.
    Readded,
    /// The invitation has expired.
    InvitationExpired,
    /// No reading shows the invitation that was sent.
    InvitationGone,
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

impl Reason {
    /// A few words for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::NotInWorkspace => "not in the workspace yet",
            Self::Started => "access begins",
            Self::Vanished => "its account has vanished",
            Self::Readded => "wanted again after a disable",
            Self::InvitationExpired => "the invitation has expired",
            Self::InvitationGone => "the invitation led to nothing",
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
        self.action.class()
    }

    /// The stable name of the kind: `invite`, `reinvite`, `update_role` or `disable`.
    pub fn kind(&self) -> &'static str {
        self.action.kind()
    }

    pub fn uid(&self) -> Option<&Uid> {
        self.action.uid()
    }

    /// The role before, if the person has one.
    pub fn from(&self) -> Option<&Role> {
        self.action.from()
    }

    /// The role after, if the person keeps access.
    pub fn to(&self) -> Option<&Role> {
        self.action.to()
    }

    /// Whether it takes ADMIN from somebody who has it.
    pub fn takes_admin(&self) -> bool {
        self.action.takes_admin()
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
