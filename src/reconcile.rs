//! One run: load, list, plan, guard, apply, verify, record.

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
use crate::plan::change::Change;
use crate::plan::{self, OnRemoved, Plan};
use crate::report::{Applied, End, Failure, Outcome, Residue, RunReport, Trigger, Verification};
use crate::roster::{Roster, checks, raw};
use crate::source;

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
    /// The size of a batch after one of which nobody knows what became of it.
    pub batch: Option<usize>,
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
    let (raw, mut diagnostics) = raw::read(&sources);
    let (roster, found) = checks::validate(raw, &sources, &target.zone, now);
    diagnostics.extend(found);
    match roster {
        Some(roster) if !crate::diagnostic::any_error(&diagnostics) => {
            Ok(Loaded { roster, sources, warnings: diagnostics })
        }
        _ => Err(InputOutage { sources, diagnostics }),
    }
}

/// Reads the directory and says what would be done about it. Nothing is changed.
pub async fn look<D: ReadDirectory>(
    directory: &D,
    target: &Target,
    roster: &Roster,
    now: Timestamp,
) -> Result<Look, ClientError> {
    let snapshot = directory.list().await?;
    let plan = plan::plan(roster, &snapshot, &Memory::empty(), target.on_removed, now);
    let verdict = guard::judge(&plan, &target.limits, &Spent::new());
    Ok(Look { snapshot, plan, verdict })
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
        Err(error) => End::Failed(failure(error)),
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
    let spent = Spent::new();
    let batch = carry.batch.unwrap_or(target.sending.batch).min(target.sending.batch);
    let terms = Terms {
        plan: &plan,
        limits: &target.limits,
        spent: &spent,
        sending: Sending { batch, ..target.sending },
        cancel: setting.cancel,
        progress: setting.progress,
    };
    let Effects { mut outcomes, held, refusals, stopped, refused_batches } =
        apply::apply(directory, &verdict, &terms).await;
    verdict.held.extend(held);
    verdict.refusals.extend(refusals);
    let verification = if setting.cancel.is_cancelled() && stopped.is_some() {
        Verification::Failed("the run ended early".into())
    } else {
        verify(directory, target, roster, &plan, &verdict, &mut outcomes).await
    };
    carry.batch = next_batch(batch, refused_batches, &outcomes);
    Applied { plan, verdict, outcomes, verification, stopped }
}

/// Reads again and settles what nobody knew: a change that the fresh reading no longer wants has
/// happened.
async fn verify<D: ReadDirectory>(
    directory: &D,
    target: &Target,
    roster: &Roster,
    plan: &Plan,
    verdict: &Verdict,
    outcomes: &mut [(Change, Outcome)],
) -> Verification {
    let sent = |outcome: &Outcome| !matches!(outcome, Outcome::NotSent(_));
    if !outcomes.iter().any(|(_, outcome)| sent(outcome)) {
        return Verification::NotNeeded;
    }
    let fresh = match look(directory, target, roster, plan.now()).await {
        Ok(fresh) => fresh,
        Err(error) => return Verification::Failed(error.message),
    };
    let wanted = Wanted::of(fresh.plan.changes());
    for (change, outcome) in outcomes.iter_mut() {
        if matches!(outcome, Outcome::Unknown(_)) && !wanted.has(change) {
            *outcome = Outcome::Done;
        }
    }
    let done = Wanted::of(
        outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Done).map(|(change, _)| change),
    );
    let held = Wanted::of(verdict.held.iter().map(|held| &held.change));
    let mut residue = Residue { in_sync: fresh.plan.facts().in_sync, ..Residue::default() };
    for change in fresh.verdict.approved.changes() {
        let list = if done.has(change) {
            &mut residue.missing
        } else if held.has(change) {
            &mut residue.released
        } else {
            &mut residue.applicable
        };
        list.push(change.clone());
    }
    Verification::Read(Box::new(residue))
}

/// A set of changes, told apart by what they do to whom.
struct Wanted<'a>(std::collections::HashSet<Key<'a>>);

type Key<'a> = (&'static str, &'a crate::email::Email, Option<&'a crate::directory::Uid>);

impl<'a> Wanted<'a> {
    fn of(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        Self(changes.into_iter().map(key).collect())
    }

    fn has(&self, change: &'a Change) -> bool {
        self.0.contains(&key(change))
    }
}

fn key(change: &Change) -> Key<'_> {
    (change.kind(), &change.email, change.uid())
}

/// Half the size after a batch without an effect, one where batches are refused, and the
/// configured size again once everything has an answer.
fn next_batch(
    batch: usize,
    refused_batches: bool,
    outcomes: &[(Change, Outcome)],
) -> Option<usize> {
    let unknown = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Unknown(_)));
    if refused_batches {
        Some(1)
    } else if unknown {
        Some((batch / 2).max(1))
    } else {
        None
    }
}

fn failure(error: ClientError) -> Failure {
    Failure { kind: error.kind, message: error.message }
}
