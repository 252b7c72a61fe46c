//! How many people had which role, and what was changed, over time. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::entry::{AttemptStatus, Entry, Record, Seen, Seq};
use crate::action::Class;
use crate::directory::Uid;
use crate::role::Role;

/// The past of one workspace, as far back as its ledger goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// How many accounts had each role from an instant on, in order.
    pub counts: Vec<(Timestamp, BTreeMap<Role, usize>)>,
    /// What rosterd has done, in order; attempts that came to nothing are not part of it.
    pub changes: Vec<(Timestamp, Class)>,
}

/// Tells the past from the entries of a workspace.
pub fn timeline(entries: &[Record]) -> Timeline {
    let mut teller = EventBuilder::default();
    for noted in entries {
        teller.process(noted);
    }
    let mut changes: Vec<(Seq, Timestamp, Class)> =
        teller.intents.into_iter().map(|(seq, (at, class))| (seq, at, class)).collect();
    changes.sort_unstable_by_key(|(seq, ..)| *seq);
    let changes = changes.into_iter().map(|(_, at, class)| (at, class)).collect();
    Timeline { counts: teller.counts, changes }
}

#[derive(Default)]
struct EventBuilder {
    accounts: HashMap<Uid, Role>,
    now: BTreeMap<Role, usize>,
    counts: Vec<(Timestamp, BTreeMap<Role, usize>)>,
    intents: HashMap<Seq, (Timestamp, Class)>,
}

impl EventBuilder {
    fn process(&mut self, noted: &Record) {
        let Record { seq, at, entry } = noted;
        if self.counts.is_empty() && !self.now.is_empty() {
            // Who was there before the first entry that is left.
            self.counts.push((*at, self.now.clone()));
        }
        match entry {
            Entry::Anchor(anchor) => {
                for memory in anchor.kept.values() {
                    for (uid, role) in memory.present() {
                        self.set(uid, Some(role));
                    }
                }
            }
            Entry::Seen(seen) => self.see(seen, *at),
            Entry::Intent(intent) => {
                self.intents.insert(*seq, (*at, intent.action.class()));
            }
            Entry::Outcome(closing) => {
                if matches!(
                    closing.status,
                    AttemptStatus::Rejected | AttemptStatus::NotSent | AttemptStatus::NoEffect
                ) {
                    self.intents.remove(&closing.of);
                }
            }
            _ => {}
        }
    }

    fn see(&mut self, seen: &Seen, at: Timestamp) {
        if seen.accounts.is_empty() && seen.gone.is_empty() {
            return;
        }
        for (_, uid, role) in &seen.accounts {
            self.set(uid, Some(role));
        }
        for uid in &seen.gone {
            self.set(uid, None);
        }
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
    use super::*;
    use crate::action::Action;
    use crate::email::Email;
    use crate::memory::entry::{Intent, OutcomeEntry};

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
            gone: gone.iter().map(|it| uid(it)).collect(),
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
            revision: None,
            lifted: Vec::new(),
            batch: 1,
        }))
    }

    #[test]
    fn people_are_counted_by_role_and_what_came_to_nothing_is_no_change() {
        let refused = OutcomeEntry { of: 4, status: AttemptStatus::Rejected, detail: None };
        let entries = [
            (0, seen(&[("a", Role::Admin), ("b", Role::Developer)], &[])),
            (10, seen(&[("b", Role::Admin)], &[])),
            (20, seen(&[], &["a"])),
            (30, intent(Role::Business)),
            (31, Entry::Outcome(refused)),
            (40, intent(Role::Business)),
        ];
        let noted: Vec<Record> = (1..)
            .zip(entries)
            .map(|(seq, (second, entry))| Record { seq, at: at(second), entry })
            .collect();
        let told = timeline(&noted);
        let admins: Vec<_> = told.counts.iter().map(|(at, it)| (*at, it[&Role::Admin])).collect();
        assert_eq!(admins, [(at(0), 1), (at(10), 2), (at(20), 1)]);
        assert_eq!(told.counts[1].1[&Role::Developer], 0, "nobody is left with it");
        assert_eq!(told.changes, [(at(40), Class::Invite)]);
    }
}
