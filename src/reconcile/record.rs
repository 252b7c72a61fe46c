//! What a run writes into the ledger beside the mutations themselves. Pure.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::guard::Verdict;
use crate::memory::entry::{Entry, Key, RosterRecord, RunRecord};
use crate::memory::{Hold, Memory};
use crate::report::{End, Outcome, RunReport, Verification};

use super::{Loaded, WorkspaceSpec};

/// The roster in force, if it is another one than before or comes from another commit.
pub fn roster(memory: &Memory, target: &WorkspaceSpec, loaded: &Loaded) -> Option<Entry> {
    let fact = RosterRecord {
        workspace: target.workspace.clone(),
        digest: loaded.roster.digest().hex(),
        files: loaded.sources.iter().map(|(_, file)| file.name.clone()).collect(),
        revision: loaded.revision.clone(),
    };
    let same = memory.roster() == Some(&fact.digest)
        && memory.revision() == fact.revision.as_ref()
        && memory.workspace() == fact.workspace;
    (!same).then_some(Entry::Roster(fact))
}

/// What is held now and was not, or by other guards, and what is held no longer. Guards ask how
/// long something has been held, so that this is written once they have judged for the last time.
/// What is held since a time that has not come yet, by a clock that was ahead, is held since now.
pub fn holds(memory: &Memory, verdict: &Verdict, now: Timestamp) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut held = HashSet::new();
    for hold in &verdict.held {
        let change = Key::of(&hold.change.action, &hold.change.email);
        let by: Vec<String> = hold.by.iter().map(ToString::to_string).collect();
        let is_told = |known: &Hold| known.by == by && known.first.values().all(|at| *at <= now);
        if !memory.holds().get(&change).is_some_and(is_told) {
            entries.push(Entry::Held { change: change.clone(), by });
        }
        held.insert(change);
    }
    let released = memory.holds().keys().filter(|change| !held.contains(*change));
    entries.extend(released.map(|change| Entry::Released { change: change.clone() }));
    entries
}

/// The run in numbers.
pub fn run(report: &RunReport, loaded: &Loaded) -> Entry {
    let status = if report.is_early() { "early" } else { report.status().as_str() };
    let mut fact = RunRecord {
        trigger: report.trigger.as_str().to_owned(),
        started: report.started,
        status: status.to_owned(),
        roster: loaded.roster.digest().hex(),
        commit: loaded.revision.as_ref().map(|revision| revision.commit.clone()),
        stale: report.stale,
        plan: None,
        done: 0,
        rejected: 0,
        unknown: 0,
        not_sent: 0,
        held: 0,
        in_sync: 0,
        failure: report.failure().map(|failure| format!("{}: {}", failure.kind, failure.message)),
    };
    if let End::Applied(applied) = &report.end {
        for (_, outcome) in &applied.outcomes {
            *match outcome {
                Outcome::Done => &mut fact.done,
                Outcome::Rejected(_) => &mut fact.rejected,
                Outcome::Unknown(_) => &mut fact.unknown,
                Outcome::NotSent(_) => &mut fact.not_sent,
            } += 1;
        }
        fact.plan = Some(applied.plan.fingerprint().hex());
        fact.held = applied.verdict.held.len();
        fact.in_sync = match &applied.verification {
            Verification::Read(residue) => residue.in_sync,
            _ => applied.plan.facts().in_sync,
        };
    }
    Entry::Run(Box::new(fact))
}
