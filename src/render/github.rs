//! Annotations of a GitHub workflow: a line `::error file=…,line=…::message` for each problem or
//! row, shown beside the line of the file that it is about.

use std::fmt::Write as _;

use super::rows::{self, Kind, Row};
use super::{Summary, View};
use crate::diagnostic::{Diagnostic, Place, Severity, Sources};
use crate::escape::escape;

/// One line for each problem. The source line is never part of it.
pub fn diagnostics(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    diagnostics.iter().map(|diagnostic| of_diagnostic(diagnostic, sources)).collect()
}

/// One line for each row of the plan, one for each refusal, and the summary.
pub fn plan(view: &View<'_>) -> String {
    let rows = rows::of_view(view);
    let summary = Summary::of(view.plan, &rows);
    let mut text: String = rows.iter().map(|row| of_row(row, view)).collect();
    for refusal in &view.verdict.violations {
        let title = format!("{}: held by {}", view.workspace, refusal.guard);
        let message = format!("{}\nhint: {}", escape(&refusal.message), escape(&refusal.hint));
        text.push_str(&command("warning", None, &title, &message));
    }
    let title = format!("rosterd plan for {}", view.workspace);
    text + &command("notice", None, &title, &summary.to_string())
}

fn of_diagnostic(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut message = escape(&diagnostic.message).into_owned();
    for (place, words) in &diagnostic.related {
        let _ = write!(message, "\n{}: {}", super::at(sources, *place), escape(words));
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = write!(message, "\nhint: {}", escape(hint));
    }
    let place = diagnostic.place.map(|place| (sources, place));
    command(level, place, diagnostic.code, &message)
}

fn of_row(row: &Row, view: &View<'_>) -> String {
    let level = match row.kind {
        Kind::Held | Kind::NeedsAction => "warning",
        _ => "notice",
    };
    let mut message = format!("{} {}", row.email, row.what);
    for part in [&*row.why, row.warning, &row.held_by] {
        if !part.is_empty() {
            message.push_str("; ");
            message.push_str(part);
        }
    }
    let title = format!("{}: {}", view.workspace, row.kind.as_str());
    command(level, row.place.map(|place| (view.sources, place)), &title, &message)
}

fn command(level: &str, place: Option<(&Sources, Place)>, title: &str, message: &str) -> String {
    let place = place.map(|(sources, place)| {
        let name = sources.name(place.file);
        // Annotations are found by the path from the repository's root.
        let file = property(&escape(name.strip_prefix("./").unwrap_or(name)));
        format!("file={file},line={},col={},", place.line, place.column)
    });
    let title = property(&escape(title));
    format!("::{level} {}title={title}::{}\n", place.unwrap_or_default(), data(message))
}

/// Percent-escapes what would end the message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Percent-escapes what would end a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
