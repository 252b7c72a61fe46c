//! An operator's decision: what a run held until then is accepted.

use jiff::Timestamp;

use super::RunSession;
use crate::apply::journal;
use crate::directory::Snapshot;
use crate::failure::FailureKind;
use crate::guard::operator::{self, OperatorHold};
use crate::memory::entry::{Acceptable, Accepted, Entry, Seen};
use crate::memory::observe::seen;
use crate::report::Failure;

impl RunSession {
    /// Fails if nothing of this listing may be used until an operator accepts it.
    pub(super) fn admit(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        self.admission(snapshot).map_or(Ok(()), |hold| Err(held(&hold, &self.scope.name)))
    }

    fn admission(&self, snapshot: &Snapshot) -> Option<OperatorHold> {
        operator::admission(self.writer.memory(), &self.scope, &self.others, snapshot)
    }

    /// What waits for an operator's decision.
    pub fn waiting(
        &self,
        what: Acceptable,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<OperatorHold> {
        match what {
            Acceptable::Clock => operator::ledger_ahead(self.writer.memory(), now),
            _ => self.admission(snapshot).filter(|hold| hold.what == what),
        }
    }

    /// Records an operator's decision. Of an accepted listing, the ledger gets the accounts that
    /// are gone, so that the next fits. What is new in it is left to the next run.
    pub async fn accept(
        mut self,
        hold: &OperatorHold,
        reason: &str,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let place = self.scope.place.clone().filter(|_| hold.what == Acceptable::Place);
        let (digest, reason) = (hold.digest.clone(), reason.to_owned());
        let accepted = Accepted { what: hold.what, digest, reason, place };
        let mut entries = vec![Entry::Accepted(accepted)];
        if hold.what == Acceptable::Listing {
            let seen = seen(self.writer.memory(), snapshot).into_iter();
            entries.extend(seen.filter_map(|entry| match entry {
                Entry::Seen(Seen { gone, .. }) if !gone.is_empty() => {
                    Some(Entry::Seen(Seen { gone, ..Seen::default() }))
                }
                _ => None,
            }));
        }
        let written = self.writer.write(entries, now).await;
        written.map(drop).map_err(|error| journal::failure(self.writer.ledger(), &error))
    }
}

/// A run that is held until an operator accepts this.
pub fn held(hold: &OperatorHold, workspace: &str) -> Failure {
    let kind = match hold.what {
        Acceptable::Listing => FailureKind::Listing,
        Acceptable::Place | Acceptable::Clock => FailureKind::Place,
        Acceptable::History => FailureKind::Roster,
    };
    let message = format!(
        "nothing is changed until this is resolved or accepted ({}): {}",
        hold.command(workspace),
        hold.message
    );
    Failure::new(kind, message)
}
