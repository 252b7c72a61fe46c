//! Gauges, computed from the last run on each scrape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::daemon::RunCompleted;
use crate::directory::InviteStatus;
use crate::reconcile::Observation;
use crate::report::RunStatus;
use crate::role::Role;
use crate::source::remote::GitRemote;

/// Maximum number of roles with a label of their own among those that this version does not know;
/// the others are counted as `other`, so that the API cannot create any number of series.
const MAX_UNKNOWN_ROLES: usize = 20;

#[derive(Debug)]
pub(super) struct Gauges {
    /// The time of the scrape.
    pub now: Timestamp,
    started: Timestamp,
    pub config_errors: usize,
    pub workspaces: BTreeMap<String, WorkspaceGauges>,
}

#[derive(Debug, Default)]
pub(super) struct WorkspaceGauges {
    /// When the daemon began to manage it.
    since: Timestamp,
    pub roster_errors: usize,
    /// The repository of the roster.
    pub git: Option<GitRemote>,
    stale: bool,
    attempt: Option<Timestamp>,
    success: Option<Timestamp>,
    converged: Option<Timestamp>,
    next: Option<Timestamp>,
    /// None before the API's first answer about it.
    key_valid: Option<bool>,
    held_since: Option<Timestamp>,
    members: Option<usize>,
    in_sync: Option<usize>,
    changes: BTreeMap<&'static str, usize>,
    held: BTreeMap<&'static str, usize>,
    findings: BTreeMap<&'static str, usize>,
    users: BTreeMap<(String, &'static str), usize>,
}

impl Gauges {
    pub fn new(now: Timestamp) -> Self {
        Self { now, started: now, config_errors: 0, workspaces: BTreeMap::new() }
    }
}

impl WorkspaceGauges {
    pub fn new(since: Timestamp) -> Self {
        Self { since, ..Self::default() }
    }

    pub fn on_run_completed(&mut self, run: &RunCompleted<'_>) {
        let report = run.report;
        self.next = run.next.map(|next| next.at);
        if report.is_interrupted() {
            return;
        }
        self.attempt = Some(report.finished);
        self.stale = report.is_stale();
        if report.status() != RunStatus::Failed {
            self.success = Some(report.finished);
        }
        if report.status() == RunStatus::Converged {
            self.converged = Some(report.finished);
        }
        match (report.failure(), &run.observation) {
            (Some(failure), _) if failure.kind.is_denial() => self.key_valid = Some(false),
            (_, Some(_)) => self.key_valid = Some(true),
            _ => {}
        }
        let Some(observation) = &run.observation else { return };
        let Observation { loaded, evaluation, memory } = &**observation;
        self.converged = self.converged.max(memory.converged());
        self.held_since = memory.holds().values().map(|hold| hold.since).min();
        self.members = Some(loaded.roster.members().len());
        self.in_sync = Some(evaluation.plan.facts.in_sync);
        self.changes = count(evaluation.plan.changes().iter().map(|change| change.action.kind()));
        self.held = count(evaluation.verdict.held.iter().map(|held| held.change.action.kind()));
        let findings = evaluation.plan.findings().iter();
        self.findings = count(findings.map(|finding| finding.kind.category().as_str()));
        self.users = users(observation);
    }
}

fn count(values: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}

fn users(observation: &Observation) -> BTreeMap<(String, &'static str), usize> {
    let snapshot = &observation.evaluation.snapshot;
    let accounts = snapshot.accounts().iter().map(|account| (&account.role, "active"));
    let invitations = snapshot.invitations().iter().map(|invitation| match invitation.status {
        InviteStatus::Expired => (&invitation.role, "invitation_expired"),
        _ => (&invitation.role, "invited"),
    });
    let mut counts: BTreeMap<(&Role, &'static str), usize> = BTreeMap::new();
    accounts.chain(invitations).for_each(|key| *counts.entry(key).or_default() += 1);
    let mut unknown: Vec<&Role> =
        counts.keys().map(|(role, _)| *role).filter(|role| role.tier().is_none()).collect();
    unknown.dedup();
    unknown.truncate(MAX_UNKNOWN_ROLES);
    let mut users = BTreeMap::new();
    for ((role, state), count) in counts {
        let is_named = role.tier().is_some() || unknown.contains(&role);
        let name = if is_named { crate::escape::escape(role.as_str()) } else { "other".into() };
        *users.entry((name.into_owned(), state)).or_default() += count;
    }
    users
}

#[derive(Debug)]
pub(super) struct Collector(pub Arc<Mutex<Gauges>>);

type Rows<'a> = Vec<(Vec<(&'static str, &'a str)>, f64)>;

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.0.lock();
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        gauge(&mut encoder, "build_info", "Version of rosterd", vec![(version, 1.0)])?;
        let started = vec![(Vec::new(), seconds(all.started))];
        let help = "Start time of the process, in seconds since 1970";
        gauge(&mut encoder, "start_timestamp_seconds", help, started)?;
        let errors = vec![(Vec::new(), number(all.config_errors))];
        gauge(&mut encoder, "config_errors", "Number of errors in the configuration", errors)?;
        for (name, help, read) in GAUGES {
            let rows = all.workspaces.iter().filter_map(|(workspace, gauges)| {
                Some((vec![("workspace", workspace.as_str())], read(gauges, all.now)?))
            });
            gauge(&mut encoder, name, help, rows.collect())?;
        }
        for ([name, help, label], values, read) in LABELED_GAUGES {
            let rows = all.workspaces.iter().filter(|(_, gauges)| gauges.members.is_some());
            let rows = rows.flat_map(|(workspace, gauges)| {
                values.iter().map(move |value| {
                    let count = read(gauges).get(value).copied().unwrap_or_default();
                    (vec![("workspace", workspace.as_str()), (label, *value)], number(count))
                })
            });
            gauge(&mut encoder, name, help, rows.collect())?;
        }
        let users = all.workspaces.iter().flat_map(|(workspace, gauges)| {
            gauges.users.iter().map(move |((role, state), count)| {
                let labels =
                    vec![("workspace", workspace.as_str()), ("role", role), ("state", *state)];
                (labels, number(*count))
            })
        });
        let help = "Users of the workspace by role and state";
        gauge(&mut encoder, "users", help, users.collect())
    }
}

type Gauge = (&'static str, &'static str, fn(&WorkspaceGauges, Timestamp) -> Option<f64>);

/// Gauges with one value for each workspace; absent if unknown.
const GAUGES: [Gauge; 12] = [
    (
        "convergence_age_seconds",
        "Seconds since the workspace last matched the roster, or since the start",
        |it, now| Some(age(it.converged.unwrap_or(it.since), now)),
    ),
    (
        "last_convergence_timestamp_seconds",
        "When the workspace last matched the roster",
        |it, _| it.converged.map(seconds),
    ),
    ("last_attempt_timestamp_seconds", "End of the last run", |it, _| it.attempt.map(seconds)),
    ("last_success_timestamp_seconds", "End of the last run that did not fail", |it, _| {
        it.success.map(seconds)
    }),
    ("next_run_timestamp_seconds", "Time of the next scheduled run", |it, _| it.next.map(seconds)),
    ("held_oldest_age_seconds", "Age of the oldest held change; 0 if there is none", |it, now| {
        Some(it.held_since.map_or(0.0, |since| age(since, now)))
    }),
    ("members", "Members of the roster in use", |it, _| it.members.map(number)),
    ("members_in_sync", "Members that need no change", |it, _| it.in_sync.map(number)),
    ("roster_errors", "Number of errors in the roster files", |it, _| {
        Some(number(it.roster_errors))
    }),
    ("git_fetch_age_seconds", "Age of the last successful fetch of the roster", |it, _| {
        it.git.as_ref()?.age().map(|age| age.as_secs_f64())
    }),
    (
        "roster_stale",
        "1 while an earlier roster is in use because the files are invalid",
        |it, _| Some(f64::from(u8::from(it.stale))),
    ),
    ("key_valid", "1 if the API last accepted the key, 0 if it rejected it", |it, _| {
        it.key_valid.map(|valid| f64::from(u8::from(valid)))
    }),
];

type LabeledGauge = (
    [&'static str; 3],
    &'static [&'static str],
    fn(&WorkspaceGauges) -> &BTreeMap<&'static str, usize>,
);

/// Name, help and label, and a series for each value of the label, also if it is 0.
const LABELED_GAUGES: [LabeledGauge; 3] = [
    (
        ["plan_changes", "Open changes by kind, held ones included", "kind"],
        &super::CHANGES,
        |gauges| &gauges.changes,
    ),
    (["held_changes", "Held changes by kind", "kind"], &super::CHANGES, |gauges| &gauges.held),
    (
        ["findings", "Differences that rosterd does not change, by status", "status"],
        &["pending", "propagating", "needs_action", "drift", "info"],
        |gauges| &gauges.findings,
    ),
];

fn gauge(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, rows: Rows<'_>) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        if labels.is_empty() {
            metric.encode_gauge(&value)?;
        } else {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

fn age(since: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(since).as_secs_f64().max(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of users are small")]
fn number(count: usize) -> f64 {
    count as f64
}
