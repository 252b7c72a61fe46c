//! The daemon's loop: every trigger, and what it promises about time, failures and leaving.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod fakes;
mod in_place;
mod signals;

use std::time::Duration;

use fakes::{World, config, workspace};
use rosterd::daemon::events::Event;
use rosterd::failure::FailureKind;
use rosterd::report::{End, Outcome, RunStatus, Trigger};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn it_reconciles_at_start_and_then_on_schedule() {
    let daemon = World::new().start();
    daemon.pass(1801).await;
    let runs: Vec<_> = daemon.runs().into_iter().map(|run| (run.1, run.2)).collect();
    let due = |trigger, time: &str| (trigger, time.to_owned());
    assert_eq!(
        runs,
        [
            due(Trigger::Start, "10:00:01"),
            due(Trigger::Schedule, "10:15:00"),
            due(Trigger::Schedule, "10:30:00"),
        ]
    );
    assert_eq!(daemon.last().status(), RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn jitter_delays_a_scheduled_run() {
    let world = World::new();
    world.state().config.as_mut().unwrap().schedule.jitter = Duration::from_secs(30);
    let daemon = world.start();
    daemon.pass(8 * 3600).await;
    let late: Vec<i64> = world.state().reports[1..]
        .iter()
        .map(|report| report.started.as_millisecond() % (15 * 60 * 1000))
        .collect();
    assert!(late.len() >= 31, "{late:?}");
    assert!(late.iter().all(|millisecond| *millisecond <= 30_000), "{late:?}");
    assert!(late.iter().any(|millisecond| *millisecond > 1000), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_changed_roster_triggers_a_run_and_an_unchanged_one_does_not() {
    let daemon = World::new().start();
    daemon.pass(1).await;
    daemon.send(Event::FilesChanged).await;
    daemon.pass(10).await;
    assert_eq!(daemon.triggers(), [Trigger::Start], "the contents are the same");

    daemon.world.acme(|acme| acme.roster.as_mut().unwrap().push(("matt@acme.io", "ANALYST", None)));
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::File]);
    assert_eq!(daemon.world.state().places["acme"].invitations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn triggers_during_a_run_merge_into_one_later_run() {
    let world = World::new();
    world.acme(|acme| acme.list = Duration::from_secs(1000)); // over the tick at 10:15
    let daemon = world.start();
    daemon.pass(950).await;
    for _ in 0..5 {
        daemon.send(Event::Reload).await;
    }
    world.acme(|acme| acme.list = Duration::ZERO);
    daemon.pass(100).await;
    // The tick that fell due meanwhile is part of it.
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Signal]);
    assert_eq!(world.state().places["acme"].most_running, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_workspace_delays_no_other_and_never_runs_twice_at_once() {
    let world = World::new();
    world.add("slow");
    world.state().config = Ok(config(&["acme", "slow"]));
    world.state().places.get_mut("slow").unwrap().list = Duration::from_secs(4000);
    let daemon = world.start();
    daemon.pass(1).await;
    for _ in 0..3 {
        daemon.send(Event::Reload).await;
        daemon.pass(5).await;
    }
    assert_eq!(
        daemon.triggers(),
        [Trigger::Start, Trigger::Signal, Trigger::Signal, Trigger::Signal]
    );
    assert!(daemon.runs().iter().all(|run| run.0 == "acme"));
    daemon.pass(9000).await;
    let state = world.state();
    assert_eq!(state.places["slow"].most_running, 1);
    assert!(state.reports.iter().any(|report| report.workspace == "slow"));
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_success_resets_it() {
    let world = World::new();
    world.state().config.as_mut().unwrap().schedule.cron = "0 0 1 1 *".parse().unwrap();
    world.acme(|acme| acme.failures = 12);
    let daemon = world.start();
    daemon.pass(4 * 3600).await;
    let starts: Vec<i64> =
        world.state().reports.iter().map(|report| report.started.as_second()).collect();
    assert_eq!(starts.len(), 13, "twelve failures, one success, and then nothing");
    assert!(daemon.triggers()[1..].iter().all(|trigger| *trigger == Trigger::Retry));
    assert_eq!(daemon.last().status(), RunStatus::Converged);
    let gaps: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] <= 10, "{gaps:?}");
    assert!(gaps[4] > 2 * gaps[0] && gaps[11] > gaps[4], "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 3900), "{gaps:?}");

    world.acme(|acme| acme.failures = 1);
    daemon.send(Event::Reload).await;
    daemon.pass(11).await;
    assert_eq!(daemon.triggers()[13..], [Trigger::Signal, Trigger::Retry]);
}

#[tokio::test(start_paused = true)]
async fn a_denied_key_is_not_retried_within_a_minute() {
    use FailureKind::{Blocked, Credentials, Forbidden, MissingCapability, Unauthorized};
    for kind in [Unauthorized, Forbidden, MissingCapability, Credentials, Blocked] {
        let world = World::new();
        world.acme(|acme| acme.denied = Some(kind));
        let daemon = world.start();
        daemon.pass(60).await;
        assert_eq!(daemon.triggers(), [Trigger::Start], "{kind}");
        daemon.pass(120).await;
        assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Retry], "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_change_is_not_retried_early() {
    let world = World::new();
    // Nothing but the ladder makes it run again.
    world.state().config.as_mut().unwrap().schedule.cron = "0 0 1 1 *".parse().unwrap();
    world.acme(|acme| {
        acme.reject = true;
        acme.roster.as_mut().unwrap().push(("matt@acme.io", "ANALYST", None));
    });
    let daemon = world.start();
    let invitations = |daemon: &fakes::Daemon| {
        let state = daemon.world.state();
        let applied = state.reports.iter().filter_map(|report| report.applied());
        applied.map(|applied| applied.outcomes.len()).sum::<usize>()
    };
    daemon.pass(1).await;
    assert_eq!((daemon.last().status(), invitations(&daemon)), (RunStatus::Failed, 1));
    daemon.pass(3590).await;
    assert_eq!((daemon.triggers().len(), invitations(&daemon)), (1, 1));
    daemon.pass(20).await;
    assert_eq!((daemon.last().status(), invitations(&daemon)), (RunStatus::Failed, 2));
    daemon.pass(5 * 3600).await;
    assert_eq!(invitations(&daemon), 2, "six hours after the second time");
}

#[tokio::test(start_paused = true)]
async fn a_date_of_the_roster_is_a_trigger() {
    let world = World::new();
    world.acme(|acme| acme.roster.as_mut().unwrap()[1].2 = Some("2026-11-25T10:07:00Z"));
    let daemon = world.start();
    daemon.pass(418).await;
    assert_eq!(world.state().places["acme"].accounts.len(), 2);
    daemon.pass(2).await;
    let run = daemon.runs().pop().unwrap();
    assert_eq!((run.1, run.2.as_str()), (Trigger::Date, "10:07:00"));
    assert_eq!(world.state().places["acme"].accounts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_input_error_keeps_the_last_valid_roster_and_its_dates() {
    let world = World::new();
    world.acme(|acme| acme.roster.as_mut().unwrap()[1].2 = Some("2026-11-25T10:07:00Z"));
    let daemon = world.start();
    daemon.pass(1).await;
    let kept = world.state().places.get_mut("acme").unwrap().roster.take();
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    assert!(daemon.last().is_stale());
    assert_eq!(daemon.last().status(), RunStatus::Converged);
    daemon.pass(500).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::File, Trigger::Date]);
    assert!(daemon.last().is_stale());
    assert_eq!(world.state().places["acme"].accounts.len(), 1);

    world.acme(|acme| acme.roster = kept);
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    assert!(!daemon.last().is_stale());
}

#[tokio::test(start_paused = true)]
async fn without_a_roster_it_waits_for_one() {
    let world = World::new();
    let roster = world.state().places.get_mut("acme").unwrap().roster.take();
    let daemon = world.start();
    daemon.pass(600).await;
    assert!(
        matches!(&daemon.last().end, End::Failed(failure) if failure.kind == FailureKind::Roster)
    );
    assert_eq!(daemon.runs().len(), 1, "there is nothing to retry");
    assert_eq!(world.state().places["acme"].readings, 0);

    world.acme(|acme| acme.roster = roster);
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::File]);
    assert_eq!(daemon.last().status(), RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn a_good_configuration_takes_effect_while_running() {
    let world = World::new();
    world.add("second");
    let daemon = world.start();
    daemon.pass(1).await;
    let mut both = config(&["acme", "second"]);
    world.state().config = Ok(both.clone());
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    let run = daemon.runs().pop().unwrap();
    assert_eq!((run.0.as_str(), run.1), ("second", Trigger::Start));
    assert_eq!(daemon.runs().len(), 2, "acme has not changed");

    both.workspaces[0].target.limits.suspend = true;
    both.workspaces.truncate(1);
    both.schedule.cron = "*/5 * * * *".parse().unwrap();
    world.state().config = Ok(both);
    world.acme(|acme| acme.roster.as_mut().unwrap().push(("matt@acme.io", "ANALYST", None)));
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    assert_eq!(daemon.runs().len(), 3);
    assert_eq!(daemon.last().status(), RunStatus::Held, "suspended");
    daemon.pass(600).await;
    let later = &daemon.runs()[3..];
    assert_eq!(later.len(), 2, "every five minutes: {later:?}");
    assert!(later.iter().all(|run| run.0 == "acme"), "the second has left: {later:?}");
    assert_eq!(world.state().in_force, [2, 1], "the watcher is told");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_configuration_leaves_the_last_valid_one_in_force() {
    let world = World::new();
    let daemon = world.start();
    daemon.pass(1).await;
    world.state().config = Err("line 3: unknown key".into());
    daemon.send(Event::Reload).await;
    daemon.pass(1).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Signal], "it reconciles all the same");
    daemon.pass(900).await;
    assert_eq!(daemon.triggers()[2..], [Trigger::Schedule]);
    assert!(world.state().in_force.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_workspace_that_returns_waits_for_its_own_last_run() {
    let world = World::new();
    world.acme(|acme| {
        acme.send = Duration::from_secs(50);
        acme.roster.as_mut().unwrap().push(("matt@acme.io", "ANALYST", None));
    });
    let daemon = world.start();
    daemon.pass(1).await;
    world.add("second");
    for names in [&["second"][..], &["acme", "second"]] {
        world.state().config = Ok(config(names));
        daemon.send(Event::FilesChanged).await;
        daemon.pass(5).await;
    }
    assert!(daemon.runs().iter().all(|run| run.0 == "second"));
    daemon.pass(100).await;
    assert_eq!(daemon.runs().iter().filter(|run| run.0 == "acme").count(), 2);
    assert_eq!(world.state().places["acme"].invitations.len(), 1);
}

/// Five invitations, each a request of ten seconds.
fn busy() -> World {
    let world = World::new();
    world.acme(|acme| {
        acme.send = Duration::from_secs(10);
        let people =
            ["matt@acme.io", "max@acme.io", "john@acme.io", "alice@acme.io", "zoe@acme.io"];
        acme.roster.as_mut().unwrap().extend(people.map(|email| (email, "ANALYST", None)));
    });
    world
}

#[tokio::test(start_paused = true)]
async fn a_new_roster_ends_the_run_at_the_next_batch_boundary() {
    let world = busy();
    let daemon = world.start();
    daemon.pass(15).await;
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    world.acme(|acme| acme.roster.as_mut().unwrap().truncate(4));
    daemon.send(Event::FilesChanged).await;
    daemon.pass(30).await;
    let report = daemon.world.state().reports[0].clone();
    let outcomes = &report.applied().unwrap().outcomes;
    let done = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Done).count();
    assert_eq!((done, outcomes.len()), (2, 5), "the request on its way was let finish");
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::File], "and a new run followed");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_sent_nothing_is_interrupted_at_once() {
    let world = World::new();
    world.acme(|acme| acme.list = Duration::from_secs(500));
    let daemon = world.start();
    daemon.pass(1).await;
    world.acme(|acme| {
        acme.list = Duration::ZERO;
        acme.roster.as_mut().unwrap().push(("matt@acme.io", "ANALYST", None));
    });
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::File]);
    assert_eq!(world.state().places["acme"].invitations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_the_run_at_the_batch_boundary() {
    let world = busy();
    world.acme(|acme| acme.send = Duration::from_secs(4));
    let daemon = world.start();
    daemon.pass(5).await;
    let asked = Instant::now();
    daemon.send(Event::Stop).await;
    assert!(daemon.ended.await.unwrap().is_ok());
    assert_eq!(asked.elapsed().as_secs(), 3);
    assert_eq!(world.state().places["acme"].invitations.len(), 2);
    assert_eq!(world.state().reports.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_request_does_not_delay_the_exit() {
    let world = busy();
    world.acme(|acme| acme.hang = true);
    let daemon = world.start();
    daemon.pass(5).await;
    let asked = Instant::now();
    daemon.send(Event::Stop).await;
    assert!(daemon.ended.await.unwrap().is_ok());
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(asked.elapsed() > Duration::from_secs(5), "it waited for the answer for a while");
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_exits_at_once() {
    let world = busy();
    world.acme(|acme| acme.hang = true);
    let daemon = world.start();
    daemon.pass(5).await;
    let asked = Instant::now();
    daemon.send(Event::Stop).await;
    daemon.send(Event::Stop).await;
    assert!(daemon.ended.await.unwrap().is_ok());
    assert!(asked.elapsed() < Duration::from_secs(1));
}

/// The only admin hands over: the grant is made first and has to be seen.
fn handing_over() -> World {
    let world = World::new();
    world.acme(|acme| {
        acme.roster =
            Some(vec![("alexandra@acme.io", "DEVELOPER", None), ("jonny@acme.io", "ADMIN", None)]);
    });
    world
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_undone_repeatedly_is_not_retried_early() {
    let world = handing_over();
    world.acme(|acme| acme.undone = Some(acme.accounts.clone()));
    let daemon = world.start();
    daemon.pass(800).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Start, Trigger::Retry]);
}

#[tokio::test(start_paused = true)]
async fn released_changes_are_applied_at_once() {
    let world = handing_over();
    let daemon = world.start();
    daemon.pass(1).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Start]);
    assert_eq!(daemon.last().status(), RunStatus::Converged);
    let state = world.state();
    let role = |email: &str| state.places["acme"].accounts.iter().find(|a| a.0 == email).unwrap();
    assert_eq!(role("alexandra@acme.io").1, "DEVELOPER");
    assert_eq!(role("jonny@acme.io").1, "ADMIN");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_is_noticed_within_five_minutes() {
    let daemon = World::new().start();
    daemon.pass(1).await;
    daemon.clock.set_forward(jiff::SignedDuration::from_hours(2));
    daemon.pass(5 * 60 + 1).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Schedule]);

    daemon.clock.set_forward(jiff::SignedDuration::from_hours(-5));
    daemon.pass(16 * 60).await;
    assert_eq!(daemon.triggers()[2..], [Trigger::Schedule], "it does not wait five hours");
}

#[tokio::test(start_paused = true)]
async fn other_files_reset_the_state() {
    let world = World::new();
    let daemon = world.start();
    daemon.pass(1).await;
    let mut moved = config(&[]);
    moved.workspaces.push(workspace("acme"));
    moved.workspaces[0].target.source.users = vec!["other.yaml".into()];
    world.state().config = Ok(moved);
    world.acme(|acme| acme.roster = None);
    daemon.send(Event::FilesChanged).await;
    daemon.pass(1).await;
    let report = daemon.last();
    assert!(
        matches!(&report.end, End::Failed(failure) if failure.kind == FailureKind::Roster),
        "{report:?}"
    );
}
