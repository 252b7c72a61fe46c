//! Where a workspace is.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Memory;
use super::scope::host_of;
use crate::directory::{Snapshot, Uid};

/// The place of a workspace: the host of its endpoint, however that is spelled, and its uid, if it
/// is configured.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspacePlace {
    pub host: String,
    pub uid: Option<String>,
}

/// The open chain of another workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherChain {
    pub name: String,
    pub place: WorkspacePlace,
    /// The accounts of its last listing.
    pub accounts: HashSet<Uid>,
}

impl WorkspacePlace {
    /// The place that an old key names.
    pub fn of_key(key: &str) -> Option<Self> {
        let host = host_of(key)?;
        let uid = key.split_once(['#', '|']).map(|(_, uid)| uid.to_owned());
        Some(Self { host, uid: uid.filter(|uid| !uid.starts_with("key-")) })
    }

    /// Whether both may be one place: a uid that one of them lacks is no difference.
    pub fn matches(&self, other: &Self) -> bool {
        let same = |(one, two): (&String, &String)| one == two;
        self.host == other.host && self.uid.as_ref().zip(other.uid.as_ref()).is_none_or(same)
    }
}

impl OtherChain {
    /// Whether this chain is of the workspace at `place` that has this listing. Without uids, half
    /// of its accounts have to be listed.
    pub fn is_at(&self, place: &WorkspacePlace, snapshot: &Snapshot) -> bool {
        let has_uids = place.uid.is_some() && self.place.uid.is_some();
        let listed = snapshot.accounts().iter();
        let shared = listed.filter(|account| self.accounts.contains(&account.uid)).count();
        self.place.matches(place) && (has_uids || shared > 0 && 2 * shared >= self.accounts.len())
    }
}

impl Memory {
    /// The place of the chain, if it is recorded.
    pub fn place(&self) -> Option<&WorkspacePlace> {
        self.place.as_ref()
    }

    /// What is recorded of a place that matches: it, or a uid that is added.
    pub fn new_place(&self, place: &WorkspacePlace) -> Option<WorkspacePlace> {
        let is_new =
            self.place.as_ref().is_none_or(|known| known.uid.is_none() && *known != *place);
        is_new.then(|| place.clone())
    }

    /// Sets the place that the key of an old chain names.
    pub fn set_place_of_key(&mut self, key: &str) {
        self.place = self.place.take().or_else(|| WorkspacePlace::of_key(key));
    }
}

impl fmt::Display for WorkspacePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match &self.uid {
            Some(uid) => write!(f, ", workspace {uid}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, uid: Option<&str>) -> WorkspacePlace {
        WorkspacePlace { host: host.into(), uid: uid.map(str::to_owned) }
    }

    #[test]
    fn an_added_uid_is_no_other_place() {
        let matches =
            |one: Option<&str>, two: Option<&str>| place("a", one).matches(&place("a", two));
        assert!(matches(None, None) && matches(None, Some("1")) && matches(Some("1"), None));
        assert!(matches(Some("1"), Some("1")) && !matches(Some("1"), Some("2")));
        assert!(!place("a", None).matches(&place("b", None)));
    }

    #[test]
    fn a_place_is_recorded_once_and_keeps_its_uid() {
        let mut memory = Memory::of_ledger();
        let (bare, full) = (place("a", None), place("a", Some("1")));
        assert_eq!(memory.new_place(&bare), Some(bare.clone()));
        memory.place = Some(bare.clone());
        assert_eq!((memory.new_place(&bare), memory.new_place(&full)), (None, Some(full.clone())));
        memory.place = Some(full);
        assert_eq!(memory.new_place(&bare), None);
    }

    #[test]
    fn an_old_key_names_its_place() {
        let of = WorkspacePlace::of_key;
        assert_eq!(of("https://API.acme.io/graphql#abc"), Some(place("api.acme.io", Some("abc"))));
        assert_eq!(of("https://api.acme.io/graphql#key-1"), Some(place("api.acme.io", None)));
        assert_eq!(of("acme"), None);
    }
}
