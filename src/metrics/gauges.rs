//! Gauges: how things stand, read off the last run at the moment of asking.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;

use super::is_success;
use crate::daemon::RunCompleted;
use crate::directory::InviteStatus;

use crate::plan::change::Change;
use crate::reconcile::Observation;
use crate::report::Status;
use crate::role::Role;

/// Roles that this version does not know have names of somebody else's choice: so many are told
/// apart, the rest is `other`.
const UNKNOWN_ROLES: usize = 20;

/// How the process stands.
#[derive(Debug)]
pub(super) struct Gauges {
    /// The moment of asking.
    pub now: Timestamp,
    started: Timestamp,
    pub config_errors: usize,
    pub places: BTreeMap<String, WorkspaceGauges>,
}

/// How a workspace stands.
#[derive(Debug)]
pub(super) struct WorkspaceGauges {
    /// It is kept since then.
    since: Timestamp,
    pub roster_errors: usize,
    stale: bool,
    attempt: Option<Timestamp>,
    success: Option<Timestamp>,
    converged: Option<Timestamp>,
    next: Option<Timestamp>,
    /// None before the first answer.
    key_valid: Option<bool>,
    held_since: Option<Timestamp>,
    members: Option<usize>,
    in_sync: Option<usize>,
    wanted: BTreeMap<&'static str, usize>,
    held: BTreeMap<&'static str, usize>,
    findings: BTreeMap<&'static str, usize>,
    users: BTreeMap<(String, &'static str), usize>,
}

impl Gauges {
    pub fn new(now: Timestamp) -> Self {
        Self { now, started: now, config_errors: 0, places: BTreeMap::new() }
    }
}

impl WorkspaceGauges {
    pub fn new(since: Timestamp) -> Self {
        Self {
            since,
            roster_errors: 0,
            stale: false,
            attempt: None,
            success: None,
            converged: None,
            next: None,
            key_valid: None,
            held_since: None,
            members: None,
            in_sync: None,
            wanted: BTreeMap::new(),
            held: BTreeMap::new(),
            findings: BTreeMap::new(),
            users: BTreeMap::new(),
        }
    }

    pub fn finished(&mut self, run: &RunCompleted<'_>) {
        let report = run.report;
        self.next = run.next.map(|due| due.at);
        if report.is_interrupted() {
            return;
        }
        self.attempt = Some(report.finished);
        self.stale = report.stale;
        if is_success(report) {
            self.success = Some(report.finished);
        }
        if report.status() == Status::Converged {
            self.converged = Some(report.finished);
        }
        match (report.failure(), &run.observation) {
            (Some(failure), _) if failure.kind.concerns_key() => self.key_valid = Some(false),
            (_, Some(_)) => self.key_valid = Some(true),
            _ => {}
        }
        if let Some(observation) = &run.observation {
            self.see(observation);
        }
    }

    fn see(&mut self, observation: &Observation) {
        let Observation { loaded, evaluation, memory } = observation;
        self.converged = self.converged.max(memory.converged());
        self.held_since = memory.holds().values().map(|hold| hold.since).min();
        self.members = Some(loaded.roster.members().len());
        self.in_sync = Some(evaluation.plan.facts().in_sync);
        self.wanted = count(evaluation.plan.changes().iter().map(Change::kind));
        self.held = count(evaluation.verdict.held.iter().map(|held| held.change.kind()));
        let findings = evaluation.plan.findings().iter();
        self.findings = count(findings.map(|finding| finding.kind.category().as_str()));
        self.users = users(observation);
    }
}

fn count(words: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}

fn users(observation: &Observation) -> BTreeMap<(String, &'static str), usize> {
    let snapshot = &observation.evaluation.snapshot;
    let accounts = snapshot.accounts().iter().map(|account| (&account.role, "active"));
    let invitations = snapshot.invitations().iter().map(|it| match it.status {
        InviteStatus::Expired => (&it.role, "invitation_expired"),
        _ => (&it.role, "invited"),
    });
    let mut counts: BTreeMap<(&Role, &'static str), usize> = BTreeMap::new();
    accounts.chain(invitations).for_each(|key| *counts.entry(key).or_default() += 1);
    let mut strange: Vec<&Role> =
        counts.keys().map(|(role, _)| *role).filter(|role| role.tier().is_none()).collect();
    strange.dedup();
    strange.truncate(UNKNOWN_ROLES);
    let mut users = BTreeMap::new();
    for ((role, state), count) in counts {
        let is_told = role.tier().is_some() || strange.contains(&role);
        let name = if is_told { crate::escape::escape(role.as_str()) } else { "other".into() };
        *users.entry((name.into_owned(), state)).or_default() += count;
    }
    users
}

/// Writes the gauges.
#[derive(Debug)]
pub(super) struct Collector(pub Arc<Mutex<Gauges>>);

type Rows<'a> = Vec<(Vec<(&'static str, &'a str)>, f64)>;

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauges = self.0.lock();
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        gauge(&mut encoder, "build_info", "The version that runs", vec![(version, 1.0)])?;
        let started = vec![(Vec::new(), seconds(gauges.started))];
        let help = "When the process started, in seconds since 1970";
        gauge(&mut encoder, "start_timestamp_seconds", help, started)?;
        let errors = vec![(Vec::new(), number(gauges.config_errors))];
        gauge(&mut encoder, "config_errors", "Errors in the configuration as it is now", errors)?;
        for (name, help, read) in SINGLE {
            let rows = gauges.places.iter().filter_map(|(workspace, place)| {
                Some((vec![("workspace", workspace.as_str())], read(place, gauges.now)?))
            });
            gauge(&mut encoder, name, help, rows.collect())?;
        }
        for (name, help, label, words, read) in BY_WORD {
            let rows = gauges.places.iter().filter(|(_, place)| place.members.is_some());
            let rows = rows.flat_map(|(workspace, place)| {
                words.iter().map(move |word| {
                    let count = read(place).get(word).copied().unwrap_or_default();
                    (vec![("workspace", workspace.as_str()), (label, *word)], number(count))
                })
            });
            gauge(&mut encoder, name, help, rows.collect())?;
        }
        let users = gauges.places.iter().flat_map(|(workspace, place)| {
            place.users.iter().map(move |((role, state), count)| {
                let labels =
                    vec![("workspace", workspace.as_str()), ("role", role), ("state", *state)];
                (labels, number(*count))
            })
        });
        let help = "Users of the workspace, by role, and whether they are active or invited";
        gauge(&mut encoder, "users", help, users.collect())
    }
}

type Single = (&'static str, &'static str, fn(&WorkspaceGauges, Timestamp) -> Option<f64>);

/// One number a workspace; absent where it is not known.
const SINGLE: [Single; 11] = [
    (
        "convergence_age_seconds",
        "Seconds since a reading last showed the workspace as the roster says, or since the start",
        |place, now| Some(age(place.converged.unwrap_or(place.since), now)),
    ),
    (
        "last_convergence_timestamp_seconds",
        "When a reading last showed the workspace as the roster says, in seconds since 1970",
        |place, _| place.converged.map(seconds),
    ),
    (
        "last_attempt_timestamp_seconds",
        "When the last run ended, however it did, in seconds since 1970",
        |place, _| place.attempt.map(seconds),
    ),
    (
        "last_success_timestamp_seconds",
        "When the last run ended that did not fail, in seconds since 1970",
        |place, _| place.success.map(seconds),
    ),
    (
        "next_run_timestamp_seconds",
        "When the next run is due by itself, in seconds since 1970",
        |place, _| place.next.map(seconds),
    ),
    (
        "held_oldest_age_seconds",
        "For how long the change has been held that is held longest; 0 where nothing is",
        |place, now| Some(place.held_since.map_or(0.0, |since| age(since, now))),
    ),
    ("members", "Members of the roster in force", |place, _| place.members.map(number)),
    ("members_in_sync", "Members that need nothing", |place, _| place.in_sync.map(number)),
    ("roster_errors", "Errors in the files of the roster as they are now", |place, _| {
        Some(number(place.roster_errors))
    }),
    (
        "roster_stale",
        "1 while an earlier roster is in force because the files cannot be used",
        |place, _| Some(f64::from(u8::from(place.stale))),
    ),
    (
        "key_valid",
        "1 while the API accepts the key for what is asked, 0 once it refuses it",
        |place, _| place.key_valid.map(|valid| f64::from(u8::from(valid))),
    ),
];

type ByWord = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    fn(&WorkspaceGauges) -> &BTreeMap<&'static str, usize>,
);

/// A number for each word, and a workspace; 0 is told.
const BY_WORD: [ByWord; 3] = [
    (
        "plan_changes",
        "Changes that the last reading still asks for, held ones included, by kind",
        "kind",
        &super::CHANGES,
        |place| &place.wanted,
    ),
    ("held_changes", "Changes that guards hold, by kind", "kind", &super::CHANGES, |place| {
        &place.held
    }),
    (
        "findings",
        "What the last reading shows and rosterd does not change, by status",
        "status",
        &["pending", "propagating", "needs_action", "drift", "info"],
        |place| &place.findings,
    ),
];

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: Rows<'_>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        if labels.is_empty() {
            metric.encode_gauge(&value)?;
        } else {
            encode(&mut metric, &labels, value)?;
        }
    }
    Ok(())
}

fn encode(
    metric: &mut prometheus_client::encoding::MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: f64,
) -> fmt::Result {
    metric.encode_family(labels)?.encode_gauge(&value)
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

fn age(since: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(since).as_secs_f64().max(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many users")]
fn number(count: usize) -> f64 {
    count as f64
}
