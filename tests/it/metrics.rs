//! Metrics of completed runs.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::SignedDuration;
use rosterd::client::RequestMetrics;
use rosterd::daemon::{NextRun, RunCompleted};
use rosterd::diagnostic::Sources;
use rosterd::memory::Memory;
use rosterd::memory::entry::{Entry, Key};
use rosterd::metrics::Metrics;
use rosterd::notice::Kind;
use rosterd::reconcile::{Evaluation, Loaded, Observation};
use rosterd::report::{Applied, End, Failure, Outcome, RunReport, Trigger, Verification};
use rosterd::role::Role;

use crate::support::world::{World, disable, email, hours, now};
use rosterd::failure::FailureKind;

fn report(end: End) -> RunReport {
    RunReport {
        workspace: "acme".into(),
        trigger: Trigger::File,
        started: now(),
        finished: now() + SignedDuration::from_secs(2),
        stale: None,
        key: None,
        ledger: None,
        end,
    }
}

fn failed(kind: FailureKind) -> RunReport {
    report(End::Failed(Failure { kind, message: "no".into() }))
}

/// A run in which all approved changes are done.
fn succeeded(world: &World) -> RunReport {
    let (plan, verdict) = (world.plan(), world.verdict());
    let approved = verdict.approved.changes().iter();
    let outcomes = approved.map(|change| (change.clone(), Outcome::Done)).collect();
    let verification = Verification::NotNeeded;
    let (lost, stopped, next) = (0, None, None);
    let applied = Applied {
        plan: plan.into(),
        verdict: verdict.into(),
        outcomes,
        asked_by: HashMap::new(),
        revision: None,
        verification,
        lost,
        stopped,
        next,
    };
    report(End::Applied(Box::new(applied)))
}

fn observation(world: &World, memory: &Memory) -> Arc<Observation> {
    let (sources, warnings, revision) = (Sources::default(), Vec::new(), None);
    let loaded = Arc::new(Loaded {
        roster: world.roster(),
        sources,
        warnings,
        revision,
        takes_approvals: true,
        outage: None,
    });
    let (snapshot, plan, verdict) = (world.snapshot(), world.plan(), world.verdict());
    let evaluation = Evaluation { snapshot, plan: plan.into(), verdict: verdict.into() };
    Arc::new(Observation { loaded, evaluation, memory: Arc::new(memory.clone()) })
}

fn metrics() -> Metrics {
    let metrics = Metrics::new(now());
    metrics.set_workspaces(["acme"], now());
    metrics
}

fn complete(metrics: &Metrics, report: &RunReport, observation: Option<Arc<Observation>>) {
    let next = Some(NextRun { at: hours(1), trigger: Trigger::Schedule });
    metrics.on_run_completed(&RunCompleted {
        report,
        sources: &Sources::default(),
        next,
        observation,
    });
}

/// The value of a series, `at` hours after [`now`].
#[track_caller]
fn value(metrics: &Metrics, series: &str, at: i64) -> Option<f64> {
    let text = metrics.text(hours(at));
    let series = format!("rosterd_{series} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).map(|value| value.parse().unwrap())
}

#[test]
fn counters_start_at_zero() {
    let metrics = metrics();
    let run = "runs_total{workspace=\"acme\",trigger=\"file\",outcome=\"failed\"}";
    assert_eq!(value(&metrics, run, 0), Some(0.0));
    let change = "changes_total{workspace=\"acme\",kind=\"disable\",outcome=\"unknown\"}";
    assert_eq!(value(&metrics, change, 0), Some(0.0));
    metrics.add_receiver("chat", &[Kind::Held]);
    metrics.count_notice("chat", Kind::Held, "failed");
    for (outcome, count) in [("delivered", 0.0), ("failed", 1.0)] {
        let series =
            format!("notices_total{{receiver=\"chat\",event=\"held\",outcome=\"{outcome}\"}}");
        assert_eq!(value(&metrics, &series, 0), Some(count), "{outcome}");
    }
}

#[test]
fn the_convergence_age_grows_until_a_run_converges() {
    let (metrics, world) = (metrics(), World::converged());
    let age = |at| value(&metrics, "convergence_age_seconds{workspace=\"acme\"}", at).unwrap();
    assert!((age(2) - 7200.0).abs() < 0.5, "since the start: {}", age(2));
    complete(&metrics, &succeeded(&world), Some(observation(&world, &Memory::of_ledger())));
    assert!((age(2) - 7198.0).abs() < 0.5, "{}", age(2));
    let held = world.account("zoe", Role::Developer).limits(|limits| limits.suspend = true);
    for run in
        [&succeeded(&held), &failed(FailureKind::Connect), &failed(FailureKind::Unauthorized)]
    {
        complete(&metrics, run, None);
        assert!((age(2) - 7198.0).abs() < 0.5, "{}", age(2));
    }
    let success = value(&metrics, "last_success_timestamp_seconds{workspace=\"acme\"}", 0);
    assert!(success.is_some());
    metrics.set_workspaces(["beta"], hours(3));
    assert_eq!(value(&metrics, "convergence_age_seconds{workspace=\"acme\"}", 4), None);
    assert_eq!(value(&metrics, "convergence_age_seconds{workspace=\"beta\"}", 4), Some(3600.0));
}

#[test]
fn held_changes_have_a_count_and_an_age() {
    let metrics = metrics();
    let mut world = World::converged().limits(|limits| limits.suspend = true);
    world = world.account("zoe", Role::Developer).member("yan", Role::Business);
    let held =
        Entry::Held { change: Key::of(&disable("zoe"), &email("zoe")), by: vec!["suspend".into()] };
    let with_history = world.clone().remember(-5, [held]);
    complete(&metrics, &succeeded(&world), Some(observation(&world, &with_history.memory)));
    for (series, expected) in [
        ("held_changes{workspace=\"acme\",kind=\"disable\"}", 1.0),
        ("held_changes{workspace=\"acme\",kind=\"invite\"}", 1.0),
        ("held_changes{workspace=\"acme\",kind=\"update_role\"}", 0.0),
        ("plan_changes{workspace=\"acme\",kind=\"disable\"}", 1.0),
        ("held_oldest_age_seconds{workspace=\"acme\"}", 6.0 * 3600.0),
        ("runs_total{workspace=\"acme\",trigger=\"file\",outcome=\"held\"}", 1.0),
        ("members{workspace=\"acme\"}", 6.0),
        ("members_in_sync{workspace=\"acme\"}", 5.0),
        ("users{workspace=\"acme\",role=\"DEVELOPER\",state=\"active\"}", 3.0),
    ] {
        assert_eq!(value(&metrics, series, 1), Some(expected), "{series}");
    }
}

#[test]
fn the_key_is_valid_until_it_is_rejected() {
    let (metrics, world) = (metrics(), World::converged());
    let valid = || value(&metrics, "key_valid{workspace=\"acme\"}", 0);
    assert_eq!(valid(), None, "unknown before the first run");
    complete(&metrics, &failed(FailureKind::Connect), None);
    assert_eq!(valid(), None, "unknown without a response");
    complete(&metrics, &succeeded(&world), Some(observation(&world, &Memory::of_ledger())));
    assert_eq!(valid(), Some(1.0));
    for kind in FailureKind::ALL.iter().copied() {
        let is_denial = matches!(
            kind,
            FailureKind::Unauthorized | FailureKind::Forbidden | FailureKind::MissingCapability
        );
        complete(&metrics, &failed(kind), None);
        assert_eq!(valid(), Some(if is_denial { 0.0 } else { 1.0 }), "{kind}");
        for other in [FailureKind::Timeout, FailureKind::Credentials, FailureKind::Blocked] {
            complete(&metrics, &failed(other), None);
            assert_eq!(valid(), Some(if is_denial { 0.0 } else { 1.0 }), "unchanged by {other}");
        }
        complete(&metrics, &succeeded(&world), Some(observation(&world, &Memory::of_ledger())));
        assert_eq!(valid(), Some(1.0));
    }
}

#[test]
fn unknown_roles_are_bounded_and_escaped() {
    let metrics = metrics();
    let mut world = World::converged();
    for at in 0..500 {
        let role = Role::from_api(&format!("ROLE{at:03}\"}} 1\nevil\u{202e}"));
        world = world.account(&format!("user{at}"), role);
    }
    complete(&metrics, &succeeded(&world), Some(observation(&world, &Memory::of_ledger())));
    for text in [metrics.text(now()), metrics.open_metrics(now())] {
        assert!(!text.contains('\u{202e}') && !text.lines().any(|line| line.starts_with("evil")));
        let series = text.lines().filter(|line| line.starts_with("rosterd_users{")).count();
        assert!(series <= 30, "{series}");
    }
    let other = value(&metrics, "users{workspace=\"acme\",role=\"other\",state=\"active\"}", 0);
    assert_eq!(other, Some(480.0));
}

#[test]
fn requests_are_counted_by_field_and_status() {
    let metrics = Arc::new(metrics());
    let observer = metrics.observer("acme");
    let took = std::time::Duration::from_millis(30);
    let request = |status, error| RequestMetrics { operation: "listUsers", status, error, took };
    for request in [
        request(200, None),
        request(200, None),
        request(429, None),
        request(0, Some(FailureKind::Timeout)),
    ] {
        observer.on_request(&request);
    }
    for (status, count) in [("200", 2.0), ("429", 1.0), ("timeout", 1.0)] {
        let series = format!(
            "api_requests_total{{workspace=\"acme\",operation=\"listUsers\",status=\"{status}\"}}"
        );
        assert_eq!(value(&metrics, &series, 0), Some(count), "{status}");
    }
    let count = "api_request_duration_seconds_count{workspace=\"acme\",operation=\"listUsers\"}";
    assert_eq!(value(&metrics, count, 0), Some(4.0));
}
