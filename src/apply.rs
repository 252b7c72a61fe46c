//! Applying what was approved: batches, several in flight, one order class after the other.
//!
//! What is about to be sent is in the ledger before it is. Nothing is sent twice unless it
//! certainly did not run; what nobody knows is left for the next reading. Before each class that
//! takes something away the guards judge what is left again.

mod executor;
pub mod journal;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::WriteDirectory;
use crate::guard::{self, Held, Limits, Override, Verdict, Violation};
use crate::plan::Plan;
use crate::plan::change::{Change, Class};
use crate::report::{Failure, Outcome};
use executor::ClassExecutor;
use journal::Journal;

/// A class that the server keeps refusing to hear for so long is left to the next run.
pub const GIVE_UP_AFTER: Duration = Duration::from_mins(1);

/// How changes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Batches in flight at once; at least 1.
    pub concurrency: usize,
    /// Changes in one request; at least 1.
    pub batch: usize,
}

/// What an apply is bound to.
pub struct ApplyContext<'a> {
    pub plan: &'a Plan,
    pub limits: &'a Limits,
    pub overrides: Override,
    pub sending: Sending,
    /// Ends the apply at the next batch boundary.
    pub cancel: &'a CancellationToken,
    /// Told how many changes have an outcome, of how many.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// What became of everything that was approved.
#[derive(Debug, Default)]
pub struct ApplyResult {
    /// In the order of the plan.
    pub outcomes: Vec<(Change, Outcome)>,
    /// What the guards held when they judged again, and why.
    pub held: Vec<Held>,
    pub violations: Vec<Violation>,
    /// Why nothing more was sent, if the apply ended early.
    pub stopped: Option<Failure>,
    /// The server refused a batch and then took its changes one at a time.
    pub batching_unsupported: bool,
}

/// Sends what `verdict` approved. The type of its argument is the permission: only the guards
/// make one.
pub async fn apply<W: WriteDirectory>(
    writer: &W,
    verdict: &Verdict,
    terms: &ApplyContext<'_>,
    journal: &mut Journal<'_>,
) -> ApplyResult {
    let total = verdict.approved.len();
    let mut effects = ApplyResult::default();
    let mut sending = terms.sending;
    let mut not_before = None;
    for class in Class::ALL {
        let allowed = if class.takes_away() && effects.stopped.is_none() {
            reevaluate(verdict, class, terms, journal, &mut effects)
        } else {
            verdict.approved.of(class).cloned().collect()
        };
        let settled = effects.outcomes.len() + effects.held.len();
        let on_progress = |known| (terms.progress)(settled + known, total);
        let mut line = ClassExecutor::new(&allowed, sending, effects.stopped.take(), not_before);
        line.work(writer, terms.cancel, journal, &on_progress).await;
        not_before = line.not_before();
        if line.has_split_batches() {
            sending.batch = 1;
        }
        let outcomes = line.settle(&mut effects);
        effects.outcomes.extend(allowed.into_iter().zip(outcomes));
    }
    effects
}

/// What of `class` may still go out, after what really happened; the rest is held.
fn reevaluate(
    verdict: &Verdict,
    class: Class,
    terms: &ApplyContext<'_>,
    journal: &Journal<'_>,
    effects: &mut ApplyResult,
) -> Vec<Change> {
    if verdict.approved.of(class).next().is_none() {
        return Vec::new();
    }
    let happened: Vec<Change> = effects
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Done | Outcome::Unknown(_)))
        .map(|(change, _)| change.clone())
        .collect();
    let left: Vec<Change> =
        verdict.approved.changes().iter().filter(|c| c.class() >= class).cloned().collect();
    let ApplyContext { plan, limits, overrides, .. } = *terms;
    let again = guard::reevaluate(plan, limits, journal.memory(), overrides, &left, &happened);
    let mut held = again.held;
    held.retain(|held| held.change.class() == class);
    let concerned = |refusal: &Violation| held.iter().any(|held| held.by.contains(&refusal.guard));
    effects.violations.extend(again.violations.into_iter().filter(concerned));
    effects.held.extend(held);
    again.approved.of(class).cloned().collect()
}
