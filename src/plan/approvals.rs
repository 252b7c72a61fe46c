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
            let warning = |code, message: String, hint: &str| {
                Diagnostic::warning(code, message).at(*place).hint(hint)
            };
            if memory.approval_used(budget, email).is_some() {
                found.push(warning(
                    "approval-used",
                    format!("the approval of `{}` for {email} has been used", budget.key()),
                    "remove it; to approve again, add it again in a later commit",
                ));
            } else if let Some(reason) = why_idle(roster, memory, budget, email, now) {
                found.push(warning(
                    "approval-idle",
                    format!(
                        "the approval of `{}` for {email} has no effect: {reason}",
                        budget.key()
                    ),
                    "check the address and the action, or remove it",
                ));
            }
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
