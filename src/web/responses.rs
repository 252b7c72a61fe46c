//! The response bodies of the API. The `OpenAPI` document is generated from these types.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::status::{LoadErrors, WorkspaceStatus};
use crate::memory::runs::Run;
use crate::memory::timeline::Timeline;
use crate::render::time::exact;
use crate::render::{Summary, access, history, rows};
use crate::status::RunCounts;

/// All workspaces. Every instant is RFC 3339, UTC.
#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// The version of rosterd.
    pub version: String,
    /// Errors in the configuration as it is now; the last valid one is in use.
    pub config_problems: Option<LoadErrors>,
    pub workspaces: Vec<WorkspaceResponse>,
}

/// One workspace.
#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Workspace")]
pub struct WorkspaceResponse {
    pub name: String,
    /// `starting`, `in_sync`, `changing`, `held`, `failing` or `stale`.
    pub state: String,
    /// Since when it has been in this state.
    pub since: String,
    /// Name of the time zone, such as `Europe/Berlin`; UTC before the first listing.
    pub zone: String,
    /// A valid roster was loaded since the start.
    pub ready: bool,
    /// When the workspace last matched the roster.
    pub converged: Option<String>,
    pub last_run: Option<LastRunResponse>,
    pub next_run: Option<NextRunResponse>,
    /// The progress of the run that applies changes.
    pub progress: Option<Progress>,
    /// The number of open differences by kind; absent before the first listing.
    pub plan: Option<Summary>,
    /// The commit of the roster in use.
    pub commit: Option<String>,
    /// The `approvals:` block that approves the held changes.
    pub approvals: Option<String>,
    /// Errors in the roster as it is now; the last valid one is in use.
    pub roster_problems: Option<LoadErrors>,
}

/// The last completed run.
#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LastRun")]
pub struct LastRunResponse {
    /// `start`, `schedule`, `file`, `signal`, `http`, `date` or `retry`.
    pub trigger: String,
    pub started: String,
    pub finished: String,
    /// `converged`, `held` or `failed`.
    pub status: String,
    pub failure: Option<String>,
}

/// The next run.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NextRun")]
pub struct NextRunResponse {
    pub at: String,
    /// `schedule`, `date` or `retry`.
    pub trigger: String,
}

/// The number of changes that have an outcome, and their total.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Progress {
    pub done: usize,
    pub of: usize,
}

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page<T> {
    /// Total number of matches.
    pub total: usize,
    /// Number of matches before this page.
    pub offset: usize,
    pub items: Vec<T>,
}

/// Runs, the newest first.
#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Runs {
    pub items: Vec<RunResponse>,
    /// The value of `before` for the next page; absent on the last page.
    pub next: Option<u64>,
}

/// One run, from the ledger.
#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub struct RunResponse {
    /// The row number in the ledger.
    pub id: u64,
    pub trigger: String,
    pub started: String,
    pub finished: String,
    /// `converged`, `held`, `failed` or `interrupted`.
    pub status: String,
    /// The fingerprint of its plan.
    pub plan: Option<String>,
    pub commit: Option<String>,
    /// The roster files were invalid, and an earlier roster was in use.
    pub stale: bool,
    #[serde(flatten)]
    pub counts: RunCounts,
    pub failure: Option<String>,
    /// Changes, and holds that began or ended.
    pub events: Vec<history::Row>,
}

/// Role counts and changes over time.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Timeline")]
pub struct TimelineResponse {
    /// The number of accounts by role, from an instant on.
    pub people: Vec<RoleCounts>,
    /// The changes that rosterd made.
    pub changes: Vec<TimelineChange>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct RoleCounts {
    pub at: String,
    pub roles: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TimelineChange {
    pub at: String,
    /// `grant`, `demote`, `disable`, `invite` or `reinvite`.
    pub class: String,
}

/// A run was requested.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Accepted {
    pub workspace: String,
    /// Always `accepted`: the run starts soon, or is merged with one that is queued.
    pub status: String,
}

/// Everyone with access.
pub type People = Page<access::Row>;
/// Past events.
pub type Events = Page<history::Row>;

/// An error.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// What is wrong, and what to do.
    pub error: String,
}

pub fn problem(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(Problem { error: message.into() })).into_response()
}

impl WorkspaceResponse {
    pub fn new(status: &WorkspaceStatus) -> Self {
        let (health, since) = status.health();
        let observation = status.snapshot.as_deref().map(|snapshot| &snapshot.observation);
        let plan = observation.map(|observation| {
            let rows = rows::of_view(&observation.view(&status.name));
            Summary::of(&observation.evaluation.plan, &rows)
        });
        let revision = observation.and_then(|observation| observation.loaded.revision.as_ref());
        Self {
            name: status.name.clone(),
            state: health.as_str().to_owned(),
            since: exact(since),
            zone: status.zone().iana_name().unwrap_or("UTC").to_owned(),
            ready: status.is_ready,
            converged: status.converged.map(exact),
            last_run: status.last_run.as_ref().map(|run| LastRunResponse {
                trigger: run.trigger.as_str().to_owned(),
                started: exact(run.started),
                finished: exact(run.finished),
                status: run.status.as_str().to_owned(),
                failure: run.failure.clone(),
            }),
            next_run: status.next_run.map(|next| NextRunResponse {
                at: exact(next.at),
                trigger: next.trigger.as_str().to_owned(),
            }),
            progress: status.progress.map(|(done, of)| Progress { done, of }),
            plan,
            commit: revision.map(|revision| revision.commit.clone()),
            approvals: observation.and_then(|it| it.evaluation.verdict.approvals(None)),
            roster_problems: status.roster_errors.clone(),
        }
    }
}

impl RunResponse {
    pub fn new(workspace: &str, run: &Run) -> Self {
        let record = run.record.clone();
        Self {
            id: run.seq,
            trigger: record.trigger.as_str().to_owned(),
            started: exact(record.started),
            finished: exact(run.at),
            status: record.status.as_str().to_owned(),
            plan: record.plan,
            commit: record.commit,
            stale: record.stale,
            counts: record.counts,
            failure: record.failure,
            events: history::rows(workspace, &run.events),
        }
    }
}

impl TimelineResponse {
    pub fn new(timeline: &Timeline) -> Self {
        let people = timeline.counts.iter().map(|(at, counts)| RoleCounts {
            at: exact(*at),
            roles: counts.iter().map(|(role, count)| (role.as_str().to_owned(), *count)).collect(),
        });
        let changes = timeline
            .changes
            .iter()
            .map(|(at, class)| TimelineChange { at: exact(*at), class: class.as_str().to_owned() });
        Self { people: people.collect(), changes: changes.collect() }
    }
}
