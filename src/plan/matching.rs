//! Who is who: a hash join of the roster's addresses with the directory's. An account that was
//! seen under a member's address stays that member's when its address changes.

use std::collections::HashMap;

use crate::directory::{Account, Invitation, Snapshot, Uid};
use crate::email::Email;
use crate::memory::Memory;
use crate::roster::{Member, Roster};

/// Every account and every invitation given to its member, or to nobody.
pub struct Matching<'a> {
    members: &'a [Member],
    found: Vec<Found<'a>>,
    unmatched_accounts: Vec<&'a Account>,
    unmatched_invitations: Vec<&'a Invitation>,
    managed: usize,
}

/// What the directory holds of one member.
#[derive(Clone, Default)]
pub struct Found<'a> {
    accounts: Vec<&'a Account>,
    invitation: Option<&'a Invitation>,
}

impl<'a> Matching<'a> {
    /// Joins by address and alias, and by the uid that was seen under either. What `unmanaged`
    /// covers is left out of everything.
    pub fn new(roster: &'a Roster, snapshot: &'a Snapshot, memory: &Memory) -> Self {
        let members = roster.members();
        let index = by_address(members);
        let by_former_uid = by_uid(members, &index, snapshot, memory);
        let mut matching = Self {
            members,
            found: vec![Found::default(); members.len()],
            unmatched_accounts: Vec::new(),
            unmatched_invitations: Vec::new(),
            managed: 0,
        };
        for account in snapshot.accounts() {
            let by_address = index.get(&account.email);
            match by_address {
                Some(&member) => matching.found[member].accounts.push(account),
                None if roster.is_unmanaged(&account.email) => continue,
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
                    matching.found[member].offer(invitation, &members[member].email);
                }
                None if roster.is_unmanaged(&invitation.email) => {}
                None => matching.unmatched_invitations.push(invitation),
            }
        }
        matching
    }

    /// Every member with what was found of it, sorted by address.
    pub fn members(&self) -> impl Iterator<Item = (&'a Member, &Found<'a>)> {
        self.members.iter().zip(&self.found)
    }

    /// Accounts that are no member's.
    pub fn unmatched_accounts(&self) -> impl Iterator<Item = &'a Account> + '_ {
        self.unmatched_accounts.iter().copied()
    }

    /// Invitations that are no member's.
    pub fn unmatched_invitations(&self) -> impl Iterator<Item = &'a Invitation> + '_ {
        self.unmatched_invitations.iter().copied()
    }

    /// How many accounts are not unmanaged.
    pub fn managed(&self) -> usize {
        self.managed
    }
}

impl<'a> Found<'a> {
    pub fn accounts(&self) -> &[&'a Account] {
        &self.accounts
    }

    pub fn invitation(&self) -> Option<&'a Invitation> {
        self.invitation
    }

    /// Keeps the invitation that says most: one that can still be accepted before an expired one,
    /// then one to the member's own address before one to an alias.
    fn offer(&mut self, invitation: &'a Invitation, own: &Email) {
        let weight = |it: &Invitation| (it.status.is_pending(), it.email == *own);
        if self.invitation.is_none_or(|kept| weight(invitation) > weight(kept)) {
            self.invitation = Some(invitation);
        }
    }
}

/// Accounts under an address that nobody has, which were seen under a member's address before.
fn by_uid<'m>(
    members: &[Member],
    index: &HashMap<&Email, usize>,
    snapshot: &Snapshot,
    memory: &'m Memory,
) -> HashMap<&'m Uid, usize> {
    if !memory.is_known() || snapshot.accounts().iter().all(|it| index.contains_key(&it.email)) {
        return HashMap::new();
    }
    let mut by_former_uid = HashMap::new();
    for (position, member) in members.iter().enumerate() {
        let uids = member.addresses().flat_map(|address| memory.uids_of(address));
        by_former_uid.extend(uids.map(|uid| (uid, position)));
    }
    by_former_uid
}

fn by_address(members: &[Member]) -> HashMap<&Email, usize> {
    let mut index = HashMap::with_capacity(members.len());
    for (position, member) in members.iter().enumerate() {
        index.extend(member.addresses().map(|address| (address, position)));
    }
    index
}
