//! What can be said about `approvals:` from the file and the ledger alone.

use jiff::Timestamp;

use crate::action::BudgetName;
use crate::diagnostic::Diagnostic;
use crate::email::Email;
use crate::memory::Memory;
use crate::roster::{Phase, Roster};

/// A warning for each approval that has served, or that can release nothing.
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
                    format!("the approval of `{}` for {email} has served", budget.key()),
                    "remove it; it counts anew only after it has left the file",
                ));
            } else if let Some(why) = idle(roster, memory, budget, email, now) {
                found.push(warning(
                    "approval-idle",
                    format!(
                        "the approval of `{}` for {email} releases nothing: {why}",
                        budget.key()
                    ),
                    "look at the address and the action, or remove it",
                ));
            }
        }
    }
    found
}

/// Why an approval releases nothing, as far as that can be known.
fn idle(
    roster: &Roster,
    memory: &Memory,
    budget: BudgetName,
    email: &Email,
    now: Timestamp,
) -> Option<&'static str> {
    if roster.is_unmanaged(email) {
        return Some("it is unmanaged");
    }
    let member = roster.members().iter().find(|it| it.addresses().any(|it| it == email));
    let present = member.is_some_and(|member| member.phase(now) != Phase::Past);
    match budget {
        BudgetName::Disable if present => return Some("it is a member"),
        BudgetName::Invite | BudgetName::GrantAdmin | BudgetName::Demote if !present => {
            return Some("it is no member");
        }
        _ => {}
    }
    let mut held = memory.holds().keys();
    let is_held = held.any(|key| key.email == *email && budget.counts(&key.action));
    (memory.is_known() && !is_held).then_some("nothing of it was held at the last run")
}
