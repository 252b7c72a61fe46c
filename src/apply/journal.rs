//! Intent before effect: a change is on disk before it is sent, and its outcome is on disk after
//! the answer.

use std::collections::{BTreeMap, HashMap};

use crate::clock::Clock;
use crate::diagnostic::Sources;
use crate::failure::FailureKind;
use crate::guard::Release;
use crate::ledger::{Ledger, LedgerError, LedgerWriter};
use crate::memory::Memory;
use crate::memory::entry::{AttemptStatus, Entry, Intent, Key, OutcomeEntry, Seq};
use crate::plan::change::{Change, Reason};
use crate::report::{Failure, Outcome};
use crate::revision::Revision;

/// What one apply writes into the ledger.
pub struct Journal<'a> {
    writer: &'a mut LedgerWriter,
    clock: &'a dyn Clock,
    /// The files of the roster, for the line behind each change.
    sources: &'a Sources,
    /// The changes that approvals released.
    overridden: &'a BTreeMap<Key, Release>,
    /// The commit that asked for each change, if it is known.
    asked_by: &'a HashMap<Key, Revision>,
    /// Outcomes to be written with the next intents, or by [`Journal::flush`].
    pending: Vec<Entry>,
}

impl<'a> Journal<'a> {
    pub fn new(
        writer: &'a mut LedgerWriter,
        clock: &'a dyn Clock,
        sources: &'a Sources,
        overridden: &'a BTreeMap<Key, Release>,
        asked_by: &'a HashMap<Key, Revision>,
    ) -> Self {
        Self { writer, clock, sources, overridden, asked_by, pending: Vec::new() }
    }

    pub fn memory(&self) -> &Memory {
        self.writer.memory()
    }

    /// Writes that these changes will be sent, in a request of `batch` changes.
    pub async fn log_intents(
        &mut self,
        changes: &[&Change],
        batch: usize,
    ) -> Result<Vec<Seq>, Failure> {
        let intents = changes.iter().map(|change| self.intent(change, batch));
        let entries: Vec<Entry> = self.pending.iter().cloned().chain(intents).collect();
        let written = self.writer.write(entries, self.clock.now()).await;
        let numbers = written.map_err(|error| failure(self.writer.ledger(), &error))?;
        let written = std::mem::take(&mut self.pending).len();
        Ok(numbers[written..].to_vec())
    }

    fn intent(&self, change: &Change, batch: usize) -> Entry {
        let key = Key::of(&change.action, &change.email);
        let overridden = self.overridden.get(&key);
        let guards = overridden.into_iter().flat_map(|release| &release.guards);
        let in_force = self.memory().revision();
        let revision = self.asked_by.get(&key).filter(|revision| Some(*revision) != in_force);
        let place = change.place;
        Entry::Intent(Box::new(Intent {
            action: change.action.clone(),
            email: change.email.clone(),
            also: change.addresses().skip(1).cloned().collect(),
            reason: change.reason.description().to_owned(),
            place: place.map(|place| format!("{}:{}", self.sources.name(place.file), place.line)),
            scheduled: change.scheduled,
            elevates: change.reason == Reason::Elevated,
            approval: overridden.map(|release| release.by.clone()),
            approved: overridden.map(|release| release.approved.clone()).unwrap_or_default(),
            revision: revision.cloned(),
            lifted: guards.map(ToString::to_string).collect(),
            batch,
        }))
    }

    /// Keeps the outcome of an intent until the next intents or a flush write it.
    pub fn log_outcome(&mut self, of: Seq, outcome: &Outcome) {
        let (status, detail) = match outcome {
            Outcome::Done => (AttemptStatus::Done, None),
            Outcome::Rejected(why) => (AttemptStatus::Rejected, Some(why.clone())),
            Outcome::Unknown(why) => (AttemptStatus::Unknown, Some(why.clone())),
            Outcome::NotSent(why) => (AttemptStatus::NotSent, Some(why.clone())),
        };
        self.pending.push(Entry::Outcome(OutcomeEntry { of, status, detail }));
    }

    /// Writes the outcomes that are pending.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        let written = self.writer.write(self.pending.clone(), self.clock.now()).await;
        written.map_err(|error| failure(self.writer.ledger(), &error))?;
        self.pending.clear();
        Ok(())
    }
}

/// The failure of a run that cannot use its ledger.
pub fn failure(ledger: &Ledger, error: &LedgerError) -> Failure {
    Failure::new(FailureKind::Ledger, format!("{}: {error}", ledger.place()))
}
