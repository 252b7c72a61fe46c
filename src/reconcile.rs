//! One run: load, list, plan, guard, apply, verify, record.

mod attribution;
mod record;
mod session;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::apply::journal::{self, Journal};
use crate::apply::{self, ApplyContext, ApplyResult, Sending};
use crate::blocking::run_blocking;
use crate::client::{ClientError, ReadDirectory, TRACE, WriteDirectory};
use crate::clock::Clock;
use crate::diagnostic::{Diagnostic, Sources};
use crate::directory::Snapshot;
use crate::guard::{self, Limits, Override, Verdict};
use crate::ledger::LedgerWriter;
use crate::memory::entry::{AttemptStatus, Entry, Record};
use crate::memory::observe::observe;
use crate::memory::{self, Memory};
use crate::plan::{self, OnRemoved, Plan};
use crate::render::View;
use crate::report::{Applied, End, Failure, RunReport, Trigger, Verification};
use crate::revision::Revision;
use crate::roster::{Roster, checks, raw};
use crate::source;
use verify::Again;

pub use record::holds;
pub use session::{LedgerConfig, RunSession, acquire};
pub use verify::REREAD_DELAY;

/// Which workspace is kept equal to which roster, and within which limits.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspaceSpec {
    pub workspace: String,
    /// Files, folders or globs, absolute or relative to `base`.
    pub users: Vec<String>,
    pub base: PathBuf,
    /// A date in the roster is that day here.
    pub zone: TimeZone,
    pub on_removed: OnRemoved,
    pub limits: Limits,
    pub sending: Sending,
}

/// A roster and the text it was read from.
#[derive(Debug)]
pub struct Loaded {
    pub roster: Roster,
    pub sources: Sources,
    pub warnings: Vec<Diagnostic>,
    /// The commit that the files come from.
    pub revision: Option<Revision>,
}

/// The files cannot be used as they are: nothing about them may be concluded.
#[derive(Debug)]
pub struct InputError {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
}

/// What is kept from one run of this process to the next.
#[derive(Debug, Default)]
pub struct WorkspaceState {
    /// The last roster that could be used.
    pub last_good: Option<Arc<Loaded>>,
    /// The server takes changes only one at a time.
    pub batching_unsupported: bool,
    /// What the last run read in the end, where it read anything.
    pub observation: Option<Arc<Observation>>,
}

/// The workspace as a run left it: the last reading, what is still wanted, what is remembered.
#[derive(Debug)]
pub struct Observation {
    pub loaded: Arc<Loaded>,
    pub evaluation: Evaluation,
    pub memory: Arc<Memory>,
}

/// What a reading says against a roster: the plan and the verdict on it.
#[derive(Debug)]
pub struct Evaluation {
    pub snapshot: Snapshot,
    pub plan: Plan,
    pub verdict: Verdict,
}

impl Observation {
    /// As the views of a plan take it.
    pub fn view<'a>(&'a self, workspace: &'a str) -> View<'a> {
        let (Loaded { roster, sources, revision, .. }, evaluation) =
            (&*self.loaded, &self.evaluation);
        let Evaluation { snapshot, plan, verdict } = evaluation;
        let revision = revision.as_ref();
        View { workspace, sources, roster, snapshot, plan, verdict, revision }
    }
}

/// What started a run, and with which roster.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    pub trigger: Trigger,
    /// The roster is an earlier one: the files cannot be used.
    pub stale: bool,
}

/// What is passed through a run and belongs to nobody in it.
pub struct Setting<'a> {
    pub clock: &'a dyn Clock,
    pub cancel: &'a CancellationToken,
    /// Whose word lifts guards beside the roster's.
    pub overrides: Override,
    /// Told the plan and the verdict before anything of it is sent; an error ends the run there.
    pub on_plan: &'a (dyn Fn(&Evaluation) -> Result<(), Failure> + Sync),
    /// Told how many changes have an outcome, of how many.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Reads the roster's files and checks them.
pub fn load(target: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
    let sources = source::load(&target.users, &target.base)
        .map_err(|diagnostics| InputError { sources: Sources::default(), diagnostics })?;
    let (roster, diagnostics) = checks::validate(raw::read(&sources), &sources, &target.zone, now);
    match roster {
        Some(roster) => {
            let revision =
                source::revision::of(&target.users, &target.base, &sources, &source::env_var);
            Ok(Loaded { roster, sources, warnings: diagnostics, revision })
        }
        None => Err(InputError { sources, diagnostics }),
    }
}

/// Says what would be done about a reading. Nothing is changed and nothing is written; what the
/// reading adds to the memory is only thought of.
pub fn dry_run(
    snapshot: Snapshot,
    target: &WorkspaceSpec,
    roster: &Roster,
    mut memory: Memory,
    now: Timestamp,
) -> (Evaluation, Memory) {
    if memory.is_known() {
        let (newest, through) = (memory.newest(), memory.through());
        for (seq, entry) in (through + 1..).zip(observe(&memory, &snapshot, roster, now)) {
            memory.fold(&Record { seq, at: now, entry });
        }
        memory.keep_newest(newest);
    }
    let evaluation = evaluate(snapshot, target, roster, &memory, Override::None, now);
    (evaluation, memory)
}

/// Plans and judges one reading.
fn evaluate(
    snapshot: Snapshot,
    target: &WorkspaceSpec,
    roster: &Roster,
    memory: &Memory,
    overrides: Override,
    now: Timestamp,
) -> Evaluation {
    let plan = plan::plan(roster, &snapshot, memory, target.on_removed, now);
    let verdict = guard::evaluate(&plan, &target.limits, memory, overrides);
    Evaluation { snapshot, plan, verdict }
}

/// One whole pass. It never fails: what went wrong is part of the report.
pub async fn reconcile<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &WorkspaceSpec,
    loaded: &Arc<Loaded>,
    pass: Pass,
    carry: &mut WorkspaceState,
    session: RunSession,
    setting: &Setting<'_>,
) -> RunReport {
    let span = tracing::info_span!(
        target: TRACE,
        "run",
        workspace = target.workspace,
        trigger = pass.trigger.as_str(),
        status = tracing::field::Empty,
    );
    let run = pass_over(directory, target, loaded, pass, carry, session, setting);
    let report = run.instrument(span.clone()).await;
    span.record("status", report.status().as_str());
    report
}

async fn pass_over<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &WorkspaceSpec,
    loaded: &Arc<Loaded>,
    pass: Pass,
    carry: &mut WorkspaceState,
    session: RunSession,
    setting: &Setting<'_>,
) -> RunReport {
    let RunSession { mut writer, lock, retention, .. } = session;
    let Pass { trigger, stale } = pass;
    let started = setting.clock.now();
    let evaluation = read(directory, target, loaded, &mut writer, setting, started).await;
    let (end, evaluation) = match evaluation
        .and_then(|(evaluation, lost)| (setting.on_plan)(&evaluation).map(|()| (evaluation, lost)))
    {
        Ok((evaluation, lost)) => {
            let (mut applied, evaluation) = apply_and_verify(
                directory,
                target,
                loaded,
                evaluation,
                carry,
                &mut writer,
                setting,
            )
            .await;
            applied.lost = lost;
            (End::Applied(Box::new(applied)), Some(evaluation))
        }
        Err(failure) => (End::Failed(failure), None),
    };
    let workspace = target.workspace.clone();
    let finished = setting.clock.now();
    let report = RunReport { workspace, trigger, started, finished, stale, ledger: None, end };
    let (report, memory) =
        session::finish(report, loaded, target, (writer, retention), setting.clock).await;
    drop(lock);
    let loaded = Arc::clone(loaded);
    carry.observation =
        evaluation.map(|evaluation| Arc::new(Observation { loaded, evaluation, memory }));
    report
}

/// Reads the directory, settles what earlier runs left open, and says what is to be done; all that
/// is new is in the ledger when this returns. The number is that of effects that were lost.
async fn read<D: ReadDirectory>(
    directory: &D,
    target: &WorkspaceSpec,
    loaded: &Loaded,
    writer: &mut LedgerWriter,
    setting: &Setting<'_>,
    now: Timestamp,
) -> Result<(Evaluation, usize), Failure> {
    let unreadable = |error: ClientError| Failure { kind: error.kind, message: error.message };
    let snapshot = directory.list().await.map_err(unreadable)?;
    let roster = &loaded.roster;
    let mut entries: Vec<Entry> =
        record::roster(writer.memory(), target, loaded).into_iter().collect();
    entries.extend(observe(writer.memory(), &snapshot, roster, now));
    let no_effect = AttemptStatus::NoEffect;
    let is_lost =
        |entry: &&Entry| matches!(entry, Entry::Outcome(outcome) if outcome.status == no_effect);
    let lost = entries.iter().filter(is_lost).count();
    write(writer, entries, setting.clock).await?;
    let evaluation = evaluate(snapshot, target, roster, writer.memory(), setting.overrides, now);
    Ok((evaluation, lost))
}

async fn write(
    writer: &mut LedgerWriter,
    entries: Vec<Entry>,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let written = writer.write(entries, clock.now()).await;
    written.map(|_| ()).map_err(|error| journal::failure(writer.ledger(), &error))
}

/// Applies what the guards approved of `evaluation`, and reads again.
async fn apply_and_verify<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &WorkspaceSpec,
    loaded: &Arc<Loaded>,
    evaluation: Evaluation,
    carry: &mut WorkspaceState,
    writer: &mut LedgerWriter,
    setting: &Setting<'_>,
) -> (Applied, Evaluation) {
    let Evaluation { snapshot, plan, mut verdict } = evaluation;
    let terms = ApplyContext {
        plan: &plan,
        limits: &target.limits,
        overrides: setting.overrides,
        sending: carry.sending(target.sending, writer.memory(), &verdict),
        cancel: setting.cancel,
        progress: setting.progress,
    };
    let lifted = std::mem::take(&mut verdict.lifted);
    let asked = {
        let (target, loaded, now) = (target.clone(), Arc::clone(loaded), plan.now());
        let changes = verdict.approved.changes().to_vec();
        let credited = move || attribution::attribution(&target, &loaded, &changes, now);
        // A history that cannot be read costs the commit's name, not the run.
        run_blocking(move || catch_unwind(AssertUnwindSafe(credited)).unwrap_or_default()).await
    };
    let mut journal = Journal {
        writer,
        clock: setting.clock,
        sources: &loaded.sources,
        lifted: &lifted,
        asked: &asked,
        pending: Vec::new(),
    };
    let mut effects = apply::apply(directory, &verdict, &terms, &mut journal).await;
    verdict.add(std::mem::take(&mut effects.held), std::mem::take(&mut effects.violations));
    verdict.lifted = lifted;
    let mut next = plan.next().into_iter().chain(verdict.next).min();
    let mut fresh = None;
    let verification = if setting.cancel.is_cancelled() && effects.stopped.is_some() {
        Verification::Failed("the run ended early".to_owned())
    } else {
        let outcomes = &mut effects.outcomes;
        let again = Again { directory, target, loaded, plan: &plan, verdict: &verdict, setting };
        let (verification, evaluation) = again.verify(outcomes, writer).await;
        let then = |evaluation: &Evaluation| {
            evaluation.plan.next().into_iter().chain(evaluation.verdict.next).min()
        };
        next = evaluation.as_ref().and_then(then).or(next);
        fresh = evaluation;
        if !matches!(verification, Verification::Read(_)) {
            let holds = record::holds(writer.memory(), &verdict, plan.now());
            let written = write(writer, holds, setting.clock).await;
            effects.stopped = effects.stopped.or(written.err());
        }
        verification
    };
    carry.batching_unsupported |= effects.batching_unsupported;
    let ApplyResult { outcomes, stopped, .. } = effects;
    let evaluation = fresh.unwrap_or_else(|| Evaluation {
        snapshot,
        plan: plan.clone(),
        verdict: verdict.clone(),
    });
    (Applied { plan, verdict, outcomes, verification, lost: 0, stopped, next }, evaluation)
}

impl WorkspaceState {
    /// What earlier runs leave of the configured size of a batch: half of one of which nobody
    /// knows what became of it, where its changes go out again.
    fn sending(&self, configured: Sending, memory: &Memory, verdict: &Verdict) -> Sending {
        if self.batching_unsupported {
            return Sending { batch: 1, ..configured };
        }
        let unknown = memory.unknown_batches();
        let changes = verdict.approved.changes().iter();
        let sizes = changes.filter_map(|it| unknown.get(&memory::target(&it.action, &it.email)));
        let half = sizes.min().map_or(configured.batch, |size| (size / 2).max(1));
        Sending { batch: half.min(configured.batch), ..configured }
    }
}
