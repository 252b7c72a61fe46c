//! Text for a terminal. It is styled; the output stream strips styles that it does not support.
//! Colour is never the only carrier of a meaning.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::approve::{self, ApproveBy};
use super::rows::{self, Kind, Row};
use super::{NO_LEDGER, Summary, View, counts, files, joined, members};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::guard::{Verdict, Violation};
use crate::plan::change::Change;
use crate::plan::{Finding, FindingCategory};
use crate::report::{Applied, End, Outcome, RunCounts, RunReport, RunStatus, Verification};
use crate::revision::Revision;

/// Maximum number of rows of a kind that is not a change, without `verbose`.
const FOLDED: usize = 8;
/// Wider cells do not widen their column.
const WIDEST: usize = 44;
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// One plan. `verbose` shows every row.
pub fn plan(view: &View<'_>, verbose: bool) -> String {
    let rows = rows::of_view(view);
    let summary = Summary::of(view.plan, &rows);
    let head = head(view.workspace, view.sources, view.revision);
    if rows.is_empty() {
        let members = members(view.plan.facts.members);
        let note = ledger_note(view);
        return format!("{head}   No changes: {members} in sync\n{note}");
    }
    let mut text = format!("{head}   plan {}\n\n", view.plan.fingerprint.short());
    let lines: Vec<Line<'_>> = rows.iter().map(|row| Line::of(row, view.sources)).collect();
    write_lines(&mut text, &lines, verbose);
    violations(&mut text, view.verdict, view.sources, view.approve_by);
    let note = if summary.is_in_sync() { "No changes: " } else { "" };
    let _ = writeln!(text, "\n{BOLD}{note}{summary}{BOLD:#}");
    text + &ledger_note(view)
}

/// The result of a run: its outcomes, the held changes and the remaining ones. The findings were
/// shown with the plan, so a run without changes is one line.
pub fn run(report: &RunReport, sources: &Sources, approve_by: ApproveBy, verbose: bool) -> String {
    let head = head(&report.workspace, sources, None);
    let stale =
        if report.is_stale() { "   (last valid roster: the files have errors)" } else { "" };
    let applied = match &report.end {
        End::Failed(failure) => {
            let red = style(Kind::NeedsAction);
            let status = if failure.kind.is_held() { "held" } else { "failed" };
            let message = escape(&failure.message);
            return format!("{head}{stale}   {red}{status}{red:#}: {message} ({})\n", failure.kind);
        }
        End::Applied(applied) => applied,
    };
    let outcomes = applied.outcomes.iter();
    let changed: Vec<Row> =
        outcomes.map(|(change, _)| rows::of_approved(change, &applied.verdict, sources)).collect();
    let last_line = run_summary(applied, report.status());
    if changed.is_empty() {
        return format!("{head}{stale}   {last_line}\n");
    }
    let held = rows::held(&applied.verdict, applied.plan.now, sources);
    let done = changed.iter().zip(&applied.outcomes);
    let mut lines: Vec<Line<'_>> =
        done.map(|(row, (_, outcome))| Line::of_outcome(row, outcome, sources)).collect();
    lines.extend(held.iter().map(|row| Line::of(row, sources)));
    let mut text = format!("{head}{stale}   plan {}\n\n", applied.plan.fingerprint.short());
    write_lines(&mut text, &lines, verbose);
    violations(&mut text, &applied.verdict, sources, approve_by);
    // What the plan after the run has, without what the table shows.
    if let Verification::Read(residue) = &applied.verification {
        let tried = applied.outcomes.iter().map(|(change, _)| change.sort_key());
        let tried: BTreeSet<_> = tried.collect();
        let new = residue.applicable.iter().filter(|change| !tried.contains(&change.sort_key()));
        let lists: [(Vec<&Change>, &str); 2] = [
            (new.collect(), "new changes, for the next run"),
            (residue.released.iter().collect(), "no longer held, for the next run"),
        ];
        for (changes, title) in lists.into_iter().filter(|(changes, _)| !changes.is_empty()) {
            let rows: Vec<Row> =
                changes.into_iter().map(|it| rows::of_change(it, sources)).collect();
            let lines: Vec<Line<'_>> = rows.iter().map(|row| Line::of(row, sources)).collect();
            let _ = writeln!(text, "\n{title}:");
            write_lines(&mut text, &lines, false);
        }
    }
    let _ = writeln!(text, "\n{BOLD}{last_line}{BOLD:#}");
    text
}

/// The last line: the counts, and why the run stopped early or is not verified.
fn run_summary(applied: &Applied, status: RunStatus) -> String {
    let RunCounts { done, rejected, unknown, not_sent, held, in_sync } = applied.counts();
    let (remaining, propagating) = if let Verification::Read(it) = &applied.verification {
        (it.applicable.len(), it.propagating)
    } else {
        let findings = applied.plan.findings().iter();
        let unseen = |it: &&Finding| it.kind.category() == FindingCategory::Propagating;
        (0, findings.filter(unseen).count())
    };
    let counted = counts([
        (done, "done"),
        (rejected, "rejected"),
        (unknown, "unknown"),
        (not_sent, "skipped"),
        (held, "held"),
        (applied.lost, "without effect"),
        (remaining, "remaining"),
        (propagating, "propagating"),
        (in_sync, "in sync"),
    ]);
    match (&applied.stopped, &applied.verification) {
        (Some(stop), _) => format!("stopped early: {}; {counted}", escape(&stop.message)),
        (None, Verification::Failed(why)) => {
            format!("not verified: {}; {counted}", escape(why))
        }
        _ if status != RunStatus::Converged => counted,
        _ if applied.outcomes.is_empty() => format!("No changes: {counted}"),
        _ => format!("applied: {counted}"),
    }
}

fn ledger_note(view: &View<'_>) -> String {
    if view.plan.has_history { String::new() } else { format!("{DIM}{NO_LEDGER}{DIM:#}\n") }
}

fn head(workspace: &str, sources: &Sources, revision: Option<&Revision>) -> String {
    let commit = revision.map(|revision| format!(" @ {}", escape(&revision.to_string())));
    let (name, commit) = (escape(workspace), commit.unwrap_or_default());
    format!("{BOLD}{name}{BOLD:#}   {}{commit}", files(sources))
}

/// One line of the table, and its style.
struct Line<'a> {
    symbol: char,
    style: Style,
    row: &'a Row,
    tail: String,
    /// Whether it may be folded with others of its kind.
    folds: bool,
}

impl<'a> Line<'a> {
    fn of(row: &'a Row, sources: &Sources) -> Self {
        let place = row.at(sources).unwrap_or_default();
        Self {
            symbol: row.kind.symbol(),
            style: style(row.kind),
            row,
            tail: joined(&[&*row.why, &row.approval, row.warning, &row.held_by, &place], "   "),
            folds: !row.kind.is_change(),
        }
    }

    fn of_outcome(row: &'a Row, outcome: &Outcome, sources: &Sources) -> Self {
        let folds = matches!(outcome, Outcome::NotSent(_));
        let (symbol, style_of, text) = match outcome {
            Outcome::Done => ('✓', Kind::Invite, "done".to_owned()),
            Outcome::Rejected(why) => {
                ('×', Kind::NeedsAction, format!("rejected: {}", escape(why)))
            }
            Outcome::Unknown(why) => ('?', Kind::Held, format!("unknown: {}", escape(why))),
            Outcome::NotSent(why) => ('!', Kind::Held, format!("skipped: {}", escape(why))),
        };
        let tail =
            joined(&[&*text, &row.why, &row.approval, &row.at(sources).unwrap_or_default()], "   ");
        Self { symbol, style: style(style_of), row, tail, folds }
    }

    fn write(&self, text: &mut String, email: usize, what: usize) {
        let Self { style, symbol, .. } = self;
        let line = format!(
            "  {style}{symbol} {:<12}{style:#}  {}  {}  {}",
            self.row.kind.as_str(),
            pad(&self.row.email, email),
            pad(&self.row.what, what),
            self.tail,
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Writes the table. Lines that may be folded are cut after [`FOLDED`] of a kind.
fn write_lines(text: &mut String, lines: &[Line<'_>], verbose: bool) {
    let widest = |cell: fn(&Row) -> &str| {
        let widths = lines.iter().map(|line| cell(line.row).width());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let (email, what) = (widest(|row| &row.email), widest(|row| &row.what));
    for group in lines.chunk_by(|a, b| a.folds && b.folds && a.row.kind == b.row.kind) {
        // Folding a single row would not save a line.
        let shown = if verbose || group.len() <= FOLDED + 1 { group.len() } else { FOLDED };
        for line in &group[..shown] {
            line.write(text, email, what);
        }
        if let Some(line) = group.get(shown) {
            let Line { style, symbol, row, .. } = line;
            let (kind, more) = (row.kind.as_str(), group.len() - shown);
            let dots = pad("…", email);
            let _ = writeln!(text, "  {style}{symbol} {kind:<12}{style:#}  {dots}  {more} more");
        }
    }
}

fn pad(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
}

fn violations(text: &mut String, verdict: &Verdict, sources: &Sources, approve_by: ApproveBy) {
    for (position, violation) in verdict.violations.iter().enumerate() {
        let style = style(Kind::Held);
        let gap = if position == 0 { "\n" } else { "" };
        let Violation { guard, message, hint } = violation;
        let _ = writeln!(text, "{gap}{style}held by {guard}{style:#}: {}", escape(message));
        let _ = writeln!(text, "  {DIM}hint:{DIM:#} {}", escape(hint));
    }
    let Some(lines) = approve::lines(verdict, sources) else { return };
    let (instruction, lines) = match approve_by {
        ApproveBy::Commit => (approve::instruction(&lines), lines.as_str()),
        ApproveBy::SavedPlan => {
            let why = "the roster is not in a git work tree, so run these, with the same options";
            (why.to_owned(), approve::SAVED_PLAN)
        }
    };
    let _ = writeln!(text, "\nto approve, {instruction}:\n");
    for line in lines.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

fn style(kind: Kind) -> Style {
    let colour = match kind {
        Kind::Invite | Kind::Reinvite => AnsiColor::Green,
        Kind::Role => AnsiColor::Cyan,
        Kind::Disable | Kind::NeedsAction => AnsiColor::Red,
        Kind::Held | Kind::Drift => AnsiColor::Yellow,
        Kind::Propagating | Kind::Pending | Kind::Info => return DIM,
    };
    Style::new().fg_color(Some(colour.into()))
}
