//! Reading again: `ok` is not believed alone, and what nobody knew is settled here.

use std::collections::HashSet;
use std::time::Duration;

use super::{Evaluation, Loaded, Setting, WorkspaceSpec, evaluate, record, write};
use crate::client::ReadDirectory;
use crate::directory::Snapshot;
use crate::guard::Verdict;
use crate::ledger::LedgerWriter;
use crate::memory::observe::{SnapshotIndex, observe};
use crate::memory::{self, Target as Effect};
use crate::plan::change::Change;
use crate::plan::{FindingCategory, Plan};
use crate::report::{Failure, Outcome, Residue, Verification};

/// A listing may lag behind an effect: one that does not show it yet is read once more after this
/// long, and then counts.
pub const REREAD_DELAY: Duration = Duration::from_secs(2);

/// What the reading after the changes needs to know of them.
pub(super) struct Again<'a, D> {
    pub directory: &'a D,
    pub target: &'a WorkspaceSpec,
    pub loaded: &'a Loaded,
    pub plan: &'a Plan,
    pub verdict: &'a Verdict,
    pub setting: &'a Setting<'a>,
}

impl<D: ReadDirectory> Again<'_, D> {
    /// Reads again, settles unknown outcomes by what the reading shows, and tells what is left.
    pub async fn verify(
        &self,
        outcomes: &mut [(Change, Outcome)],
        writer: &mut LedgerWriter,
    ) -> (Verification, Option<Evaluation>) {
        let was_sent = |(_, outcome): &(Change, Outcome)| !matches!(outcome, Outcome::NotSent(_));
        if !outcomes.iter().any(was_sent) {
            return (Verification::NotNeeded, None);
        }
        match self.read(outcomes, writer).await {
            Ok(fresh) => {
                settle(&fresh.snapshot, outcomes);
                let residue = residue(&fresh, self.verdict);
                (Verification::Read(Box::new(residue)), Some(fresh))
            }
            Err(failure) => (Verification::Failed(failure.message), None),
        }
    }

    async fn read(
        &self,
        outcomes: &[(Change, Outcome)],
        writer: &mut LedgerWriter,
    ) -> Result<Evaluation, Failure> {
        let Self { directory, target, loaded, plan, setting, .. } = self;
        let unreadable = |error: crate::client::ClientError| Failure {
            kind: error.kind,
            message: error.message,
        };
        let mut snapshot = directory.list().await.map_err(unreadable)?;
        if !shows_all(&snapshot, outcomes) {
            tokio::select! {
                biased;
                () = tokio::time::sleep(REREAD_DELAY) => {
                    snapshot = directory.list().await.map_err(unreadable)?;
                }
                () = setting.cancel.cancelled() => {}
            }
        }
        // The dates of the plan stand; the server's clock has gone on since.
        let now = setting.clock.now();
        let snapshot = snapshot.as_if_read_earlier(now.duration_since(plan.now()));
        write(writer, observe(writer.memory(), &snapshot, &loaded.roster, now), setting.clock)
            .await?;
        let memory = writer.memory();
        let fresh =
            evaluate(snapshot, target, &loaded.roster, memory, setting.overrides, plan.now());
        write(
            writer,
            record::holds(writer.memory(), &fresh.verdict, fresh.plan.now()),
            setting.clock,
        )
        .await?;
        Ok(fresh)
    }
}

fn shows_all(snapshot: &Snapshot, outcomes: &[(Change, Outcome)]) -> bool {
    let shown = SnapshotIndex::of(snapshot);
    outcomes.iter().all(|(change, outcome)| match outcome {
        Outcome::Done | Outcome::Unknown(_) => shown.has(&change.action, change.addresses()),
        Outcome::Rejected(_) | Outcome::NotSent(_) => true,
    })
}

fn settle(snapshot: &Snapshot, outcomes: &mut [(Change, Outcome)]) {
    let shown = SnapshotIndex::of(snapshot);
    for (change, outcome) in outcomes {
        let unknown = matches!(outcome, Outcome::Unknown(_));
        if unknown && shown.has(&change.action, change.addresses()) {
            *outcome = Outcome::Done;
        }
    }
}

/// What the fresh reading still wants, told apart by what this run made of it.
fn residue(fresh: &Evaluation, verdict: &Verdict) -> Residue {
    let held: HashSet<Effect<'_>> = verdict.held.iter().map(|held| key(&held.change)).collect();
    let propagating = fresh.plan.findings().iter();
    let mut residue = Residue {
        in_sync: fresh.plan.facts().in_sync,
        propagating: propagating
            .filter(|it| it.kind.category() == FindingCategory::Propagating)
            .count(),
        ..Residue::default()
    };
    for change in fresh.verdict.approved.changes() {
        if held.contains(&key(change)) {
            residue.released.push(change.clone());
        } else {
            residue.applicable.push(change.clone());
        }
    }
    residue
}

fn key(change: &Change) -> Effect<'_> {
    memory::target(&change.action, &change.email)
}
