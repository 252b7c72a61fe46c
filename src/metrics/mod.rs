//! What is counted and measured, for Prometheus (<https://prometheus.io/docs/practices/naming/>).
//!
//! The primary signal is `rosterd_convergence_age_seconds`: it grows whatever goes wrong, and falls
//! to nothing when a reading has shown that the workspace is as the roster says. Counters and
//! histograms are kept here; gauges are read off the last run when somebody asks ([`gauges`]).

pub mod gauges;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::client::{Observer, RequestMetrics};
use crate::daemon::RunCompleted;
use crate::notice::Kind;
use crate::report::{Outcome, RunReport, Status, Trigger};
use gauges::{Gauges, WorkspaceGauges};

/// The type of [`Metrics::text`].
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The type of [`Metrics::open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// All that is counted.
pub struct Metrics {
    registry: Registry,
    runs: Counters<3>,
    durations: Histograms<1>,
    changes: Counters<3>,
    requests: Counters<3>,
    answers: Histograms<2>,
    notices: Counters<3>,
    gauges: Arc<Mutex<Gauges>>,
}

/// What became of a run.
const OUTCOMES: [&str; 4] = ["converged", "held", "failed", "early"];
const TRIGGERS: [Trigger; 7] = [
    Trigger::Start,
    Trigger::Schedule,
    Trigger::File,
    Trigger::Signal,
    Trigger::Http,
    Trigger::Date,
    Trigger::Retry,
];
/// What may become of a notice.
const NOTICES: [&str; 3] = ["delivered", "failed", "dropped"];
/// What may become of a change of each kind.
const CHANGES: [&str; 4] = ["invite", "reinvite", "update_role", "disable"];
const FATES: [&str; 4] = ["done", "rejected", "unknown", "not_sent"];

impl Metrics {
    /// Counts from `now` on.
    pub fn new(now: Timestamp) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("rosterd"),
            runs: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(RUN_SECONDS)),
            changes: Family::default(),
            requests: Family::default(),
            answers: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            notices: Family::default(),
            gauges: Arc::new(Mutex::new(Gauges::new(now))),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let Self { registry, runs, durations, changes, requests, answers, notices, gauges } = self;
        registry.register("runs", "Runs, by what started them and how they ended", runs.clone());
        let help = "How long runs took";
        registry.register_with_unit("run_duration", help, Unit::Seconds, durations.clone());
        registry.register("changes", "Changes, by kind and outcome", changes.clone());
        let help = "Requests to the API, by field and HTTP status, or why there was no answer";
        registry.register("api_requests", help, requests.clone());
        let help = "How long the API took to answer";
        registry.register_with_unit("api_request_duration", help, Unit::Seconds, answers.clone());
        let help = "Notices to receivers, by event and what became of them";
        registry.register("notices", help, notices.clone());
        registry.register_collector(Box::new(gauges::Collector(Arc::clone(gauges))));
    }

    /// These workspaces are kept from now on, and no others. What can be counted of them begins
    /// with 0, so that a rate sees the first.
    pub fn keep<'a>(&self, names: impl IntoIterator<Item = &'a str>, now: Timestamp) {
        let mut gauges = self.gauges.lock();
        let kept = names.into_iter().map(|name| {
            let place = gauges.places.remove(name).unwrap_or_else(|| WorkspaceGauges::new(now));
            (name.to_owned(), place)
        });
        let kept: BTreeMap<String, WorkspaceGauges> = kept.collect();
        for name in kept.keys() {
            for (trigger, outcome) in TRIGGERS.iter().flat_map(|it| OUTCOMES.map(|o| (it, o))) {
                drop(self.runs.get_or_create(&run_labels(name, *trigger, outcome)));
            }
            for (kind, status) in CHANGES.iter().flat_map(|it| FATES.map(|status| (it, status))) {
                let labels = labels(name, ("kind", kind), ("outcome", status));
                drop(self.changes.get_or_create(&labels));
            }
        }
        gauges.places = kept;
    }

    /// A run has ended.
    pub fn finished(&self, run: &RunCompleted<'_>) {
        let RunReport { workspace, trigger, .. } = run.report;
        let outcome =
            if run.report.is_interrupted() { "early" } else { run.report.status().as_str() };
        self.runs.get_or_create(&run_labels(workspace, *trigger, outcome)).inc();
        let took = run.report.finished.duration_since(run.report.started);
        self.durations
            .get_or_create(&[("workspace", workspace.clone())])
            .observe(took.as_secs_f64().max(0.0));
        for (change, outcome) in run.report.applied().map_or(&[][..], |it| &it.outcomes) {
            let status = match outcome {
                Outcome::Done => "done",
                Outcome::Rejected(_) => "rejected",
                Outcome::Unknown(_) => "unknown",
                Outcome::NotSent(_) => "not_sent",
            };
            let labels = labels(workspace, ("kind", change.kind()), ("outcome", status));
            self.changes.get_or_create(&labels).inc();
        }
        if let Some(place) = self.gauges.lock().places.get_mut(workspace) {
            place.finished(run);
        }
    }

    /// So many errors are in the files of a roster: none where it can be used.
    pub fn roster_errors(&self, workspace: &str, errors: usize) {
        if let Some(place) = self.gauges.lock().places.get_mut(workspace) {
            place.roster_errors = errors;
        }
    }

    /// So many errors are in the configuration.
    pub fn config_errors(&self, errors: usize) {
        self.gauges.lock().config_errors = errors;
    }

    /// A receiver will be told of these. What can be counted begins with 0.
    pub fn receives(&self, receiver: &str, events: &[Kind]) {
        for (event, outcome) in events.iter().flat_map(|it| NOTICES.map(|outcome| (it, outcome))) {
            drop(self.notices.get_or_create(&notice_labels(receiver, *event, outcome)));
        }
    }

    /// A notice has been delivered, or given up.
    pub fn notified(&self, receiver: &str, event: Kind, outcome: &'static str) {
        self.notices.get_or_create(&notice_labels(receiver, event, outcome)).inc();
    }

    /// Counts the requests of a workspace.
    pub fn observer(self: &Arc<Self>, workspace: &str) -> Arc<dyn Observer> {
        Arc::new(Requests { metrics: Arc::clone(self), workspace: workspace.to_owned() })
    }

    /// In the text format of Prometheus, as of `now`.
    pub fn text(&self, now: Timestamp) -> String {
        text::classic(&self.open_metrics(now))
    }

    /// In the text format of `OpenMetrics`, as of `now`.
    pub fn open_metrics(&self, now: Timestamp) -> String {
        self.gauges.lock().now = now;
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

struct Requests {
    metrics: Arc<Metrics>,
    workspace: String,
}

impl Observer for Requests {
    fn on_request(&self, request: &RequestMetrics) {
        let status =
            request.error.map_or_else(|| request.status.to_string(), |kind| kind.to_string());
        let operation = ("operation", request.operation);
        let labels = labels(&self.workspace, operation, ("status", &status));
        self.metrics.requests.get_or_create(&labels).inc();
        let [workspace, operation, _] = labels;
        let seconds = request.took.as_secs_f64();
        self.metrics.answers.get_or_create(&[workspace, operation]).observe(seconds);
    }
}

fn labels(
    workspace: &str,
    (first, one): (&'static str, &str),
    (second, other): (&'static str, &str),
) -> Labels<3> {
    [("workspace", workspace.to_owned()), (first, one.to_owned()), (second, other.to_owned())]
}

fn notice_labels(receiver: &str, event: Kind, outcome: &str) -> Labels<3> {
    let (event, outcome) = (event.as_str().to_owned(), outcome.to_owned());
    [("receiver", receiver.to_owned()), ("event", event), ("outcome", outcome)]
}

fn run_labels(workspace: &str, trigger: Trigger, outcome: &str) -> Labels<3> {
    labels(workspace, ("trigger", trigger.as_str()), ("outcome", outcome))
}

/// From a run that finds nothing to do to one that invites thousands.
const RUN_SECONDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// From a request that stays in the house to one that waits for its deadline.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0];

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Whether a run has been a success: everything that could be done was.
fn is_success(report: &RunReport) -> bool {
    report.status() != Status::Failed
}
