//! Text for a terminal. It is styled; the output stream strips styles that it does not support.
//! Colour is never the only carrier of a meaning.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::approve::{self, ApproveBy};
use super::rows::{self, Kind, Row};
use super::table::{self, Line, MANY, Screen, paragraph};
use super::{NO_LEDGER, Summary, View, counts, files, members, people};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::guard::{Verdict, Violation};
use crate::plan::change::Change;
use crate::plan::{Finding, FindingCategory};
use crate::report::{Applied, End, Outcome, RunCounts, RunReport, RunStatus, Verification};
use crate::revision::Revision;

/// Maximum number of rows of a kind that is not a change, unless all are to be shown.
const FOLDED: usize = 8;
/// How to see the rows that are not shown.
const SHOW_ALL: &str = "--all shows them";
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// One plan.
pub fn plan(view: &View<'_>, screen: Screen) -> String {
    let rows = rows::of_view(view);
    let summary = Summary::of(view.plan, &rows);
    let head = head(view.workspace, view.sources, view.revision);
    if rows.is_empty() {
        let members = members(view.plan.facts.members);
        let note = ledger_note(view);
        return format!("{head}   No changes: {members} in sync\n{note}");
    }
    let mut text = format!("{head}   plan {}\n", view.plan.fingerprint.short());
    let rows = if screen.all { rows } else { merged(rows) };
    let rows: Vec<Shown> = rows.into_iter().map(Shown::of_row).collect();
    text.push_str(&paragraph(["", "  "], &super::users(view), screen));
    text.push('\n');
    text.push_str(&rows_table(&rows, view.sources, screen));
    violations(&mut text, view.verdict, view.sources, view.approve_by, screen);
    let note = if summary.is_in_sync() { "No changes: " } else { "" };
    let _ = writeln!(text, "\n{BOLD}{note}{summary}{BOLD:#}");
    text + &ledger_note(view)
}

/// The result of a run: its outcomes, the held changes and the remaining ones. The findings were
/// shown with the plan, so a run without changes is one line.
pub fn run(report: &RunReport, sources: &Sources, approve_by: ApproveBy, screen: Screen) -> String {
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
    let done = changed.into_iter().zip(&applied.outcomes);
    let done = done.map(|(row, (_, outcome))| Shown::of_outcome(row, outcome));
    let rows: Vec<Shown> = done.chain(held.into_iter().map(Shown::of_row)).collect();
    let mut text = format!("{head}{stale}   plan {}\n\n", applied.plan.fingerprint.short());
    text.push_str(&rows_table(&rows, sources, screen));
    violations(&mut text, &applied.verdict, sources, approve_by, screen);
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
            let rows = changes.into_iter().map(|it| Shown::of_row(rows::of_change(it, sources)));
            let _ = writeln!(text, "\n{title}:");
            text.push_str(&rows_table(&rows.collect::<Vec<_>>(), sources, screen));
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

/// A row of the table, or the outcome of one.
struct Shown {
    row: Row,
    symbol: char,
    style: Style,
    /// What became of it; empty for a plan.
    outcome: String,
    /// It may be folded with others like it.
    folds: bool,
}

impl Shown {
    fn of_row(row: Row) -> Self {
        let (symbol, style, folds) = (row.kind.symbol(), style(row.kind), !row.kind.is_change());
        Self { row, symbol, style, outcome: String::new(), folds }
    }

    fn of_outcome(row: Row, outcome: &Outcome) -> Self {
        let (symbol, kind, text) = match outcome {
            Outcome::Done => ('✓', Kind::Invite, "done".to_owned()),
            Outcome::Rejected(why) => {
                ('×', Kind::NeedsAction, format!("rejected: {}", escape(why)))
            }
            Outcome::Unknown(why) => ('?', Kind::Held, format!("unknown: {}", escape(why))),
            Outcome::NotSent(why) => ('!', Kind::Held, format!("skipped: {}", escape(why))),
        };
        let (style, folds) = (style(kind), matches!(outcome, Outcome::NotSent(_)));
        Self { row: Row { warning: "", ..row }, symbol, style, outcome: text, folds }
    }

    fn kind(&self) -> (char, &'static str) {
        (self.symbol, self.row.kind.as_str())
    }

    fn details(&self) -> [&str; 5] {
        let Row { why, approval, warning, held_by, .. } = &self.row;
        [&self.outcome, why, approval, warning, held_by]
    }

    fn line(&self, common: &[&str], sources: &Sources) -> Line {
        let (symbol, kind) = self.kind();
        let cells = vec![format!("{symbol} {kind}"), self.row.email.clone(), self.row.what.clone()];
        let details =
            self.details().into_iter().filter(|it| !it.is_empty() && !common.contains(it));
        let details = details.map(str::to_owned).chain(self.row.at(sources)).collect();
        Line { style: self.style, cells, details }
    }
}

/// Notes that say the same of many people become one row.
fn merged(rows: Vec<Row>) -> Vec<Row> {
    let mut same = HashMap::<String, usize>::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Info) {
        *same.entry(row.why.clone()).or_default() += 1;
    }
    let merged = rows.into_iter().filter_map(|row| match same.get_mut(&row.why) {
        Some(0) if row.kind == Kind::Info => None,
        Some(count) if row.kind == Kind::Info && *count >= MANY => {
            let (email, why) = (people(std::mem::take(count)), format!("{}; {SHOW_ALL}", row.why));
            Some(Row { email, what: String::new(), why, place: None, ..row })
        }
        _ => Some(row),
    });
    merged.collect()
}

/// The table. What many rows of one kind have in common is said once, below them.
fn rows_table(rows: &[Shown], sources: &Sources, screen: Screen) -> String {
    let mut lines = Vec::new();
    for group in rows.chunk_by(|a, b| a.kind() == b.kind()) {
        let (first, count) = (&group[0], group.len());
        let is_common = |it: &&str| {
            count >= MANY && !it.is_empty() && group.iter().all(|row| row.details().contains(it))
        };
        let common: Vec<&str> = first.details().into_iter().filter(is_common).collect();
        let note = |text| {
            let (symbol, kind) = first.kind();
            Line {
                style: first.style,
                cells: vec![format!("{symbol} {kind}")],
                details: vec![text],
            }
        };
        // Folding a single row would not save a line.
        let folds = !screen.all && count > FOLDED + 1 && group.iter().all(|row| row.folds);
        let shown = if folds { &group[..FOLDED] } else { group };
        lines.extend(shown.iter().map(|row| row.line(&common, sources)));
        if folds {
            lines.push(note(format!("… {} more; {SHOW_ALL}", count - FOLDED)));
        }
        if !common.is_empty() {
            lines.push(note(format!("all {count}: {}", common.join(", "))));
        }
    }
    table::condensed(&["  KIND", "WHO", "ROLE", "WHY"], lines, Vec::new(), screen)
}

fn violations(
    text: &mut String,
    verdict: &Verdict,
    sources: &Sources,
    approve_by: ApproveBy,
    screen: Screen,
) {
    for (position, violation) in verdict.violations.iter().enumerate() {
        let style = style(Kind::Held);
        let Violation { guard, message, hint } = violation;
        let message = format!("{style}held by {guard}{style:#}: {}", escape(message));
        text.push_str(if position == 0 { "\n" } else { "" });
        text.push_str(&paragraph(["", "  "], &message, screen));
        let hint = format!("{DIM}hint:{DIM:#} {}", escape(hint));
        text.push_str(&paragraph(["  ", "  "], &hint, screen));
    }
    if let Some(lines) = approve::lines(verdict, sources) {
        text.push_str(&to_approve(&lines, "--all", approve_by, screen));
    }
}

/// What to do with the lines that approve. `who` selects people in the command.
pub(super) fn to_approve(lines: &str, who: &str, approve_by: ApproveBy, screen: Screen) -> String {
    let (instruction, lines) = match approve_by {
        ApproveBy::Commit => (approve::instruction(lines).replace("--all", who), lines),
        ApproveBy::SavedPlan => {
            let why = "the roster is not in a git work tree, so run these, with the same options";
            (why.to_owned(), approve::SAVED_PLAN)
        }
    };
    let instruction = paragraph(["", ""], &format!("to approve, {instruction}:"), screen);
    let lines = lines.trim_end().replace('\n', "\n  ");
    format!("\n{instruction}\n  {lines}\n")
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
