//! What a reading adds to what is remembered. Pure: the same entries are written by a run and
//! only thought of by a plan.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::entry::{AttemptStatus, End, EndKind, Entry, OutcomeEntry, Seen, Seq};
use super::{Attempt, Memory};
use crate::action::{Action, BudgetName};
use crate::directory::{Account, Snapshot, Uid};
use crate::email::Email;
use crate::role::Role;
use crate::roster::Roster;

/// So many rows of a reading go into one entry at most.
const ROWS: usize = 10_000;

/// Everything that `snapshot` and `roster` say and the memory does not know yet, in the order in
/// which it is to be written. Intents that an earlier process left open are closed: by the
/// reading, where it shows them, as unknown where it does not.
pub fn observe(
    memory: &Memory,
    snapshot: &Snapshot,
    roster: &Roster,
    now: Timestamp,
) -> Vec<Entry> {
    let mut entries = seen(memory, snapshot);
    let shown = Shown::of(snapshot);
    let unsettled = || memory.attempts.iter().filter(|attempt| !attempt.shown);
    let visible: Vec<&Attempt> = unsettled()
        .filter(|attempt| {
            attempt.status.may_have_happened() && shown.has(&attempt.action, attempt.addresses())
        })
        .collect();
    let of: Vec<Seq> = visible.iter().map(|attempt| attempt.seq).collect();
    for attempt in unsettled().filter(|attempt| of.binary_search(&attempt.seq).is_err()) {
        entries.extend(decided(attempt, now));
    }
    if !of.is_empty() {
        entries.push(Entry::Shown { of });
    }
    entries.extend(ends(memory, roster, now));
    entries.extend(approvals(memory, roster, &visible, &shown));
    entries
}

/// What the absence of an effect comes to.
fn decided(attempt: &Attempt, now: Timestamp) -> Option<Entry> {
    let close = |status, detail: &str| {
        let detail = Some(detail.to_owned());
        Some(Entry::Outcome(OutcomeEntry { of: attempt.seq, status, detail }))
    };
    // An invitation that may have left counts as sent, whatever a reading shows.
    let is_decided = !attempt.is_young(now) && !attempt.action.class().invites();
    match attempt.status {
        AttemptStatus::Done if is_decided => {
            close(AttemptStatus::NoEffect, "answered with ok, and no reading shows it")
        }
        AttemptStatus::Open | AttemptStatus::Unknown if is_decided => {
            close(AttemptStatus::Lapsed, "nobody knew, and no reading shows it")
        }
        AttemptStatus::Open => close(AttemptStatus::Unknown, "the process ended before the answer"),
        _ => None,
    }
}

fn seen(memory: &Memory, snapshot: &Snapshot) -> Vec<Entry> {
    let (mut accounts, mut invitations) = (Vec::new(), Vec::new());
    for account in snapshot.accounts() {
        let Account { uid, email, role, .. } = account;
        let known = memory.accounts.get(uid).is_some_and(|known| {
            known.gone.is_none() && known.email == *email && known.role == *role
        });
        if !known {
            accounts.push((email.clone(), uid.clone(), role.clone()));
        }
    }
    // Of several invitations to one address the first says most.
    let mut first: Option<&Email> = None;
    for invitation in snapshot.invitations() {
        if first == Some(&invitation.email) {
            continue;
        }
        first = Some(&invitation.email);
        let expired = !invitation.status.is_pending();
        let known = memory.invitations.get(&invitation.email);
        if !known.is_some_and(|it| it.expired == expired && it.role == invitation.role) {
            invitations.push((invitation.email.clone(), invitation.role.clone(), expired));
        }
    }
    let (gone, ended) = missed(memory, snapshot);
    in_parts(&Seen { accounts, gone, invitations, ended })
}

/// What was there and is not any more, in a settled order.
fn missed(memory: &Memory, snapshot: &Snapshot) -> (Vec<Uid>, Vec<Email>) {
    let there: HashSet<&Uid> = snapshot.accounts().iter().map(|account| &account.uid).collect();
    let known = memory.accounts.iter().filter(|(_, known)| known.gone.is_none());
    let mut gone: Vec<Uid> =
        known.map(|(uid, _)| uid).filter(|uid| !there.contains(uid)).cloned().collect();
    gone.sort();
    let there: HashSet<&Email> = snapshot.invitations().iter().map(|it| &it.email).collect();
    let known = memory.invitations.keys();
    let mut ended: Vec<Email> = known.filter(|email| !there.contains(email)).cloned().collect();
    ended.sort();
    (gone, ended)
}

/// One entry of reasonable size after the other.
fn in_parts(seen: &Seen) -> Vec<Entry> {
    fn part<T: Clone>(rows: &[T], at: usize) -> Vec<T> {
        rows.chunks(ROWS).nth(at).unwrap_or_default().to_vec()
    }
    let Seen { accounts, gone, invitations, ended } = seen;
    let longest = [accounts.len(), gone.len(), invitations.len(), ended.len()].into_iter().max();
    let parts = longest.unwrap_or_default().div_ceil(ROWS);
    let one = |at| Seen {
        accounts: part(accounts, at),
        gone: part(gone, at),
        invitations: part(invitations, at),
        ended: part(ended, at),
    };
    (0..parts).map(one).map(Entry::Seen).collect()
}

/// Ends that lie ahead and have not been seen before.
fn ends(memory: &Memory, roster: &Roster, now: Timestamp) -> Option<Entry> {
    let mut ends = Vec::new();
    for member in roster.members() {
        let Some(period) = member.time.as_deref() else { continue };
        let elevation = period.elevate.as_ref().map(|elevation| elevation.until);
        for (kind, at) in [(EndKind::Expires, period.ends), (EndKind::Elevation, elevation)] {
            let Some(at) = at.filter(|at| *at > now) else { continue };
            let end = End { email: member.email.clone(), kind, at };
            if !memory.foresaw(&end) {
                ends.push(end);
            }
        }
    }
    (!ends.is_empty()).then_some(Entry::Ends { ends })
}

/// Approvals that have served, as a reading shows what they released, and those that had served
/// and have left the file.
fn approvals(
    memory: &Memory,
    roster: &Roster,
    visible: &[&Attempt],
    shown: &Shown<'_>,
) -> Vec<Entry> {
    let written: HashSet<(BudgetName, &Email)> = roster.approved().collect();
    let mut served: Vec<(BudgetName, &Email)> = Vec::new();
    let mut serve = |action: &Action, email: &Email| {
        for (budget, person) in &written {
            let fresh = memory.used(*budget, person).is_none();
            if fresh && *person == email && budget.counts(action) {
                served.push((*budget, *person));
            }
        }
    };
    for attempt in visible {
        attempt.addresses().for_each(|email| serve(&attempt.action, email));
    }
    // What was held may have been done by another hand.
    for key in memory.holds.keys() {
        if shown.has(&key.action, std::iter::once(&key.email)) {
            serve(&key.action, &key.email);
        }
    }
    served.sort();
    served.dedup();
    let used = served
        .into_iter()
        .map(|(budget, email)| Entry::ApprovalUsed { budget, email: email.clone() });
    let gone = memory.used.keys().filter(|(budget, email)| !written.contains(&(*budget, email)));
    let gone =
        gone.map(|(budget, email)| Entry::ApprovalGone { budget: *budget, email: email.clone() });
    used.chain(gone).collect()
}

impl Attempt {
    /// Every address of the person.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        std::iter::once(&self.email).chain(&self.also)
    }
}

/// A reading, indexed by what the effects of actions look like.
pub struct Shown<'a> {
    roles: HashMap<&'a Uid, &'a Role>,
    accounts: HashSet<&'a Email>,
    pending: HashSet<(&'a Email, &'a Role)>,
}

impl<'a> Shown<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let accounts = snapshot.accounts().iter();
        let invitations = snapshot.invitations().iter();
        Self {
            roles: accounts.clone().map(|account| (&account.uid, &account.role)).collect(),
            accounts: accounts.map(|account| &account.email).collect(),
            pending: invitations
                .filter(|invitation| invitation.status.is_pending())
                .map(|invitation| (&invitation.email, &invitation.role))
                .collect(),
        }
    }

    /// Whether the reading shows the effect of an action on the person of these addresses, not
    /// merely no more need for it.
    pub fn has<'e>(&self, action: &Action, mut addresses: impl Iterator<Item = &'e Email>) -> bool {
        match action {
            Action::Invite { role } | Action::Reinvite { role } => addresses.any(|address| {
                self.accounts.contains(address) || self.pending.contains(&(address, role))
            }),
            Action::UpdateRole { uid, to, .. } => self.roles.get(uid) == Some(&to),
            Action::Disable { uid, .. } => !self.roles.contains_key(uid),
        }
    }
}
