//! Applies what the guards approved: in batches, several in flight, one order class at a time.
//!
//! A change is in the ledger before it is sent. It is sent again only if it was certainly not
//! executed; an unknown outcome is left to the next listing. Before each class that takes access
//! away, the guards evaluate the remaining changes again.

mod batch_size;
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

/// A class that the server throttles for this long is deferred to the next run.
pub const GIVE_UP_AFTER: Duration = Duration::from_mins(1);

/// How changes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Maximum number of batches in flight; at least 1.
    pub concurrency: usize,
    /// Maximum number of changes in one request; at least 1.
    pub batch: usize,
}

/// The plan and the limits of one apply.
pub struct ApplyContext<'a> {
    pub plan: &'a Plan,
    pub limits: &'a Limits,
    pub overrides: &'a Override,
    pub sending: Sending,
    /// Ends the apply at the next batch boundary.
    pub cancel: &'a CancellationToken,
    /// Gets the number of changes that have an outcome, and the total.
    pub on_progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// The outcome of every approved change.
#[derive(Debug, Default)]
pub struct ApplyResult {
    /// In the order of the plan.
    pub outcomes: Vec<(Change, Outcome)>,
    /// What the guards held when they evaluated again, and why.
    pub held: Vec<Held>,
    pub violations: Vec<Violation>,
    /// Why the apply ended early, if it did.
    pub stopped: Option<Failure>,
    /// The number of changes that the server accepts in one request, if it refused more.
    pub max_batch: Option<usize>,
}

/// Sends what `verdict` approved. Only the guards can make a [`Verdict`] with approved changes.
pub async fn apply<W: WriteDirectory>(
    writer: &W,
    verdict: &Verdict,
    context: &ApplyContext<'_>,
    journal: &mut Journal<'_>,
) -> ApplyResult {
    let total = verdict.approved.len();
    let mut result = ApplyResult::default();
    let mut sending = context.sending;
    let mut not_before = None;
    for class in Class::ALL {
        let allowed = if class.takes_away() && result.stopped.is_none() {
            reevaluate(verdict, class, context, journal, &mut result)
        } else {
            verdict.approved.of(class).cloned().collect()
        };
        let settled = result.outcomes.len() + result.held.len();
        let on_progress = |known| (context.on_progress)(settled + known, total);
        let mut executor = ClassExecutor::new(&allowed, sending, result.stopped.take(), not_before);
        executor.run(writer, context.cancel, journal, &on_progress).await;
        not_before = executor.not_before;
        sending.batch = executor.max_batch().unwrap_or(sending.batch);
        let outcomes = executor.into_outcomes(&mut result);
        result.outcomes.extend(allowed.into_iter().zip(outcomes));
    }
    result
}

/// The changes of `class` that may still be sent, given what happened so far. The rest is held.
fn reevaluate(
    verdict: &Verdict,
    class: Class,
    context: &ApplyContext<'_>,
    journal: &Journal<'_>,
    result: &mut ApplyResult,
) -> Vec<Change> {
    if verdict.approved.of(class).next().is_none() {
        return Vec::new();
    }
    let happened: Vec<Change> = result
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Done | Outcome::Unknown(_)))
        .map(|(change, _)| change.clone())
        .collect();
    let left: Vec<Change> =
        verdict.approved.changes().iter().filter(|c| c.action.class() >= class).cloned().collect();
    let ApplyContext { plan, limits, overrides, .. } = *context;
    let again = guard::reevaluate(plan, limits, journal.memory(), overrides, &left, &happened);
    let mut held = again.held;
    held.retain(|held| held.change.action.class() == class);
    let concerned = |it: &Violation| held.iter().any(|held| held.by.contains(&it.guard));
    result.violations.extend(again.violations.into_iter().filter(concerned));
    result.held.extend(held);
    again.approved.of(class).cloned().collect()
}
