//! What a run's end means for the next one. Pure.

use crate::plan::change::Change;
use crate::report::{Applied, End, Outcome, RunReport, Verification};

/// The kind of failure where there is no roster to run with.
pub(super) const NO_ROSTER: &str = "roster";

/// Whether another run soon may do better. What the API refuses by itself it would refuse again,
/// and without a roster there is nothing to try.
pub(super) fn is_worth_another_try(report: &RunReport) -> bool {
    match &report.end {
        End::Failed(failure) => failure.kind != NO_ROSTER,
        End::Applied(applied) => applied.stopped.is_some() || unfinished(applied),
    }
}

/// The API does not let this key do what was tried; only a person can change that.
pub(super) fn is_denied(report: &RunReport) -> bool {
    report.failure().is_some_and(|failure| matches!(failure.kind, "unauthorized" | "forbidden"))
}

fn unfinished(applied: &Applied) -> bool {
    let rejected = applied.outcomes.iter().filter(|(_, o)| matches!(o, Outcome::Rejected(_)));
    let open = applied
        .outcomes
        .iter()
        .any(|(_, outcome)| matches!(outcome, Outcome::Unknown(_) | Outcome::NotSent(_)));
    let left = match &applied.verification {
        Verification::NotNeeded => false,
        Verification::Failed(_) => true,
        Verification::Read(residue) => {
            let rejected: Vec<_> = rejected.map(|(change, _)| change.sort_key()).collect();
            let refused = |change: &Change| rejected.contains(&change.sort_key());
            !residue.missing.is_empty() || !residue.applicable.iter().all(refused)
        }
    };
    open || left
}

pub(super) fn has_released(report: &RunReport) -> bool {
    let verification = report.applied().map(|applied| &applied.verification);
    matches!(verification, Some(Verification::Read(residue)) if !residue.released.is_empty())
}
