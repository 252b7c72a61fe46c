//! One run: load, list, plan, guard, apply, verify, record.

mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::apply::{self, Effects, Sending, Terms};
use crate::client::{ClientError, ReadDirectory, WriteDirectory};
use crate::clock::Clock;
use crate::diagnostic::{Diagnostic, Sources};
use crate::directory::Snapshot;
use crate::guard::{self, Limits, Spent, Verdict};
use crate::memory::Memory;
use crate::plan::{self, OnRemoved, Plan};
use crate::report::{Applied, End, Failure, Outcome, RunReport, Trigger, Verification};
use crate::roster::{Roster, checks, raw};
use crate::source;

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
    /// The size of the next batches, after one that nobody knows about and no reading shows.
    pub batch: Option<usize>,
    /// The server takes changes only one at a time.
    pub refuses_batches: bool,
}

/// What a reading says against a roster: the plan and the verdict on it.
#[derive(Debug)]
pub struct Look {
    pub snapshot: Snapshot,
    pub plan: Plan,
    pub verdict: Verdict,
}

/// What is passed through a run and belongs to nobody in it.
pub struct Setting<'a> {
    pub clock: &'a dyn Clock,
    pub cancel: &'a CancellationToken,
    /// Told the plan and the verdict before anything of it is sent.
    pub seen: &'a (dyn Fn(&Look) + Sync),
    /// Told how many changes have an outcome, of how many.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Reads the roster's files and checks them.
pub fn load(target: &Target, now: Timestamp) -> Result<Loaded, InputOutage> {
    let sources = source::load(&target.users, &target.base)
        .map_err(|diagnostics| InputOutage { sources: Sources::default(), diagnostics })?;
    let (roster, diagnostics) = checks::validate(raw::read(&sources), &sources, &target.zone, now);
    match roster {
        Some(roster) => Ok(Loaded { roster, sources, warnings: diagnostics }),
        None => Err(InputOutage { sources, diagnostics }),
    }
}

/// Reads the directory and says what would be done about it. Nothing is changed.
pub async fn look<D: ReadDirectory>(
    directory: &D,
    target: &Target,
    roster: &Roster,
    now: Timestamp,
) -> Result<Look, ClientError> {
    Ok(consider(directory.list().await?, target, roster, now))
}

/// Plans and judges one reading.
fn consider(snapshot: Snapshot, target: &Target, roster: &Roster, now: Timestamp) -> Look {
    let plan = plan::plan(roster, &snapshot, &Memory::empty(), target.on_removed, now);
    let verdict = guard::judge(&plan, &target.limits, &Spent::new());
    Look { snapshot, plan, verdict }
}

/// One whole pass. It never fails: what went wrong is part of the report.
pub async fn reconcile<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &Target,
    loaded: &Loaded,
    stale: bool,
    trigger: Trigger,
    carry: &mut Carry,
    setting: &Setting<'_>,
) -> RunReport {
    let started = setting.clock.now();
    let end = match look(directory, target, &loaded.roster, started).await {
        Ok(look) => {
            (setting.seen)(&look);
            let applied = enact(directory, target, &loaded.roster, look, carry, setting).await;
            End::Applied(Box::new(applied))
        }
        Err(error) => End::Failed(Failure { kind: error.kind, message: error.message }),
    };
    let finished = setting.clock.now();
    RunReport { workspace: target.workspace.clone(), trigger, started, finished, stale, end }
}

/// Applies what the guards approved of `look`, and reads again.
pub async fn enact<D: ReadDirectory + WriteDirectory>(
    directory: &D,
    target: &Target,
    roster: &Roster,
    look: Look,
    carry: &mut Carry,
    setting: &Setting<'_>,
) -> Applied {
    let Look { plan, mut verdict, .. } = look;
    let terms = Terms {
        plan: &plan,
        limits: &target.limits,
        spent: &Spent::new(),
        sending: carry.sending(target.sending),
        cancel: setting.cancel,
        progress: setting.progress,
    };
    let mut effects = apply::apply(directory, &verdict, &terms).await;
    verdict.add(std::mem::take(&mut effects.held), std::mem::take(&mut effects.refusals));
    let verification = if setting.cancel.is_cancelled() && effects.stopped.is_some() {
        Verification::Failed("the run ended early".to_owned())
    } else {
        let outcomes = &mut effects.outcomes;
        verify::verify(directory, target, roster, &plan, &verdict, outcomes, setting).await
    };
    carry.learn(&effects);
    let Effects { outcomes, stopped, .. } = effects;
    Applied { plan, verdict, outcomes, verification, stopped }
}

impl Carry {
    /// What earlier runs of this process leave of the configured size of a batch.
    fn sending(&self, configured: Sending) -> Sending {
        let carried = if self.refuses_batches { Some(1) } else { self.batch };
        let batch = carried.map_or(configured.batch, |batch| batch.min(configured.batch));
        Sending { batch, ..configured }
    }

    /// Half the size after a batch without an effect, and the configured size again once
    /// everything that was sent has an answer.
    fn learn(&mut self, effects: &Effects) {
        self.refuses_batches |= effects.refuses_batches;
        let any = |wanted: fn(&Outcome) -> bool| effects.outcomes.iter().any(|(_, o)| wanted(o));
        if any(|outcome| matches!(outcome, Outcome::Unknown(_))) {
            self.batch = Some((effects.unknown_batch / 2).max(1));
        } else if any(|outcome| matches!(outcome, Outcome::Done | Outcome::Rejected(_))) {
            self.batch = None;
        }
    }
}
