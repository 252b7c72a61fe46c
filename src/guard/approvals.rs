//! What an approval releases: the changes that it names and that are held when a run first reads
//! it, and the future ends that the roster sets for the people it names. Nothing can be approved in
//! stock.

use jiff::Timestamp;

use super::Verdict;
use crate::action::{ApprovalItem, BudgetName};
use crate::directory::Uid;
use crate::memory::Memory;
use crate::memory::entry::{ApprovalRecord, ApprovedBy, Entry};
use crate::plan::Plan;
use crate::role::Role;
use crate::roster::{Approval, Roster};

/// Binds the approvals that no earlier run has read. `verdict` was decided without them; `by` shows
/// where each was approved.
pub fn bind(
    plan: &Plan,
    verdict: &Verdict,
    roster: &Roster,
    memory: &Memory,
    by: impl Fn(&Approval) -> ApprovedBy,
) -> impl Iterator<Item = Entry> {
    let fresh = plan.pending_approvals().iter();
    let fresh = fresh.filter(|approval| memory.approval(&approval.item).is_none());
    fresh.map(move |approval| {
        let (item, by) = (approval.item.clone(), by(approval));
        let (changes, ends) = (held(&item, verdict), ends(&item, roster, plan.now));
        Entry::Approval(Box::new(ApprovalRecord { item, by, changes, ends }))
    })
}

fn held(item: &ApprovalItem, verdict: &Verdict) -> Vec<(Option<Uid>, Option<Role>)> {
    let held = verdict.held.iter().map(|held| &held.change);
    let theirs = held.filter(|it| it.email == item.email && item.action.approves(&it.action));
    theirs.map(|it| (it.action.uid().cloned(), it.action.to().cloned())).collect()
}

fn ends(item: &ApprovalItem, roster: &Roster, now: Timestamp) -> Vec<Timestamp> {
    let member = roster.members().iter().find(|member| member.email == item.email);
    let period = member.and_then(|member| member.time.as_deref());
    let end = period.and_then(|period| match item.action {
        BudgetName::Disable => period.ends,
        BudgetName::Demote => period.elevate.as_ref().map(|elevation| elevation.until),
        _ => None,
    });
    end.filter(|end| *end > now).into_iter().collect()
}
