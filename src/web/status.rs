//! The current status of every workspace, for the page, the API and `/readyz`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoStaticStr;
use tokio::sync::watch;

use super::snapshot_view::SnapshotView;
use crate::daemon::{NextRun, RunCompleted};
use crate::diagnostic::{Diagnostic, Severity, Sources};
use crate::escape::escape;
use crate::failure::FailureKind;
use crate::ledger::Ledger;
use crate::memory::scope::Scope;
use crate::plan::FindingCategory;
use crate::render::{at, diagnostics};
use crate::report::{RunStatus, Trigger};
use crate::status::Health;

/// Maximum number of links to lines with errors.
const MAX_LINKS: usize = 10;

/// The status of all workspaces. Subscribers are notified of every change.
#[derive(Debug, Default)]
pub struct StatusStore {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    workspaces: BTreeMap<String, WorkspaceStatus>,
    config_errors: Option<LoadErrors>,
}

/// The health of a workspace, ordered by urgency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WorkspaceHealth {
    InSync,
    /// No run has completed yet.
    #[default]
    Starting,
    /// A run is applying changes.
    Changing,
    /// Changes are held by guards, and nothing failed.
    Held,
    /// The roster files are invalid; the last valid roster is in use.
    Stale,
    Failing,
}

/// Where the history of a workspace is.
pub type Chain = (Ledger, Scope);

#[derive(Clone, Debug, Default)]
pub struct WorkspaceStatus {
    pub name: String,
    /// A roster was loaded since the start; the workspace stays ready when the file breaks later.
    pub is_ready: bool,
    /// A run got as far as asking the API.
    has_worked: bool,
    /// Why none did yet: the credentials or the ledger of this machine.
    unable: Option<String>,
    /// Why a file of the roster cannot be read.
    unreadable: Option<String>,
    /// Errors in the roster files as they are now.
    pub roster_errors: Option<LoadErrors>,
    /// The result of the last completed run, and since when it has been the same.
    health: (WorkspaceHealth, Timestamp),
    /// The number of changes of the run in progress that have an outcome, and their total.
    pub progress: Option<(usize, usize)>,
    /// When the run in progress began to apply changes.
    changing_since: Timestamp,
    pub next_run: Option<NextRun>,
    pub last_run: Option<LastRun>,
    /// When the workspace last matched the roster.
    pub converged: Option<Timestamp>,
    pub snapshot: Option<Arc<SnapshotView>>,
    pub chain: Option<Chain>,
}

/// Errors that make files unusable. The last valid version stays in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Problems")]
pub struct LoadErrors {
    /// Number of errors.
    pub errors: usize,
    /// The output of `rosterd check`, without colours. Text from the files is escaped.
    pub text: String,
    /// The first lines with errors, and their pages at the git forge.
    #[serde(skip)]
    pub links: Vec<(String, String)>,
}

/// The last completed run.
#[derive(Clone, Debug)]
pub struct LastRun {
    pub trigger: Trigger,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub status: RunStatus,
    /// Number of held changes.
    pub held: usize,
    pub failure: Option<String>,
    pub failure_kind: Option<FailureKind>,
}

impl StatusStore {
    /// Replaces the set of workspaces; the status of those that stay is kept.
    pub fn set_workspaces(
        &self,
        workspaces: impl IntoIterator<Item = (String, Option<Chain>)>,
        now: Timestamp,
    ) {
        self.change(|state| {
            let mut before = std::mem::take(&mut state.workspaces);
            let workspaces = workspaces.into_iter().map(|(name, chain)| {
                let known = before.remove(&name);
                let status = known.unwrap_or_else(|| WorkspaceStatus::new(&name, now));
                (name, WorkspaceStatus { chain, ..status })
            });
            state.workspaces = workspaces.collect();
        });
    }

    /// A valid roster was loaded.
    pub fn roster_loaded(&self, name: &str) {
        let workspace = self.workspace(name);
        if workspace.is_some_and(|it| !it.is_ready || it.roster_errors.is_some()) {
            self.change_workspace(name, |workspace| {
                workspace.is_ready = true;
                workspace.roster_errors = None;
            });
        }
    }

    /// The roster of a workspace, or the configuration if there is no name, is invalid.
    pub fn load_failed(&self, name: Option<&str>, sources: &Sources, found: &[Diagnostic]) {
        let text = diagnostics::text(found, sources, false);
        let places = found.iter().filter(|it| it.is_error()).filter_map(|it| it.place);
        let links = places.filter_map(|place| Some((at(sources, place), sources.line_url(place)?)));
        let links = links.take(MAX_LINKS).collect();
        let errors = Some(LoadErrors { errors: count_errors(found), text, links });
        let known = match name {
            Some(name) => self.workspace(name).and_then(|workspace| workspace.roster_errors),
            None => self.config_errors(),
        };
        match name {
            _ if known == errors => {}
            Some(name) => self.change_workspace(name, |it| {
                it.roster_errors = errors;
                // Messages of other problems may quote the roster.
                let unreadable = found.iter().find(|it| it.code == "unreadable-file");
                it.unreadable = unreadable.map(Diagnostic::with_hint);
            }),
            None => self.change(|state| state.config_errors = errors),
        }
    }

    /// A valid configuration was loaded.
    pub fn config_loaded(&self) {
        if self.config_errors().is_some() {
            self.change(|state| state.config_errors = None);
        }
    }

    /// A run begins to apply `total` changes.
    pub fn apply_started(&self, name: &str, total: usize, now: Timestamp) {
        self.change_workspace(name, |workspace| {
            workspace.progress = Some((0, total));
            workspace.changing_since = now;
        });
    }

    pub fn on_progress(&self, name: &str, done: usize, total: usize) {
        self.change_workspace(name, |workspace| workspace.progress = Some((done, total)));
    }

    pub fn on_run_completed(&self, run: &RunCompleted<'_>) {
        self.change_workspace(&run.report.workspace, |it| it.on_run_completed(run));
    }

    /// The workspaces that never had a valid roster or could never work, each with the reason; none
    /// if the daemon is ready. A daemon that has not adopted its configuration is not.
    pub fn not_ready(&self) -> Vec<(String, String)> {
        let state = self.state.lock();
        if state.workspaces.is_empty() {
            return vec![("daemon".to_owned(), "starting".to_owned())];
        }
        let why = |it: &WorkspaceStatus| {
            let no_roster = (!it.is_ready).then(|| match &it.unreadable {
                Some(why) => format!("no roster can be used: {why}"),
                None => "no roster can be used".to_owned(),
            });
            no_roster.or_else(|| it.unable.clone())
        };
        let not_ready = state.workspaces.values();
        not_ready.filter_map(|it| Some((it.name.clone(), why(it)?))).collect()
    }

    pub fn workspace(&self, name: &str) -> Option<WorkspaceStatus> {
        self.state.lock().workspaces.get(name).cloned()
    }

    /// All workspaces, sorted by name.
    pub fn workspaces(&self) -> Vec<WorkspaceStatus> {
        self.state.lock().workspaces.values().cloned().collect()
    }

    /// Errors in the configuration as it is now.
    pub fn config_errors(&self) -> Option<LoadErrors> {
        self.state.lock().config_errors.clone()
    }

    /// The version of the state, which grows with every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn change(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.state.lock());
        self.version.send_modify(|version| *version += 1);
    }

    fn change_workspace(&self, name: &str, edit: impl FnOnce(&mut WorkspaceStatus)) {
        self.change(|state| {
            if let Some(workspace) = state.workspaces.get_mut(name) {
                edit(workspace);
            }
        });
    }
}

impl WorkspaceHealth {
    /// The name in the API and in the style sheet.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub fn label(self) -> String {
        self.as_str().replace('_', " ")
    }

    pub fn symbol(self) -> char {
        match self {
            Self::Starting => '…',
            Self::InSync => '✓',
            Self::Changing => '~',
            Self::Held => '!',
            Self::Failing => '×',
            Self::Stale => '≠',
        }
    }
}

impl From<Health> for WorkspaceHealth {
    fn from(health: Health) -> Self {
        match health {
            Health::InSync => Self::InSync,
            Health::Held => Self::Held,
            Health::Stale => Self::Stale,
            Health::Failing => Self::Failing,
        }
    }
}

impl WorkspaceStatus {
    fn new(name: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            health: (WorkspaceHealth::Starting, now),
            changing_since: now,
            ..Self::default()
        }
    }

    /// The time zone of the workspace; UTC before the first listing.
    pub fn zone(&self) -> TimeZone {
        let snapshot = self.snapshot.as_deref();
        let zone = snapshot.map(|it| it.observation.evaluation.plan.zone.clone());
        zone.unwrap_or(TimeZone::UTC)
    }

    /// The current health, and since when.
    pub fn health(&self) -> (WorkspaceHealth, Timestamp) {
        match self.progress {
            Some(_) => (WorkspaceHealth::Changing, self.changing_since),
            None => self.health,
        }
    }

    /// The health, or `Held` if only a finding needs a person.
    pub fn urgency(&self) -> WorkspaceHealth {
        let needs_action = self.snapshot.as_deref().is_some_and(|snapshot| {
            let mut findings = snapshot.observation.evaluation.plan.findings().iter();
            findings.any(|it| it.kind.category() == FindingCategory::NeedsAction)
        });
        let floor = if needs_action { WorkspaceHealth::Held } else { WorkspaceHealth::InSync };
        self.health().0.max(floor)
    }

    fn on_run_completed(&mut self, run: &RunCompleted<'_>) {
        let report = run.report;
        self.progress = None;
        self.next_run = run.next;
        let kind = report.failure().map(|failure| failure.kind);
        let is_unable = matches!(kind, Some(FailureKind::Credentials | FailureKind::Ledger));
        self.has_worked |= !is_unable && kind != Some(FailureKind::Roster);
        let unable = report.failure().filter(|_| is_unable && !self.has_worked);
        self.unable = unable.map(|failure| failure.message.clone());
        if let Some(observation) = &run.observation {
            self.converged = self.converged.max(observation.memory.converged());
            let snapshot = SnapshotView::new(&self.name, Arc::clone(observation));
            self.snapshot = Some(Arc::new(snapshot));
        }
        let Some(found) = Health::of(report.status(), report.is_stale()) else { return };
        let health = found.into();
        // The ledger also knows the runs before this process started.
        let memory = run.observation.as_ref().map(|observation| &observation.memory);
        let recorded = memory.and_then(|memory| memory.health_since(found));
        let known = if self.health.0 == health { self.health.1 } else { report.finished };
        self.health = (health, recorded.unwrap_or(known));
        self.last_run = Some(LastRun {
            trigger: report.trigger,
            started: report.started,
            finished: report.finished,
            status: report.status(),
            held: report.applied().map_or(0, |applied| applied.verdict.held.len()),
            failure: report.failure().map(|failure| escape(&failure.message).into_owned()),
            failure_kind: kind,
        });
    }
}

pub fn count_errors(found: &[Diagnostic]) -> usize {
    found.iter().filter(|it| it.severity == Severity::Error).count()
}

#[cfg(test)]
mod tests;
