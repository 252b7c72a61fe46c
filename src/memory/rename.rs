//! Signs that an account without a member belongs to one under another address.

use jiff::Timestamp;

use super::Memory;
use super::entry::Rename;
use crate::email::Email;
use crate::role::Role;

impl Memory {
    /// Signs of another address, each with when it was first seen.
    pub fn renames(&self) -> &[(Timestamp, Rename)] {
        &self.renames
    }

    /// The role of the last invitation since `since` to one of these addresses that may have been
    /// sent and was not accepted there.
    pub fn invited_role<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a Email>,
        since: Timestamp,
    ) -> Option<&Role> {
        let sent = addresses.into_iter().filter_map(|email| self.sent.get(email)).flatten();
        let (seq, _) = sent.filter(|(_, at)| *at >= since).max_by_key(|(seq, _)| *seq)?;
        self.attempts[self.index_of_attempt(*seq)?].action.to()
    }

    /// A name's sign counts from when it was first seen, or from now if the clock was ahead then.
    pub(super) fn add_rename(&mut self, rename: &Rename, at: Timestamp) {
        match self.renames.iter_mut().find(|(_, known)| known == rename) {
            Some((known, _)) => *known = (*known).min(at),
            None => self.renames.push((at, rename.clone())),
        }
    }
}
