//! What is known of the workspaces, for whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::snapshot_view::SnapshotView;
use crate::daemon::{NextRun, RunCompleted};
use crate::diagnostic::{Diagnostic, Severity, Sources};
use crate::escape::escape;
use crate::ledger::Ledger;
use crate::render::diagnostics;
use crate::report::{RunReport, Status, Trigger};

/// What is known now. Whoever wants to know when it changes subscribes.
#[derive(Debug)]
pub struct StatusStore {
    known: Mutex<Known>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    places: BTreeMap<String, WorkspaceStatus>,
    /// What is wrong with the configuration as it is now.
    trouble: Option<LoadErrors>,
}

/// How a workspace fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkspaceHealth {
    /// No run has ended yet.
    Starting,
    InSync,
    /// Changes are being made.
    Changing,
    /// Guards hold something, and nothing failed.
    Held,
    Failing,
    /// An earlier roster is in force: the files cannot be used.
    Stale,
}

/// One workspace.
#[derive(Clone, Debug)]
pub struct WorkspaceStatus {
    pub name: String,
    /// A roster could be used, and stays in force whatever becomes of the file.
    pub is_loaded: bool,
    /// What is wrong with the roster as it is now.
    pub trouble: Option<LoadErrors>,
    fares: WorkspaceHealth,
    /// Since when it has fared so.
    since: Timestamp,
    /// So many changes of the run in progress have an outcome, of how many.
    pub progress: Option<(usize, usize)>,
    /// Since when the run in progress makes changes.
    changing: Timestamp,
    pub next: Option<NextRun>,
    pub last: Option<LastRun>,
    /// When a reading last showed it as the roster says.
    pub converged: Option<Timestamp>,
    pub observation: Option<Arc<SnapshotView>>,
    /// Where its past is.
    pub ledger: Option<Ledger>,
}

/// Files that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors {
    pub errors: usize,
    /// Drawn as on a terminal, without colours. Every text in it is escaped.
    pub text: String,
}

/// The last run that ended.
#[derive(Clone, Debug)]
pub struct LastRun {
    pub trigger: Trigger,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub status: Status,
    /// Why it failed.
    pub failure: Option<String>,
}

impl StatusStore {
    pub fn new() -> Self {
        Self { known: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// These are kept from now on, and no others.
    pub fn keep(
        &self,
        workspaces: impl IntoIterator<Item = (String, Option<Ledger>)>,
        now: Timestamp,
    ) {
        self.change(|known| {
            let kept = workspaces.into_iter().map(|(name, ledger)| {
                let place =
                    known.places.remove(&name).unwrap_or_else(|| WorkspaceStatus::new(&name, now));
                (name, WorkspaceStatus { ledger, ..place })
            });
            known.places = kept.collect();
        });
    }

    /// A roster of this workspace could be used.
    pub fn loaded(&self, name: &str) {
        let is_news = self.known.lock().places.get(name).is_some_and(|place| !place.is_loaded);
        let is_mended = self.known.lock().places.get(name).is_some_and(|it| it.trouble.is_some());
        if is_news || is_mended {
            self.change_place(name, |place| {
                place.is_loaded = true;
                place.trouble = None;
            });
        }
    }

    /// The files of this workspace, or of the configuration, cannot be used.
    pub fn unusable(&self, name: Option<&str>, sources: &Sources, found: &[Diagnostic]) {
        let trouble = Some(LoadErrors::of(sources, found));
        let known = match name {
            Some(name) => self.place(name).and_then(|place| place.trouble),
            None => self.trouble(),
        };
        if known == trouble {
            return;
        }
        match name {
            Some(name) => self.change_place(name, |place| place.trouble = trouble),
            None => self.change(|known| known.trouble = trouble),
        }
    }

    /// The configuration can be used.
    pub fn configured(&self) {
        if self.known.lock().trouble.is_some() {
            self.change(|known| known.trouble = None);
        }
    }

    /// A run is about to make so many changes.
    pub fn changing(&self, name: &str, of: usize, now: Timestamp) {
        self.change_place(name, |place| {
            place.progress = Some((0, of));
            place.changing = now;
        });
    }

    /// So many changes of a run have an outcome, of how many.
    pub fn progress(&self, name: &str, done: usize, of: usize) {
        self.change_place(name, |place| place.progress = Some((done, of)));
    }

    /// A run has ended.
    pub fn finished(&self, run: &RunCompleted<'_>) {
        self.change_place(&run.report.workspace, |place| place.finished(run));
    }

    /// The workspaces without a roster. There is none when the daemon is ready.
    pub fn waiting(&self) -> Vec<String> {
        let known = self.known.lock();
        known.places.values().filter(|it| !it.is_loaded).map(|it| it.name.clone()).collect()
    }

    pub fn place(&self, name: &str) -> Option<WorkspaceStatus> {
        self.known.lock().places.get(name).cloned()
    }

    /// All of them, by name.
    pub fn places(&self) -> Vec<WorkspaceStatus> {
        self.known.lock().places.values().cloned().collect()
    }

    /// What is wrong with the configuration as it is now.
    pub fn trouble(&self) -> Option<LoadErrors> {
        self.known.lock().trouble.clone()
    }

    /// Tells of every change from now on; changes that nobody waited for are one.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn change(&self, edit: impl FnOnce(&mut Known)) {
        edit(&mut self.known.lock());
        self.changes.send_modify(|version| *version += 1);
    }

    fn change_place(&self, name: &str, edit: impl FnOnce(&mut WorkspaceStatus)) {
        self.change(|known| {
            if let Some(place) = known.places.get_mut(name) {
                edit(place);
            }
        });
    }
}

impl Default for StatusStore {
    fn default() -> Self {
        Self::new()
    }
}

impl WorkspaceHealth {
    /// The word in the API and on the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::InSync => "in sync",
            Self::Changing => "changing",
            Self::Held => "held",
            Self::Failing => "failing",
            Self::Stale => "stale",
        }
    }

    fn of(report: &RunReport) -> Self {
        match report.status() {
            Status::Failed => Self::Failing,
            _ if report.stale => Self::Stale,
            Status::Held => Self::Held,
            Status::Converged => Self::InSync,
        }
    }

    /// How the ledger calls runs that ended so.
    fn recorded(self) -> &'static str {
        match self {
            Self::Failing => "failed",
            Self::Stale => "stale",
            Self::Held => "held",
            Self::InSync => "converged",
            Self::Starting | Self::Changing => "",
        }
    }
}

impl WorkspaceStatus {
    fn new(name: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            is_loaded: false,
            trouble: None,
            fares: WorkspaceHealth::Starting,
            since: now,
            progress: None,
            changing: now,
            next: None,
            last: None,
            converged: None,
            observation: None,
            ledger: None,
        }
    }

    /// How it fares, and since when.
    pub fn fares(&self) -> (WorkspaceHealth, Timestamp) {
        match self.progress {
            Some(_) => (WorkspaceHealth::Changing, self.changing),
            None => (self.fares, self.since),
        }
    }

    fn finished(&mut self, run: &RunCompleted<'_>) {
        let report = run.report;
        self.progress = None;
        self.next = run.next;
        if let Some(observation) = &run.observation {
            self.converged = self.converged.max(observation.memory.converged());
            self.observation =
                Some(Arc::new(SnapshotView::new(&self.name, Arc::clone(observation))));
        }
        if report.is_interrupted() {
            return;
        }
        let fares = WorkspaceHealth::of(report);
        // The ledger knows longer than this process.
        let memory = run.observation.as_ref().map(|observation| &observation.memory);
        let recorded = memory.and_then(|memory| memory.status_since(fares.recorded()));
        if self.fares != fares {
            self.since = report.finished;
        }
        self.since = recorded.unwrap_or(self.since);
        self.fares = fares;
        self.last = Some(LastRun {
            trigger: report.trigger,
            started: report.started,
            finished: report.finished,
            status: report.status(),
            failure: report.failure().map(|failure| escape(&failure.message).into_owned()),
        });
    }
}

impl LoadErrors {
    fn of(sources: &Sources, found: &[Diagnostic]) -> Self {
        Self { errors: errors(found), text: diagnostics::text(found, sources, false) }
    }
}

/// How many of these are errors.
pub fn errors(found: &[Diagnostic]) -> usize {
    found.iter().filter(|it| it.severity == Severity::Error).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::report::{End, Failure};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn failed(kind: FailureKind, second: i64) -> RunReport {
        RunReport {
            workspace: "acme".into(),
            trigger: Trigger::Retry,
            started: at(second - 1),
            finished: at(second),
            stale: false,
            ledger: None,
            end: End::Failed(Failure { kind, message: "no\u{1b}".into() }),
        }
    }

    #[test]
    fn how_it_fares_is_told_since_it_began() {
        let board = StatusStore::new();
        board.keep([("acme".to_owned(), None)], at(0));
        let news = board.subscribe();
        let fares = || board.place("acme").unwrap().fares();
        let end = |report: &RunReport| {
            let sources = Sources::default();
            board.finished(&RunCompleted {
                report,
                sources: &sources,
                next: None,
                observation: None,
            });
        };
        assert_eq!(fares(), (WorkspaceHealth::Starting, at(0)));
        board.changing("acme", 3, at(5));
        assert_eq!(fares(), (WorkspaceHealth::Changing, at(5)));
        board.progress("acme", 1, 3);
        assert_eq!(board.place("acme").unwrap().progress, Some((1, 3)));
        end(&failed(FailureKind::Cancelled, 7));
        assert_eq!(fares(), (WorkspaceHealth::Starting, at(0)), "it made room and says nothing");
        end(&failed(FailureKind::Connect, 9));
        end(&failed(FailureKind::Connect, 20));
        assert_eq!(fares(), (WorkspaceHealth::Failing, at(9)), "since the first of them");
        let last = board.place("acme").unwrap().last.unwrap();
        assert_eq!((last.finished, last.failure.as_deref()), (at(20), Some("no\\u{1b}")));
        assert!(news.has_changed().unwrap());
    }

    #[test]
    fn ready_is_whoever_has_a_roster_for_every_workspace() {
        let board = StatusStore::default();
        let keep = |names: &[&str]| {
            board.keep(names.iter().map(|name| ((*name).to_owned(), None)), Timestamp::UNIX_EPOCH);
        };
        keep(&["acme", "beta"]);
        board.loaded("acme");
        board.loaded("gone");
        assert_eq!(board.waiting(), ["beta"]);
        board.loaded("beta");
        assert!(board.waiting().is_empty());
        keep(&["acme", "new"]);
        assert_eq!(board.waiting(), ["new"], "and acme keeps its roster");
    }
}
