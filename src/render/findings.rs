//! What a finding is called, and the sentence that tells it.

use jiff::Timestamp;

use super::time;
use crate::escape::escape;
use crate::plan::{Finding, FindingKind};

/// The stable name of a finding in JSON.
pub fn name(kind: &FindingKind) -> &'static str {
    match kind {
        FindingKind::Invited => "invited",
        FindingKind::InvitedWithOtherRole { .. } => "invited_with_other_role",
        FindingKind::InvitationExpired => "invitation_expired",
        FindingKind::InvitationGone => "invitation_gone",
        FindingKind::InvitationsExhausted { .. } => "invitations_exhausted",
        FindingKind::Propagating { .. } => "propagating",
        FindingKind::Refused { .. } => "refused",
        FindingKind::NeedsPerson { .. } => "needs_person",
        FindingKind::StartsLater { .. } => "starts_later",
        FindingKind::NotYet { .. } => "not_yet",
        FindingKind::KnownAs { .. } => "known_as",
        FindingKind::SeveralAccounts { .. } => "several_accounts",
        FindingKind::UninvitedPending => "uninvited_pending",
        FindingKind::UninvitedExpired => "uninvited_expired",
        FindingKind::Drift => "drift",
        FindingKind::UnknownStatus { .. } => "unknown_status",
        FindingKind::ApprovalUsed { .. } => "approval_used",
        FindingKind::ApprovalIdle { .. } => "approval_idle",
    }
}

/// The sentence of a finding, escaped; `now` is the instant of its plan.
pub fn words(finding: &Finding, now: Timestamp) -> String {
    let ago = finding.since.map(|since| time::ago(since, now)).unwrap_or_default();
    let next = finding.next.map(time::at).unwrap_or_default();
    match &finding.kind {
        FindingKind::Invited => format!("invited{ago}, not yet accepted"),
        FindingKind::InvitedWithOtherRole { wanted } => {
            let more = wanted.grows_to(&finding.role);
            let start =
                if more { "invited with MORE than the roster's" } else { "invited, not as" };
            format!("{start} {}{ago}: it can be corrected once accepted", escape(wanted.as_str()))
        }
        FindingKind::InvitationExpired if next.is_empty() => {
            "the invitation has expired; when the next is due the ledger knows".into()
        }
        FindingKind::InvitationExpired => {
            format!("the invitation has expired; the next is due {next}")
        }
        FindingKind::InvitationGone => {
            format!("invited{ago}, and no reading shows it; the next is due {next}")
        }
        FindingKind::InvitationsExhausted { times } => format!(
            "{times} invitations led to nothing, the last{ago}: ask the person, or invite by hand"
        ),
        FindingKind::Propagating { answered: true } => {
            format!("done{ago}, and the reading does not show it yet; looked at again {next}")
        }
        FindingKind::Propagating { answered: false } => {
            format!("sent{ago}, and nobody knows yet whether it was done; looked at again {next}")
        }
        FindingKind::Refused { why } => {
            format!("refused{ago}: {}; tried again {next}", escape(why))
        }
        FindingKind::NeedsPerson { why } => {
            format!(
                "needs a person, in the settings of the workspace; the API says: {}",
                escape(why)
            )
        }
        FindingKind::StartsLater { at } => {
            format!("access begins {at}: the account is left alone until then")
        }
        FindingKind::NotYet { at } => format!("access begins {at}: nothing to do yet"),
        FindingKind::KnownAs { account } => {
            format!("has the account {}: write that address", escape(account.as_str()))
        }
        FindingKind::SeveralAccounts { accounts } => several(accounts),
        FindingKind::UninvitedPending => {
            "invited, not in the roster: the API cannot withdraw it; once accepted, it is an \
             account like any other"
                .into()
        }
        FindingKind::UninvitedExpired => "not in the roster, the invitation has expired".into(),
        FindingKind::Drift => "not in the roster; `on_removed: report` leaves the account".into(),
        FindingKind::UnknownStatus { status } => {
            format!("unknown invitation status {}, taken as pending", escape(status))
        }
        FindingKind::ApprovalUsed { budget } => {
            format!("the approval of `{}` served{ago}: remove the line", budget.key())
        }
        FindingKind::ApprovalIdle { budget } => {
            format!("the approval of `{}` matches nothing that is wanted now", budget.key())
        }
    }
}

fn several(accounts: &[crate::email::Email]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = accounts.iter().take(SHOWN).map(|email| escape(email.as_str())).collect();
    let more = if accounts.len() > SHOWN { ", …" } else { "" };
    format!(
        "{} accounts match ({}{more}): none is touched, disable all but one of them",
        accounts.len(),
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::email::Email;
    use crate::role::Role;

    fn told(kind: FindingKind) -> String {
        let at = |text: &str| Some(text.parse().unwrap());
        let finding = Finding {
            kind,
            email: Email::remote("matt@acme.io"),
            role: Role::Developer,
            place: None,
            since: at("2026-11-25T11:55:00Z"),
            next: at("2026-11-25T12:05:00Z"),
        };
        words(&finding, "2026-11-25T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_may_have_been_done_is_not_told_as_done() {
        let answered = told(FindingKind::Propagating { answered: true });
        assert!(answered.starts_with("done 5 min ago, and"), "{answered}");
        let open = told(FindingKind::Propagating { answered: false });
        assert!(open.starts_with("sent 5 min ago, and nobody knows yet"), "{open}");
        assert!(open.ends_with("looked at again 2026-11-25 12:05 UTC"), "{open}");
    }

    #[test]
    fn what_the_api_says_is_harmless() {
        let why = "no\u{1b}[2J".to_owned();
        assert!(told(FindingKind::Refused { why: why.clone() }).contains("no\\u{1b}[2J"));
        assert!(told(FindingKind::NeedsPerson { why }).contains("no\\u{1b}[2J"));
    }
}
