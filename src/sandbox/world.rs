//! The workspaces themselves: a pure state machine. Time is an argument, chance is a seed.

use async_graphql::Enum;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::executed::{Executed, Kind, Record};

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
    pub(super) seed: u64,
    /// How many uids have been given out.
    pub(super) given: u64,
    /// The mutations of the API that took effect.
    #[serde(default)]
    pub executed: Record,
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
    /// A uid as the vendor's look: 64 hexadecimal digits, different each time.
    pub(super) fn uid(&mut self, workspace: &str, email: &str) -> String {
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
        if let Some(account) = workspace.of_email(email) {
            let active = !account.disabled;
            return Err(if active { Refusal::AlreadyActive } else { Refusal::Disabled });
        }
        let sent = Invitation { email: email.to_owned(), account_type, sent: now, expired: false };
        match workspace.invitations.iter_mut().find(|it| same(&it.email, email)) {
            Some(earlier) if earlier.is_expired(now) => *earlier = sent,
            Some(_) => return Err(Refusal::AlreadyInvited),
            None => workspace.invitations.push(sent),
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
    ) -> Result<(), Refusal> {
        let (workspace, account) = self.active(workspace, uid)?;
        account.account_type = account_type;
        self.record(now, workspace, Kind::UpdateUserAccountType, uid, Some(account_type));
        Ok(())
    }

    /// `disableUser`.
    pub fn disable(&mut self, workspace: &str, uid: &str, now: Timestamp) -> Result<(), Refusal> {
        let (workspace, account) = self.active(workspace, uid)?;
        account.disabled = true;
        self.record(now, workspace, Kind::DisableUser, uid, None);
        Ok(())
    }

    /// An account that can be changed, and the uid of its workspace.
    fn active(&mut self, which: &str, uid: &str) -> Result<(String, &mut Account), Refusal> {
        let workspace = self.workspace_mut(which)?;
        let mut accounts = workspace.accounts.iter_mut();
        let found = accounts.find(|account| account.uid == uid && !account.disabled);
        Ok((workspace.uid.clone(), found.ok_or(Refusal::UnknownUid)?))
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

/// What happens by other hands than the API's.
impl World {
    /// The invited person accepts.
    pub fn accept(&mut self, which: &str, email: &str, now: Timestamp) -> Result<(), Refusal> {
        let pending = |it: &Invitation| same(&it.email, email) && !it.is_expired(now);
        let invitations = &self.workspace_mut(which)?.invitations;
        let at = invitations.iter().position(pending).ok_or(Refusal::UnknownEmail)?;
        let uid = self.uid(which, email);
        let workspace = self.workspace_mut(which)?;
        let Invitation { email, account_type, .. } = workspace.invitations.remove(at);
        // The vendor's client takes no user without a name; people give one when they accept.
        let name = email.split('@').next().map(str::to_owned);
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

    /// A user by address, for whatever a hand may change.
    pub fn by_email(&mut self, which: &str, email: &str) -> Result<&mut Account, Refusal> {
        self.workspace_mut(which)?.of_email(email).ok_or(Refusal::UnknownEmail)
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

    /// The user of an address; the active one, where a disabled one had it before.
    fn of_email(&mut self, email: &str) -> Option<&mut Account> {
        let found = self.accounts.iter_mut().filter(|it| same(&it.email, email));
        found.min_by_key(|account| account.disabled)
    }
}

impl Invitation {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expired || now.duration_since(self.sent) >= INVITATION_LASTS
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_ascii().eq_ignore_ascii_case(other.trim_ascii())
}

fn is_email(text: &str) -> bool {
    let whole = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    whole
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
    fn an_invitation_is_sent_once_and_again_only_when_it_has_expired() {
        let mut world = acme();
        assert_eq!(world.invite("acme", "alice@acme.io", Developer, now()), Ok(()));
        let again = world.invite("acme", " ALICE@acme.io ", Business, now());
        assert_eq!(again, Err(Refusal::AlreadyInvited));
        let later = now() + INVITATION_LASTS;
        assert_eq!(world.accept("acme", "alice@acme.io", later), Err(Refusal::UnknownEmail));
        assert_eq!(world.invite("acme", "alice@acme.io", Analyst, later), Ok(()));
        assert_eq!(world.accept("acme", "alice@acme.io", later), Ok(()));
        let taken = world.invite("acme", "alice@acme.io", Analyst, later);
        assert_eq!(taken, Err(Refusal::AlreadyActive));
        assert_eq!(world.by_email("acme", "alice@acme.io").unwrap().account_type, Analyst);
    }

    #[test]
    fn a_disabled_user_is_gone_and_not_forgotten() {
        let mut world = acme();
        let uid = DOCUMENTED[2].0;
        assert_eq!(world.disable("acme", uid, now()), Ok(()));
        assert_eq!(world.disable("acme", uid, now()), Err(Refusal::UnknownUid));
        assert_eq!(world.set_account_type("acme", uid, Admin, now()), Err(Refusal::UnknownUid));
        assert_eq!(world.workspaces[0].active().count(), 2);
        let invited = world.invite("acme", "matt@acme.io", Developer, now());
        assert_eq!(invited, Err(Refusal::Disabled));
        world.by_email("acme", "matt@acme.io").unwrap().disabled = false;
        assert_eq!(world.set_account_type("acme", uid, Admin, now()), Ok(()));
    }

    #[test]
    fn who_is_active_again_hides_the_disabled_one() {
        let mut world = acme();
        world.disable("acme", DOCUMENTED[2].0, now()).unwrap();
        world.add("acme", "matt@acme.io", None, Analyst).unwrap();
        let invited = world.invite("acme", "matt@acme.io", Admin, now());
        assert_eq!(invited, Err(Refusal::AlreadyActive));
        let found = world.by_email("acme", "MATT@acme.io").unwrap();
        assert_eq!((found.disabled, found.account_type), (false, Analyst));
    }

    #[test]
    fn what_is_no_address_is_not_invited() {
        for email in ["", "alice", "@acme.io", "a b@acme.io", "alice@acme", "a@b@acme.io"] {
            let invited = acme().invite("acme", email, Developer, now());
            assert_eq!(invited, Err(Refusal::BadEmail), "{email:?}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_world_and_every_uid_is_one_of_its_kind() {
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
    fn workspaces_are_apart() {
        let mut world = World::seeded(&["acme".to_owned(), "other".to_owned()], 0, 1, now());
        assert_eq!(world.disable("other", DOCUMENTED[0].0, now()), Err(Refusal::UnknownUid));
        assert_eq!(world.invite("nowhere", "a@acme.io", Admin, now()), Err(Refusal::NoWorkspace));
        world.remove("other", "jonny@acme.io").unwrap();
        assert!(world.by_email("acme", "jonny@acme.io").is_ok());
    }

    #[test]
    fn what_took_effect_is_recorded_and_what_was_refused_is_not() {
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
    fn a_state_from_before_the_record_is_read() {
        let mut state = serde_json::to_value(acme()).unwrap();
        assert!(state.as_object_mut().unwrap().remove("executed").is_some());
        assert_eq!(serde_json::from_value::<World>(state).unwrap(), acme());
    }
}
