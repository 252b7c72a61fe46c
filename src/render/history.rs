//! The history of a workspace, from the ledger.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::table::{self, Line, Screen};
use super::{role_change, time};
use crate::action::Action;
use crate::memory::events::{Change, Event, EventKind};
use crate::revision::{Revision, abbreviate};

/// One event. Fields that do not apply are absent.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct Row {
    pub workspace: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Empty if the event concerns no person.
    pub email: String,
    /// `invite`, `reinvite`, `update_role`, `disable`, `held`, `released`, `approved`,
    /// `approval_used`, `accepted`, `first_seen`, `role_changed`, `email_changed`, `removed`,
    /// `invited`, `invitation_expired` or `invitation_ended`.
    pub event: String,
    pub from: Option<String>,
    pub to: Option<String>,
    /// The outcome of a change: `done`, `rejected`, `unknown`, `not sent`, `no effect`, `lapsed`
    /// or `open`.
    pub outcome: Option<String>,
    /// Whether a later listing has shown the effect of the change.
    pub shown: Option<bool>,
    pub reason: Option<String>,
    /// The message of the API, or the guards that hold the change.
    pub detail: Option<String>,
    /// Where a change was approved, why, and by which commit.
    pub approval: Option<String>,
    /// `users.yaml:14`
    pub place: Option<String>,
    pub commit: Option<String>,
    pub author: Option<String>,
    pub subject: Option<String>,
}

/// The columns of the CSV.
pub const HEADER: &str = concat!(
    "workspace,at,email,event,from,to,outcome,shown,reason,detail,approval,place,",
    "commit,author,subject",
);

/// The events of one workspace as rows.
pub fn rows(workspace: &str, events: &[Event]) -> Vec<Row> {
    events.iter().map(|event| Row::of(workspace, event)).collect()
}

/// For people: one line for each event, with its outcome and the commit that caused it.
pub fn as_text(rows: &[Row], zone: &TimeZone, screen: Screen) -> String {
    if rows.is_empty() {
        return "no events recorded\n".to_owned();
    }
    let mut lines: Vec<Line> = rows.iter().map(|row| row.line(zone)).collect();
    // The zone is said once, if it is the same in winter and summer.
    let name = |line: &Line| line.cells[0].rsplit(' ').next().map(str::to_owned);
    let zone =
        name(&lines[0]).filter(|zone| lines.iter().all(|it| name(it).as_ref() == Some(zone)));
    let mut when = "WHEN".to_owned();
    if let Some(zone) = zone {
        let cells = lines.iter_mut().map(|line| &mut line.cells[0]);
        cells.for_each(|cell| cell.truncate(cell.len() - zone.len() - 1));
        when = format!("WHEN ({zone})");
    }
    let said = table::said_once(&mut lines);
    table::condensed(&[&when, "EVENT", "WHO", "ROLE", "DETAILS"], lines, said, screen)
}

impl Row {
    /// The row of one event.
    pub fn of(workspace: &str, event: &Event) -> Self {
        let Event { at, email, kind: what, revision, .. } = event;
        let row = Self {
            workspace: workspace.to_owned(),
            at: time::exact(*at),
            email: email.as_str().to_owned(),
            ..Self::default()
        };
        row.by(revision.as_ref()).with(what)
    }

    fn by(self, revision: Option<&Revision>) -> Self {
        let Some(revision) = revision else { return self };
        Self {
            commit: Some(revision.full()),
            author: revision.author.clone(),
            subject: revision.subject.clone(),
            ..self
        }
    }

    fn with(self, what: &EventKind) -> Self {
        let text = |text: &str| Some(text.to_owned());
        match what {
            EventKind::Change(change) => self.change(change),
            EventKind::Held { action, by } => Self {
                reason: Some(format!("{} held", action.kind())),
                detail: Some(by.join(", ")),
                ..self.action("held", action)
            },
            EventKind::Released { action } => Self {
                reason: Some(format!("{} no longer held", action.kind())),
                ..self.action("released", action)
            },
            EventKind::Approved { action, by, inert } => {
                let effect = if *inert { ", without effect" } else { "" };
                let row = self.by(by.revision.as_ref());
                Self {
                    event: "approved".into(),
                    reason: text(&by.reason),
                    detail: Some(format!("{}{effect}", action.key())),
                    place: by.place.clone(),
                    ..row
                }
            }
            EventKind::ApprovalUsed { budget } => {
                Self { event: "approval_used".into(), detail: text(budget.key()), ..self }
            }
            EventKind::Accepted { what, reason } => Self {
                reason: text(reason),
                detail: text(what.as_str()),
                ..self.observed("accepted", None, None)
            },
            EventKind::Appeared { role } => self.observed("first_seen", None, Some(role.as_str())),
            EventKind::OtherRole { from, to } => Self {
                reason: text("outside rosterd"),
                ..self.observed("role_changed", Some(from.as_str()), Some(to.as_str()))
            },
            EventKind::OtherAddress { from } => {
                self.observed("email_changed", Some(from.as_str()), None)
            }
            EventKind::Gone { role, by_us } => Self {
                reason: text(if *by_us { "disabled by rosterd" } else { "outside rosterd" }),
                ..self.observed("removed", Some(role.as_str()), None)
            },
            EventKind::Invited { role } => self.observed("invited", None, Some(role.as_str())),
            EventKind::InvitationExpired { role } => {
                self.observed("invitation_expired", None, Some(role.as_str()))
            }
            EventKind::InvitationEnded => self.observed("invitation_ended", None, None),
        }
    }

    fn action(self, event: &str, action: &Action) -> Self {
        Self {
            event: event.to_owned(),
            from: action.from().map(ToString::to_string),
            to: action.to().map(ToString::to_string),
            ..self
        }
    }

    /// An observation, which no commit caused.
    fn observed(self, event: &str, from: Option<&str>, to: Option<&str>) -> Self {
        let [from, to] = [from, to].map(|it| it.map(str::to_owned));
        Self {
            event: event.to_owned(),
            from,
            to,
            commit: None,
            author: None,
            subject: None,
            ..self
        }
    }

    fn change(self, change: &Change) -> Self {
        let Change { intent, status, detail, shown } = change;
        let mut reason = intent.reason.clone();
        if !intent.lifted.is_empty() {
            reason = format!("{reason}; overrides {}", intent.lifted.join(", "));
        }
        let approval = intent.approval.as_ref().map(super::rows::approved);
        Self {
            outcome: Some(status.as_str().to_owned()),
            shown: Some(*shown),
            reason: Some(reason),
            detail: detail.clone(),
            approval,
            place: intent.place.clone(),
            ..self.action(intent.action.kind(), &intent.action)
        }
    }

    fn line(&self, zone: &TimeZone) -> Line {
        let role = role_change(self.from.as_deref(), self.to.as_deref());
        let event = match self.event.as_str() {
            "update_role" => "role".to_owned(),
            other => other.replace('_', " "),
        };
        let tail = [&self.outcome, &self.reason, &self.detail, &self.approval, &self.place];
        let mut tail: Vec<String> = tail.into_iter().flatten().cloned().collect();
        if let Some(commit) = &self.commit {
            let author = self.author.as_deref().map(|author| format!(" {author}"));
            let subject = self.subject.as_deref().map(|subject| format!(": {subject}"));
            let (author, subject) = (author.unwrap_or_default(), subject.unwrap_or_default());
            tail.push(format!("@ {}{author}{subject}", abbreviate(commit)));
        }
        Line::new(&[time::to_second(&self.at, zone), event, self.email.clone(), role], &tail)
    }
}
