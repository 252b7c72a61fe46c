//! The events of one workspace, by person, built from its entries.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Memory;
use super::entry::{
    Acceptable, Accepted, ApprovalRecord, ApprovedBy, AttemptStatus, Entry, Intent, Key, Record,
    Seen, Seq,
};
use super::scope::Scope;
use crate::action::{Action, BudgetName};
use crate::directory::Uid;
use crate::email::Email;
use crate::revision::Revision;
use crate::role::Role;

/// One event of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number of its entry.
    pub seq: Seq,
    pub at: Timestamp,
    pub email: Email,
    pub kind: EventKind,
    /// Commit of the roster that was used.
    pub revision: Option<Revision>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A mutation was sent, or was about to be sent.
    Change(Box<Change>),
    /// Guards hold a change.
    Held { action: Action, by: Vec<String> },
    /// A change is no longer held.
    Released { action: Action },
    /// An approval has been read for the first time; `inert` if nothing that it names was held.
    Approved { action: BudgetName, by: ApprovedBy, inert: bool },
    /// An approval of an earlier version has been used.
    ApprovalUsed { budget: BudgetName },
    /// An operator has accepted what a run held. It concerns no person.
    Accepted { what: Acceptable, reason: String },
    /// A listing showed an account for the first time, or again.
    Appeared { role: Role },
    /// The role was changed outside rosterd.
    OtherRole { from: Role, to: Role },
    /// The same account has another address.
    OtherAddress { from: Email },
    /// The account is no longer listed.
    Gone { role: Role, by_us: bool },
    /// A listing showed a pending invitation.
    Invited { role: Role },
    /// A listing showed an expired invitation.
    InvitationExpired { role: Role },
    /// The invitation is no longer listed.
    InvitationEnded,
}

/// A mutation and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub intent: Intent,
    pub status: AttemptStatus,
    pub detail: Option<String>,
    /// A listing has shown its effect.
    pub shown: bool,
}

/// All events, in order. With `of`, only those of these addresses, and also what listings showed of
/// them.
pub fn events(entries: &[Record], of: Option<&[Email]>) -> Vec<Event> {
    let memory = Memory::of_ledger();
    let mut builder = EventBuilder { memory, seq: 0, events: Vec::new(), changes: Vec::new(), of };
    for record in entries {
        builder.process(record);
        builder.memory.fold(record);
    }
    builder.events
}

/// The entries of all chains of a workspace, also of those that it continues. The last anchor, if
/// any, is first.
pub fn of_workspace(all: Vec<(String, Record)>, scope: &Scope) -> Vec<Record> {
    let mut names: HashMap<String, String> = HashMap::new();
    for (key, record) in &all {
        if let Entry::Roster(roster) = &record.entry {
            names.insert(key.clone(), roster.workspace.clone());
        } else if let Entry::Anchor(anchor) = &record.entry {
            for (key, memory) in &anchor.kept {
                names.entry(key.clone()).or_insert_with(|| memory.workspace().to_owned());
            }
        }
    }
    let is_ours = |key: &String| {
        scope.has(key) || names.get(key).is_some_and(|name| scope.continues(key, name))
    };
    // Until it was closed, a chain belongs to the one that continues it.
    let mut ours: HashMap<String, bool> = HashMap::new();
    let (mut anchors, mut entries) = (Vec::new(), Vec::new());
    for (key, mut record) in all.into_iter().rev() {
        if let Entry::Anchor(anchor) = &mut record.entry {
            anchor.kept.retain(|key, _| ours.get(key).copied().unwrap_or_else(|| is_ours(key)));
            record.seq = anchor.through;
            anchors.push(record);
        } else if let Entry::Closed { by } = &record.entry {
            let is_continued = ours.get(by).copied().unwrap_or_else(|| is_ours(by));
            ours.insert(key, is_continued);
        } else if *ours.entry(key).or_insert_with_key(is_ours) {
            entries.push(record);
        }
    }
    // Dropped entries precede all others.
    let first = anchors.into_iter().max_by_key(|record| record.seq);
    first.into_iter().chain(entries.into_iter().rev()).collect()
}

struct EventBuilder<'a> {
    memory: Memory,
    /// Number of the current entry.
    seq: Seq,
    events: Vec<Event>,
    /// Position of each intent in `events`, by its number.
    changes: Vec<(Seq, usize)>,
    of: Option<&'a [Email]>,
}

impl EventBuilder<'_> {
    fn process(&mut self, record: &Record) {
        let Record { seq, at, entry } = record;
        self.seq = *seq;
        match entry {
            Entry::Intent(intent) => self.intent(*seq, *at, intent),
            Entry::Outcome(outcome) => {
                let detail = outcome.detail.clone();
                self.with_change(outcome.of, |change| {
                    change.status = outcome.status;
                    change.detail = detail;
                });
            }
            Entry::Shown { of } => {
                for seq in of {
                    self.with_change(*seq, |change| {
                        change.shown = true;
                        change.status = AttemptStatus::Done;
                        change.detail = None;
                    });
                }
            }
            Entry::Held { change: Key { action, email }, by } => {
                self.emit(*at, email, EventKind::Held { action: action.clone(), by: by.clone() });
            }
            Entry::Released { change: Key { action, email } } => {
                self.emit(*at, email, EventKind::Released { action: action.clone() });
            }
            Entry::Approval(approval) => {
                let ApprovalRecord { item, by, changes, ends } = &**approval;
                let (action, by, inert) =
                    (item.action, by.clone(), changes.is_empty() && ends.is_empty());
                self.emit(*at, &item.email, EventKind::Approved { action, by, inert });
            }
            Entry::ApprovalUsed { budget, email } => {
                self.emit(*at, email, EventKind::ApprovalUsed { budget: *budget });
            }
            Entry::Accepted(accepted) => {
                let Accepted { what, reason, .. } = accepted.clone();
                self.emit(*at, &Email::remote(""), EventKind::Accepted { what, reason });
            }
            Entry::Seen(seen) if self.of.is_some() => self.seen(seen, *at),
            Entry::Anchor(anchor) => {
                self.memory = Memory::joined(anchor.kept.values().cloned());
            }
            _ => {}
        }
    }

    fn intent(&mut self, seq: Seq, at: Timestamp, intent: &Intent) {
        let mut all = std::iter::once(&intent.email).chain(&intent.also);
        if self.of.is_some_and(|of| !all.any(|email| of.contains(email))) {
            return;
        }
        self.changes.push((seq, self.events.len()));
        let revision = intent.revision.clone().or_else(|| self.memory.revision().cloned());
        let (intent, email) = (intent.clone(), intent.email.clone());
        let change = Change { intent, status: AttemptStatus::Open, detail: None, shown: false };
        let kind = EventKind::Change(Box::new(change));
        self.events.push(Event { seq, at, email, kind, revision });
    }

    fn with_change(&mut self, seq: Seq, edit: impl FnOnce(&mut Change)) {
        let Ok(found) = self.changes.binary_search_by_key(&seq, |(seq, _)| *seq) else { return };
        if let EventKind::Change(change) = &mut self.events[self.changes[found].1].kind {
            edit(change);
        }
    }

    fn seen(&mut self, seen: &Seen, at: Timestamp) {
        for (email, uid, role) in &seen.accounts {
            self.account(email, uid, role, at);
        }
        for uid in &seen.gone {
            let Some(known) = self.memory.account(uid).cloned() else { continue };
            let by_us = self.memory.attempts().iter().any(|attempt| {
                let disables = matches!(attempt.action, Action::Disable { .. });
                disables && attempt.action.uid() == Some(uid) && attempt.status.may_have_happened()
            });
            self.emit(at, &known.email, EventKind::Gone { role: known.role, by_us });
        }
        for (email, role, expired) in &seen.invitations {
            let role = role.clone();
            let kind = if *expired {
                EventKind::InvitationExpired { role }
            } else {
                EventKind::Invited { role }
            };
            self.emit(at, email, kind);
        }
        for email in &seen.ended {
            self.emit(at, email, EventKind::InvitationEnded);
        }
    }

    fn account(&mut self, email: &Email, uid: &Uid, role: &Role, at: Timestamp) {
        let Some(known) = self.memory.account(uid).cloned() else {
            return self.emit(at, email, EventKind::Appeared { role: role.clone() });
        };
        if known.gone.is_some() {
            self.emit(at, email, EventKind::Appeared { role: role.clone() });
        }
        if known.email != *email {
            self.emit(at, email, EventKind::OtherAddress { from: known.email });
        }
        let ours = self.memory.attempts().iter().any(|attempt| {
            attempt.action.uid() == Some(uid) && attempt.action.to() == Some(role) && !attempt.shown
        });
        if known.role != *role && !ours {
            self.emit(at, email, EventKind::OtherRole { from: known.role, to: role.clone() });
        }
    }

    fn emit(&mut self, at: Timestamp, email: &Email, kind: EventKind) {
        if self.of.is_none_or(|of| of.contains(email)) {
            let (email, revision) = (email.clone(), self.memory.revision().cloned());
            self.events.push(Event { seq: self.seq, at, email, kind, revision });
        }
    }
}
