//! New entries from a listing. Pure: a run writes them, a plan only adds them to its memory.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::entry::{AttemptStatus, End, EndKind, Entry, OutcomeEntry, Seen, Seq};
use super::{Attempt, Memory, is_young};
use crate::action::{Action, ApprovalItem, BudgetName};
use crate::directory::{Account, Snapshot, Uid};
use crate::email::Email;
use crate::role::Role;
use crate::roster::Roster;

/// Maximum number of rows of a listing in one entry.
const MAX_ROWS: usize = 10_000;

/// Entries for everything in `snapshot` and `roster` that the memory does not know yet, in the
/// order in which they are written. Open intents of an earlier process are closed: as done if the
/// listing shows the effect, else as unknown.
pub fn observe(
    memory: &Memory,
    snapshot: &Snapshot,
    roster: &Roster,
    now: Timestamp,
) -> Vec<Entry> {
    let mut entries = seen(memory, snapshot);
    let index = SnapshotIndex::of(snapshot);
    let not_shown = || memory.attempts.iter().filter(|attempt| !attempt.shown);
    let visible: Vec<&Attempt> = not_shown()
        .filter(|attempt| {
            attempt.status.may_have_happened() && index.has(&attempt.action, attempt.addresses())
        })
        .collect();
    let of: Vec<Seq> = visible.iter().map(|attempt| attempt.seq).collect();
    for attempt in not_shown().filter(|attempt| of.binary_search(&attempt.seq).is_err()) {
        entries.extend(missing_effect(attempt, now));
    }
    if !of.is_empty() {
        entries.push(Entry::Shown { of });
    }
    entries.extend(ends(memory, roster, now));
    entries.extend(approvals_gone(memory, roster));
    entries
}

impl Memory {
    /// The accounts of the last listing, without those that rosterd may have disabled since.
    pub fn expected_accounts(&self) -> HashSet<&Uid> {
        let disabled = self.attempts.iter().filter(|attempt| {
            matches!(attempt.action, Action::Disable { .. }) && attempt.status.may_have_happened()
        });
        let disabled: HashMap<&Uid, Timestamp> =
            disabled.filter_map(|it| Some((it.action.uid()?, it.at))).collect();
        let here = self.accounts.iter().filter(|(uid, known)| {
            let is_disabled = disabled.get(uid).is_some_and(|at| *at >= known.appeared);
            known.gone.is_none() && !is_disabled
        });
        here.map(|(uid, _)| uid).collect()
    }
}

/// The outcome of an attempt whose effect is not listed.
fn missing_effect(attempt: &Attempt, now: Timestamp) -> Option<Entry> {
    let close = |status, detail: &str| {
        let detail = Some(detail.to_owned());
        Some(Entry::Outcome(OutcomeEntry { of: attempt.seq, status, detail }))
    };
    // An invitation may have been sent even if it is not listed.
    let is_decided = !is_young(attempt.at, now) && !attempt.action.class().invites();
    match attempt.status {
        AttemptStatus::Done if is_decided => {
            close(AttemptStatus::NoEffect, "answered `ok: true`, but the listing does not show it")
        }
        AttemptStatus::Open | AttemptStatus::Unknown if is_decided => {
            close(AttemptStatus::Lapsed, "outcome unknown, and the listing does not show it")
        }
        AttemptStatus::Open => {
            close(AttemptStatus::Unknown, "the process ended before the response")
        }
        _ => None,
    }
}

/// What is new in a listing.
pub fn seen(memory: &Memory, snapshot: &Snapshot) -> Vec<Entry> {
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
    // Of several invitations to one address, only the first counts.
    let mut first: Option<&Email> = None;
    for invitation in snapshot.invitations() {
        if first == Some(&invitation.email) {
            continue;
        }
        first = Some(&invitation.email);
        let expired = !invitation.status.is_pending();
        let known = memory.invitations.get(&invitation.email);
        if !known.is_some_and(|known| known.expired == expired && known.role == invitation.role) {
            invitations.push((invitation.email.clone(), invitation.role.clone(), expired));
        }
    }
    let listed: HashSet<&Uid> = snapshot.accounts().iter().map(|account| &account.uid).collect();
    let known = memory.present().map(|(uid, _)| uid);
    let mut gone: Vec<Uid> = known.filter(|uid| !listed.contains(uid)).cloned().collect();
    gone.sort();
    let listed = snapshot.invitations().iter().map(|invitation| &invitation.email);
    let listed: HashSet<&Email> = listed.collect();
    let known = memory.invitations.keys();
    let mut ended: Vec<Email> = known.filter(|email| !listed.contains(email)).cloned().collect();
    ended.sort();
    in_parts(Seen { accounts, gone, invitations, ended })
}

/// Splits the difference into entries of limited size.
fn in_parts(mut seen: Seen) -> Vec<Entry> {
    fn part<T>(rows: &mut Vec<T>) -> Vec<T> {
        let rest = rows.split_off(rows.len().min(MAX_ROWS));
        std::mem::replace(rows, rest)
    }
    let mut entries = Vec::new();
    while seen != Seen::default() {
        entries.push(Entry::Seen(Seen {
            accounts: part(&mut seen.accounts),
            gone: part(&mut seen.gone),
            invitations: part(&mut seen.invitations),
            ended: part(&mut seen.ended),
        }));
    }
    entries
}

/// Future ends of access that are new, and known ones that the roster does not have any more.
fn ends(memory: &Memory, roster: &Roster, now: Timestamp) -> Option<Entry> {
    let mut written = HashSet::new();
    for member in roster.members() {
        let Some(period) = member.time.as_deref() else { continue };
        let elevation = period.elevate.as_ref().map(|elevation| elevation.until);
        for (kind, at) in [(EndKind::Expires, period.ends), (EndKind::Elevation, elevation)] {
            let Some(at) = at else { continue };
            written.insert(End { email: member.email.clone(), kind, at });
        }
    }
    let known = memory.ends.keys();
    let withdrawn: Vec<End> = known.filter(|end| !written.contains(end)).cloned().collect();
    written.retain(|end| end.at > now && !memory.ends.contains_key(end));
    let mut ends: Vec<End> = written.into_iter().collect();
    ends.sort_unstable();
    let has_news = !ends.is_empty() || !withdrawn.is_empty();
    has_news.then_some(Entry::Ends { ends, withdrawn })
}

/// Approvals that have been removed from the file.
fn approvals_gone(memory: &Memory, roster: &Roster) -> Vec<Entry> {
    if memory.approvals.is_empty() && memory.used.is_empty() {
        return Vec::new();
    }
    let items = roster.approvals().iter().map(|approval| &approval.item);
    let written: HashSet<&ApprovalItem> = items.collect();
    let people: HashSet<(BudgetName, &Email)> =
        written.iter().map(|item| (item.action, &item.email)).collect();
    let gone = |budget, email: &Email, reason: Option<&String>| Entry::ApprovalGone {
        budget,
        email: email.clone(),
        reason: reason.cloned(),
    };
    let bound = memory.approvals.keys().filter(|item| !written.contains(item));
    let used = memory.used.keys().filter(|(budget, email)| !people.contains(&(*budget, email)));
    bound
        .map(|item| gone(item.action, &item.email, Some(&item.reason)))
        .chain(used.map(|(budget, email)| gone(*budget, email, None)))
        .collect()
}

impl Attempt {
    /// Every address of the person.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        std::iter::once(&self.email).chain(&self.also)
    }
}

/// A listing, indexed for finding the effects of actions.
pub struct SnapshotIndex<'a> {
    roles: HashMap<&'a Uid, &'a Role>,
    accounts: HashSet<&'a Email>,
    pending: HashSet<(&'a Email, &'a Role)>,
}

impl<'a> SnapshotIndex<'a> {
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

    /// Whether the listing shows the effect of an action on the person with these addresses. It is
    /// not enough that the action is no longer needed.
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
