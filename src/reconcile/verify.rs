//! Verification: `ok: true` alone proves nothing, so a run lists again after its changes.

use std::collections::HashSet;
use std::time::Duration;

use super::evaluation::{check_size, news};
use super::{Evaluation, Run, Sent, approvals, record};
use crate::client::{ReadDirectory, WriteDirectory};
use crate::directory::Snapshot;
use crate::guard::Verdict;
use crate::memory::entry::Key;
use crate::memory::observe::SnapshotIndex;
use crate::plan::change::Change;
use crate::plan::{FindingCategory, Plan};
use crate::report::{Applied, Failure, Outcome, Residue, Verification};

/// A listing may lag behind a change. If one lacks a change, it is read once more after this time.
pub const REREAD_DELAY: Duration = Duration::from_secs(2);

impl<D: ReadDirectory + WriteDirectory> Run<'_, D> {
    /// Lists again if anything was sent, and settles unknown outcomes by what the listing shows.
    pub(super) async fn verify(&mut self, sent: Sent, lost: usize) -> (Applied, Evaluation) {
        let Sent { mut evaluation, mut outcomes, asked_by, mut stopped } = sent;
        let (plan, verdict) = (evaluation.plan.clone(), evaluation.verdict.clone());
        let verification = if self.cancel.is_cancelled() && stopped.is_some() {
            Verification::Failed("the run was interrupted".to_owned())
        } else if !outcomes.iter().any(|(_, outcome)| outcome.was_sent()) {
            stopped = stopped.or(self.write_holds(&evaluation).await.err());
            Verification::NotNeeded
        } else {
            match self.evaluate_again(&plan, &outcomes).await {
                Ok(fresh) => {
                    settle(&fresh.snapshot, &mut outcomes);
                    evaluation = fresh;
                    Verification::Read(Box::new(residue(&evaluation, &verdict)))
                }
                Err(failure) => {
                    stopped = stopped.or(self.write_holds(&evaluation).await.err());
                    Verification::Failed(failure.message)
                }
            }
        };
        let (revision, next) = (self.loaded.revision.clone(), evaluation.next());
        let applied = Applied {
            plan,
            verdict,
            outcomes,
            asked_by,
            revision,
            verification,
            lost,
            stopped,
            next,
        };
        (applied, evaluation)
    }

    async fn evaluate_again(
        &mut self,
        plan: &Plan,
        outcomes: &[(Change, Outcome)],
    ) -> Result<Evaluation, Failure> {
        let mut snapshot = self.directory.list().await?;
        if !shows_all(&snapshot, outcomes) {
            tokio::select! {
                biased;
                () = tokio::time::sleep(REREAD_DELAY) => snapshot = self.directory.list().await?,
                () = self.cancel.cancelled() => {}
            }
        }
        check_size(&snapshot, &self.loaded.roster, self.spec.max_changes)?;
        self.session.admit(&snapshot)?;
        // Dates are still judged by the time of the plan, but the server's clock has gone on.
        let now = self.clock.now();
        let snapshot = snapshot.with_server_time_back(now.duration_since(plan.now));
        self.write(news(self.memory(), &snapshot, &self.loaded.roster, now)).await?;
        let fresh = self.evaluate(snapshot, plan.now).await?;
        self.write_holds(&fresh).await?;
        Ok(fresh)
    }

    /// Guards ask how long a change has been held, so holds are written after they have decided
    /// for the last time in this run.
    async fn write_holds(&mut self, evaluation: &Evaluation) -> Result<(), Failure> {
        let Evaluation { plan, verdict, .. } = evaluation;
        let mut entries = approvals::sets(verdict);
        entries.extend(record::holds(self.memory(), verdict, plan.now));
        self.write(entries).await
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

/// What the fresh listing still wants. What this run held is released, the rest is left over.
fn residue(fresh: &Evaluation, verdict: &Verdict) -> Residue {
    let target = |change: &Change| Key::of(&change.action, &change.email);
    let held: HashSet<Key> = verdict.held.iter().map(|held| target(&held.change)).collect();
    let allowed = fresh.verdict.approved.changes().iter().cloned();
    let (released, applicable) = allowed.partition(|change| held.contains(&target(change)));
    let categories = fresh.plan.findings().iter().map(|finding| finding.kind.category());
    Residue {
        in_sync: fresh.plan.facts.in_sync,
        propagating: categories.filter(|it| *it == FindingCategory::Propagating).count(),
        released,
        applicable,
    }
}
