//! Values for the templates. Control and bidirectional characters in their text are escaped; the
//! templates escape HTML.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::Layout;
use crate::daemon::NextRun;
use crate::diagnostic::{Place, Sources};
use crate::escape::escape;
pub(super) use crate::link::encoded;
use crate::memory::events::{Event, EventKind};
use crate::memory::runs::Run;
use crate::render::{at, history, joined, role_change, rows, time};
use crate::report::{RunStatus, Trigger};
use crate::revision::abbreviate;
use crate::web::status::LastRun;

pub(super) struct When {
    /// `2026-12-01T18:00:00Z`
    pub exact: String,
    /// `2026-12-01 19:00:05`
    pub local: String,
    /// `3 days ago`, `in 5 min`
    pub relative: String,
}

impl When {
    pub fn new(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Self {
        let relative = if at > now {
            let span = time::span(at.duration_since(now));
            span.map_or_else(|| "within a minute".to_owned(), |span| format!("in {span}"))
        } else {
            let span = time::span(now.duration_since(at));
            span.map_or_else(|| "just now".to_owned(), |span| format!("{span} ago"))
        };
        let exact = time::exact(at);
        Self { local: local(&exact, zone), exact, relative }
    }
}

/// `2026-12-01 19:00:05`: each page names the zone once.
fn local(exact: &str, zone: &TimeZone) -> String {
    time::local(exact, zone, "%Y-%m-%d %H:%M:%S")
}

/// The query of a page of events.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct EventsPage {
    pub offset: usize,
}

/// One page of a long list.
pub(super) struct Paged {
    /// `23 held`, or `101 to 200 of 2000 held`.
    pub caption: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

impl Paged {
    /// The page at `offset`, with up to `size` of `total` items, and how to link to another offset.
    pub fn new(
        (offset, size, total): (usize, usize, usize),
        noun: &str,
        mut link: impl FnMut(usize) -> String,
    ) -> Self {
        let first = offset.min(total);
        let last = first.saturating_add(size).min(total);
        Self {
            caption: match (first, last) {
                (0, all) if all == total => format!("{total} {noun}"),
                (none, _) if none == total => format!("none of {total} {noun}"),
                _ => format!("{} to {last} of {total} {noun}", first + 1),
            },
            previous: (first > 0).then(|| link(first.saturating_sub(size))),
            next: (last < total).then(|| link(last)),
        }
    }
}

/// Describes a trigger.
pub(super) fn trigger_description(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Start => "process start",
        Trigger::Schedule => "schedule",
        Trigger::File => "file change",
        Trigger::Signal => "signal",
        Trigger::Http => "HTTP request",
        Trigger::Date => "scheduled date",
        Trigger::Retry => "retry",
    }
}

/// The time and the trigger of the next run.
pub(super) fn next_run(next: NextRun, now: Timestamp, zone: &TimeZone) -> (When, &'static str) {
    (When::new(next.at, now, zone), trigger_description(next.trigger))
}

/// The end and the result of the last run.
pub(super) fn last_run(run: &LastRun, layout: &Layout) -> (When, String) {
    let status = match run.status {
        RunStatus::Converged => "succeeded".to_owned(),
        RunStatus::Held => format!("succeeded, {} held", run.held),
        RunStatus::Failed => "failed".to_owned(),
        RunStatus::Interrupted => "interrupted".to_owned(),
    };
    let trigger = trigger_description(run.trigger);
    (layout.when(run.finished), format!("{status} ({trigger})"))
}

/// A row of a plan.
pub(super) struct PlanRow {
    pub row: rows::Row,
    /// What is done or was found; for a held row, what is held.
    pub kind: String,
    /// The role or its change.
    pub role: String,
    pub link: String,
    pub why: String,
    pub place: Linked,
}

impl PlanRow {
    pub fn new(workspace: &str, row: rows::Row, sources: &Sources) -> Self {
        let held_by = match row.held_by.as_str() {
            "" => String::new(),
            guards => format!("held by {guards}"),
        };
        let why = joined(&[&*row.why, &row.approval, row.warning, &held_by], "; ");
        let place = Linked::place(row.place, Some(sources));
        let (kind, role) = match row.kind {
            rows::Kind::Held => row.what.split_once(' ').unwrap_or((&row.what, "")),
            kind => (kind.as_str(), &*row.what),
        };
        let (kind, role) = (kind.to_owned(), role.to_owned());
        Self { kind, role, link: link(workspace, &row.email), why, place, row }
    }

    /// The class in the style sheet.
    pub fn class(&self) -> &'static str {
        match self.row.kind {
            rows::Kind::Invite | rows::Kind::Reinvite => "add",
            rows::Kind::Role => "change",
            rows::Kind::Disable => "remove",
            rows::Kind::Held => "hold",
            rows::Kind::NeedsAction => "error",
            _ => "",
        }
    }
}

/// A text, and the page of the git forge about it, if there is one.
#[derive(Default)]
pub(super) struct Linked {
    pub text: String,
    pub url: Option<String>,
}

impl Linked {
    /// A commit by its full id, with author and subject if they are known.
    pub fn commit(full: &str, details: &[&Option<String>], sources: Option<&Sources>) -> Self {
        let details = details.iter().filter_map(|it| it.as_deref());
        let parts: Vec<&str> = details.collect();
        let text = format!("{} {}", abbreviate(full), parts.join(" "));
        Self {
            text: escape(text.trim_end()).into_owned(),
            url: sources.and_then(|it| it.commit_url(full)),
        }
    }

    /// A place in the roster.
    pub fn place(place: Option<Place>, sources: Option<&Sources>) -> Self {
        let Some((place, sources)) = place.zip(sources) else { return Self::default() };
        Self { text: at(sources, place), url: sources.line_url(place) }
    }
}

/// The path of the page of one person.
pub(super) fn link(workspace: &str, email: &str) -> String {
    format!("/workspaces/{workspace}/people/{}", encoded(email))
}

pub(super) struct EventRow {
    pub exact: String,
    pub at: String,
    /// The class in the style sheet.
    pub class: &'static str,
    pub symbol: char,
    pub kind: String,
    pub link: String,
    pub email: String,
    pub role: String,
    pub outcome: String,
    pub commit: Linked,
}

impl EventRow {
    pub fn new(event: &Event, layout: &Layout) -> Self {
        let workspace = &layout.current;
        let row = history::Row::of(workspace, event);
        let (class, symbol) = event_style(&event.kind);
        let text = |text: &str| escape(text).into_owned();
        let role = role_change(row.from.as_deref(), row.to.as_deref());
        let outcome = [&row.outcome, &row.reason, &row.detail, &row.approval, &row.place];
        let outcome: Vec<&str> = outcome.into_iter().flatten().map(String::as_str).collect();
        let commit = row.commit.as_deref();
        let commit =
            commit.map(|it| Linked::commit(it, &[&row.author, &row.subject], layout.sources()));
        Self {
            exact: row.at.clone(),
            at: local(&row.at, &layout.zone),
            class,
            symbol,
            kind: text(&row.event.replace('_', " ")),
            link: link(workspace, event.email.as_str()),
            email: text(&row.email),
            role: text(&role),
            outcome: text(&outcome.join("; ")),
            commit: commit.unwrap_or_default(),
        }
    }
}

/// The class and the symbol of an event.
fn event_style(kind: &EventKind) -> (&'static str, char) {
    match kind {
        EventKind::Change(change) => match change.intent.action.kind() {
            "update_role" => ("change", '~'),
            "disable" => ("remove", '-'),
            _ => ("add", '+'),
        },
        EventKind::Held { .. } => ("hold", '!'),
        EventKind::Gone { .. } => ("remove", '-'),
        _ => ("", '·'),
    }
}

pub(super) struct RunRow {
    pub id: u64,
    pub link: String,
    pub at: When,
    pub duration: String,
    pub status: &'static str,
    pub summary: String,
    pub trigger: &'static str,
    pub commit: Option<Linked>,
    pub plan: Option<String>,
    pub failure: Option<String>,
    pub events: Vec<EventRow>,
    pub paged: Paged,
}

/// Maximum number of events of one run in a list of runs; its own page has all.
pub(super) const FEW_EVENTS: usize = 20;

impl RunRow {
    /// With `size` events from `offset` on.
    pub fn new(run: &Run, (offset, size): (usize, usize), layout: &Layout) -> Self {
        let record = &run.record;
        let parts = [
            (record.counts.done, "done"),
            (record.counts.rejected, "rejected"),
            (record.counts.unknown, "unknown"),
            (record.counts.not_sent, "skipped"),
            (record.counts.held, "held"),
            (record.counts.in_sync, "in sync"),
        ];
        let events = run.events.iter().skip(offset).take(size);
        let link = format!("/workspaces/{}/runs?run={}", layout.current, run.seq);
        let page = |offset| format!("{link}&offset={offset}");
        let duration = run.at.duration_since(record.started);
        let seconds = || format!("{:.1} s", duration.as_secs_f64());
        let stale = if record.stale { ", earlier roster in use" } else { "" };
        let text = |text: &String| escape(text).into_owned();
        Self {
            id: run.seq,
            paged: Paged::new((offset, size, run.events.len()), "events", page),
            at: layout.when(run.at),
            duration: time::span(duration).unwrap_or_else(seconds),
            status: record.status.as_str(),
            summary: format!("{}{stale}", crate::render::counts(parts)),
            trigger: trigger_description(record.trigger),
            commit: record.commit.as_ref().map(|it| Linked::commit(it, &[], layout.sources())),
            plan: record.plan.as_ref().map(|plan| plan.chars().take(8).collect()),
            failure: record.failure.as_ref().map(text),
            events: events.map(|event| EventRow::new(event, layout)).collect(),
            link,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_is_percent_encoded() {
        assert_eq!(
            link("acme", "a/b?c#d@acme.io"),
            "/workspaces/acme/people/a%2Fb%3Fc%23d@acme.io"
        );
        assert_eq!(encoded("é\"<"), "%C3%A9%22%3C");
    }

    #[test]
    fn a_long_list_has_pages() {
        let of = |offset, total| {
            let Paged { caption, previous, next } =
                Paged::new((offset, 100, total), "held", |offset| offset.to_string());
            [Some(caption), previous, next].map(Option::unwrap_or_default)
        };
        assert_eq!(of(0, 0), ["0 held", "", ""]);
        assert_eq!(of(0, 100), ["100 held", "", ""]);
        assert_eq!(of(0, 101), ["1 to 100 of 101 held", "", "100"]);
        assert_eq!(of(100, 101), ["101 to 101 of 101 held", "0", ""]);
        assert_eq!(of(50, 300), ["51 to 150 of 300 held", "0", "150"]);
        assert_eq!(of(usize::MAX, 300), ["none of 300 held", "200", ""]);
    }

    #[test]
    fn an_instant_is_relative_to_now() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let relative = |second: i64| When::new(at(second), at(0), &TimeZone::UTC).relative;
        assert_eq!(When::new(at(0), at(0), &TimeZone::UTC).local, "2027-01-15 08:00:00");
        assert_eq!(
            [relative(0), relative(-90), relative(30), relative(7_200)],
            ["just now", "1 min ago", "within a minute", "in 2 h"]
        );
    }
}
