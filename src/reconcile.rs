//! One run: snapshot, evaluate, apply, verify, record.

mod accept;
mod approvals;
mod attribution;
mod evaluation;
mod input;
mod record;
mod session;
mod verify;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::apply::journal::{self, Journal};
use crate::apply::{self, ApplyContext, Sending};
use crate::blocking::run_blocking;
use crate::client::{ReadDirectory, TRACE, WriteDirectory};
use crate::clock::Clock;
use crate::directory::Snapshot;
use crate::guard::{Override, Verdict};
use crate::memory::entry::{AttemptStatus, Entry, Key};

use crate::memory::{self, Memory};
use crate::plan::change::Change;
use crate::report::{Failure, Outcome, RunReport, Stale, Trigger};
use crate::revision::Revision;

pub use accept::held;
pub use attribution::lines;
pub use evaluation::{Evaluation, MAX_CHANGES, Observation, check_size, dry_run};
pub use input::{InputError, Loaded, WorkspaceSpec, contents, load, load_within};
pub use record::holds;
pub use session::{LedgerConfig, RunSession};
pub use verify::REREAD_DELAY;

/// One run of one workspace: what it works on, and how.
pub struct Run<'a, D> {
    pub directory: &'a D,
    pub spec: &'a WorkspaceSpec,
    pub loaded: &'a Arc<Loaded>,
    pub session: RunSession,
    pub options: RunOptions,
    pub clock: &'a dyn Clock,
    /// Ends the run at its next batch boundary.
    pub cancel: &'a CancellationToken,
    /// Sees the plan before anything of it is sent; an error ends the run there.
    pub on_plan: &'a (dyn Fn(&Evaluation) -> Result<(), Failure> + Sync),
    /// Sees how many changes have an outcome, and how many there are.
    pub on_progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// What a run needs to know of its cause and of earlier runs.
#[derive(Clone, Debug)]
pub struct RunOptions {
    pub trigger: Trigger,
    /// Why the roster is an earlier one: the first problem of the files that cannot be used.
    pub stale: Option<Stale>,
    pub overrides: Override,
    /// The number of changes that the server accepts in one request, if it refused more earlier.
    pub max_batch: Option<usize>,
}

impl RunOptions {
    pub fn new(trigger: Trigger) -> Self {
        Self { trigger, stale: None, overrides: Override::None, max_batch: None }
    }
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct RunResult {
    pub report: RunReport,
    /// None if there was no complete listing.
    pub observation: Option<Arc<Observation>>,
    /// For the options of the next run.
    pub max_batch: Option<usize>,
}

/// The plan after apply, with the outcome of each approved change.
struct Sent {
    evaluation: Evaluation,
    outcomes: Vec<(Change, Outcome)>,
    asked_by: HashMap<Key, Revision>,
    stopped: Option<Failure>,
}

impl<D: ReadDirectory + WriteDirectory> Run<'_, D> {
    /// Makes the run. Each step takes what the one before returned, and the first error ends the
    /// steps. The run itself cannot fail: an error is part of the report.
    pub async fn execute(mut self) -> RunResult {
        let span = tracing::info_span!(
            target: TRACE,
            "run",
            workspace = self.spec.workspace,
            trigger = self.options.trigger.as_str(),
            status = tracing::field::Empty,
        );
        let steps = async {
            let started = self.clock.now();
            let converged = async {
                let (snapshot, lost) = self.snapshot(started).await?;
                let evaluation = self.evaluate(snapshot, started).await?;
                (self.on_plan)(&evaluation)?;
                let sent = self.apply(evaluation).await;
                Ok(self.verify(sent, lost).await)
            };
            let converged = converged.await;
            self.record(started, converged).await
        };
        let result = steps.instrument(span.clone()).await;
        span.record("status", result.report.status().as_str());
        result
    }

    /// Lists the users, and writes what is new: the roster, accounts and invitations, and what
    /// became of the changes that earlier runs left open. Also returns the number of earlier
    /// changes that the API acknowledged and that this listing lacks.
    async fn snapshot(&mut self, now: Timestamp) -> Result<(Snapshot, usize), Failure> {
        let snapshot = self.directory.list().await?;
        check_size(&snapshot, &self.loaded.roster, self.spec.max_changes)?;
        self.session.admit(&snapshot)?;
        let (memory, roster) = (self.memory(), &self.loaded.roster);
        let place = self.session.scope.place.as_ref();
        let place = place.and_then(|place| memory.new_place(place)).map(Entry::Place);
        let mut entries = Vec::from_iter(place);
        entries.extend(record::roster(memory, self.spec, self.loaded));
        entries.extend(evaluation::news(memory, &snapshot, roster, now));
        let is_lost = |entry: &&Entry| match entry {
            Entry::Outcome(outcome) => outcome.status == AttemptStatus::NoEffect,
            _ => false,
        };
        let lost = entries.iter().filter(is_lost).count();
        self.write(entries).await?;
        Ok((snapshot, lost))
    }

    /// Plans, and lets the guards decide. Approvals that no run has read are bound before to what
    /// is held without them.
    async fn evaluate(
        &mut self,
        snapshot: Snapshot,
        now: Timestamp,
    ) -> Result<Evaluation, Failure> {
        let evaluate = |run: &Self, snapshot| {
            let (roster, by) = (&run.loaded.roster, &run.options.overrides);
            Evaluation::new(snapshot, run.spec, roster, run.memory(), by, now)
        };
        let evaluation = evaluate(self, snapshot)?;
        let items = approvals::unread(&evaluation.plan, self.memory());
        if items.is_empty() {
            return Ok(evaluation);
        }
        let (spec, loaded) = (self.spec.clone(), Arc::clone(self.loaded));
        let commits = move || attribution::approvals(&spec, &loaded, &items, now);
        let commits = in_background(commits).await;
        self.write(approvals::bind(&evaluation, self.loaded, self.memory(), &commits)).await?;
        evaluate(self, evaluation.snapshot)
    }

    /// Sends what the guards approved. The guards evaluate again on the way, and may hold more.
    async fn apply(&mut self, mut evaluation: Evaluation) -> Sent {
        let Evaluation { plan, verdict, .. } = &evaluation;
        let (spec, loaded, now) = (self.spec.clone(), Arc::clone(self.loaded), plan.now);
        let changes = verdict.approved.changes().to_vec();
        let attribute = move || attribution::attribute(&spec, &loaded, &changes, now);
        let asked_by = in_background(attribute).await;
        let context = ApplyContext {
            plan,
            limits: &self.spec.limits,
            overrides: &self.options.overrides,
            sending: self.sending(verdict),
            cancel: self.cancel,
            on_progress: self.on_progress,
        };
        let (writer, sources) = (&mut self.session.writer, &self.loaded.sources);
        let mut journal = Journal::new(writer, self.clock, sources, &verdict.overridden, &asked_by);
        let applied = apply::apply(self.directory, verdict, &context, &mut journal).await;
        self.options.max_batch = applied.max_batch.or(self.options.max_batch);
        Arc::make_mut(&mut evaluation.verdict).add(applied.held, applied.violations);
        Sent { evaluation, outcomes: applied.outcomes, asked_by, stopped: applied.stopped }
    }

    /// The configured batch size, or less: what the server accepts, and half of a batch that had no
    /// answer, when its changes are sent again.
    fn sending(&self, verdict: &Verdict) -> Sending {
        let configured = self.spec.sending;
        let unknown = self.memory().unknown_batches();
        let targets = verdict.approved.changes().iter();
        let targets = targets.map(|change| memory::target(&change.action, &change.email));
        let sizes = targets.filter_map(|target| unknown.get(&target));
        let half = sizes.min().map(|size| (size / 2).max(1));
        let limits = [Some(configured.batch), half, self.options.max_batch];
        let batch = limits.into_iter().flatten().min().unwrap_or(1);
        Sending { batch, ..configured }
    }

    fn memory(&self) -> &Memory {
        self.session.writer.memory()
    }

    async fn write(&mut self, entries: Vec<Entry>) -> Result<(), Failure> {
        let writer = &mut self.session.writer;
        let written = writer.write(entries, self.clock.now()).await;
        written.map(|_| ()).map_err(|error| journal::failure(writer.ledger(), &error))
    }
}

/// Reads the history of the files, which may block. If that panics, nothing is known of it.
async fn in_background<T: Default + Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> T {
    run_blocking(move || catch_unwind(AssertUnwindSafe(read)).unwrap_or_default()).await
}
