//! What a finding is called, and the sentence that tells it.

use jiff::Timestamp;

use super::time;
use crate::escape::escape;
use crate::plan::{Finding, FindingKind};

/// The stable name of a finding in JSON.
pub(super) fn name(kind: &FindingKind) -> &'static str {
    match kind {
        FindingKind::Invited => "invited",
        FindingKind::InvitedWithOtherRole { .. } => "invited_with_other_role",
        FindingKind::InvitationExpired => "invitation_expired",
        FindingKind::InvitationGone => "invitation_gone",
        FindingKind::InvitationsExhausted { .. } => "invitations_exhausted",
        FindingKind::Settling => "settling",
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
        FindingKind::Settling => {
            format!("done{ago}, and the reading does not show it yet; looked at again {next}")
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
