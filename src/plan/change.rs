//! Changes and their order of execution.

use jiff::Timestamp;
use strum::IntoStaticStr;

use crate::diagnostic::Place;
use crate::directory::Uid;
use crate::email::Email;

pub use crate::action::{Action, Class};

/// A difference, and the action that removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub action: Action,
    /// The user's address, in the spelling of the roster if it has one.
    pub email: Email,
    /// The address of the account, if it is another one.
    pub listed: Option<Email>,
    /// Other addresses of the same person.
    pub aliases: Box<[Email]>,
    pub reason: Reason,
    /// The place in the roster; None for an account that is not in it.
    pub place: Option<Place>,
    /// The name of the account or the member. Untrusted: escape it before showing it.
    pub name: Option<Box<str>>,
    /// The member to whom the account may belong, under another address.
    pub suspect: Option<Email>,
    /// The change depends on the clock: the member has dates, or a hold has ended with the time.
    pub dated: bool,
    /// The end of access or of an elevation that causes it.
    pub end: Option<Timestamp>,
    /// Ordinary budgets do not count it: its end was committed a whole window ahead, or it returns
    /// an account to the role before an elevation of ours.
    pub scheduled: bool,
    /// For a disable, the members whose address that of the account resembles; for an invitation,
    /// the accounts and invitations whose address resembles the member's. The others are empty.
    pub resembles: Box<[Email]>,
}

/// Why a change is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Reason {
    /// The member has neither an account nor an invitation.
    #[strum(serialize = "not in the workspace")]
    NotInWorkspace,
    /// The same, after the member's `starts`.
    #[strum(serialize = "access starts")]
    Started,
    /// The member had an account, which rosterd did not disable.
    #[strum(serialize = "account vanished")]
    Vanished,
    /// The member had an account, which rosterd disabled.
    #[strum(serialize = "re-added after a disable")]
    Readded,
    /// The invitation has expired.
    #[strum(serialize = "invitation expired")]
    InvitationExpired,
    /// The snapshot does not have the invitation that was sent.
    #[strum(serialize = "invitation missing")]
    InvitationMissing,
    /// The role of the account differs from the roster.
    #[strum(serialize = "role differs from the roster")]
    RoleDiffers,
    /// `elevate` is in force.
    Elevated,
    /// `elevate` has ended.
    #[strum(serialize = "elevation ended")]
    ElevationEnded,
    /// The account is not in the roster.
    #[strum(serialize = "not in the roster")]
    NotInRoster,
    /// The member's `expires` has passed.
    Expired,
}

impl Reason {
    /// A short description for people.
    pub fn description(self) -> &'static str {
        self.into()
    }
}

impl Change {
    /// The address in the roster and that of the account.
    pub fn own_addresses(&self) -> impl Iterator<Item = &Email> {
        std::iter::once(&self.email).chain(&self.listed)
    }

    /// All addresses of the person.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        self.own_addresses().chain(&self.aliases)
    }

    /// The addresses that it resembles, in ASCII; at most three.
    pub fn lookalikes(&self) -> String {
        const SHOWN: usize = 3;
        let shown = self.resembles.iter().take(SHOWN).map(Email::in_ascii);
        let more = (self.resembles.len() > SHOWN).then(|| "…".to_owned());
        shown.chain(more).collect::<Vec<_>>().join(", ")
    }

    /// The order of execution: class, then address, then uid.
    pub fn sort_key(&self) -> (Class, &Email, Option<&Uid>) {
        (self.action.class(), &self.email, self.action.uid())
    }
}
