//! The state of the sandbox, a pure state machine: time and the random seed are arguments.

use async_graphql::SimpleObject;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use super::executed::AccountType;
use super::executed::{Executed, ExecutionLog, Kind};

/// The lifetime of an invitation.
pub const INVITATION_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// All workspaces, and the log of executed mutations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct World {
    pub workspaces: Vec<Workspace>,
    pub(super) seed: u64,
    /// Number of uids created.
    #[serde(rename = "given")]
    pub(super) uids: u64,
    #[serde(default)]
    pub executed: ExecutionLog,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    pub uid: String,
    pub name: String,
    pub accounts: Vec<Account>,
    pub invitations: Vec<Invitation>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, SimpleObject)]
#[graphql(name = "ActiveUser")]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub uid: String,
    pub email: String,
    pub name: Option<String>,
    pub account_type: AccountType,
    /// A disabled account is not listed, and its email address cannot be invited.
    #[graphql(skip)]
    pub disabled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    pub email: String,
    pub account_type: AccountType,
    pub sent: Timestamp,
    /// Expired early, by the control API.
    pub expired: bool,
}

/// Why the API rejects a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
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

type Result<T = (), E = Rejection> = std::result::Result<T, E>;

impl Rejection {
    /// The value of `extensions.code` of the GraphQL error.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoWorkspace | Self::UnknownUid | Self::UnknownEmail => "NOT_FOUND",
            Self::BadEmail => "BAD_USER_INPUT",
            Self::AlreadyActive | Self::AlreadyInvited | Self::Disabled => "CONFLICT",
        }
    }
}

impl World {
    /// A new uid in the vendor's format: 64 hexadecimal digits.
    pub(super) fn new_uid(&mut self, workspace: &str, email: &str) -> String {
        self.uids += 1;
        let digest = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(self.uids.to_be_bytes())
            .chain_update(workspace)
            .chain_update([0])
            .chain_update(email)
            .finalize();
        format!("{digest:x}")
    }

    /// Finds a workspace by uid or name.
    pub fn workspace(&self, which: &str) -> Option<&Workspace> {
        self.workspaces.iter().find(|it| it.uid == which || it.name == which)
    }

    fn workspace_mut(&mut self, which: &str) -> Result<&mut Workspace> {
        let found = self.workspaces.iter_mut().find(|it| it.uid == which || it.name == which);
        found.ok_or(Rejection::NoWorkspace)
    }

    /// `inviteUser`. Replaces an expired invitation.
    pub fn invite(
        &mut self,
        workspace: &str,
        email: &str,
        account_type: AccountType,
        now: Timestamp,
    ) -> Result {
        let email = email.trim();
        let workspace = self.workspace_mut(workspace)?;
        if !is_email(email) {
            return Err(Rejection::BadEmail);
        }
        if let Some(account) = workspace.account(email) {
            let disabled = account.disabled;
            return Err(if disabled { Rejection::Disabled } else { Rejection::AlreadyActive });
        }
        let invitation =
            Invitation { email: email.to_owned(), account_type, sent: now, expired: false };
        match workspace.invitations.iter_mut().find(|it| same_email(&it.email, email)) {
            Some(earlier) if earlier.is_expired(now) => *earlier = invitation,
            Some(_) => return Err(Rejection::AlreadyInvited),
            None => workspace.invitations.push(invitation),
        }
        let workspace = workspace.uid.clone();
        self.record(now, workspace, Kind::InviteUser, email, Some(account_type));
        Ok(())
    }

    /// `updateUserAccountType`.
    pub fn set_account_type(
        &mut self,
        workspace: &str,
        uid: &str,
        account_type: AccountType,
        now: Timestamp,
    ) -> Result {
        let (workspace, account) = self.active_account(workspace, uid)?;
        account.account_type = account_type;
        self.record(now, workspace, Kind::UpdateUserAccountType, uid, Some(account_type));
        Ok(())
    }

    /// `disableUser`.
    pub fn disable(&mut self, workspace: &str, uid: &str, now: Timestamp) -> Result {
        let (workspace, account) = self.active_account(workspace, uid)?;
        account.disabled = true;
        self.record(now, workspace, Kind::DisableUser, uid, None);
        Ok(())
    }

    /// Finds an active account; returns it with the uid of its workspace.
    fn active_account(&mut self, which: &str, uid: &str) -> Result<(String, &mut Account)> {
        let workspace = self.workspace_mut(which)?;
        let mut accounts = workspace.accounts.iter_mut();
        let found = accounts.find(|account| account.uid == uid && !account.disabled);
        Ok((workspace.uid.clone(), found.ok_or(Rejection::UnknownUid)?))
    }

    fn record(
        &mut self,
        at: Timestamp,
        workspace: String,
        kind: Kind,
        target: &str,
        account_type: Option<AccountType>,
    ) {
        let target = target.to_owned();
        self.executed.add(Executed { at, workspace, kind, target, account_type });
    }
}

/// Actions of people outside the API.
impl World {
    /// The invited person accepts.
    pub fn accept(&mut self, which: &str, email: &str, now: Timestamp) -> Result {
        let is_pending = |it: &Invitation| same_email(&it.email, email) && !it.is_expired(now);
        let invitations = &self.workspace_mut(which)?.invitations;
        let at = invitations.iter().position(is_pending).ok_or(Rejection::UnknownEmail)?;
        let uid = self.new_uid(which, email);
        let workspace = self.workspace_mut(which)?;
        let Invitation { email, account_type, .. } = workspace.invitations.remove(at);
        // People enter a name when they accept, and the vendor's client rejects a user without one.
        let name = email.split('@').next().map(str::to_owned);
        workspace.accounts.push(Account { uid, email, name, account_type, disabled: false });
        Ok(())
    }

    /// An invitation expires early.
    pub fn expire(&mut self, which: &str, email: &str) -> Result {
        let invitations = &mut self.workspace_mut(which)?.invitations;
        let found = invitations.iter_mut().find(|it| same_email(&it.email, email));
        found.ok_or(Rejection::UnknownEmail)?.expired = true;
        Ok(())
    }

    /// A person gets an account without an invitation by the API.
    pub fn add(
        &mut self,
        which: &str,
        email: &str,
        name: Option<String>,
        account_type: AccountType,
    ) -> Result {
        let uid = self.new_uid(which, email);
        let workspace = self.workspace_mut(which)?;
        workspace.invitations.retain(|it| !same_email(&it.email, email));
        let email = email.to_owned();
        workspace.accounts.push(Account { uid, email, name, account_type, disabled: false });
        Ok(())
    }

    /// A user by email address, to be edited.
    pub fn by_email(&mut self, which: &str, email: &str) -> Result<&mut Account> {
        self.workspace_mut(which)?.account(email).ok_or(Rejection::UnknownEmail)
    }

    /// Removes the accounts and invitations of an email address.
    pub fn remove(&mut self, which: &str, email: &str) -> Result {
        let workspace = self.workspace_mut(which)?;
        let before = workspace.accounts.len() + workspace.invitations.len();
        workspace.accounts.retain(|it| !same_email(&it.email, email));
        workspace.invitations.retain(|it| !same_email(&it.email, email));
        let after = workspace.accounts.len() + workspace.invitations.len();
        if before == after { Err(Rejection::UnknownEmail) } else { Ok(()) }
    }
}

impl Workspace {
    /// The users in a listing.
    pub fn active(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(|account| !account.disabled)
    }

    /// The account of an email address; an active one takes precedence over a disabled one.
    fn account(&mut self, email: &str) -> Option<&mut Account> {
        let found = self.accounts.iter_mut().filter(|it| same_email(&it.email, email));
        found.min_by_key(|account| account.disabled)
    }
}

impl Invitation {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expired || now.duration_since(self.sent) >= INVITATION_LIFETIME
    }
}

fn same_email(one: &str, other: &str) -> bool {
    one.trim_ascii().eq_ignore_ascii_case(other.trim_ascii())
}

fn is_email(text: &str) -> bool {
    let is_clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    is_clean
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.contains('@')
        })
}

#[cfg(test)]
mod tests {
    use super::super::seed::DOCUMENTED;
    use super::*;
    use AccountType::{Admin, Analyst, Business, Developer};

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn acme() -> World {
        World::seeded(&["acme".to_owned()], 0, 1, now())
    }

    #[test]
    fn an_invitation_is_sent_again_only_after_it_expired() {
        let mut world = acme();
        assert_eq!(world.invite("acme", "alice@acme.io", Developer, now()), Ok(()));
        let again = world.invite("acme", " ALICE@acme.io ", Business, now());
        assert_eq!(again, Err(Rejection::AlreadyInvited));
        let later = now() + INVITATION_LIFETIME;
        assert_eq!(world.accept("acme", "alice@acme.io", later), Err(Rejection::UnknownEmail));
        assert_eq!(world.invite("acme", "alice@acme.io", Analyst, later), Ok(()));
        assert_eq!(world.accept("acme", "alice@acme.io", later), Ok(()));
        let rejected = world.invite("acme", "alice@acme.io", Analyst, later);
        assert_eq!(rejected, Err(Rejection::AlreadyActive));
        assert_eq!(world.by_email("acme", "alice@acme.io").unwrap().account_type, Analyst);
    }

    #[test]
    fn a_disabled_user_is_not_listed_and_cannot_be_invited() {
        let mut world = acme();
        let uid = DOCUMENTED[2].0;
        assert_eq!(world.disable("acme", uid, now()), Ok(()));
        assert_eq!(world.disable("acme", uid, now()), Err(Rejection::UnknownUid));
        assert_eq!(world.set_account_type("acme", uid, Admin, now()), Err(Rejection::UnknownUid));
        assert_eq!(world.workspaces[0].active().count(), 2);
        let invited = world.invite("acme", "matt@acme.io", Developer, now());
        assert_eq!(invited, Err(Rejection::Disabled));
        world.by_email("acme", "matt@acme.io").unwrap().disabled = false;
        assert_eq!(world.set_account_type("acme", uid, Admin, now()), Ok(()));
    }

    #[test]
    fn an_active_account_takes_precedence_over_a_disabled_one() {
        let mut world = acme();
        world.disable("acme", DOCUMENTED[2].0, now()).unwrap();
        world.add("acme", "matt@acme.io", None, Analyst).unwrap();
        let invited = world.invite("acme", "matt@acme.io", Admin, now());
        assert_eq!(invited, Err(Rejection::AlreadyActive));
        let found = world.by_email("acme", "MATT@acme.io").unwrap();
        assert_eq!((found.disabled, found.account_type), (false, Analyst));
    }

    #[test]
    fn an_invalid_email_address_is_not_invited() {
        for email in ["", "alice", "@acme.io", "a b@acme.io", "alice@acme", "a@b@acme.io"] {
            let invited = acme().invite("acme", email, Developer, now());
            assert_eq!(invited, Err(Rejection::BadEmail), "{email:?}");
        }
    }

    #[test]
    fn the_same_seed_creates_the_same_world_with_unique_uids() {
        let names = ["acme".to_owned(), "other".to_owned()];
        let world = World::seeded(&names, 50, 7, now());
        assert_eq!(world, World::seeded(&names, 50, 7, now()));
        assert_ne!(world, World::seeded(&names, 50, 8, now()));
        let uids = world.workspaces.iter().flat_map(|it| &it.accounts).map(|it| &it.uid);
        let uids: std::collections::HashSet<_> = uids.collect();
        assert_eq!(uids.len(), 2 * 53);
        assert!(uids.iter().all(|uid| uid.len() == 64));
    }

    #[test]
    fn workspaces_are_independent() {
        let mut world = World::seeded(&["acme".to_owned(), "other".to_owned()], 0, 1, now());
        assert_eq!(world.disable("other", DOCUMENTED[0].0, now()), Err(Rejection::UnknownUid));
        assert_eq!(world.invite("nowhere", "a@acme.io", Admin, now()), Err(Rejection::NoWorkspace));
        world.remove("other", "jonny@acme.io").unwrap();
        assert!(world.by_email("acme", "jonny@acme.io").is_ok());
    }

    #[test]
    fn only_mutations_that_took_effect_are_recorded() {
        let mut world = acme();
        let uid = DOCUMENTED[2].0;
        world.invite("acme", "alice@acme.io", Developer, now()).unwrap();
        world.invite("acme", "alice@acme.io", Developer, now()).unwrap_err();
        world.set_account_type("acme", uid, Analyst, now()).unwrap();
        world.disable("acme", uid, now()).unwrap();
        world.disable("acme", uid, now()).unwrap_err();
        world.accept("acme", "alice@acme.io", now()).unwrap();
        let recorded: Vec<_> =
            world.executed.iter().map(|it| (it.kind, &*it.target, it.account_type)).collect();
        let expected = [
            (Kind::InviteUser, "alice@acme.io", Some(Developer)),
            (Kind::UpdateUserAccountType, uid, Some(Analyst)),
            (Kind::DisableUser, uid, None),
        ];
        assert_eq!(recorded, expected);
        assert!(world.executed.iter().all(|it| it.workspace == world.workspaces[0].uid));
    }

    #[test]
    fn a_state_without_the_execution_log_is_read() {
        let mut state = serde_json::to_value(acme()).unwrap();
        assert!(state.as_object_mut().unwrap().remove("executed").is_some());
        assert_eq!(serde_json::from_value::<World>(state).unwrap(), acme());
    }
}
