//! What a run's end means for the next one. Pure.

use crate::failure::FailureKind;
use crate::guard::Guard;
use crate::plan::change::Change;
use crate::report::{Applied, End, Outcome, RunReport, Verification};

/// Whether another run soon may do better. What the API refuses by itself it would refuse again,
/// and without a roster there is nothing to try.
pub(super) fn is_worth_another_try(report: &RunReport) -> bool {
    match &report.end {
        End::Failed(failure) => failure.kind != FailureKind::Roster,
        End::Applied(applied) => applied.stopped.is_some() || unfinished(applied),
    }
}

/// The API does not let this key do what was tried; only a person can change that.
pub(super) fn is_denied(report: &RunReport) -> bool {
    report.failure().is_some_and(|failure| failure.kind.concerns_key())
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
            !residue.applicable.iter().all(refused)
        }
    };
    open || left
}

/// Whether a run at once can make what this one held. What looks like one person under a new
/// address is left to the next run that is due, so that somebody can see it before it cannot be
/// undone.
pub(super) fn has_released(report: &RunReport) -> bool {
    let Some(applied) = report.applied() else { return false };
    let Verification::Read(residue) = &applied.verification else { return false };
    let held = applied.verdict.held.iter().filter(|held| held.by.contains(&Guard::Rename));
    let renamed: Vec<_> = held.map(|held| held.change.sort_key()).collect();
    residue.released.iter().any(|change| !renamed.contains(&change.sort_key()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Snapshot, Uid};
    use crate::email::Email;
    use crate::guard::{Held, Verdict};
    use crate::memory::Memory;
    use crate::plan::change::{Action, Reason};
    use crate::plan::{self, OnRemoved};
    use crate::report::{Residue, Trigger};
    use crate::role::Role;
    use crate::roster::{Digest, Roster};
    use jiff::Timestamp;

    fn released(by: Guard) -> RunReport {
        let roster = Roster::new(vec![], vec![], vec![], Digest::default()).unwrap();
        let snapshot = Snapshot::new(vec![], vec![], None).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let change = Change {
            action: Action::Disable { uid: Uid("a".into()), role: Role::Developer },
            email: Email::remote("zoe@acme.io"),
            aliases: Box::default(),
            reason: Reason::NotInRoster,
            place: None,
            name: None,
            dated: false,
            scheduled: false,
        };
        let held = vec![Held { change: change.clone(), by: vec![by], since: None }];
        let residue = Residue { released: vec![change], ..Residue::default() };
        let applied = Applied {
            plan: plan::plan(&roster, &snapshot, &Memory::empty(), OnRemoved::Disable, now),
            verdict: Verdict { held, ..Verdict::default() },
            outcomes: Vec::new(),
            verification: Verification::Read(Box::new(residue)),
            lost: 0,
            stopped: None,
            next: None,
        };
        RunReport {
            workspace: "acme".into(),
            trigger: Trigger::Schedule,
            started: now,
            finished: now,
            stale: false,
            ledger: None,
            end: End::Applied(Box::new(applied)),
        }
    }

    #[test]
    fn an_old_address_is_not_disabled_as_soon_as_the_new_one_is_invited() {
        assert!(has_released(&released(Guard::MinAdmins)));
        assert!(!has_released(&released(Guard::Rename)));
    }
}
