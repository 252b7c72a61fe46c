//! Metrics for Prometheus (<https://prometheus.io/docs/practices/naming/>).
//!
//! The primary signal is `rosterd_convergence_age_seconds`: it grows whatever goes wrong, and
//! returns to zero when a listing shows that the workspace matches the roster. Counters and
//! histograms are updated here; gauges are computed from the last run on each scrape ([`gauges`]).

pub mod gauges;
mod text;

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use strum::VariantArray as _;

use crate::client::{Observer, RequestMetrics};
use crate::daemon::RunCompleted;
use crate::notice::Kind;
use crate::report::{RunReport, Trigger};
use crate::source::remote::GitRemote;
use gauges::{Gauges, WorkspaceGauges};

/// The content type of [`Metrics::text`].
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The content type of [`Metrics::open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    runs: Counters<3>,
    durations: Histograms<1>,
    changes: Counters<3>,
    requests: Counters<3>,
    latencies: Histograms<2>,
    notices: Counters<3>,
    gauges: Arc<Mutex<Gauges>>,
}

/// Values of `outcome` of a run.
const OUTCOMES: [&str; 4] = ["converged", "held", "failed", "interrupted"];
/// Values of `outcome` of a notice.
const NOTICE_OUTCOMES: [&str; 3] = ["delivered", "failed", "dropped"];
/// Values of `kind` of a change.
const CHANGES: [&str; 4] = ["invite", "reinvite", "update_role", "disable"];
/// Values of `outcome` of a change.
const CHANGE_OUTCOMES: [&str; 4] = ["done", "rejected", "unknown", "not_sent"];

impl Metrics {
    /// The process started at `now`.
    pub fn new(now: Timestamp) -> Self {
        let mut registry = Registry::with_prefix("rosterd");
        let runs = Counters::default();
        registry.register("runs", "Runs by trigger and outcome", runs.clone());
        let durations = Histograms::new_with_constructor(|| Histogram::new(RUN_SECONDS));
        let help = "Duration of runs";
        registry.register_with_unit("run_duration", help, Unit::Seconds, durations.clone());
        let changes = Counters::default();
        registry.register("changes", "Changes by kind and outcome", changes.clone());
        let requests = Counters::default();
        let help = "API requests by field, and by HTTP status or transport error";
        registry.register("api_requests", help, requests.clone());
        let latencies = Histograms::new_with_constructor(|| Histogram::new(REQUEST_SECONDS));
        let help = "Latency of the API";
        registry.register_with_unit("api_request_duration", help, Unit::Seconds, latencies.clone());
        let notices = Counters::default();
        registry.register("notices", "Notices by receiver, event and outcome", notices.clone());
        let gauges = Arc::new(Mutex::new(Gauges::new(now)));
        registry.register_collector(Box::new(gauges::Collector(Arc::clone(&gauges))));
        Self { registry, runs, durations, changes, requests, latencies, notices, gauges }
    }

    /// Replaces the set of workspaces. Their counters start at 0, so that `rate` sees the first
    /// increment.
    pub fn set_workspaces<'a>(&self, names: impl IntoIterator<Item = &'a str>, now: Timestamp) {
        let mut gauges = self.gauges.lock();
        let mut before = std::mem::take(&mut gauges.workspaces);
        for name in names {
            let known = before.remove(name).unwrap_or_else(|| WorkspaceGauges::new(now));
            gauges.workspaces.insert(name.to_owned(), known);
            for (trigger, outcome) in
                Trigger::VARIANTS.iter().flat_map(|it| OUTCOMES.map(|o| (it, o)))
            {
                drop(self.runs.get_or_create(&run_labels(name, *trigger, outcome)));
            }
            for (kind, outcome) in CHANGES.iter().flat_map(|it| CHANGE_OUTCOMES.map(|o| (it, o))) {
                drop(self.changes.get_or_create(&change_labels(name, kind, outcome)));
            }
        }
    }

    pub fn on_run_completed(&self, run: &RunCompleted<'_>) {
        let RunReport { workspace, trigger, .. } = run.report;
        let outcome = run.report.status().as_str();
        self.runs.get_or_create(&run_labels(workspace, *trigger, outcome)).inc();
        let took = run.report.finished.duration_since(run.report.started).as_secs_f64();
        self.durations.get_or_create(&[("workspace", workspace.clone())]).observe(took.max(0.0));
        for (change, outcome) in run.report.applied().map_or(&[][..], |it| &it.outcomes) {
            let labels = change_labels(workspace, change.action.kind(), outcome.as_str());
            self.changes.get_or_create(&labels).inc();
        }
        if let Some(gauges) = self.gauges.lock().workspaces.get_mut(workspace) {
            gauges.on_run_completed(run);
        }
    }

    /// Sets the number of errors in the files of a roster.
    pub fn set_roster_errors(&self, workspace: &str, errors: usize) {
        if let Some(gauges) = self.gauges.lock().workspaces.get_mut(workspace) {
            gauges.roster_errors = errors;
        }
    }

    /// Sets the repository of a roster, if it is in one.
    pub fn set_git(&self, workspace: &str, git: Option<&GitRemote>) {
        if let Some(gauges) = self.gauges.lock().workspaces.get_mut(workspace) {
            gauges.git = git.cloned();
        }
    }

    /// Sets the number of errors in the configuration.
    pub fn set_config_errors(&self, errors: usize) {
        self.gauges.lock().config_errors = errors;
    }

    /// Starts the counters of a receiver at 0.
    pub fn add_receiver(&self, receiver: &str, events: &[Kind]) {
        for (event, outcome) in events.iter().flat_map(|it| NOTICE_OUTCOMES.map(|o| (it, o))) {
            drop(self.notices.get_or_create(&notice_labels(receiver, *event, outcome)));
        }
    }

    /// Counts a notice that was delivered, or given up.
    pub fn count_notice(&self, receiver: &str, event: Kind, outcome: &'static str) {
        self.notices.get_or_create(&notice_labels(receiver, event, outcome)).inc();
    }

    /// An observer that counts the requests of a workspace.
    pub fn observer(self: &Arc<Self>, workspace: &str) -> Arc<dyn Observer> {
        Arc::new(RequestObserver { metrics: Arc::clone(self), workspace: workspace.to_owned() })
    }

    /// The metrics as of `now`, in the text format of Prometheus.
    pub fn text(&self, now: Timestamp) -> String {
        text::classic(&self.open_metrics(now))
    }

    /// The metrics as of `now`, in the text format of `OpenMetrics`.
    pub fn open_metrics(&self, now: Timestamp) -> String {
        self.gauges.lock().now = now;
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

struct RequestObserver {
    metrics: Arc<Metrics>,
    workspace: String,
}

impl Observer for RequestObserver {
    fn on_request(&self, request: &RequestMetrics) {
        let status =
            request.error.map_or_else(|| request.status.to_string(), |kind| kind.to_string());
        let (workspace, operation) =
            (("workspace", self.workspace.as_str()), ("operation", request.operation));
        let requests = labels([workspace, operation, ("status", &status)]);
        self.metrics.requests.get_or_create(&requests).inc();
        let seconds = request.took.as_secs_f64();
        self.metrics.latencies.get_or_create(&labels([workspace, operation])).observe(seconds);
    }
}

fn labels<const N: usize>(labels: [(&'static str, &str); N]) -> Labels<N> {
    labels.map(|(name, value)| (name, value.to_owned()))
}

fn run_labels(workspace: &str, trigger: Trigger, outcome: &str) -> Labels<3> {
    labels([("workspace", workspace), ("trigger", trigger.as_str()), ("outcome", outcome)])
}

fn change_labels(workspace: &str, kind: &str, outcome: &str) -> Labels<3> {
    labels([("workspace", workspace), ("kind", kind), ("outcome", outcome)])
}

fn notice_labels(receiver: &str, event: Kind, outcome: &str) -> Labels<3> {
    labels([("receiver", receiver), ("event", event.as_str()), ("outcome", outcome)])
}

/// Buckets: from a run without changes to one that invites thousands.
const RUN_SECONDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// Buckets: from a local request to one that reaches its timeout.
const REQUEST_SECONDS: [f64; 11] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0];
