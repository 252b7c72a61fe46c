//! Intent before effect: what is about to be sent is on disk before it is, and what became of it
//! afterwards.

use std::collections::{BTreeMap, HashMap};

use crate::clock::Clock;
use crate::diagnostic::Sources;
use crate::failure::FailureKind;
use crate::guard::Guard;
use crate::ledger::{Book, Ledger, LedgerError};
use crate::memory::Memory;
use crate::memory::entry::{Closing, Entry, Fate, Intent, Key, Seq};
use crate::plan::change::Change;
use crate::report::{Failure, Outcome};
use crate::revision::Revision;

/// The pages of the ledger that one apply writes.
pub struct Journal<'a> {
    pub book: &'a mut Book,
    pub clock: &'a dyn Clock,
    /// The files of the roster, for the line that asks for a change.
    pub sources: &'a Sources,
    /// The guards that approvals lifted.
    pub lifted: &'a BTreeMap<Key, Vec<Guard>>,
    /// The commits that asked for changes, where they are known.
    pub asked: &'a HashMap<Key, Revision>,
    /// Outcomes that are written together with the next intents, or by [`Journal::flush`].
    pub pending: Vec<Entry>,
}

impl Journal<'_> {
    pub fn memory(&self) -> &Memory {
        self.book.memory()
    }

    /// Writes that these changes are about to be sent in a request of `batch` of them.
    pub async fn intend(
        &mut self,
        changes: &[&Change],
        batch: usize,
    ) -> Result<Vec<Seq>, LedgerError> {
        let intents = changes.iter().map(|change| self.intent(change, batch));
        let entries: Vec<Entry> = self.pending.iter().cloned().chain(intents).collect();
        let numbers = self.book.write(entries, self.clock.now()).await?;
        let written = std::mem::take(&mut self.pending).len();
        Ok(numbers[written..].to_vec())
    }

    fn intent(&self, change: &Change, batch: usize) -> Entry {
        let key = Key::of(&change.action, &change.email);
        let lifted = self.lifted.get(&key);
        let in_force = self.memory().revision();
        let revision = self.asked.get(&key).filter(|revision| Some(*revision) != in_force);
        let place = change.place;
        Entry::Intent(Box::new(Intent {
            action: change.action.clone(),
            email: change.email.clone(),
            also: change.also.to_vec(),
            reason: change.reason.words().to_owned(),
            place: place.map(|place| format!("{}:{}", self.sources.name(place.file), place.line)),
            foreseen: change.foreseen,
            revision: revision.cloned(),
            lifted: lifted.into_iter().flatten().map(ToString::to_string).collect(),
            batch,
        }))
    }

    /// Notes what became of an intent; it is on disk after the next intents or a flush.
    pub fn close(&mut self, of: Seq, outcome: &Outcome) {
        let (fate, detail) = match outcome {
            Outcome::Done => (Fate::Done, None),
            Outcome::Rejected(why) => (Fate::Rejected, Some(why.clone())),
            Outcome::Unknown(why) => (Fate::Unknown, Some(why.clone())),
            Outcome::NotSent(why) => (Fate::NotSent, Some(why.clone())),
        };
        self.pending.push(Entry::Outcome(Closing { of, fate, detail }));
    }

    /// Writes the outcomes that wait.
    pub async fn flush(&mut self) -> Result<(), LedgerError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.book.write(self.pending.clone(), self.clock.now()).await?;
        self.pending.clear();
        Ok(())
    }
}

/// What a run says about a ledger that it cannot use.
pub fn failure(ledger: &Ledger, error: &LedgerError) -> Failure {
    Failure { kind: FailureKind::Ledger, message: format!("{}: {error}", ledger.place()) }
}
