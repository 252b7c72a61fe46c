//! Approvals: which of the roster's count, and what each one that is new releases.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{Evaluation, Loaded, WorkspaceSpec};
use crate::action::ApprovalItem;
use crate::diagnostic::Sources;
use crate::guard::{self, NewSet, Verdict};
use crate::memory::Memory;
use crate::memory::entry::{ApprovedBy, Entry};
use crate::plan::Plan;
use crate::render;
use crate::revision::Revision;
use crate::roster::ApprovalState::{Counts, NoWorkTree, NotCommitted, Untrusted};
use crate::roster::{Approval, Roster, checks, raw};
use crate::source::revision::LastCommit;

/// Decides which approvals of a roster count: those that the last commit has, or outside a work
/// tree all of them, if the configuration says so.
pub(super) fn judge(spec: &WorkspaceSpec, sources: &Sources, roster: &mut Roster, now: Timestamp) {
    if roster.approvals().is_empty() {
        return;
    }
    let state = match spec.source.last_commit(sources) {
        LastCommit::Same => Counts,
        LastCommit::Other(committed) => {
            let raw = raw::read(&committed);
            let (committed, _) = checks::validate(raw, &committed, &spec.zone, now);
            let items = committed.iter().flat_map(Roster::approvals).map(|it| it.item.clone());
            let items: HashSet<ApprovalItem> = items.collect();
            let state = |item: &_| if items.contains(item) { Counts } else { NotCommitted };
            return roster.judge_approvals(state);
        }
        LastCommit::Untrusted => Untrusted,
        LastCommit::None if spec.approvals_in_file => Counts,
        LastCommit::None => NoWorkTree,
    };
    roster.judge_approvals(|_| state);
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
    let by = |Approval { item, place, .. }: &Approval| ApprovedBy {
        place: Some(render::at(&loaded.sources, *place)),
        reason: item.reason.clone(),
        revision: commits.get(item).or(loaded.revision.as_ref()).cloned(),
    };
    let records = guard::approvals::bind(plan, verdict, &loaded.roster, memory, by);
    sets(verdict).into_iter().chain(records).collect()
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
