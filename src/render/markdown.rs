//! Markdown for a comment on a pull request. Untrusted text is in code spans, so that Markdown,
//! HTML and mentions in it have no effect.

use std::fmt::Write as _;

use super::rows::{self, Kind, Row};
use super::{NO_LEDGER, Summary, View, approve, joined, people};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::guard::Violation;

/// Maximum length, in bytes. GitHub limits comments to 65,536 characters.
const LIMIT: usize = 60_000;

/// One plan. The first line is an HTML comment that identifies the workspace, to find and update
/// an earlier comment.
pub fn plan(view: &View<'_>) -> String {
    let rows = rows::of_view(view);
    let summary = Summary::of(view.plan, &rows);
    let mut text = marker(view.workspace);
    let fingerprint = view.plan.fingerprint.short();
    let _ = writeln!(text, "### rosterd plan for {}: {summary}", code(view.workspace));
    let commit = view.revision.map(|revision| {
        let url = view.sources.commit_url(&revision.commit);
        format!(" @ {}", linked(&code(&revision.to_string()), url))
    });
    let files = code(&super::files(view.sources));
    let _ = writeln!(text, "\n{files}{} · plan `{fingerprint}`", commit.unwrap_or_default());
    let _ = writeln!(text, "\n{}", prose(&super::users(view)));
    if summary.is_in_sync() {
        text.push_str("\nNo changes.\n");
    }
    let of = |wanted: fn(Kind) -> bool| rows.iter().filter(move |row| wanted(row.kind));
    table(&mut text, "Changes", of(Kind::is_change), view.sources);
    table(&mut text, "Held", of(|kind| kind == Kind::Held), view.sources);
    violations(&mut text, view);
    for kind in [Kind::NeedsAction, Kind::Propagating, Kind::Pending, Kind::Drift, Kind::Info] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.kind == kind).collect();
        if !rows.is_empty() {
            let _ =
                writeln!(text, "\n<details><summary>{} {}</summary>", rows.len(), kind.as_str());
            table(&mut text, "", rows.into_iter(), view.sources);
            text.push_str("\n</details>\n");
        }
    }
    if !view.plan.has_history {
        let _ = writeln!(text, "\n_{NO_LEDGER}._");
    }
    text
}

/// The HTML comment. Other characters than letters, digits, `-`, `_` and `.` are replaced, so that
/// the name cannot end the comment.
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
        let _ = writeln!(text, "\n… and {cut} more rows, too long for a comment; see the plan.");
    }
}

fn table_row(row: &Row, sources: &Sources) -> String {
    let why = joined(&[&*row.why, &row.approval, row.warning, &row.held_by].map(prose), "; ");
    let url = row.place.and_then(|place| sources.line_url(place));
    let place = row.at(sources).map(|at| linked(&code(&at), url)).unwrap_or_default();
    let (symbol, kind) = (row.kind.symbol(), row.kind.as_str());
    let (email, what) = (code(&row.email), code(&row.what));
    format!("| `{symbol}` {kind} | {email} | {what} | {why} | {place} |\n")
}

/// A link, if there is a page. Its URL has no character that could end it.
fn linked(text: &str, url: Option<String>) -> String {
    url.map_or_else(|| text.to_owned(), |url| format!("[{text}]({url})"))
}

/// A code span. Backticks and pipes are escaped.
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

/// A message: text between backticks becomes a code span, the rest is escaped.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return plain(text);
    }
    let spans = parts.iter().enumerate();
    spans.map(|(at, part)| if at % 2 == 1 { code(part) } else { plain(part) }).collect()
}

/// Escapes markup and breaks up mentions and links.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for character in escape(text).chars() {
        match character {
            '@' => plain.push_str("<span>@</span>"),
            '&' | '<' | '>' | '|' | '`' | '[' | ']' | '*' | '_' | '~' | '\\' | '#' | '!' => {
                let _ = write!(plain, "&#{};", u32::from(character));
            }
            other => plain.push(other),
        }
    }
    // A URL would become a link, on some forges even if its colon is an entity.
    plain.replace("://", "<span>:</span>//").replace("www.", "www<span>.</span>")
}

fn violations(text: &mut String, view: &View<'_>) {
    for Violation { guard, message, hint } in &view.verdict.violations {
        let _ = writeln!(text, "\n> **held by {guard}**: {}", prose(message));
        let _ = writeln!(text, ">\n> hint: {}", prose(hint));
    }
    let Some(lines) = approve::lines(view.verdict, view.sources) else { return };
    if text.len() + lines.len() > LIMIT {
        let people = people(view.verdict.releasable().values().flatten().count());
        let command = approve::COMMAND;
        let _ = writeln!(
            text,
            "\nTo approve, run `{command}`: the lines for {people} are too long for a comment."
        );
        return;
    }
    let _ = writeln!(text, "\nTo approve, {}:\n\n```yaml", approve::instruction(&lines));
    text.push_str(&lines);
    text.push_str("```\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_no_markup() {
        let text =
            "HTTPS://acme.io ftp://acme.io www.acme.io @team <b> ![x](y) [a](b) *b* _i_ ~s~ #1 |";
        for shown in [plain(text), prose(text), prose(&format!("`{text}` {text} `"))] {
            let rest = shown.replace("<span>@</span>", "").replace("<span>:</span>", "");
            let rest = rest.replace("<span>.</span>", "");
            for bad in ["://", "www.", "@", "<", ">", "[", "*", "_", "~", "|", " #1"] {
                assert!(!rest.contains(bad), "{bad} in {shown}");
            }
        }
        assert_eq!(code("a`b|c @team <b>"), "`a\\u{60}b\\u{7c}c @team <b>`");
    }
}
