//! Accounts without a member that may belong to a member under another address.
//!
//! A disable cannot be undone, so the guard `rename` holds that of such an account. There are two
//! signs. Both go to the ledger when they are first seen, before anything is sent.
//!
//! - *Arrival*: a new account where an invitation that rosterd sent is no longer listed, or never
//!   was: the invited person may have accepted it under another address.
//! - *Name*: the account has the name of a member without an account.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::matching::Matching;
use crate::directory::{Account, Snapshot, Uid, earlier};
use crate::email::Email;
use crate::memory::Memory;
use crate::memory::entry::{Entry, Rename, RenameSign};
use crate::role::Role;
use crate::roster::{Member, Phase, Roster};

/// How long the sign of a name holds a disable, from when it was first seen.
pub const NAME_HOLDS: SignedDuration = SignedDuration::from_hours(24);
/// An account can be the result of an invitation that is not older than this.
const INVITED_WITHIN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// An account, and the member whose it may be.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    pub account: &'a Account,
    pub member: &'a Member,
    pub since: Timestamp,
    /// When the hold ends by itself; None for an arrival.
    pub until: Option<Timestamp>,
}

/// The suspects among the accounts without a member, at most one member each.
#[derive(Debug, Default)]
pub struct Suspects<'a> {
    held: HashMap<&'a Uid, Suspect<'a>>,
    /// Accounts that time has released, or the dates of a member: their disable depends on the
    /// clock.
    released: HashSet<&'a Uid>,
}

impl<'a> Suspects<'a> {
    pub fn new(matching: &Matching<'a>, memory: &Memory, now: Timestamp) -> Self {
        let mut suspects = Self::default();
        if matching.unmatched_accounts.is_empty() {
            return suspects;
        }
        let accounts: HashMap<&Uid, &Account> =
            matching.unmatched_accounts.iter().map(|account| (&account.uid, *account)).collect();
        let known = memory.renames().iter().flat_map(|(_, rename)| &rename.members).collect();
        let members = members_at(matching, &known);
        let mut taken = HashSet::new();
        let mut first_seen = HashMap::new();
        for (at, Rename { sign, accounts: uids, members: emails }) in memory.renames() {
            let accounts = uids.iter().filter_map(|uid| accounts.get(uid).copied());
            let found = emails.iter().filter_map(|email| members.get(email));
            let (found, ended): (Vec<_>, Vec<_>) =
                found.partition(|(member, _)| member.phase(now) == Phase::Present);
            if !ended.is_empty() {
                suspects.released.extend(accounts.clone().map(|account| &account.uid));
            }
            match sign {
                RenameSign::Arrival => {
                    let open = found.iter().filter(|(member, has_account)| {
                        !has_account && !taken.contains(&&member.email)
                    });
                    let open = open.map(|(member, _)| *member).collect();
                    for (account, member, _) in pairs(accounts.collect(), open) {
                        taken.insert(&member.email);
                        let suspect = Suspect { account, member, since: *at, until: None };
                        suspects.held.insert(&account.uid, suspect);
                    }
                }
                RenameSign::Name => {
                    let future = ended.iter().filter(|it| it.0.phase(now) == Phase::Future);
                    let member = found.iter().chain(future).map(|(member, _)| *member).next();
                    first_seen.extend(accounts.map(|account| (&account.uid, (*at, member))));
                }
            }
        }
        let mut names = namesakes(matching, now);
        for (uid, (since, member)) in first_seen {
            // The clock may have been ahead.
            let since = since.min(now);
            let fresh = names.remove(uid).map(|(_, member)| member);
            if let (Some(member), Some(account)) = (member.or(fresh), accounts.get(uid)) {
                suspects.add_name((account, member), since, now);
            }
        }
        for pair in names.into_values() {
            suspects.add_name(pair, now, now);
        }
        suspects
    }

    fn add_name(&mut self, pair: (&'a Account, &'a Member), since: Timestamp, now: Timestamp) {
        let (account, member) = pair;
        let until = since.saturating_add(NAME_HOLDS).unwrap_or(Timestamp::MAX);
        if now < until {
            let suspect = Suspect { account, member, since, until: Some(until) };
            self.held.entry(&account.uid).or_insert(suspect);
        } else {
            self.released.insert(&account.uid);
        }
    }

    pub fn of(&self, account: &Account) -> Option<&Suspect<'a>> {
        self.held.get(&account.uid)
    }

    /// Whether the account is not held, or not for all its members, because of the time.
    pub fn has_released(&self, account: &Account) -> bool {
        self.released.contains(&account.uid)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Suspect<'a>> {
        self.held.values()
    }

    /// The members who may have arrived under another address.
    pub fn arrived(&self) -> HashSet<&'a Email> {
        let arrivals = self.iter().filter(|suspect| suspect.until.is_none());
        arrivals.map(|suspect| &suspect.member.email).collect()
    }
}

/// The signs in a listing that the ledger does not have yet. `memory` is that of before.
pub fn signs(roster: &Roster, snapshot: &Snapshot, memory: &Memory, now: Timestamp) -> Vec<Entry> {
    let matching = Matching::new(roster, snapshot, memory);
    if matching.unmatched_accounts.is_empty() {
        return Vec::new();
    }
    let entry = |sign, accounts: Vec<&Account>, members: Vec<&Member>| {
        let accounts = accounts.iter().map(|account| account.uid.clone()).collect();
        let members = members.iter().map(|member| member.email.clone()).collect();
        Entry::Rename(Rename { sign, accounts, members })
    };
    let mut entries = Vec::new();
    for (role, members) in invited(&matching, memory, now, earlier(now, snapshot.server_time())) {
        let unmatched = matching.unmatched_accounts.iter().copied();
        // An account at an address that rosterd invited belongs to a former member.
        let is_new = |it: &&Account| {
            let is_known = memory.account(&it.uid).is_some() || memory.sent([&it.email]).is_some();
            it.role == *role && !is_known
        };
        let arrivals: Vec<&Account> = unmatched.filter(is_new).collect();
        let pairs = pairs(arrivals, members.clone());
        let (evident, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(.., alike)| *alike);
        let mut open = members;
        for (account, member, _) in evident {
            open.retain(|other| other.email != member.email);
            entries.push(entry(RenameSign::Arrival, vec![account], vec![member]));
        }
        if !rest.is_empty() {
            let accounts = rest.into_iter().map(|(account, ..)| account).collect();
            entries.push(entry(RenameSign::Arrival, accounts, open));
        }
    }
    let known = |uid: &Uid| {
        memory.renames().iter().any(|(at, rename)| {
            rename.sign == RenameSign::Name && rename.accounts.contains(uid) && *at <= now
        })
    };
    let mut names: Vec<_> = namesakes(&matching, now).into_values().collect();
    names.retain(|(account, _)| !known(&account.uid));
    names.sort_by_key(|(account, _)| &account.uid);
    let names = names.into_iter();
    entries.extend(names.map(|(it, member)| entry(RenameSign::Name, vec![it], vec![member])));
    entries
}

/// Members by the address under which the ledger knows them, and whether they have an account.
fn members_at<'a>(
    matching: &Matching<'a>,
    known: &HashSet<&Email>,
) -> HashMap<&'a Email, (&'a Member, bool)> {
    if known.is_empty() {
        return HashMap::new();
    }
    let all = matching.members().flat_map(|(member, found)| {
        let entry = (member, !found.accounts.is_empty());
        member.addresses().map(move |address| (address, entry))
    });
    all.filter(|(address, _)| known.contains(address)).collect()
}

/// Members who may have accepted an invitation under another address, by the role of that
/// invitation: they have no account, their invitation is not listed, and no arrival is theirs yet.
fn invited<'a, 'm>(
    matching: &Matching<'a>,
    memory: &'m Memory,
    now: Timestamp,
    earlier: Timestamp,
) -> BTreeMap<&'m Role, Vec<&'a Member>> {
    let taken = Suspects::new(matching, memory, now).arrived();
    let since = earlier.saturating_sub(INVITED_WITHIN).unwrap_or(Timestamp::MIN);
    let mut by_role: BTreeMap<&Role, Vec<&Member>> = BTreeMap::new();
    for (member, found) in matching.members() {
        let open = found.accounts.is_empty() && found.invitation.is_none();
        if open && member.phase(now) == Phase::Present && !taken.contains(&member.email) {
            let role = memory.invited_role(member.addresses(), since);
            if let Some(role) = role {
                by_role.entry(role).or_default().push(member);
            }
        }
    }
    by_role
}

/// Pairs each account with another member, as far as they go: first those that are alike, by name
/// or by the local part of the address; true says so.
fn pairs<'a>(
    accounts: Vec<&'a Account>,
    mut members: Vec<&'a Member>,
) -> Vec<(&'a Account, &'a Member, bool)> {
    let mut found = Vec::new();
    let mut rest = accounts;
    let mut by = |alike: bool, is_pair: &dyn Fn(&Account, &Member) -> bool| {
        rest.retain(|account| {
            let position = members.iter().position(|member| is_pair(account, member));
            found.extend(position.map(|at| (*account, members.remove(at), alike)));
            position.is_none()
        });
    };
    by(true, &|account, member| {
        let name = full_name(account.name.as_deref());
        name.is_some() && name == full_name(member.name.as_deref())
    });
    by(true, &|account, member| {
        let local = local_part(&account.email);
        !local.is_empty() && member.addresses().any(|address| local_part(address) == local)
    });
    by(false, &|_, _| true);
    found
}

/// Accounts whose name is that of one member without an account, and of no other member or account.
fn namesakes<'a>(
    matching: &Matching<'a>,
    now: Timestamp,
) -> HashMap<&'a Uid, (&'a Account, &'a Member)> {
    let mut members: HashMap<String, Option<&Member>> = HashMap::new();
    for (member, found) in matching.members() {
        let Some(name) = full_name(member.name.as_deref()) else { continue };
        let open = found.accounts.is_empty() && member.phase(now) != Phase::Past;
        // None if the name is ambiguous, or its member has an account.
        members.entry(name).and_modify(|it| *it = None).or_insert(open.then_some(member));
    }
    members.retain(|_, member| member.is_some());
    if members.is_empty() {
        return HashMap::new();
    }
    let mut accounts: HashMap<String, Vec<&Account>> = HashMap::new();
    for account in matching.accounts() {
        let Some(name) = full_name(account.name.as_deref()) else { continue };
        if members.contains_key(&name) {
            accounts.entry(name).or_default().push(account);
        }
    }
    let unmatched: HashSet<&Uid> = matching.unmatched_accounts.iter().map(|it| &it.uid).collect();
    let only = accounts.into_iter().filter_map(|(name, accounts)| {
        let [account] = accounts[..] else { return None };
        let member = members.get(&name).copied().flatten()?;
        unmatched.contains(&account.uid).then_some((&account.uid, (account, member)))
    });
    only.collect()
}

/// A name of at least two words, comparable.
fn full_name(name: Option<&str>) -> Option<String> {
    let name = name?.to_lowercase();
    let words: Vec<&str> = name.split_whitespace().collect();
    (words.len() > 1).then(|| words.join(" "))
}

/// The letters and digits before the `@` and before a `+`, comparable.
fn local_part(email: &Email) -> String {
    let local = email.as_str().split(['@', '+']).next().unwrap_or_default();
    local.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
