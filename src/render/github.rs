//! Annotations for GitHub workflows: `::error file=…,line=…::message` for each problem or row.

use std::fmt::Write as _;

use super::rows::{self, Kind, Row};
use super::{Summary, View, joined};
use crate::diagnostic::{Diagnostic, Place, Sources};
use crate::escape::escape;

/// One line for each problem, without the source line.
pub fn diagnostics(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    diagnostics.iter().map(|diagnostic| of_diagnostic(diagnostic, sources)).collect()
}

/// One line for each row of the plan, one for each violation, and the summary.
pub fn plan(view: &View<'_>) -> String {
    let rows = rows::of_view(view);
    let summary = Summary::of(view.plan, &rows);
    let mut text: String = rows.iter().map(|row| of_row(row, view)).collect();
    for violation in &view.verdict.violations {
        let title = format!("{}: held by {}", view.workspace, violation.guard);
        let message = format!("{}\nhint: {}", escape(&violation.message), escape(&violation.hint));
        text.push_str(&command("warning", None, &title, &message));
    }
    let title = format!("rosterd plan for {}", view.workspace);
    text + &command("notice", None, &title, &summary.to_string())
}

fn of_diagnostic(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut message = escape(&diagnostic.message).into_owned();
    for (place, text) in &diagnostic.related {
        let _ = write!(message, "\n{}: {}", super::at(sources, *place), escape(text));
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = write!(message, "\nhint: {}", escape(hint));
    }
    let place = diagnostic.place.map(|place| (sources, place));
    command(diagnostic.severity.into(), place, diagnostic.code, &message)
}

fn of_row(row: &Row, view: &View<'_>) -> String {
    let level = match row.kind {
        Kind::Held | Kind::NeedsAction => "warning",
        _ => "notice",
    };
    let what = format!("{} {}", row.email, row.what);
    let message = joined(&[&*what, &row.why, &row.approval, row.warning, &row.held_by], "; ");
    let title = format!("{}: {}", view.workspace, row.kind.as_str());
    command(level, row.place.map(|place| (view.sources, place)), &title, &message)
}

fn command(level: &str, place: Option<(&Sources, Place)>, title: &str, message: &str) -> String {
    let place = place.map(|(sources, place)| {
        let name = sources.name(place.file);
        // GitHub needs the path from the root of the repository.
        let file = property(&escape(name.strip_prefix("./").unwrap_or(name)));
        format!("file={file},line={},col={},", place.line, place.column)
    });
    let title = property(&escape(title));
    format!("::{level} {}title={title}::{}\n", place.unwrap_or_default(), data(message))
}

/// Percent-escapes characters that would end the message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Percent-escapes characters that would end a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
