//! Approvals: which of the roster's count, and what each one that is new releases.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{Evaluation, Loaded, WorkspaceSpec};
use crate::action::ApprovalItem;
use crate::diagnostic::Sources;
use crate::guard::approvals::Binding;
use crate::guard::{self, NewSet, Verdict};
use crate::memory::Memory;
use crate::memory::entry::{ApprovalRecord, ApprovedBy, Entry};
use crate::plan::Plan;
use crate::render;
use crate::revision::Revision;
use crate::roster::{Approval, ApprovalState, Roster, checks, raw};
use crate::source::revision::LastCommit;

/// Decides which approvals of a roster count: those that the last commit has, or outside a work
/// tree all of them, if the configuration says so.
pub(super) fn judge(spec: &WorkspaceSpec, sources: &Sources, roster: &mut Roster, now: Timestamp) {
    if roster.approvals().is_empty() {
        return;
    }
    match spec.source.last_commit(sources) {
        LastCommit::Same => roster.judge_approvals(|_| ApprovalState::Counts),
        LastCommit::Other(committed) => {
            let raw = raw::read(&committed);
            let (committed, _) = checks::validate(raw, &committed, &spec.zone, now);
            let items = committed.iter().flat_map(Roster::approvals).map(|it| it.item.clone());
            let items: HashSet<ApprovalItem> = items.collect();
            let state = |item: &ApprovalItem| {
                if items.contains(item) {
                    ApprovalState::Counts
                } else {
                    ApprovalState::NotCommitted
                }
            };
            roster.judge_approvals(state);
        }
        LastCommit::Untrusted => roster.judge_approvals(|_| ApprovalState::Untrusted),
        LastCommit::None if spec.approvals_in_file => {
            roster.judge_approvals(|_| ApprovalState::Counts);
        }
        LastCommit::None => roster.judge_approvals(|_| ApprovalState::NoWorkTree),
    }
}

/// The approvals that no run has read.
pub(super) fn unread(plan: &Plan, memory: &Memory) -> Vec<ApprovalItem> {
    let pending = plan.pending_approvals().iter().map(|approval| &approval.item);
    pending.filter(|item| memory.approval(item).is_none()).cloned().collect()
}

/// Entries for the approvals that no run has read: what each releases, after the sets that are held
/// without them.
pub(super) fn bind(
    evaluation: &Evaluation,
    loaded: &Loaded,
    memory: &Memory,
    commits: &HashMap<ApprovalItem, Revision>,
) -> Vec<Entry> {
    let Evaluation { plan, verdict, .. } = evaluation;
    let bindings = guard::approvals::bind(plan, verdict, &loaded.roster, memory);
    let record = |Binding { approval, changes, ends }| {
        let Approval { item, place, .. } = approval;
        let by = ApprovedBy {
            place: Some(render::at(&loaded.sources, *place)),
            reason: item.reason.clone(),
            revision: commits.get(item).or(loaded.revision.as_ref()).cloned(),
        };
        Entry::Approval(Box::new(ApprovalRecord { item: item.clone(), by, changes, ends }))
    };
    sets(verdict).into_iter().chain(bindings.into_iter().map(record)).collect()
}

/// Entries for the sets that budgets begin to hold, and for those that they do not hold any more.
pub(super) fn sets(verdict: &Verdict) -> Vec<Entry> {
    let new = verdict
        .new_sets
        .iter()
        .map(|NewSet { budget, members }| Entry::Set { budget: *budget, members: members.clone() });
    let of = verdict.ended_sets.clone();
    let ended = (!of.is_empty()).then_some(Entry::SetEnded { of });
    new.chain(ended).collect()
}
