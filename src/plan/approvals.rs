//! Checks `approvals:` against the ledger, without a snapshot.

use jiff::Timestamp;

use crate::action::BudgetName;
use crate::diagnostic::Diagnostic;
use crate::email::Email;
use crate::memory::Memory;
use crate::roster::{Phase, Roster};

/// A warning for each approval that has been used or has no effect.
pub fn problems(roster: &Roster, memory: &Memory, now: Timestamp) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for approval in roster.approvals() {
        let budget = approval.budget;
        for (email, place) in &approval.people {
            let what = format!("the approval of `{}` for {email}", budget.key());
            let problem = if memory.approval_used(budget, email).is_some() {
                Diagnostic::warning("approval-used", format!("{what} has been used"))
                    .hint("remove it; to approve again, add it again in a later commit")
            } else if let Some(reason) = why_idle(roster, memory, budget, email, now) {
                Diagnostic::warning("approval-idle", format!("{what} has no effect: {reason}"))
                    .hint("check the address and the action, or remove it")
            } else {
                continue;
            };
            found.push(problem.at(*place));
        }
    }
    found
}

/// Why an approval has no effect, if that is certain.
fn why_idle(
    roster: &Roster,
    memory: &Memory,
    budget: BudgetName,
    email: &Email,
    now: Timestamp,
) -> Option<&'static str> {
    if roster.is_unmanaged(email) {
        return Some("the address is unmanaged");
    }
    let member = roster.members().iter().find(|it| it.addresses().any(|it| it == email));
    if member.is_some_and(|member| member.email != *email) {
        return Some("the address is an alias; name the member's `email`");
    }
    let present = member.is_some_and(|member| member.phase(now) != Phase::Past);
    match budget {
        BudgetName::Disable if present => return Some("the address is a member"),
        BudgetName::Invite | BudgetName::GrantAdmin | BudgetName::Demote if !present => {
            return Some("the address is not a member");
        }
        _ => {}
    }
    let mut held = memory.holds().keys();
    let is_held = held.any(|key| key.email == *email && budget.counts(&key.action));
    (memory.is_known() && !is_held).then_some("the last run held no such change")
}
