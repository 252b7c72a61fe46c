//! Intent before effect: what is about to be sent is on disk before it is, and what became of it
//! afterwards.

use std::collections::{BTreeMap, HashMap};

use crate::clock::Clock;
use crate::diagnostic::Sources;
use crate::failure::FailureKind;
use crate::guard::Guard;
use crate::ledger::{Ledger, LedgerError, LedgerWriter};
use crate::memory::Memory;
use crate::memory::entry::{AttemptStatus, Entry, Intent, Key, OutcomeEntry, Seq};
use crate::plan::change::Change;
use crate::report::{Failure, Outcome};
use crate::revision::Revision;

/// The pages of the ledger that one apply writes.
pub struct Journal<'a> {
    pub writer: &'a mut LedgerWriter,
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
        self.writer.memory()
    }

    /// Writes that these changes are about to be sent in a request of `batch` of them.
    pub async fn log_intents(
        &mut self,
        changes: &[&Change],
        batch: usize,
    ) -> Result<Vec<Seq>, LedgerError> {
        let intents = changes.iter().map(|change| self.intent(change, batch));
        let entries: Vec<Entry> = self.pending.iter().cloned().chain(intents).collect();
        let numbers = self.writer.write(entries, self.clock.now()).await?;
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
            also: change.aliases.to_vec(),
            reason: change.reason.description().to_owned(),
            place: place.map(|place| format!("{}:{}", self.sources.name(place.file), place.line)),
            scheduled: change.scheduled,
            revision: revision.cloned(),
            lifted: lifted.into_iter().flatten().map(ToString::to_string).collect(),
            batch,
        }))
    }

    /// Notes what became of an intent; it is on disk after the next intents or a flush.
    pub fn log_outcome(&mut self, of: Seq, outcome: &Outcome) {
        let (status, detail) = match outcome {
            Outcome::Done => (AttemptStatus::Done, None),
            Outcome::Rejected(why) => (AttemptStatus::Rejected, Some(why.clone())),
            Outcome::Unknown(why) => (AttemptStatus::Unknown, Some(why.clone())),
            Outcome::NotSent(why) => (AttemptStatus::NotSent, Some(why.clone())),
        };
        self.pending.push(Entry::Outcome(OutcomeEntry { of, status, detail }));
    }

    /// Writes the outcomes that wait.
    pub async fn flush(&mut self) -> Result<(), LedgerError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.writer.write(self.pending.clone(), self.clock.now()).await?;
        self.pending.clear();
        Ok(())
    }
}

/// What a run says about a ledger that it cannot use.
pub fn failure(ledger: &Ledger, error: &LedgerError) -> Failure {
    Failure { kind: FailureKind::Ledger, message: format!("{}: {error}", ledger.place()) }
}
