//! Values as the page shows them. Every text in them is escaped against what hides or reorders
//! text; the templates escape it for HTML.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::memory::events::{Event, EventKind};
use crate::memory::runs::Run;
use crate::render::{history, rows, time};
use crate::report::{Status, Trigger};
use crate::web::status::{LastRun, WorkspaceHealth};

/// An instant.
#[derive(Clone)]
pub(super) struct When {
    /// For programs.
    pub exact: String,
    /// `2026-12-01 18:00 UTC`
    pub full: String,
    /// `3 days ago`, `in 5 min`
    pub words: String,
}

impl When {
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        let words = if at > now {
            let span = time::span(at.duration_since(now));
            span.map_or_else(|| "within a minute".to_owned(), |span| format!("in {span}"))
        } else {
            let span = time::span(now.duration_since(at));
            span.map_or_else(|| "just now".to_owned(), |span| format!("{span} ago"))
        };
        Self { exact: time::exact(at), full: time::at(at), words }
    }
}

/// How a workspace fares.
pub(super) struct State {
    /// A class of the style sheet.
    pub key: &'static str,
    pub word: &'static str,
    pub symbol: char,
}

impl State {
    pub fn of(fares: WorkspaceHealth) -> Self {
        let symbol = match fares {
            WorkspaceHealth::Starting => '…',
            WorkspaceHealth::InSync => '✓',
            WorkspaceHealth::Changing => '~',
            WorkspaceHealth::Held => '!',
            WorkspaceHealth::Failing => '×',
            WorkspaceHealth::Stale => '≠',
        };
        Self { key: fares.key(), word: fares.as_str(), symbol }
    }
}

/// Why a run was made, or will be.
pub(super) fn trigger_description(trigger: &str) -> &'static str {
    match trigger {
        "start" => "the process started",
        "schedule" => "the schedule",
        "file" => "a file changed",
        "signal" => "a signal",
        "http" => "asked for over HTTP",
        "boundary" => "a date of the roster falls due",
        "retry" => "something is to be tried again",
        _ => "unknown",
    }
}

/// A run that is due.
pub(super) struct NextRun {
    pub at: When,
    pub why: &'static str,
}

impl NextRun {
    pub fn of(due: crate::daemon::NextRun, now: Timestamp) -> Self {
        Self { at: When::of(due.at, now), why: trigger_description(due.trigger.as_str()) }
    }
}

/// The last run.
pub(super) struct Last {
    pub at: When,
    pub words: String,
}

impl Last {
    pub fn of(last: &LastRun, now: Timestamp) -> Self {
        let ended = match last.status {
            Status::Converged => "ended well",
            Status::Held => "ended well, but for what is held",
            Status::Failed => "failed",
        };
        let why = match last.trigger {
            Trigger::Date => "a date of the roster fell due",
            trigger => trigger_description(trigger.as_str()),
        };
        Self { at: When::of(last.finished, now), words: format!("{ended} ({why})") }
    }
}

/// A row of a plan.
pub(super) struct Row {
    pub tone: &'static str,
    pub symbol: char,
    pub word: &'static str,
    pub link: String,
    pub email: String,
    pub what: String,
    pub why: String,
    pub place: String,
}

impl Row {
    pub fn of(workspace: &str, email: &str, row: &rows::Row, sources: &Sources) -> Self {
        let mut why = row.why.clone();
        for more in [row.warning, &row.held_by] {
            if !more.is_empty() {
                let held = if more == row.held_by { "held by " } else { "" };
                let gap = if why.is_empty() { "" } else { "; " };
                let _ = write!(why, "{gap}{held}{more}");
            }
        }
        Self {
            tone: tone(row.kind),
            symbol: row.kind.symbol(),
            word: row.kind.as_str(),
            link: link(workspace, email),
            email: row.email.clone(),
            what: row.what.clone(),
            why,
            place: row.at(sources).unwrap_or_default(),
        }
    }
}

fn tone(kind: rows::Kind) -> &'static str {
    match kind {
        rows::Kind::Invite | rows::Kind::Reinvite => "gives",
        rows::Kind::Role => "alters",
        rows::Kind::Disable => "takes",
        rows::Kind::Held => "holds",
        rows::Kind::NeedsAction => "never",
        _ => "",
    }
}

/// The page of one person.
pub(super) fn link(workspace: &str, email: &str) -> String {
    format!("/workspaces/{workspace}/people/{}", encoded(email))
}

/// As a part of an address (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A part of the past.
pub(super) struct EventRow {
    pub exact: String,
    pub at: String,
    pub tone: &'static str,
    pub symbol: char,
    pub word: String,
    pub link: String,
    pub email: String,
    pub role: String,
    pub outcome: String,
    pub commit: String,
}

impl EventRow {
    pub fn of(workspace: &str, event: &Event) -> Self {
        let mut rows = history::rows(workspace, std::slice::from_ref(event));
        let row = rows.pop().unwrap_or_default();
        let (tone, symbol) = look(&event.kind);
        let text = |text: &str| escape(text).into_owned();
        let role = match (&row.from, &row.to) {
            (Some(from), Some(to)) => format!("{from} → {to}"),
            (from, to) => from.as_ref().or(to.as_ref()).cloned().unwrap_or_default(),
        };
        let outcome = [&row.outcome, &row.reason, &row.detail, &row.place];
        let outcome: Vec<&str> = outcome.into_iter().flatten().map(String::as_str).collect();
        let commit = row.commit.as_deref().map(|commit| {
            let short: String = commit.chars().take(7).collect();
            let dirty = if commit.ends_with('+') { "+" } else { "" };
            let author = row.author.as_deref().unwrap_or_default();
            let subject = row.subject.as_deref().unwrap_or_default();
            format!("{short}{dirty} {author} {subject}").trim_end().to_owned()
        });
        Self {
            exact: row.at.clone(),
            at: time::at(event.at),
            tone,
            symbol,
            word: text(&row.event.replace('_', " ")),
            link: link(workspace, event.email.as_str()),
            email: text(&row.email),
            role: text(&role),
            outcome: text(&outcome.join("; ")),
            commit: text(&commit.unwrap_or_default()),
        }
    }
}

fn look(what: &EventKind) -> (&'static str, char) {
    match what {
        EventKind::Change(change) => match change.intent.action.kind() {
            "update_role" => ("alters", '~'),
            "disable" => ("takes", '-'),
            _ => ("gives", '+'),
        },
        EventKind::Held { .. } => ("holds", '!'),
        EventKind::Gone { .. } => ("takes", '-'),
        _ => ("", '·'),
    }
}

/// A run of the past.
pub(super) struct RunRow {
    pub id: u64,
    pub at: When,
    pub status: String,
    pub words: String,
    pub trigger: &'static str,
    pub commit: Option<String>,
    pub plan: Option<String>,
    pub failure: Option<String>,
    pub events: Vec<EventRow>,
}

/// So many events of one run are shown.
const EVENTS: usize = 200;

impl RunRow {
    pub fn of(workspace: &str, run: &Run, now: Timestamp) -> Self {
        let fact = &run.record;
        let parts = [
            (fact.done, "done"),
            (fact.rejected, "refused"),
            (fact.unknown, "unknown"),
            (fact.not_sent, "not sent"),
            (fact.held, "held"),
            (fact.in_sync, "in sync"),
        ];
        let stale = if fact.stale { ", with an earlier roster" } else { "" };
        let text = |text: &String| escape(text).into_owned();
        Self {
            id: run.seq,
            at: When::of(run.at, now),
            status: text(&fact.status),
            words: format!("{}{stale}", crate::render::counts(parts)),
            trigger: trigger_description(&fact.trigger),
            commit: fact.commit.as_ref().map(text),
            plan: fact.plan.as_ref().map(|plan| plan.chars().take(8).collect()),
            failure: fact.failure.as_ref().map(text),
            events: run.events.iter().take(EVENTS).map(|it| EventRow::of(workspace, it)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_cannot_leave_its_place() {
        assert_eq!(
            link("acme", "a/b?c#d@acme.io"),
            "/workspaces/acme/people/a%2Fb%3Fc%23d@acme.io"
        );
        assert_eq!(encoded("é\"<"), "%C3%A9%22%3C");
    }

    #[test]
    fn an_instant_is_told_from_now() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let words = |second: i64| When::of(at(second), at(0)).words;
        assert_eq!(
            [words(0), words(-90), words(30), words(7_200)],
            ["just now", "1 min ago", "within a minute", "in 2 h"]
        );
    }
}
