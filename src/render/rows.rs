//! The rows of a plan, the same for every format.

use jiff::Timestamp;

use strum::IntoStaticStr;

use super::{View, at, findings, joined, role_change, time};

use crate::diagnostic::{Place, Sources};
use crate::escape::escape;
use crate::guard::{Held, Verdict};
use crate::memory::entry::{ApprovedBy, Key};
use crate::order::natural_key;
use crate::plan::change::{Action, Change, Reason};
use crate::plan::{Finding, FindingCategory, Plan};
use crate::role::Role;

/// The kind of a row, in order of display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    Invite,
    Reinvite,
    Role,
    Disable,
    Propagating,
    Pending,
    Held,
    #[strum(serialize = "needs action")]
    NeedsAction,
    Drift,
    Info,
}

/// One row. Every text is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub kind: Kind,
    pub email: String,
    /// The role or its change; for a held row, the change that is held.
    pub what: String,
    /// The reason; empty if the row is clear without one.
    pub why: String,
    /// A warning if the change cannot be undone.
    pub warning: &'static str,
    /// Where and why it was approved.
    pub approval: String,
    /// The names of the guards that hold it.
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
        self.into()
    }

    /// Whether the row is a change that is applied.
    pub fn is_change(self) -> bool {
        self <= Self::Disable
    }
}

impl Row {
    /// The place in the roster, for example `users.yaml:14`.
    pub fn at(&self, sources: &Sources) -> Option<String> {
        self.place.map(|place| at(sources, place))
    }
}

/// All rows of the plan: by kind, and within a kind by address, in natural order.
pub fn of_view(view: &View<'_>) -> Vec<Row> {
    let View { plan, verdict, sources, .. } = *view;
    let now = plan.now;
    let approved = verdict.approved.changes().iter();
    let approved = approved.map(|change| of_approved(change, verdict, sources));
    let findings = plan.findings().iter().map(|finding| of_finding(finding, plan));
    let held = verdict.held.iter().map(|held| of_held(held, now, sources));
    let mut rows: Vec<Row> = approved.chain(held).chain(findings).collect();
    rows.sort_by_cached_key(|row| (row.kind, natural_key(&row.email)));
    rows
}

/// The rows of the held changes, in natural order.
pub(super) fn held(verdict: &Verdict, now: Timestamp, sources: &Sources) -> Vec<Row> {
    let mut rows: Vec<Row> = verdict.held.iter().map(|held| of_held(held, now, sources)).collect();
    rows.sort_by_cached_key(|row| natural_key(&row.email));
    rows
}

pub fn of_change(change: &Change, sources: &Sources) -> Row {
    let disables = matches!(change.action, Action::Disable { .. });
    let [from, to] = [change.action.from(), change.action.to()].map(|it| it.map(Role::as_str));
    Row {
        kind: match change.action {
            Action::Invite { .. } => Kind::Invite,
            Action::Reinvite { .. } => Kind::Reinvite,
            Action::UpdateRole { .. } => Kind::Role,
            Action::Disable { .. } => Kind::Disable,
        },
        email: escape(change.email.as_str()).into_owned(),
        what: escape(&role_change(from, to)).into_owned(),
        why: why(change, sources),
        warning: if disables { "cannot be undone through the API" } else { "" },
        approval: String::new(),
        held_by: String::new(),
        place: change.place,
    }
}

/// A change that is or was sent, and who approved it.
pub fn of_approved(change: &Change, verdict: &Verdict, sources: &Sources) -> Row {
    let row = of_change(change, sources);
    let Some(release) = verdict.overridden.get(&Key::of(&change.action, &change.email)) else {
        return row;
    };
    Row { approval: approved(&release.by), ..row }
}

/// Where, why and by which commit a change was approved, escaped.
pub fn approved(by: &ApprovedBy) -> String {
    let ApprovedBy { place, reason, revision } = by;
    let place = place.as_deref().unwrap_or("the command line");
    let commit = revision.as_ref().map(|revision| {
        let author = revision.author.as_deref().map(|author| format!(" by {author}"));
        format!(" (commit {revision}{})", author.unwrap_or_default())
    });
    let text = format!("approved in {place}: {reason}{}", commit.unwrap_or_default());
    escape(&text).into_owned()
}

fn of_held(held: &Held, now: Timestamp, sources: &Sources) -> Row {
    let row = of_change(&held.change, sources);
    let guards: Vec<String> = held.by.iter().map(ToString::to_string).collect();
    let what = format!("{} {}", row.kind.as_str(), row.what);
    let age = held.since.and_then(|since| time::span(now.duration_since(since)));
    let why = match (age, row.why.as_str()) {
        (None, why) => why.to_owned(),
        (Some(age), "") => format!("for {age}"),
        (Some(age), why) => format!("{why}, for {age}"),
    };
    Row { kind: Kind::Held, what, why, held_by: guards.join(", "), ..row }
}

pub fn of_finding(finding: &Finding, plan: &Plan) -> Row {
    Row {
        kind: match finding.kind.category() {
            FindingCategory::Propagating => Kind::Propagating,
            FindingCategory::Pending => Kind::Pending,
            FindingCategory::NeedsAction => Kind::NeedsAction,
            FindingCategory::Drift => Kind::Drift,
            FindingCategory::Info => Kind::Info,
        },
        email: escape(finding.email.as_str()).into_owned(),
        what: escape(finding.role.as_str()).into_owned(),
        why: findings::message(finding, plan.now, &plan.zone),
        warning: "",
        approval: String::new(),
        held_by: String::new(),
        place: finding.place,
    }
}

fn why(change: &Change, sources: &Sources) -> String {
    let mut files = sources.iter();
    let reason = match (change.reason, files.next(), files.next()) {
        (Reason::NotInWorkspace | Reason::RoleDiffers, ..) => String::new(),
        (Reason::NotInRoster, Some((_, file)), None) => format!("not in {}", escape(&file.name)),
        (reason, ..) => reason.description().to_owned(),
    };
    let others = match &change.suspect {
        Some(member) => format!("may be {}", escape(member.as_str())),
        None if change.resembles.is_empty() => String::new(),
        None => format!("resembles {}", change.lookalikes()),
    };
    joined(&[&*reason, &others], ", ")
}
