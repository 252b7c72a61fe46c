//! What one row says, for every format.

use super::{View, at};
use crate::diagnostic::{Place, Sources};
use crate::escape::escape;
use crate::guard::{Held, Verdict};
use crate::plan::change::{Action, Change, Reason};
use crate::plan::{Finding, FindingKind, Plan, Standing};

/// What a row is about. The order is the order of display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Invite,
    Role,
    Disable,
    Waiting,
    Held,
    Unfixable,
    Drift,
    Noted,
}

/// One row. Every text in it is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub kind: Kind,
    pub email: String,
    /// The role or its change; for a held row what is held.
    pub what: String,
    /// The reason; empty where the row speaks for itself.
    pub why: String,
    /// What cannot be taken back.
    pub warning: &'static str,
    /// The guards that hold it, by name.
    pub held_by: String,
    pub place: Option<Place>,
}

impl Kind {
    pub fn symbol(self) -> char {
        match self {
            Self::Invite => '+',
            Self::Role => '~',
            Self::Disable => '-',
            Self::Waiting => '…',
            Self::Held => '!',
            Self::Unfixable => '×',
            Self::Drift => '≠',
            Self::Noted => '·',
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Role => "role",
            Self::Disable => "disable",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Unfixable => "unfixable",
            Self::Drift => "drift",
            Self::Noted => "noted",
        }
    }

    /// Whether the row is something that applying the plan does.
    pub fn is_change(self) -> bool {
        self <= Self::Disable
    }

    fn of_change(change: &Change) -> Self {
        match change.action {
            Action::Invite { .. } => Self::Invite,
            Action::UpdateRole { .. } => Self::Role,
            Action::Disable { .. } => Self::Disable,
        }
    }

    fn of_finding(kind: &FindingKind) -> Self {
        match kind.standing() {
            Standing::Waiting => Self::Waiting,
            Standing::Unfixable => Self::Unfixable,
            Standing::Drift => Self::Drift,
            Standing::Noted => Self::Noted,
        }
    }
}

impl Row {
    /// `users.yaml:14`, if the roster has a line for it.
    pub fn at(&self, sources: &Sources) -> Option<String> {
        self.place.map(|place| at(sources, place))
    }
}

/// Every row of the plan: by kind, and within a kind in the plan's order.
pub fn of_view(view: &View<'_>) -> Vec<Row> {
    of_plan(view.plan, view.verdict, view.sources)
}

pub(super) fn of_plan(plan: &Plan, verdict: &Verdict, sources: &Sources) -> Vec<Row> {
    let approved = verdict.approved.changes().iter().map(|change| of_change(change, sources));
    let mut rows: Vec<Row> = approved.chain(others(plan, verdict, sources)).collect();
    rows.sort_by_key(|row| row.kind);
    rows
}

/// The rows that applying does not touch.
pub(super) fn others(plan: &Plan, verdict: &Verdict, sources: &Sources) -> Vec<Row> {
    let findings = plan.findings().iter().map(of_finding);
    let mut rows: Vec<Row> = held(verdict, sources).into_iter().chain(findings).collect();
    rows.sort_by_key(|row| row.kind);
    rows
}

/// The rows of what is held.
pub(super) fn held(verdict: &Verdict, sources: &Sources) -> Vec<Row> {
    verdict.held.iter().map(|held| of_held(held, sources)).collect()
}

pub(super) fn of_change(change: &Change, sources: &Sources) -> Row {
    let disables = matches!(change.action, Action::Disable { .. });
    Row {
        kind: Kind::of_change(change),
        email: escape(change.email.as_str()).into_owned(),
        what: role_words(change),
        why: why(change, sources),
        warning: if disables { "cannot be undone through the API" } else { "" },
        held_by: String::new(),
        place: change.place,
    }
}

fn of_held(held: &Held, sources: &Sources) -> Row {
    let row = of_change(&held.change, sources);
    let guards: Vec<String> = held.by.iter().map(ToString::to_string).collect();
    let what = match row.kind {
        Kind::Disable => row.kind.word().to_owned(),
        kind => format!("{} {}", kind.word(), row.what),
    };
    Row { kind: Kind::Held, what, held_by: guards.join(", "), ..row }
}

fn of_finding(finding: &Finding) -> Row {
    Row {
        kind: Kind::of_finding(&finding.kind),
        email: escape(finding.email.as_str()).into_owned(),
        what: escape(finding.role.as_str()).into_owned(),
        why: finding_words(finding),
        warning: "",
        held_by: String::new(),
        place: finding.place,
    }
}

/// `DEVELOPER`, or `ADMIN → BUSINESS`.
fn role_words(change: &Change) -> String {
    match &change.action {
        Action::Invite { role } | Action::Disable { role, .. } => escape(role.as_str()).into(),
        Action::UpdateRole { from, to, .. } => {
            format!("{} → {}", escape(from.as_str()), escape(to.as_str()))
        }
    }
}

fn why(change: &Change, sources: &Sources) -> String {
    let mut files = sources.iter();
    match (change.reason, files.next(), files.next()) {
        (Reason::NotInWorkspace | Reason::RoleDiffers, ..) => String::new(),
        (Reason::NotInRoster, Some((_, file)), None) => format!("not in {}", escape(&file.name)),
        (reason, ..) => reason.words().to_owned(),
    }
}

/// The stable name of a finding in JSON.
pub(super) fn finding_name(kind: &FindingKind) -> &'static str {
    match kind {
        FindingKind::Invited => "invited",
        FindingKind::InvitedWithOtherRole { .. } => "invited_with_other_role",
        FindingKind::InvitationExpired => "invitation_expired",
        FindingKind::StartsLater { .. } => "starts_later",
        FindingKind::NotYet { .. } => "not_yet",
        FindingKind::KnownAs { .. } => "known_as",
        FindingKind::SeveralAccounts { .. } => "several_accounts",
        FindingKind::UninvitedPending => "uninvited_pending",
        FindingKind::UninvitedExpired => "uninvited_expired",
        FindingKind::Drift => "drift",
        FindingKind::UnknownStatus { .. } => "unknown_status",
    }
}

/// The sentence of a finding, escaped.
pub(super) fn finding_words(finding: &Finding) -> String {
    match &finding.kind {
        FindingKind::Invited => "invited, not yet accepted".into(),
        FindingKind::InvitedWithOtherRole { wanted } => {
            let more = wanted.grows_to(&finding.role);
            let start =
                if more { "invited with MORE than the roster's" } else { "invited, not as" };
            format!("{start} {}: it can be corrected once accepted", escape(wanted.as_str()))
        }
        FindingKind::InvitationExpired => {
            "the invitation has expired: a person has to send it again".into()
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
