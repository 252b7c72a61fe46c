//! One run: load, list, plan, guard, apply, verify, record.

mod credit;
mod desk;
mod record;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::apply::journal::{self, Journal};
use crate::apply::{self, Effects, Sending, Terms};
use crate::aside::aside;
use crate::client::{ClientError, ReadDirectory, TRACE, WriteDirectory};
use crate::clock::Clock;
use crate::diagnostic::{Diagnostic, Sources};
use crate::directory::Snapshot;
use crate::guard::{self, Lift, Limits, Verdict};
use crate::ledger::Book;
use crate::memory::entry::{Entry, Fate, Noted};
use crate::memory::observe::observe;
use crate::memory::{self, Memory};
use crate::plan::{self, OnRemoved, Plan};
use crate::render::View;
use crate::report::{Applied, End, Failure, RunReport, Trigger, Verification};
use crate::revision::Revision;
use crate::roster::{Roster, checks, raw};
use crate::source;
use verify::Again;

pub use desk::{Desk, Records, sit_down};
pub use record::holds;
pub use verify::SECOND_LOOK_AFTER;

/// Which workspace is kept equal to which roster, and within which limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
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
pub struct InputOutage {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
}

/// What is kept from one run of this process to the next.
#[derive(Debug, Default)]
pub struct Carry {
    /// The last roster that could be used.
    pub last_good: Option<Arc<Loaded>>,
    /// The server takes changes only one at a time.
    pub refuses_batches: bool,
    /// What the last run read in the end, where it read anything.
    pub picture: Option<Arc<Picture>>,
}

/// The workspace as a run left it: the last reading, what is still wanted, what is remembered.
#[derive(Debug)]
pub struct Picture {
    pub loaded: Arc<Loaded>,
    pub look: Look,
    pub memory: Arc<Memory>,
}

/// What a reading says against a roster: the plan and the verdict on it.
#[derive(Debug)]
pub struct Look {
    pub snapshot: Snapshot,
    pub plan: Plan,
    pub verdict: Verdict,
}

impl Picture {
    /// As the views of a plan take it.
    pub fn view<'a>(&'a self, workspace: &'a str) -> View<'a> {
        let (Loaded { roster, sources, revision, .. }, look) = (&*self.loaded, &self.look);
        let Look { snapshot, plan, verdict } = look;
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
    pub lift: Lift,
    /// Told the plan and the verdict before anything of it is sent; an error ends the run there.
    pub seen: &'a (dyn Fn(&Look) -> Result<(), Failure> + Sync),
    /// Told how many changes have an outcome, of how many.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Reads the roster's files and checks them.
pub fn load(target: &Target, now: Timestamp) -> Result<Loaded, InputOutage> {
    let sources = source::load(&target.users, &target.base)
        .map_err(|diagnostics| InputOutage { sources: Sources::default(), diagnostics })?;
    let (roster, diagnostics) = checks::validate(raw::read(&sources), &sources, &target.zone, now);
    match roster {
        Some(roster) => {
            let env = |name: &str| std::env::var(name).ok();
            let revision = source::revision::of(&target.users, &target.base, &sources, &env);
            Ok(Loaded { roster, sources, warnings: diagnostics, revision })
        }
        None => Err(InputOutage { sources, diagnostics }),
    }
}

/// Says what would be done about a reading. Nothing is changed and nothing is written; what the
/// reading adds to the memory is only thought of.
pub fn look(
    snapshot: Snapshot,
    target: &Target,
    roster: &Roster,
    mut memory: Memory,
    now: Timestamp,
) -> (Look, Memory) {
    if memory.is_known() {
        let (newest, through) = (memory.newest(), memory.through());
        for (seq, entry) in (through + 1..).zip(observe(&memory, &snapshot, roster, now)) {
            memory.fold(&Noted { seq, at: now, entry });
        }
        memory.keep_newest(newest);
    }
    let look = consider(snapshot, target, roster, &memory, Lift::Nothing, now);
    (look, memory)
}

/// Plans and judges one reading.
fn consider(
    snapshot: Snapshot,
    target: &Target,
    roster: &Roster,
    memory: &Memory,
    lift: Lift,
    now: Timestamp,
) -> Look {
    let plan = plan::plan(roster, &snapshot, memory, target.on_removed, now);
    let verdict = guard::judge(&plan, &target.limits, memory, lift);
    Look { snapshot, plan, verdict }
}

/// One whole pass. It never fails: what went wrong is part of the report.
pub async fn reconcile<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &Target,
    loaded: &Arc<Loaded>,
    pass: Pass,
    carry: &mut Carry,
    desk: Desk,
    setting: &Setting<'_>,
) -> RunReport {
    let span = tracing::info_span!(
        target: TRACE,
        "run",
        workspace = target.workspace,
        trigger = pass.trigger.word(),
        status = tracing::field::Empty,
    );
    let run = pass_over(directory, target, loaded, pass, carry, desk, setting);
    let report = run.instrument(span.clone()).await;
    span.record("status", report.status().word());
    report
}

async fn pass_over<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &Target,
    loaded: &Arc<Loaded>,
    pass: Pass,
    carry: &mut Carry,
    desk: Desk,
    setting: &Setting<'_>,
) -> RunReport {
    let Desk { mut book, lock, retention, .. } = desk;
    let Pass { trigger, stale } = pass;
    let started = setting.clock.now();
    let look = read(directory, target, loaded, &mut book, setting, started).await;
    let (end, look) =
        match look.and_then(|(look, lost)| (setting.seen)(&look).map(|()| (look, lost))) {
            Ok((look, lost)) => {
                let (mut applied, look) =
                    enact(directory, target, loaded, look, carry, &mut book, setting).await;
                applied.lost = lost;
                (End::Applied(Box::new(applied)), Some(look))
            }
            Err(failure) => (End::Failed(failure), None),
        };
    let workspace = target.workspace.clone();
    let finished = setting.clock.now();
    let report = RunReport { workspace, trigger, started, finished, stale, ledger: None, end };
    let (report, memory) =
        desk::finish(report, loaded, target, (book, retention), setting.clock).await;
    drop(lock);
    let loaded = Arc::clone(loaded);
    carry.picture = look.map(|look| Arc::new(Picture { loaded, look, memory }));
    report
}

/// Reads the directory, settles what earlier runs left open, and says what is to be done; all that
/// is new is in the ledger when this returns. The number is that of effects that were lost.
async fn read<D: ReadDirectory>(
    directory: &D,
    target: &Target,
    loaded: &Loaded,
    book: &mut Book,
    setting: &Setting<'_>,
    now: Timestamp,
) -> Result<(Look, usize), Failure> {
    let unreadable = |error: ClientError| Failure { kind: error.kind, message: error.message };
    let snapshot = directory.list().await.map_err(unreadable)?;
    let roster = &loaded.roster;
    let mut entries: Vec<Entry> =
        record::roster(book.memory(), target, loaded).into_iter().collect();
    entries.extend(observe(book.memory(), &snapshot, roster, now));
    let is_lost =
        |entry: &&Entry| matches!(entry, Entry::Outcome(closing) if closing.fate == Fate::NoEffect);
    let lost = entries.iter().filter(is_lost).count();
    write(book, entries, setting.clock).await?;
    let look = consider(snapshot, target, roster, book.memory(), setting.lift, now);
    Ok((look, lost))
}

async fn write(book: &mut Book, entries: Vec<Entry>, clock: &dyn Clock) -> Result<(), Failure> {
    let written = book.write(entries, clock.now()).await;
    written.map(|_| ()).map_err(|error| journal::failure(book.ledger(), &error))
}

/// Applies what the guards approved of `look`, and reads again.
async fn enact<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &Target,
    loaded: &Arc<Loaded>,
    look: Look,
    carry: &mut Carry,
    book: &mut Book,
    setting: &Setting<'_>,
) -> (Applied, Look) {
    let Look { snapshot, plan, mut verdict } = look;
    let terms = Terms {
        plan: &plan,
        limits: &target.limits,
        lift: setting.lift,
        sending: carry.sending(target.sending, book.memory(), &verdict),
        cancel: setting.cancel,
        progress: setting.progress,
    };
    let lifted = std::mem::take(&mut verdict.lifted);
    let asked = {
        let (target, loaded, now) = (target.clone(), Arc::clone(loaded), plan.now());
        let changes = verdict.approved.changes().to_vec();
        let credited = move || credit::credit(&target, &loaded, &changes, now);
        // A history that cannot be read costs the commit's name, not the run.
        aside(move || catch_unwind(AssertUnwindSafe(credited)).unwrap_or_default()).await
    };
    let mut journal = Journal {
        book,
        clock: setting.clock,
        sources: &loaded.sources,
        lifted: &lifted,
        asked: &asked,
        pending: Vec::new(),
    };
    let mut effects = apply::apply(directory, &verdict, &terms, &mut journal).await;
    verdict.add(std::mem::take(&mut effects.held), std::mem::take(&mut effects.refusals));
    verdict.lifted = lifted;
    let mut next = plan.next().into_iter().chain(verdict.next).min();
    let mut fresh = None;
    let verification = if setting.cancel.is_cancelled() && effects.stopped.is_some() {
        Verification::Failed("the run ended early".to_owned())
    } else {
        let outcomes = &mut effects.outcomes;
        let again = Again { directory, target, loaded, plan: &plan, verdict: &verdict, setting };
        let (verification, look) = again.verify(outcomes, book).await;
        let then = |look: &Look| look.plan.next().into_iter().chain(look.verdict.next).min();
        next = look.as_ref().and_then(then).or(next);
        fresh = look;
        if !matches!(verification, Verification::Read(_)) {
            let holds = record::holds(book.memory(), &verdict, plan.now());
            let written = write(book, holds, setting.clock).await;
            effects.stopped = effects.stopped.or(written.err());
        }
        verification
    };
    carry.refuses_batches |= effects.refuses_batches;
    let Effects { outcomes, stopped, .. } = effects;
    let look =
        fresh.unwrap_or_else(|| Look { snapshot, plan: plan.clone(), verdict: verdict.clone() });
    (Applied { plan, verdict, outcomes, verification, lost: 0, stopped, next }, look)
}

impl Carry {
    /// What earlier runs leave of the configured size of a batch: half of one of which nobody
    /// knows what became of it, where its changes go out again.
    fn sending(&self, configured: Sending, memory: &Memory, verdict: &Verdict) -> Sending {
        if self.refuses_batches {
            return Sending { batch: 1, ..configured };
        }
        let unknown = memory.unknown_batches();
        let changes = verdict.approved.changes().iter();
        let sizes = changes.filter_map(|it| unknown.get(&memory::target(&it.action, &it.email)));
        let half = sizes.min().map_or(configured.batch, |size| (size / 2).max(1));
        Sending { batch: half.min(configured.batch), ..configured }
    }
}
