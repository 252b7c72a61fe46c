//! Matches accounts and invitations to members: a hash join by address. An account that was seen
//! under a member's address before still matches that member when its address changes.

use std::collections::HashMap;

use crate::directory::{Account, Invitation, Snapshot};
use crate::email::Email;
use crate::memory::Memory;
use crate::roster::{Member, Roster};

/// Every account and invitation, matched to a member or unmatched.
pub struct Matching<'a> {
    members: &'a [Member],
    accounts: &'a [Account],
    found: Vec<Found<'a>>,
    /// Accounts without a member.
    pub unmatched_accounts: Vec<&'a Account>,
    /// Invitations without a member.
    pub unmatched_invitations: Vec<&'a Invitation>,
    /// The addresses of unmanaged accounts and invitations.
    pub unmanaged: Vec<&'a Email>,
    /// The number of accounts that are not unmanaged.
    pub managed: usize,
}

/// The accounts and the invitation of one member.
#[derive(Clone, Default)]
pub struct Found<'a> {
    pub accounts: Vec<&'a Account>,
    pub invitation: Option<&'a Invitation>,
}

impl<'a> Matching<'a> {
    /// Matches by address and alias, and by uids that were seen under them before. Unmanaged
    /// accounts and invitations are left out.
    pub fn new(roster: &'a Roster, snapshot: &'a Snapshot, memory: &Memory) -> Self {
        let members = roster.members();
        let mut index = HashMap::with_capacity(members.len());
        for (position, member) in members.iter().enumerate() {
            index.extend(member.addresses().map(|address| (address, position)));
        }
        // Members by the uids that earlier listings had at their addresses.
        let mut by_former_uid = HashMap::new();
        let has_member = |account: &Account| index.contains_key(&account.email);
        if memory.is_known() && !snapshot.accounts().iter().all(has_member) {
            for (position, member) in members.iter().enumerate() {
                let uids = member.addresses().flat_map(|address| memory.uids_of(address));
                by_former_uid.extend(uids.map(|uid| (uid, position)));
            }
        }
        let mut matching = Self {
            members,
            accounts: snapshot.accounts(),
            found: vec![Found::default(); members.len()],
            unmatched_accounts: Vec::new(),
            unmatched_invitations: Vec::new(),
            unmanaged: Vec::new(),
            managed: 0,
        };
        for account in snapshot.accounts() {
            match index.get(&account.email) {
                Some(&member) => matching.found[member].accounts.push(account),
                None if roster.is_unmanaged(&account.email) => {
                    matching.unmanaged.push(&account.email);
                    continue;
                }
                None => match by_former_uid.get(&account.uid) {
                    Some(&member) => matching.found[member].accounts.push(account),
                    None => matching.unmatched_accounts.push(account),
                },
            }
            matching.managed += 1;
        }
        for invitation in snapshot.invitations() {
            match index.get(&invitation.email) {
                Some(&member) => {
                    matching.found[member].consider(invitation, &members[member].email);
                }
                None if roster.is_unmanaged(&invitation.email) => {
                    matching.unmanaged.push(&invitation.email);
                }
                None => matching.unmatched_invitations.push(invitation),
            }
        }
        matching
    }

    /// All accounts of the listing.
    pub fn accounts(&self) -> &'a [Account] {
        self.accounts
    }

    /// Every member with its matches, sorted by address.
    pub fn members(&self) -> impl Iterator<Item = (&'a Member, &Found<'a>)> {
        self.members.iter().zip(&self.found)
    }
}

impl<'a> Found<'a> {
    /// Keeps the most relevant invitation: a pending one before an expired one, then one to the
    /// member's `email` before one to an alias.
    fn consider(&mut self, invitation: &'a Invitation, own: &Email) {
        let rank = |it: &Invitation| (it.status.is_pending(), it.email == *own);
        if self.invitation.is_none_or(|kept| rank(invitation) > rank(kept)) {
            self.invitation = Some(invitation);
        }
    }
}
