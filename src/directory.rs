//! The directory: the actual state of a workspace.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::email::Email;
use crate::role::Role;

/// The id of an account: 64 hexadecimal characters in the vendor's documentation, kept verbatim
/// here. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub Arc<str>);

/// An active user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub uid: Uid,
    pub email: Email,
    /// May be missing or empty. Untrusted: escape it before showing it.
    pub name: Option<Box<str>>,
    pub role: Role,
}

/// An invited user. Has no uid yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub email: Email,
    pub role: Role,
    pub status: InviteStatus,
}

/// The status of an invitation. Any status but `EXPIRED` can still be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InviteStatus {
    /// `ACTIVE` in the vendor's documentation, `SENT` in its Python client.
    Pending,
    Expired,
    /// A status that this version does not know. Treated as pending.
    Unknown(Box<str>),
}

/// One complete, validated listing of the directory. An incomplete listing is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    accounts: Vec<Account>,
    invitations: Vec<Invitation>,
    server_time: Option<Timestamp>,
}

/// Why a listing is rejected as incomplete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    #[error("two active users share the uid {0}")]
    DuplicateUid(String),
    #[error("an active user has no uid")]
    NoUid,
    #[error("a user has no email address")]
    NoEmail,
}

impl Uid {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl InviteStatus {
    pub fn from_api(text: &str) -> Self {
        match text {
            "ACTIVE" | "SENT" => Self::Pending,
            "EXPIRED" => Self::Expired,
            other => Self::Unknown(other.into()),
        }
    }

    /// Whether it can still be accepted.
    pub fn is_pending(&self) -> bool {
        *self != Self::Expired
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Pending => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Unknown(text) => text,
        }
    }
}

impl Snapshot {
    /// Validates a listing: every user has an address, every account a unique uid. `server_time`
    /// is the `Date` header of the response.
    pub fn new(
        mut accounts: Vec<Account>,
        mut invitations: Vec<Invitation>,
        server_time: Option<Timestamp>,
    ) -> Result<Self, Incomplete> {
        let mut uids = HashSet::with_capacity(accounts.len());
        for account in &accounts {
            if account.uid.as_str().trim().is_empty() {
                return Err(Incomplete::NoUid);
            }
            if !uids.insert(&account.uid) {
                return Err(Incomplete::DuplicateUid(account.uid.to_string()));
            }
        }
        let emails = accounts.iter().map(|a| &a.email).chain(invitations.iter().map(|i| &i.email));
        if emails.into_iter().any(|email| email.as_str().is_empty()) {
            return Err(Incomplete::NoEmail);
        }
        accounts.sort_by(|a, b| a.email.cmp(&b.email).then_with(|| a.uid.cmp(&b.uid)));
        invitations.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        Ok(Self { accounts, invitations, server_time })
    }

    /// The active users, sorted by address, then uid.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The invited users, sorted by address. Among several for one address, pending ones come
    /// first, then the one with the greatest role.
    pub fn invitations(&self) -> &[Invitation] {
        &self.invitations
    }

    /// Moves the server time back by `by`, to compare it with an earlier local time.
    #[must_use]
    pub fn with_server_time_back(mut self, by: SignedDuration) -> Self {
        self.server_time = self.server_time.and_then(|time| time.checked_sub(by).ok());
        self
    }

    /// The server's clock at the time of the response, to the second.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.server_time
    }
}

/// The earlier of our time and the server's: a clock that is ahead must not make anything old.
pub fn earlier(now: Timestamp, server_time: Option<Timestamp>) -> Timestamp {
    server_time.map_or(now, |server| server.min(now))
}

/// A total order, so that the order of the listing does not matter. Among several invitations for
/// one address, the most relevant comes first.
fn sort_key(invitation: &Invitation) -> (&Email, u8, &Role, &str, &str) {
    let Invitation { email, role, status } = invitation;
    let rank = match status {
        InviteStatus::Pending => 0,
        InviteStatus::Unknown(_) => 1,
        InviteStatus::Expired => 2,
    };
    (email, rank, role, status.as_str(), email.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(uid: &str, email: &str) -> Account {
        let (uid, email) = (Uid(uid.into()), Email::remote(email));
        Account { uid, email, name: None, role: Role::Developer }
    }

    fn invitation(role: Role, status: &str) -> Invitation {
        let status = InviteStatus::from_api(status);
        Invitation { email: Email::remote("matt@acme.io"), role, status }
    }

    #[test]
    fn a_listing_with_duplicate_or_missing_ids_is_rejected() {
        let read = |rows| Snapshot::new(rows, Vec::new(), None).map(|_| ());
        let twice = vec![account("a", "matt@acme.io"), account("a", "max@acme.io")];
        assert_eq!(read(twice), Err(Incomplete::DuplicateUid("a".into())));
        assert_eq!(read(vec![account(" ", "matt@acme.io")]), Err(Incomplete::NoUid));
        assert_eq!(read(vec![account("a", " ")]), Err(Incomplete::NoEmail));
        let same_address = vec![account("a", "matt@acme.io"), account("b", "matt@acme.io")];
        assert_eq!(read(same_address), Ok(()));
    }

    #[test]
    fn the_order_of_a_listing_does_not_matter() {
        let first_to_last = vec![
            invitation(Role::Admin, "ACTIVE"),
            invitation(Role::Business, "SENT"),
            invitation(Role::Admin, "QUEUED"),
            invitation(Role::Admin, "EXPIRED"),
        ];
        let accounts = vec![account("a", "matt@acme.io"), account("b", "matt@acme.io")];
        for turn in 0..4 {
            let (mut invitations, mut others) = (first_to_last.clone(), accounts.clone());
            invitations.rotate_left(turn);
            others.rotate_left(turn % 2);
            let read = Snapshot::new(others, invitations, None).unwrap();
            assert_eq!((read.invitations(), read.accounts()), (&*first_to_last, &*accounts));
        }
    }

    #[test]
    fn only_expired_cannot_be_accepted() {
        let pending = |text| InviteStatus::from_api(text).is_pending();
        assert!(pending("ACTIVE") && pending("SENT") && pending("QUEUED") && !pending("EXPIRED"));
    }
}
