//! Markdown for a comment on a pull request. Everything from outside stands in a code span,
//! where neither Markdown nor HTML nor a mention means anything.

use std::fmt::Write as _;

use super::rows::{self, Kind, Row};
use super::{Summary, View, WITHOUT_A_LEDGER};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::guard::{Verdict, Violation};

/// A comment on GitHub holds 65,536 characters; bytes are counted here, which is never less.
const LIMIT: usize = 60_000;

/// One plan. The first line is a comment by which to find the comment again and update it; it is
/// the same for every plan of the workspace.
pub fn plan(view: &View<'_>) -> String {
    let rows = rows::of_view(view);
    let summary = Summary::of(view.plan, &rows);
    let mut text = marker(view.workspace);
    let fingerprint = view.plan.fingerprint().short();
    let _ = writeln!(text, "### rosterd plan for {}: {summary}", code(view.workspace));
    let commit = view.revision.map(|revision| format!(" @ {}", code(&revision.to_string())));
    let files = code(&super::files(view.sources));
    let _ = writeln!(text, "\n{files}{} · plan `{fingerprint}`", commit.unwrap_or_default());
    if summary.is_in_sync() {
        text.push_str("\nIn sync: nothing to do.\n");
    }
    let of = |wanted: fn(Kind) -> bool| rows.iter().filter(move |row| wanted(row.kind));
    table(&mut text, "Changes", of(Kind::is_change), view.sources);
    table(&mut text, "Held", of(|kind| kind == Kind::Held), view.sources);
    violations(&mut text, view.verdict);
    for kind in [Kind::NeedsAction, Kind::Propagating, Kind::Pending, Kind::Drift, Kind::Info] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.kind == kind).collect();
        if !rows.is_empty() {
            let _ =
                writeln!(text, "\n<details><summary>{} {}</summary>", rows.len(), kind.as_str());
            table(&mut text, "", rows.into_iter(), view.sources);
            text.push_str("\n</details>\n");
        }
    }
    if !view.plan.has_history() {
        let _ = writeln!(text, "\n_{WITHOUT_A_LEDGER}._");
    }
    text
}

/// The name cannot end the comment: only letters, digits, `-`, `_` and `.` stay.
fn marker(workspace: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = workspace.chars().take(100).map(safe).collect();
    format!("<!-- rosterd:plan:{} -->\n", name.replace("--", "-_"))
}

fn table<'a>(
    text: &mut String,
    title: &str,
    rows: impl Iterator<Item = &'a Row>,
    sources: &Sources,
) {
    let (mut first, mut cut) = (true, 0_usize);
    for row in rows {
        let line = table_row(row, sources);
        if cut > 0 || text.len() + line.len() > LIMIT {
            cut += 1;
            continue;
        }
        if first {
            let title = if title.is_empty() { String::new() } else { format!("#### {title}\n\n") };
            let _ =
                write!(text, "\n{title}| | Who | What | Why | Where |\n|---|---|---|---|---|\n");
            first = false;
        }
        text.push_str(&line);
    }
    if cut > 0 {
        let _ = writeln!(text, "\n… and {cut} more, too long for a comment: see the plan itself.");
    }
}

fn table_row(row: &Row, sources: &Sources) -> String {
    let held = if row.held_by.is_empty() { "" } else { &row.held_by };
    let why: Vec<&str> =
        [&*row.why, row.warning, held].into_iter().filter(|part| !part.is_empty()).collect();
    let place = row.at(sources).map(|at| code(&at)).unwrap_or_default();
    let (symbol, word) = (row.kind.symbol(), row.kind.as_str());
    let (email, what) = (code(&row.email), code(&row.what));
    let why = why.iter().map(|part| prose(part)).collect::<Vec<_>>().join("; ");
    format!("| `{symbol}` {word} | {email} | {what} | {why} | {place} |\n")
}

/// A code span. A backtick or a pipe is spelled out, so that nothing leaves it.
fn code(text: &str) -> String {
    let mut span = String::from("`");
    for character in escape(text).chars() {
        match character {
            '`' | '|' => {
                let _ = write!(span, "{}", character.escape_unicode());
            }
            other => span.push(other),
        }
    }
    if span[1..].trim().is_empty() {
        span.push('–');
    }
    span.push('`');
    span
}

/// A sentence: what stands between two backticks becomes a code span, the rest plain.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return plain(text);
    }
    let spans = parts.iter().enumerate();
    spans.map(|(at, part)| if at % 2 == 1 { code(part) } else { plain(part) }).collect()
}

/// What could be markup is made plain, and a mention is broken up.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for character in escape(text).chars() {
        match character {
            '@' => plain.push_str("<span>@</span>"),
            '&' | '<' | '>' | '|' | '`' | '[' | ']' | '*' | '_' | '~' | '\\' | '#' | '!' => {
                let _ = write!(plain, "&#{};", u32::from(character));
            }
            // A bare address would become a link.
            ':' if plain.ends_with("http") || plain.ends_with("https") => plain.push_str("&#58;"),
            other => plain.push(other),
        }
    }
    plain.replace("www.", "www&#46;")
}

fn violations(text: &mut String, verdict: &Verdict) {
    for Violation { guard, message, hint, approval: _ } in &verdict.violations {
        let _ = writeln!(text, "\n> **held by {guard}**: {}", prose(message));
        let _ = writeln!(text, ">\n> hint: {}", prose(hint));
    }
    if let Some(block) = verdict.approvals() {
        if text.len() + block.len() > LIMIT {
            text.push_str(
                "\nThe lines that release it are too long for a comment: see the plan itself.\n",
            );
            return;
        }
        text.push_str(
            "\nThese lines of the roster release it, once they are committed:\n\n```yaml\n",
        );
        text.push_str(&block);
        text.push_str("```\n");
    }
}
