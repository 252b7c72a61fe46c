//! Checks `approvals:` against the ledger, without a snapshot.

use jiff::Timestamp;

use crate::action::{ApprovalItem, BudgetName};
use crate::diagnostic::Diagnostic;
use crate::memory::Memory;
use crate::roster::{Approval, ApprovalState, Phase, Roster};

/// A warning for each approval that has been used, has no effect or does not count.
pub fn problems(roster: &Roster, memory: &Memory, now: Timestamp) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for approval in roster.approvals() {
        let ApprovalItem { action, email, .. } = &approval.item;
        let what = format!("the approval of `{}` for {email}", action.key());
        let bound = memory.approval(&approval.item);
        let used = memory.approval_used(*action, email).or(bound.and_then(|bound| bound.used));
        let problem = if used.is_some() {
            Diagnostic::warning("approval-used", format!("{what} has been used"))
                .hint("remove it; to approve again, add it again in a later commit")
        } else if let Some((why, hint)) = approval.state.explain() {
            Diagnostic::warning("approval-not-counted", format!("{what} does not count: {why}"))
                .hint(hint)
        } else if bound.is_some_and(|bound| bound.inert) {
            Diagnostic::warning("approval-inert", format!("{what} has no effect: {INERT}"))
                .hint("remove it; an approval must be committed while the change is held")
        } else if let Some(reason) = why_idle(roster, memory, approval, now) {
            Diagnostic::warning("approval-idle", format!("{what} has no effect: {reason}"))
                .hint("check the address and the action, or remove it")
        } else {
            continue;
        };
        found.push(problem.at(approval.place));
    }
    found
}

/// Why an approval releases nothing.
pub const INERT: &str = "no such change was held when it was first read";

impl ApprovalState {
    /// Why an approval does not count, and what to do. None if it counts.
    pub fn explain(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Counts => None,
            Self::NotCommitted => Some(("the last commit does not have it", "commit the file")),
            Self::NoWorkTree => Some((
                "the roster is not in a git work tree",
                "keep the roster in git, or set `guard.approvals: file`",
            )),
            Self::Untrusted => Some((
                "the git work tree belongs to another user",
                "list its folder in `safe_directories`, or run rosterd as its owner",
            )),
            Self::NoReason => Some(("its reason is empty", "write a `reason`")),
        }
    }
}

/// Why an approval has no effect, if that is certain.
fn why_idle(
    roster: &Roster,
    memory: &Memory,
    approval: &Approval,
    now: Timestamp,
) -> Option<&'static str> {
    let ApprovalItem { action, email, .. } = &approval.item;
    if roster.is_unmanaged(email) {
        return Some("the address is unmanaged");
    }
    let member = roster.members().iter().find(|it| it.addresses().any(|it| it == email));
    if member.is_some_and(|member| member.email != *email) {
        return Some("the address is an alias; name the member's `email`");
    }
    let present = member.is_some_and(|member| member.phase(now) != Phase::Past);
    let is_ahead = |at: &Timestamp| *at > now;
    let has_end = member.and_then(|member| member.time.as_deref()).is_some_and(|period| {
        period.ends.as_ref().is_some_and(is_ahead)
            || period.elevate.as_ref().is_some_and(|elevation| is_ahead(&elevation.until))
    });
    match action {
        BudgetName::Disable if present && !has_end => return Some("the address is a member"),
        BudgetName::Invite | BudgetName::GrantAdmin | BudgetName::Demote if !present => {
            return Some("the address is not a member");
        }
        _ => {}
    }
    let mut held = memory.holds().keys();
    let is_held = held.any(|key| key.email == *email && action.approves(&key.action));
    let is_bound = memory.approval(&approval.item).is_some();
    (memory.is_known() && !is_held && !has_end && !is_bound)
        .then_some("the last run held no such change")
}
