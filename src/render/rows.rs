//! What one row says, for every format.

use jiff::Timestamp;

use super::{View, at, findings, time};
use crate::diagnostic::{Place, Sources};
use crate::escape::escape;
use crate::guard::{Held, Verdict};
use crate::plan::change::{Action, Change, Reason};
use crate::plan::{Finding, FindingCategory, FindingKind, Plan};

/// What a row is about. The order is the order of display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Invite,
    Reinvite,
    Role,
    Disable,
    Propagating,
    Pending,
    Held,
    NeedsAction,
    Drift,
    Info,
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
            Self::Invite | Self::Reinvite => '+',
            Self::Role => '~',
            Self::Disable => '-',
            Self::Propagating | Self::Pending => '…',
            Self::Held => '!',
            Self::NeedsAction => '×',
            Self::Drift => '≠',
            Self::Info => '·',
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Reinvite => "reinvite",
            Self::Role => "role",
            Self::Disable => "disable",
            Self::Propagating => "propagating",
            Self::Pending => "pending",
            Self::Held => "held",
            Self::NeedsAction => "needs action",
            Self::Drift => "drift",
            Self::Info => "info",
        }
    }

    /// Whether the row is something that applying the plan does.
    pub fn is_change(self) -> bool {
        self <= Self::Disable
    }

    fn of_change(change: &Change) -> Self {
        match change.action {
            Action::Invite { .. } => Self::Invite,
            Action::Reinvite { .. } => Self::Reinvite,
            Action::UpdateRole { .. } => Self::Role,
            Action::Disable { .. } => Self::Disable,
        }
    }

    fn of_finding(kind: &FindingKind) -> Self {
        match kind.category() {
            FindingCategory::Propagating => Self::Propagating,
            FindingCategory::Pending => Self::Pending,
            FindingCategory::NeedsAction => Self::NeedsAction,
            FindingCategory::Drift => Self::Drift,
            FindingCategory::Info => Self::Info,
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
    let now = plan.now();
    let findings = plan.findings().iter().map(|finding| of_finding(finding, now));
    let mut rows: Vec<Row> = held(verdict, now, sources).into_iter().chain(findings).collect();
    rows.sort_by_key(|row| row.kind);
    rows
}

/// The rows of what is held.
pub(super) fn held(verdict: &Verdict, now: Timestamp, sources: &Sources) -> Vec<Row> {
    verdict.held.iter().map(|held| of_held(held, now, sources)).collect()
}

pub fn of_change(change: &Change, sources: &Sources) -> Row {
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

fn of_held(held: &Held, now: Timestamp, sources: &Sources) -> Row {
    let row = of_change(&held.change, sources);
    let guards: Vec<String> = held.by.iter().map(ToString::to_string).collect();
    let what = match row.kind {
        Kind::Disable => row.kind.as_str().to_owned(),
        kind => format!("{} {}", kind.as_str(), row.what),
    };
    let age = held.since.and_then(|since| time::span(now.duration_since(since)));
    let why = match (age, row.why.as_str()) {
        (None, why) => why.to_owned(),
        (Some(age), "") => format!("for {age}"),
        (Some(age), why) => format!("{why}, for {age}"),
    };
    Row { kind: Kind::Held, what, why, held_by: guards.join(", "), ..row }
}

fn of_finding(finding: &Finding, now: Timestamp) -> Row {
    Row {
        kind: Kind::of_finding(&finding.kind),
        email: escape(finding.email.as_str()).into_owned(),
        what: escape(finding.role.as_str()).into_owned(),
        why: findings::words(finding, now),
        warning: "",
        held_by: String::new(),
        place: finding.place,
    }
}

/// `DEVELOPER`, or `ADMIN → BUSINESS`.
fn role_words(change: &Change) -> String {
    match &change.action {
        Action::Invite { role } | Action::Reinvite { role } | Action::Disable { role, .. } => {
            escape(role.as_str()).into()
        }
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
        (reason, ..) => reason.description().to_owned(),
    }
}
