//! The message of a finding.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::time;
use crate::email::Email;
use crate::escape::escape;
use crate::plan::approvals::INERT;
use crate::plan::{Finding, FindingKind};
use crate::role::Role;

/// The message of a finding, escaped. `now` is the instant of its plan, `zone` that of the reader.
pub fn message(finding: &Finding, now: Timestamp, zone: &TimeZone) -> String {
    let ago = finding.since.map(|since| time::ago(since, now)).unwrap_or_default();
    let next = finding.next.map(|next| time::at(next, zone)).unwrap_or_default();
    match &finding.kind {
        FindingKind::Invited => format!("invited{ago}, acceptance pending"),
        FindingKind::InvitedWithOtherRole { wanted } => other_role(finding, wanted, &ago),
        FindingKind::InvitationExpired if next.is_empty() => {
            "invitation expired; without a ledger, the time of the next one is unknown".into()
        }
        FindingKind::InvitationExpired => format!("invitation expired; next one due {next}"),
        FindingKind::InvitationMissing => {
            format!("invited{ago}, but no invitation or account found; next one due {next}")
        }
        FindingKind::InvitationsExhausted { times } => format!(
            "{times} invitations not accepted, the last{ago}; contact the user or invite manually"
        ),
        FindingKind::Propagating { answered: true } => {
            format!("done{ago}, not visible in the API yet; next check {next}")
        }
        FindingKind::Propagating { answered: false } => {
            format!("sent{ago}, outcome unknown; next check {next}")
        }
        FindingKind::Rejected { error } => {
            format!("rejected{ago}: {}; retry {next}", escape(error))
        }
        FindingKind::ManualActionRequired { error } => format!(
            "rejected; make the change in the workspace settings; the API says: {}",
            escape(error)
        ),
        FindingKind::ActiveBeforeStart { at } => {
            format!("access starts {}; account unchanged until then", time::at(*at, zone))
        }
        FindingKind::NotStarted { at } => format!("access starts {}", time::at(*at, zone)),
        FindingKind::EmailDiffers { account } => {
            let valid = Email::parse(account.as_str()).is_ok();
            let hint = if valid { "update `email`" } else { "correct it in the workspace" };
            format!("the account is now {}; {hint}", escape(account.as_str()))
        }
        FindingKind::MaybeRenamed { account } => renamed(&escape(account.as_str()), &next),
        FindingKind::SeveralAccounts { accounts } => several(accounts),
        FindingKind::UnexpectedInvitation => {
            "invited, but not in the roster; the API cannot withdraw the invitation; if accepted, \
             treated as any account"
                .into()
        }
        FindingKind::UnexpectedInvitationExpired => {
            "not in the roster; the invitation has expired".into()
        }
        FindingKind::Drift => "not in the roster; unchanged because of `on_removed: report`".into(),
        FindingKind::UnknownStatus { status } => {
            format!("unknown invitation status {}, treated as pending", escape(status))
        }
        FindingKind::ApprovalUsed { budget } => {
            format!("the approval of `{}` was used{ago}; remove it", budget.key())
        }
        FindingKind::ApprovalInert { budget } => {
            format!("the approval of `{}` has no effect: {INERT}; remove it", budget.key())
        }
        FindingKind::ApprovalNotCounted { budget, why } => {
            let (why, hint) = why.explain().unwrap_or_default();
            format!("the approval of `{}` does not count: {why}; {hint}", budget.key())
        }
        FindingKind::Lookalike { member } => {
            format!("resembles {}, a member: is it one person?", escape(member.as_str()))
        }
        FindingKind::UnmanagedIdle => {
            "the entry of `unmanaged` matches no account and no invitation".into()
        }
        FindingKind::RequiredAdminIdle => {
            "the entry of `required_admins` matches no account".into()
        }
    }
}

fn other_role(finding: &Finding, wanted: &Role, ago: &str) -> String {
    let role = if wanted.grows_to(&finding.role) { "a HIGHER" } else { "another" };
    let wanted = escape(wanted.as_str());
    format!("invited{ago} with {role} role than {wanted}; can be changed once accepted")
}

fn renamed(account: &str, end: &str) -> String {
    let end = if end.is_empty() { String::new() } else { format!(" before {end}") };
    format!(
        "{account} may be this person's account: add `aliases: [{account}]`{end}, or approve its \
         disable"
    )
}

fn several(accounts: &[Email]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = accounts.iter().take(SHOWN).map(|email| escape(email.as_str())).collect();
    let more = if accounts.len() > SHOWN { ", …" } else { "" };
    format!(
        "{} accounts match ({}{more}); none is changed; disable all but one",
        accounts.len(),
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(kind: FindingKind) -> String {
        let at = |text: &str| Some(text.parse().unwrap());
        let finding = Finding {
            kind,
            email: Email::remote("matt@acme.io"),
            role: Role::Developer,
            place: None,
            since: at("2026-11-25T11:55:00Z"),
            next: at("2026-11-25T12:05:00Z"),
        };
        message(&finding, "2026-11-25T12:00:00Z".parse().unwrap(), &TimeZone::UTC)
    }

    #[test]
    fn an_unknown_outcome_is_not_reported_as_done() {
        let answered = message_of(FindingKind::Propagating { answered: true });
        assert!(answered.starts_with("done 5 min ago, not visible"), "{answered}");
        let unknown = message_of(FindingKind::Propagating { answered: false });
        assert!(unknown.starts_with("sent 5 min ago, outcome unknown"), "{unknown}");
        assert!(unknown.ends_with("next check 2026-11-25 12:05 UTC"), "{unknown}");
    }

    #[test]
    fn messages_of_the_api_are_escaped() {
        let error = "no\u{1b}[2J".to_owned();
        let rejected = FindingKind::Rejected { error: error.clone() };
        assert!(message_of(rejected).contains("no\\u{1b}[2J"));
        let manual = FindingKind::ManualActionRequired { error };
        assert!(message_of(manual).contains("no\\u{1b}[2J"));
    }
}
