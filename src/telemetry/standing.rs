//! What stays open between runs: it is logged when it begins, changes and ends, and not at every
//! run in between.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tracing::Level;

use super::log_change;
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::plan::FindingCategory;
use crate::render::{findings, time};
use crate::report::{Applied, RunReport, RunStatus};
use crate::roster::Digest;

/// What the last run of a workspace left open, so that the log says it when it begins, changes and
/// ends, and not at every run in between.
#[derive(Debug, Default)]
pub struct Standing {
    /// Identifies the set of held changes; None if there are none.
    held: Option<Digest>,
    needs_action: BTreeSet<String>,
    /// The start of the first of the runs that failed.
    failing: Option<Timestamp>,
}

/// Every finding; most of them are logged only on request.
pub(super) fn log_findings(workspace: &str, applied: &Applied) {
    for finding in applied.plan.findings() {
        let message = findings::message(finding, applied.plan.now, &applied.plan.zone);
        let email = escape(finding.email.as_str());
        tracing::trace!(workspace, %email, "{message}");
    }
}

pub(super) fn log_held(
    workspace: &str,
    applied: &Applied,
    sources: &Sources,
    standing: &mut Standing,
) {
    let verdict = &applied.verdict;
    for held in &verdict.held {
        let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
        let outcome = ("held", None, Some(by.join(",")));
        let asked_by = applied.asked_by(&held.change);
        log_change(workspace, Level::DEBUG, &held.change, outcome, asked_by, sources);
    }
    let keys = verdict.held.iter().map(|it| format!("{:?} {:?}", it.change.sort_key(), it.by));
    let keys: Vec<String> = keys.collect();
    let held = (!keys.is_empty()).then(|| Digest::of(keys.iter().map(String::as_str)));
    let before = std::mem::replace(&mut standing.held, held);
    if before == held {
        return;
    }
    if held.is_none() {
        tracing::info!(workspace, "nothing is held any more");
    }
    for violation in &verdict.violations {
        let (guard, hint) = (violation.guard.to_string(), escape(&violation.hint));
        tracing::warn!(workspace, guard, %hint, "held: {}", escape(&violation.message));
    }
    if let Some(approvals) = verdict.approvals_in_short() {
        let message = "to approve the held changes, commit these lines with a reason, or \
                       run `rosterd approve`";
        tracing::warn!(workspace, approvals, "{message}");
    }
}

/// Logs the first run that did not fail after others that did.
pub(super) fn log_recovery(report: &RunReport, standing: &mut Standing) {
    match report.status() {
        RunStatus::Interrupted => {}
        RunStatus::Failed => {
            standing.failing.get_or_insert(report.started);
        }
        RunStatus::Converged | RunStatus::Held => {
            if let Some(since) = standing.failing.take() {
                let lasted = report.finished.duration_since(since);
                let after = time::span(lasted).unwrap_or_else(|| format!("{} s", lasted.as_secs()));
                tracing::info!(workspace = report.workspace, "recovered after {after}");
            }
        }
    }
}

/// Maximum number of lines for findings that need action; the line of the run has their number.
const MAX_NEEDS_ACTION: usize = 20;

/// Logs the findings that need action and did not before.
pub(super) fn log_needs_action(workspace: &str, applied: &Applied, standing: &mut Standing) {
    let findings = applied.plan.findings().iter();
    let open = findings.filter(|it| it.kind.category() == FindingCategory::NeedsAction);
    let before = std::mem::take(&mut standing.needs_action);
    for (position, finding) in open.enumerate() {
        let key = format!("{} {:?}", finding.email, finding.kind);
        if !before.contains(&key) && position < MAX_NEEDS_ACTION {
            let message = findings::message(finding, applied.plan.now, &applied.plan.zone);
            tracing::warn!(workspace, email = escape(finding.email.as_str()).as_ref(), "{message}");
        }
        standing.needs_action.insert(key);
    }
}
