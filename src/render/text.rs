//! Text for people at a terminal. It is styled; the caller's stream strips what it cannot show.
//! No meaning rests on colour alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::rows::{self, Kind, Row};
use super::{Summary, View, WITHOUT_A_LEDGER, counts, files};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::guard::{Verdict, Violation};
use crate::plan::FindingCategory;
use crate::plan::change::Change;
use crate::report::{Applied, End, Outcome, Residue, RunReport, Status, Verification};
use crate::revision::Revision;

/// So many rows of what the plan does not change are shown unless all of them are asked for.
const FOLDED: usize = 8;
/// A wider address or role does not push the columns of the others aside.
const WIDEST: usize = 44;
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// One plan. `verbose` shows every row, and which guard holds which.
pub fn plan(view: &View<'_>, verbose: bool) -> String {
    let rows = rows::of_view(view);
    let summary = Summary::of(view.plan, &rows);
    let head = head(view.workspace, view.sources, view.revision);
    if rows.is_empty() {
        let members = view.plan.facts().members;
        let members = if members == 1 { "1 member".into() } else { format!("{members} members") };
        let unknown = without_a_ledger(view);
        return format!("{head}   in sync: {members}, nothing to do\n{unknown}");
    }
    let mut text = format!("{head}   plan {}\n\n", view.plan.fingerprint().short());
    let lines: Vec<Line<'_>> =
        rows.iter().map(|row| Line::of(row, view.sources, verbose)).collect();
    write_lines(&mut text, &lines, verbose);
    violations(&mut text, view.verdict);
    let _ = writeln!(text, "\n{BOLD}{summary}{BOLD:#}");
    text + &without_a_ledger(view)
}

/// What a run did, what it held and what is left. Whatever else the plan says has been shown
/// with the plan, so a run that did nothing is one line.
pub fn run(report: &RunReport, sources: &Sources, verbose: bool) -> String {
    let head = head(&report.workspace, sources, None);
    let stale =
        if report.stale { "   (the last good roster: the files cannot be used)" } else { "" };
    match &report.end {
        End::Failed(failure) => {
            let red = tone(Kind::NeedsAction);
            let message = escape(&failure.message);
            format!("{head}{stale}   {red}failed{red:#}: {message} ({})\n", failure.kind)
        }
        End::Applied(applied) => {
            format!("{head}{stale}{}", did(applied, report.status(), sources, verbose))
        }
    }
}

fn did(applied: &Applied, status: Status, sources: &Sources, verbose: bool) -> String {
    let changed: Vec<Row> =
        applied.outcomes.iter().map(|(change, _)| rows::of_change(change, sources)).collect();
    let end = ending(applied, status);
    if changed.is_empty() {
        return format!("   {end}\n");
    }
    let held = rows::held(&applied.verdict, applied.plan.now(), sources);
    let done = changed.iter().zip(&applied.outcomes);
    let mut lines: Vec<Line<'_>> =
        done.map(|(row, (_, outcome))| Line::of_outcome(row, outcome, sources)).collect();
    lines.extend(held.iter().map(|row| Line::of(row, sources, verbose)));
    let mut text = format!("   plan {}\n\n", applied.plan.fingerprint().short());
    write_lines(&mut text, &lines, verbose);
    violations(&mut text, &applied.verdict);
    if let Verification::Read(residue) = &applied.verification {
        left(&mut text, residue, &applied.outcomes, sources);
    }
    let _ = writeln!(text, "\n{BOLD}{end}{BOLD:#}");
    text
}

/// The last line: why the run did not end well, or how many are where.
fn ending(applied: &Applied, status: Status) -> String {
    let outcome = |wanted: fn(&Outcome) -> bool| {
        applied.outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count()
    };
    let (in_sync, left) = match &applied.verification {
        Verification::Read(residue) => (residue.in_sync, residue.applicable.len()),
        _ => (applied.plan.facts().in_sync, 0),
    };
    let counted = counts([
        (outcome(|it| *it == Outcome::Done), "done"),
        (outcome(|it| matches!(it, Outcome::Rejected(_))), "rejected"),
        (outcome(|it| matches!(it, Outcome::Unknown(_))), "unknown"),
        (outcome(|it| matches!(it, Outcome::NotSent(_))), "not sent"),
        (applied.verdict.held.len(), "held"),
        (applied.lost, "answered with ok before and never shown"),
        (left, "left"),
        (propagating(applied), "propagating"),
        (in_sync, "in sync"),
    ]);
    match (&applied.stopped, &applied.verification) {
        (Some(stop), _) => format!("stopped early: {}; {counted}", escape(&stop.message)),
        (None, Verification::Failed(why)) => {
            format!("not verified, the fresh reading failed: {}; {counted}", escape(why))
        }
        _ if status != Status::Converged => counted,
        _ if applied.outcomes.is_empty() => format!("nothing to do: {counted}"),
        _ => format!("in sync: {counted}"),
    }
}

/// What the fresh reading still wants, but for what the table has just told.
fn left(text: &mut String, residue: &Residue, outcomes: &[(Change, Outcome)], sources: &Sources) {
    let tried: BTreeSet<_> = outcomes.iter().map(|(change, _)| change.sort_key()).collect();
    let new = residue.applicable.iter().filter(|change| !tried.contains(&change.sort_key()));
    let lists: [(Vec<&Change>, &str); 2] = [
        (new.collect(), "newly to do, the next run decides anew"),
        (residue.released.iter().collect(), "no longer held, the next run makes it"),
    ];
    for (changes, words) in lists.into_iter().filter(|(changes, _)| !changes.is_empty()) {
        let rows: Vec<Row> = changes.into_iter().map(|it| rows::of_change(it, sources)).collect();
        let lines: Vec<Line<'_>> = rows.iter().map(|row| Line::of(row, sources, false)).collect();
        let _ = writeln!(text, "\n{words}:");
        write_lines(text, &lines, false);
    }
}

/// What was done and is not shown yet, by the last reading.
fn propagating(applied: &Applied) -> usize {
    if let Verification::Read(residue) = &applied.verification {
        return residue.propagating;
    }
    let findings = applied.plan.findings().iter();
    findings.filter(|it| it.kind.category() == FindingCategory::Propagating).count()
}

/// What cannot be known where nothing is remembered.
fn without_a_ledger(view: &View<'_>) -> String {
    if view.plan.has_history() {
        return String::new();
    }
    format!("{DIM}{WITHOUT_A_LEDGER}{DIM:#}\n")
}

fn head(workspace: &str, sources: &Sources, revision: Option<&Revision>) -> String {
    let commit = revision.map(|revision| format!(" @ {}", escape(&revision.to_string())));
    let (name, commit) = (escape(workspace), commit.unwrap_or_default());
    format!("{BOLD}{name}{BOLD:#}   {}{commit}", files(sources))
}

/// One line of the table: its cells as plain text, and how it looks.
struct Line<'a> {
    kind: Kind,
    symbol: char,
    style: Style,
    row: &'a Row,
    tail: String,
    /// Whether it may be folded with its like.
    folds: bool,
}

impl<'a> Line<'a> {
    fn of(row: &'a Row, sources: &Sources, verbose: bool) -> Self {
        let held_by = if verbose { row.held_by.as_str() } else { "" };
        Self {
            kind: row.kind,
            symbol: row.kind.symbol(),
            style: tone(row.kind),
            row,
            tail: tail(&[&row.why, row.warning, held_by, &row.at(sources).unwrap_or_default()]),
            folds: !row.kind.is_change(),
        }
    }

    fn of_outcome(row: &'a Row, outcome: &Outcome, sources: &Sources) -> Self {
        let folds = matches!(outcome, Outcome::NotSent(_));
        let (symbol, like, words) = match outcome {
            Outcome::Done => ('✓', Kind::Invite, "done".to_owned()),
            Outcome::Rejected(why) => ('×', Kind::NeedsAction, told("rejected", why)),
            Outcome::Unknown(why) => ('?', Kind::Held, told("unknown", why)),
            Outcome::NotSent(why) => ('!', Kind::Held, told("not sent", why)),
        };
        let tail = tail(&[&words, &row.why, &row.at(sources).unwrap_or_default()]);
        Self { kind: row.kind, symbol, style: tone(like), row, tail, folds }
    }

    fn write(&self, text: &mut String, email: usize, what: usize) {
        let Self { style, symbol, .. } = self;
        let line = format!(
            "  {style}{symbol} {:<12}{style:#}  {}  {}  {}",
            self.kind.as_str(),
            pad(&self.row.email, email),
            pad(&self.row.what, what),
            self.tail,
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn told(word: &str, why: &str) -> String {
    format!("{word}: {}", escape(why))
}

fn tail(parts: &[&str]) -> String {
    let told: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    told.join("   ")
}

/// Writes the table; what only informs is folded after [`FOLDED`] rows of a kind.
fn write_lines(text: &mut String, lines: &[Line<'_>], verbose: bool) {
    let widest = |cell: fn(&Row) -> &str| {
        let widths = lines.iter().map(|line| cell(line.row).width());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let (email, what) = (widest(|row| &row.email), widest(|row| &row.what));
    for group in lines.chunk_by(|a, b| a.folds && b.folds && a.kind == b.kind) {
        // A fold that hides one row saves nothing.
        let shown = if verbose || group.len() <= FOLDED + 1 { group.len() } else { FOLDED };
        for line in &group[..shown] {
            line.write(text, email, what);
        }
        if let Some(line) = group.get(shown) {
            let Line { style, symbol, kind, .. } = line;
            let (word, more) = (kind.as_str(), group.len() - shown);
            let dots = pad("…", email);
            let _ = writeln!(text, "  {style}{symbol} {word:<9}{style:#}  {dots}  {more} more");
        }
    }
}

fn pad(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
}

fn violations(text: &mut String, verdict: &Verdict) {
    for (position, refusal) in verdict.violations.iter().enumerate() {
        let style = tone(Kind::Held);
        let gap = if position == 0 { "\n" } else { "" };
        let Violation { guard, message, hint, approval: _ } = refusal;
        let _ = writeln!(text, "{gap}{style}held by {guard}{style:#}: {}", escape(message));
        let _ = writeln!(text, "  {DIM}hint:{DIM:#} {}", escape(hint));
    }
    if let Some(block) = verdict.approvals() {
        let _ =
            writeln!(text, "\nthese lines of users.yaml release it, once they are committed:\n");
        for line in block.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
}

fn tone(kind: Kind) -> Style {
    let colour = match kind {
        Kind::Invite | Kind::Reinvite => AnsiColor::Green,
        Kind::Role => AnsiColor::Cyan,
        Kind::Disable | Kind::NeedsAction => AnsiColor::Red,
        Kind::Held | Kind::Drift => AnsiColor::Yellow,
        Kind::Propagating | Kind::Pending | Kind::Info => return DIM,
    };
    Style::new().fg_color(Some(colour.into()))
}
