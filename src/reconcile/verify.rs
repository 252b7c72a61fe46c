//! Reading again: `ok` is not believed alone, and what nobody knew is settled here.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Look, Setting, Target, consider};
use crate::client::{ClientError, ReadDirectory};
use crate::directory::{Snapshot, Uid};
use crate::email::Email;
use crate::guard::Verdict;
use crate::plan::Plan;
use crate::plan::change::{Action, Change};
use crate::report::{Outcome, Residue, Verification};
use crate::role::Role;
use crate::roster::Roster;

/// A listing may lag behind an effect: one that does not show it yet is read once more after this
/// long, and then counts.
pub const SECOND_LOOK_AFTER: Duration = Duration::from_secs(2);

/// Reads again, settles unknown outcomes by what the reading shows, and tells what is left.
pub(super) async fn verify<D: ReadDirectory>(
    directory: &D,
    target: &Target,
    roster: &Roster,
    plan: &Plan,
    verdict: &Verdict,
    outcomes: &mut [(Change, Outcome)],
    setting: &Setting<'_>,
) -> Verification {
    let was_sent = |(_, outcome): &(Change, Outcome)| !matches!(outcome, Outcome::NotSent(_));
    if !outcomes.iter().any(was_sent) {
        return Verification::NotNeeded;
    }
    match read_again(directory, target, roster, plan, outcomes, setting).await {
        Ok(fresh) => {
            settle(&fresh.snapshot, outcomes);
            Verification::Read(Box::new(residue(&fresh, verdict, outcomes)))
        }
        Err(error) => Verification::Failed(error.message),
    }
}

async fn read_again<D: ReadDirectory>(
    directory: &D,
    target: &Target,
    roster: &Roster,
    plan: &Plan,
    outcomes: &[(Change, Outcome)],
    setting: &Setting<'_>,
) -> Result<Look, ClientError> {
    let mut snapshot = directory.list().await?;
    if !shows_all(&snapshot, outcomes) {
        tokio::select! {
            () = tokio::time::sleep(SECOND_LOOK_AFTER) => snapshot = directory.list().await?,
            () = setting.cancel.cancelled() => {}
        }
    }
    // The dates of the plan stand; the server's clock has gone on since.
    let since = setting.clock.now().duration_since(plan.now());
    Ok(consider(snapshot.as_if_read_earlier(since), target, roster, plan.now()))
}

fn shows_all(snapshot: &Snapshot, outcomes: &[(Change, Outcome)]) -> bool {
    let shown = Shown::of(snapshot);
    outcomes.iter().all(|(change, outcome)| match outcome {
        Outcome::Done | Outcome::Unknown(_) => shown.has(change),
        Outcome::Rejected(_) | Outcome::NotSent(_) => true,
    })
}

fn settle(snapshot: &Snapshot, outcomes: &mut [(Change, Outcome)]) {
    let shown = Shown::of(snapshot);
    for (change, outcome) in outcomes {
        if matches!(outcome, Outcome::Unknown(_)) && shown.has(change) {
            *outcome = Outcome::Done;
        }
    }
}

/// What the fresh reading still wants, told apart by what this run made of it.
fn residue(fresh: &Look, verdict: &Verdict, outcomes: &[(Change, Outcome)]) -> Residue {
    let done = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Done);
    let done: HashSet<Key<'_>> = done.map(|(change, _)| key(change)).collect();
    let held: HashSet<Key<'_>> = verdict.held.iter().map(|held| key(&held.change)).collect();
    let tried: HashSet<Key<'_>> = outcomes.iter().map(|(change, _)| key(change)).collect();
    let mut residue = Residue { in_sync: fresh.plan.facts().in_sync, ..Residue::default() };
    let wanted = fresh.plan.changes().iter();
    residue.missing = wanted.filter(|change| done.contains(&key(change))).cloned().collect();
    for change in fresh.verdict.approved.changes() {
        if held.contains(&key(change)) {
            residue.released.push(change.clone());
        } else if !done.contains(&key(change)) {
            residue.applicable.push(change.clone());
        }
    }
    // What the rest of the run did may have shrunk a limit. That holds the change from now on, and
    // makes a failed attempt no success.
    let held_since = fresh.verdict.held.iter().map(|held| &held.change);
    let failed = held_since.filter(|c| tried.contains(&key(c)) && !done.contains(&key(c)));
    residue.applicable.extend(failed.cloned());
    residue
}

/// What a change does to whom.
type Key<'a> = (&'static str, &'a Email, Option<&'a Uid>, Option<&'a Role>);

fn key(change: &Change) -> Key<'_> {
    (change.kind(), &change.email, change.uid(), change.to())
}

/// A reading, indexed by what the effects of changes look like.
struct Shown<'a> {
    roles: HashMap<&'a Uid, &'a Role>,
    accounts: HashSet<&'a Email>,
    pending: HashSet<(&'a Email, &'a Role)>,
}

impl<'a> Shown<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let accounts = snapshot.accounts().iter();
        let invitations = snapshot.invitations().iter();
        Self {
            roles: accounts.clone().map(|account| (&account.uid, &account.role)).collect(),
            accounts: accounts.map(|account| &account.email).collect(),
            pending: invitations
                .filter(|invitation| invitation.status.is_pending())
                .map(|invitation| (&invitation.email, &invitation.role))
                .collect(),
        }
    }

    /// Whether the reading shows the effect of `change`, not merely no more need for it.
    fn has(&self, change: &Change) -> bool {
        match &change.action {
            Action::Invite { role } => change.addresses().any(|address| {
                self.accounts.contains(address) || self.pending.contains(&(address, role))
            }),
            Action::UpdateRole { uid, to, .. } => self.roles.get(uid) == Some(&to),
            Action::Disable { uid, .. } => !self.roles.contains_key(uid),
        }
    }
}
