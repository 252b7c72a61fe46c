//! The workspaces themselves: a pure state machine. Time is an argument, chance is a seed.

use async_graphql::Enum;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// An invitation can be accepted for so long.
pub const INVITATION_LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a user may do: three that the vendor documents, the others as its Python client has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, Serialize, Deserialize)]
#[graphql(name = "UserAccountType")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountType {
    Admin,
    Developer,
    Business,
    BillingAdmin,
    SecurityAdmin,
    WorkspaceSettingsAdmin,
    WorkspaceAdmin,
    Analyst,
    SandboxUser,
}

/// Everything that the sandbox holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct World {
    pub workspaces: Vec<Workspace>,
    seed: u64,
    /// How many uids have been given out.
    given: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    pub uid: String,
    pub name: String,
    pub accounts: Vec<Account>,
    pub invitations: Vec<Invitation>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub uid: String,
    pub email: String,
    pub name: Option<String>,
    pub account_type: AccountType,
    /// No longer listed, and known for ever.
    pub disabled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    pub email: String,
    pub account_type: AccountType,
    pub sent: Timestamp,
    /// Expired before its time, by hand.
    pub expired: bool,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such workspace")]
    NoWorkspace,
    #[error("no active user has this uid")]
    UnknownUid,
    #[error("no user and no invitation has this email address")]
    UnknownEmail,
    #[error("this is not an email address")]
    BadEmail,
    #[error("a user with this email address is already active")]
    AlreadyActive,
    #[error("a user with this email address has already been invited")]
    AlreadyInvited,
    #[error("the user with this email address is disabled; enable it in the workspace settings")]
    Disabled,
}

impl Refusal {
    /// The code that goes into `extensions.code` of a GraphQL error.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoWorkspace | Self::UnknownUid | Self::UnknownEmail => "NOT_FOUND",
            Self::BadEmail => "BAD_USER_INPUT",
            Self::AlreadyActive | Self::AlreadyInvited | Self::Disabled => "CONFLICT",
        }
    }
}

impl World {
    /// Workspaces of these names, each with the people of the vendor's documentation, and so many
    /// more.
    pub fn seeded(names: &[String], people: usize, seed: u64, now: Timestamp) -> Self {
        let mut world = Self { workspaces: Vec::new(), seed, given: 0 };
        for name in names {
            let uid = world.uid(name, "");
            world.workspaces.push(Workspace {
                uid,
                name: name.clone(),
                accounts: Vec::new(),
                invitations: Vec::new(),
            });
            let at = world.workspaces.len() - 1;
            world.fill(at, people, now);
        }
        world
    }

    fn fill(&mut self, at: usize, people: usize, now: Timestamp) {
        for (uid, email, name, account_type) in DOCUMENTED {
            // The documented uids belong to the first workspace; a uid names one account only.
            let uid = if at == 0 { uid.to_owned() } else { self.uid(&at.to_string(), email) };
            self.workspaces[at].accounts.push(Account {
                uid,
                email: email.to_owned(),
                name: Some(name.to_owned()),
                account_type,
                disabled: false,
            });
        }
        for number in 1..=people {
            let email = format!("user{number}@acme.io");
            let account = Account {
                uid: self.uid(&at.to_string(), &email),
                email,
                name: Some(format!("User {number}")),
                account_type: if number % 4 == 0 {
                    AccountType::Business
                } else {
                    AccountType::Developer
                },
                disabled: false,
            };
            self.workspaces[at].accounts.push(account);
        }
        for (email, expired) in [("max@acme.io", true), ("john@acme.io", false)] {
            self.workspaces[at].invitations.push(Invitation {
                email: email.to_owned(),
                account_type: AccountType::Admin,
                sent: now,
                expired,
            });
        }
    }

    /// A uid as the vendor's look: 64 hexadecimal digits, different each time.
    fn uid(&mut self, workspace: &str, email: &str) -> String {
        use std::fmt::Write as _;
        self.given += 1;
        let digest = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(self.given.to_be_bytes())
            .chain_update(workspace)
            .chain_update([0])
            .chain_update(email)
            .finalize();
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The workspace of this uid or this name.
    pub fn workspace(&self, which: &str) -> Option<&Workspace> {
        self.workspaces.iter().find(|it| it.uid == which || it.name == which)
    }

    fn workspace_mut(&mut self, which: &str) -> Result<&mut Workspace, Refusal> {
        self.workspaces
            .iter_mut()
            .find(|it| it.uid == which || it.name == which)
            .ok_or(Refusal::NoWorkspace)
    }

    /// `inviteUser`. An expired invitation is sent anew.
    pub fn invite(
        &mut self,
        workspace: &str,
        email: &str,
        account_type: AccountType,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let email = email.trim();
        let workspace = self.workspace_mut(workspace)?;
        if !is_email(email) {
            return Err(Refusal::BadEmail);
        }
        if let Some(account) = workspace.accounts.iter().find(|it| same(&it.email, email)) {
            let active = !account.disabled;
            return Err(if active { Refusal::AlreadyActive } else { Refusal::Disabled });
        }
        let sent = Invitation { email: email.to_owned(), account_type, sent: now, expired: false };
        match workspace.invitations.iter_mut().find(|it| same(&it.email, email)) {
            Some(earlier) if earlier.is_expired(now) => *earlier = sent,
            Some(_) => return Err(Refusal::AlreadyInvited),
            None => workspace.invitations.push(sent),
        }
        Ok(())
    }

    /// `updateUserAccountType`.
    pub fn set_account_type(
        &mut self,
        workspace: &str,
        uid: &str,
        account_type: AccountType,
    ) -> Result<(), Refusal> {
        self.active(workspace, uid)?.account_type = account_type;
        Ok(())
    }

    /// `disableUser`.
    pub fn disable(&mut self, workspace: &str, uid: &str) -> Result<(), Refusal> {
        self.active(workspace, uid)?.disabled = true;
        Ok(())
    }

    fn active(&mut self, workspace: &str, uid: &str) -> Result<&mut Account, Refusal> {
        let accounts = &mut self.workspace_mut(workspace)?.accounts;
        let found = accounts.iter_mut().find(|account| account.uid == uid && !account.disabled);
        found.ok_or(Refusal::UnknownUid)
    }
}

/// What happens by other hands than the API's.
impl World {
    /// The invited person accepts.
    pub fn accept(&mut self, which: &str, email: &str, now: Timestamp) -> Result<(), Refusal> {
        let uid = self.uid(which, email);
        let workspace = self.workspace_mut(which)?;
        let pending = |it: &Invitation| same(&it.email, email) && !it.is_expired(now);
        let at = workspace.invitations.iter().position(pending).ok_or(Refusal::UnknownEmail)?;
        let Invitation { email, account_type, .. } = workspace.invitations.remove(at);
        // The vendor's Python client cannot read a name that is null.
        let name = Some(String::new());
        workspace.accounts.push(Account { uid, email, name, account_type, disabled: false });
        Ok(())
    }

    /// An invitation runs out before its time.
    pub fn expire(&mut self, which: &str, email: &str) -> Result<(), Refusal> {
        let invitations = &mut self.workspace_mut(which)?.invitations;
        let found = invitations.iter_mut().find(|it| same(&it.email, email));
        found.ok_or(Refusal::UnknownEmail)?.expired = true;
        Ok(())
    }

    /// Somebody gets an account without an invitation of ours.
    pub fn add(
        &mut self,
        which: &str,
        email: &str,
        name: Option<String>,
        account_type: AccountType,
    ) -> Result<(), Refusal> {
        let uid = self.uid(which, email);
        let workspace = self.workspace_mut(which)?;
        workspace.invitations.retain(|it| !same(&it.email, email));
        let email = email.to_owned();
        workspace.accounts.push(Account { uid, email, name, account_type, disabled: false });
        Ok(())
    }

    /// An active user, by address, for whatever a hand may change.
    pub fn by_email(&mut self, which: &str, email: &str) -> Result<&mut Account, Refusal> {
        let accounts = &mut self.workspace_mut(which)?.accounts;
        let found = accounts.iter_mut().find(|it| same(&it.email, email));
        found.ok_or(Refusal::UnknownEmail)
    }

    /// Removes every trace of an address.
    pub fn remove(&mut self, which: &str, email: &str) -> Result<(), Refusal> {
        let workspace = self.workspace_mut(which)?;
        let before = workspace.accounts.len() + workspace.invitations.len();
        workspace.accounts.retain(|it| !same(&it.email, email));
        workspace.invitations.retain(|it| !same(&it.email, email));
        let after = workspace.accounts.len() + workspace.invitations.len();
        if before == after { Err(Refusal::UnknownEmail) } else { Ok(()) }
    }
}

impl Workspace {
    /// The users that a listing shows.
    pub fn active(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(|account| !account.disabled)
    }
}

impl Invitation {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expired || now.duration_since(self.sent) >= INVITATION_LASTS
    }
}

/// The active users of the vendor's documentation, in its order.
const DOCUMENTED: [(&str, &str, &str, AccountType); 3] = [
    (
        "1b051b1e1aaf70773789c250cd0cc40a5bf27c104d1ca2c6b765767eb53c4772",
        "alexandra@acme.io",
        "Alexandra James",
        AccountType::Admin,
    ),
    (
        "0b02bde0691e9a220f8fdbff93d992a7826c7ce7b0ea33ffc4709c6a2d219a49",
        "jonny@acme.io",
        "Jonathan Maxwell",
        AccountType::Admin,
    ),
    (
        "07673b48d2206dad7a150dd258ea1e049df036356f1730e30304e38ca648b175",
        "matt@acme.io",
        "Matt McDonald",
        AccountType::Developer,
    ),
];

fn same(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}

fn is_email(text: &str) -> bool {
    let whole = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    whole
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.contains('@')
        })
}

#[cfg(test)]
mod tests;
