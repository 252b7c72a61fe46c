//! Accounts by role and changes over time. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::entry::{AttemptStatus, Entry, OutcomeEntry, Record, Seq};
use crate::action::Class;
use crate::directory::Uid;
use crate::role::Role;

/// The history of one workspace, as far back as its ledger goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Number of accounts of each role from an instant on, in order.
    pub counts: Vec<(Timestamp, BTreeMap<Role, usize>)>,
    /// The changes of rosterd, in order, without failed attempts.
    pub changes: Vec<(Timestamp, Class)>,
}

/// Builds the timeline from the entries of a workspace.
pub fn timeline(entries: &[Record]) -> Timeline {
    let mut builder = TimelineBuilder::default();
    for record in entries {
        builder.process(record);
    }
    Timeline { counts: builder.counts, changes: builder.changes.into_values().collect() }
}

#[derive(Default)]
struct TimelineBuilder {
    accounts: HashMap<Uid, Role>,
    now: BTreeMap<Role, usize>,
    counts: Vec<(Timestamp, BTreeMap<Role, usize>)>,
    /// By the numbers of their intents.
    changes: BTreeMap<Seq, (Timestamp, Class)>,
}

impl TimelineBuilder {
    fn process(&mut self, record: &Record) {
        let Record { seq, at, entry } = record;
        if self.counts.is_empty() && !self.now.is_empty() {
            // The accounts before the first entry that is left.
            self.counts.push((*at, self.now.clone()));
        }
        match entry {
            Entry::Continued { memory, .. } => {
                self.accounts.clear();
                self.now.values_mut().for_each(|count| *count = 0);
                for (uid, role) in memory.present() {
                    self.set(uid, Some(role));
                }
                self.count(*at);
            }
            Entry::Anchor(anchor) => {
                for memory in anchor.kept.values() {
                    for (uid, role) in memory.present() {
                        self.set(uid, Some(role));
                    }
                }
            }
            Entry::Seen(seen) if !seen.accounts.is_empty() || !seen.gone.is_empty() => {
                for (_, uid, role) in &seen.accounts {
                    self.set(uid, Some(role));
                }
                for uid in &seen.gone {
                    self.set(uid, None);
                }
                self.count(*at);
            }
            Entry::Intent(intent) => {
                self.changes.insert(*seq, (*at, intent.action.class()));
            }
            Entry::Outcome(OutcomeEntry { of, status, .. })
                if !status.may_have_happened() || *status == AttemptStatus::NoEffect =>
            {
                self.changes.remove(of);
            }
            _ => {}
        }
    }

    fn count(&mut self, at: Timestamp) {
        match self.counts.last_mut() {
            Some((last, counts)) if *last == at => counts.clone_from(&self.now),
            _ => self.counts.push((at, self.now.clone())),
        }
    }

    fn set(&mut self, uid: &Uid, role: Option<&Role>) {
        let before = match role {
            Some(role) => self.accounts.insert(uid.clone(), role.clone()),
            None => self.accounts.remove(uid),
        };
        if let Some(count) = before.as_ref().and_then(|role| self.now.get_mut(role)) {
            *count -= 1;
        }
        if let Some(role) = role {
            *self.now.entry(role.clone()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Seen;
    use super::*;
    use crate::action::Action;
    use crate::email::Email;
    use crate::memory::entry::Intent;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn seen(accounts: &[(&str, Role)], gone: &[&str]) -> Entry {
        let uid = |text: &str| Uid(text.into());
        let of = |(name, role): &(&str, Role)| {
            (Email::remote(&format!("{name}@acme.io")), uid(name), role.clone())
        };
        Entry::Seen(Seen {
            accounts: accounts.iter().map(of).collect(),
            gone: gone.iter().map(|text| uid(text)).collect(),
            ..Seen::default()
        })
    }

    fn intent(role: Role) -> Entry {
        Entry::Intent(Box::new(Intent {
            action: Action::Invite { role },
            email: Email::remote("zoe@acme.io"),
            also: Vec::new(),
            reason: String::new(),
            place: None,
            scheduled: false,
            elevates: false,
            approval: None,
            approved: Vec::new(),
            revision: None,
            lifted: Vec::new(),
            batch: 1,
        }))
    }

    #[test]
    fn accounts_are_counted_by_role_and_failed_attempts_are_no_changes() {
        let rejected = OutcomeEntry { of: 4, status: AttemptStatus::Rejected, detail: None };
        let entries = [
            (0, seen(&[("a", Role::Admin), ("b", Role::Developer)], &[])),
            (10, seen(&[("b", Role::Admin)], &[])),
            (20, seen(&[], &["a"])),
            (30, intent(Role::Business)),
            (31, Entry::Outcome(rejected)),
            (40, intent(Role::Business)),
        ];
        let records: Vec<Record> = (1..)
            .zip(entries)
            .map(|(seq, (second, entry))| Record { seq, at: at(second), entry })
            .collect();
        let timeline = timeline(&records);
        let admins: Vec<_> =
            timeline.counts.iter().map(|(at, roles)| (*at, roles[&Role::Admin])).collect();
        assert_eq!(admins, [(at(0), 1), (at(10), 2), (at(20), 1)]);
        assert_eq!(timeline.counts[1].1[&Role::Developer], 0, "no account is left with it");
        assert_eq!(timeline.changes, [(at(40), Class::Invite)]);
    }
}
