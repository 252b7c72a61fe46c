//! What a run writes into the ledger besides the changes themselves, and how it ends.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Evaluation, Loaded, Observation, Run, RunResult, RunSession, WorkspaceSpec};
use crate::apply::journal;
use crate::client::{ReadDirectory, WriteDirectory};
use crate::guard::{self, Verdict};
use crate::memory::entry::{Entry, Key, RosterRecord, RunRecord};
use crate::memory::{Hold, Memory};
use crate::report::{Applied, End, Failure, RunReport};

impl<D: ReadDirectory + WriteDirectory> Run<'_, D> {
    /// Writes how the run ended, and drops rows that are too old. A run that cannot be recorded
    /// has failed.
    pub(super) async fn record(
        self,
        started: Timestamp,
        converged: Result<(Applied, Evaluation), Failure>,
    ) -> RunResult {
        let Self { directory, spec, loaded, session, options, clock, .. } = self;
        let RunSession { mut writer, lock, retention, .. } = session;
        let (end, evaluation) = match converged {
            Ok((applied, evaluation)) => (End::Applied(Box::new(applied)), Some(evaluation)),
            Err(failure) => (End::Failed(failure), None),
        };
        let mut report = RunReport {
            workspace: spec.workspace.clone(),
            trigger: options.trigger,
            started,
            finished: clock.now(),
            stale: options.stale,
            key: directory.key(),
            ledger: None,
            end,
        };
        let mut written = writer.write(vec![run(&report, loaded)], clock.now()).await.map(|_| ());
        // By a clock that is ahead every row is old, and would be missed once the clock is right.
        let plan = report.applied().map(|applied| &applied.plan);
        let now = plan.filter(|plan| guard::clock_is_trusted(plan)).map(|plan| plan.now);
        if let (Ok(()), Some(now)) = (&written, now) {
            let windows = spec.limits.budgets.values().map(|budget| budget.window);
            written = writer.prune(now, retention, windows.max().unwrap_or_default()).await;
        }
        report.ledger = Some(writer.head().hash.clone());
        if let (Err(error), End::Applied(applied)) = (&written, &mut report.end) {
            applied.stopped.get_or_insert_with(|| journal::failure(writer.ledger(), error));
        }
        let memory = match written {
            Ok(()) => writer.close(),
            Err(_) => writer.shared_memory(),
        };
        drop(lock);
        let loaded = Arc::clone(loaded);
        let observation =
            evaluation.map(|evaluation| Arc::new(Observation { loaded, evaluation, memory }));
        RunResult { report, observation, max_batch: options.max_batch }
    }
}

/// The roster in force, if it or its commit is not the one that was recorded last.
pub(super) fn roster(memory: &Memory, spec: &WorkspaceSpec, loaded: &Loaded) -> Option<Entry> {
    let record = RosterRecord {
        workspace: spec.workspace.clone(),
        digest: loaded.roster.digest().hex(),
        files: loaded.sources.iter().map(|(_, file)| file.name.clone()).collect(),
        revision: loaded.revision.clone(),
    };
    let same = memory.roster() == Some(&record.digest)
        && memory.revision() == record.revision.as_ref()
        && memory.workspace() == record.workspace;
    (!same).then_some(Entry::Roster(record))
}

/// Changes that are newly held, or held by other guards than before, and changes that are no
/// longer held. A hold that began in the future, by a clock that was ahead, begins now.
pub fn holds(memory: &Memory, verdict: &Verdict, now: Timestamp) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut held = HashSet::new();
    for hold in &verdict.held {
        let change = Key::of(&hold.change.action, &hold.change.email);
        let by: Vec<String> = hold.by.iter().map(ToString::to_string).collect();
        let is_known = |known: &Hold| known.by == by && known.since <= now;
        if !memory.holds().get(&change).is_some_and(is_known) {
            entries.push(Entry::Held { change: change.clone(), by });
        }
        held.insert(change);
    }
    let released = memory.holds().keys().filter(|change| !held.contains(*change));
    entries.extend(released.map(|change| Entry::Released { change: change.clone() }));
    entries
}

/// The run in numbers.
fn run(report: &RunReport, loaded: &Loaded) -> Entry {
    let applied = report.applied();
    Entry::Run(Box::new(RunRecord {
        trigger: report.trigger,
        started: report.started,
        status: report.status(),
        roster: loaded.roster.digest().hex(),
        commit: loaded.revision.as_ref().map(|revision| revision.commit.clone()),
        stale: report.is_stale(),
        plan: applied.map(|applied| applied.plan.fingerprint.hex()),
        counts: applied.map(Applied::counts).unwrap_or_default(),
        failure: report.failure().map(|failure| format!("{}: {}", failure.kind, failure.message)),
    }))
}
