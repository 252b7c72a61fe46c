//! One person in every combination of a roster state and a directory state.

use rosterd::directory::InviteStatus;
use rosterd::role::Role;
use rosterd::roster::Member;

use super::world::{World, dates, elevated, email};

/// The state in the roster. Every member has the alias `NAME-alt@acme.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Absent,
    Unmanaged,
    Member(Who),
    Future,
    Started,
    Expired,
    Elevated,
    ElevationEnded,
}

/// Roles that implement `Copy`. `New` is unknown to this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Admin,
    Developer,
    Business,
    New,
}

/// The state in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    Account(Who),
    /// Under the alias.
    Alias(Who),
    /// One under the address and one under the alias.
    Two(Who),
    /// Two under the address.
    Same(Who),
    Pending(Who),
    /// With a status unknown to this version.
    Odd(Who),
    Lapsed(Who),
    AccountAndInvitation(Who),
}

pub const LINES: [Line; 11] = [
    Line::Absent,
    Line::Unmanaged,
    Line::Member(Who::Admin),
    Line::Member(Who::Developer),
    Line::Member(Who::Business),
    Line::Member(Who::New),
    Line::Future,
    Line::Started,
    Line::Expired,
    Line::Elevated,
    Line::ElevationEnded,
];

pub const WHO: [Who; 4] = [Who::Admin, Who::Developer, Who::Business, Who::New];

/// Every state of the directory.
pub fn shown() -> Vec<Shown> {
    let of = |who| {
        [
            Shown::Account(who),
            Shown::Alias(who),
            Shown::Two(who),
            Shown::Same(who),
            Shown::Pending(who),
            Shown::Odd(who),
            Shown::Lapsed(who),
            Shown::AccountAndInvitation(who),
        ]
    };
    std::iter::once(Shown::Nothing).chain(WHO.into_iter().flat_map(of)).collect()
}

impl Who {
    pub fn role(self) -> Role {
        match self {
            Self::Admin => Role::Admin,
            Self::Developer => Role::Developer,
            Self::Business => Role::Business,
            Self::New => Role::from_api("NEW_ROLE"),
        }
    }
}

impl World {
    /// Adds a person in these states. Dated members are developers, elevated to ADMIN.
    pub fn person(self, name: &str, line: Line, shown: Shown) -> Self {
        self.line(name, line).shown(name, shown)
    }

    fn line(self, name: &str, line: Line) -> Self {
        let alias = email(&format!("{name}-alt"));
        let member = |role, more: Box<dyn FnOnce(&mut Member)>| {
            self.clone().member_with(name, role, |member| {
                more(member);
                member.aliases = Box::new([alias.clone()]);
            })
        };
        match line {
            Line::Absent => self,
            Line::Unmanaged => self.unmanaged(&format!("{name}*")),
            Line::Member(who) => member(who.role(), Box::new(|_| {})),
            Line::Future => member(Role::Developer, Box::new(dates(Some(1), None))),
            Line::Started => member(Role::Developer, Box::new(dates(Some(0), Some(1)))),
            Line::Expired => member(Role::Developer, Box::new(dates(None, Some(0)))),
            Line::Elevated => member(Role::Developer, Box::new(elevated(Role::Admin, 1))),
            Line::ElevationEnded => member(Role::Developer, Box::new(elevated(Role::Admin, 0))),
        }
    }

    fn shown(self, name: &str, shown: Shown) -> Self {
        let alt = format!("{name}-alt");
        match shown {
            Shown::Nothing => self,
            Shown::Account(who) => self.account(name, who.role()),
            Shown::Alias(who) => self.account_as(name, &alt, who.role()),
            Shown::Two(who) => self.account(name, who.role()).account(&alt, who.role()),
            Shown::Same(who) => self.account(name, who.role()).account_as(&alt, name, who.role()),
            Shown::Pending(who) => self.invitation(name, who.role(), InviteStatus::Pending),
            Shown::Odd(who) => {
                self.invitation(name, who.role(), InviteStatus::Unknown("QUEUED".into()))
            }
            Shown::Lapsed(who) => self.invitation(name, who.role(), InviteStatus::Expired),
            Shown::AccountAndInvitation(who) => {
                let world = self.account(name, who.role());
                world.invitation(name, Role::Business, InviteStatus::Pending)
            }
        }
    }
}
