//! Rosters that are written in place, in the daemon's loop.

use std::time::Duration;

use rosterd::daemon::events::Event;
use rosterd::failure::FailureKind;
use rosterd::report::{End, RunStatus, Trigger};

use super::fakes::{Daemon, Line, World};

const ENDS: &str = "2026-11-25T10:00:14Z";

/// The files of `acme` have to be unchanged for five seconds.
fn world() -> World {
    let world = World::new();
    world.state().config.as_mut().unwrap().watch.in_place = Duration::from_secs(5);
    world
}

/// Writes one more line of the roster.
async fn write(daemon: &Daemon, line: Line) {
    daemon.world.acme(|acme| acme.roster.as_mut().unwrap().push(line));
    daemon.send(Event::FilesChanged).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_run_waits_until_the_files_stand_still() {
    let daemon = world().start();
    daemon.pass(4).await;
    write(&daemon, ("matt@acme.io", "ANALYST", None)).await;
    daemon.pass(4).await;
    assert_eq!(daemon.triggers(), []);
    daemon.pass(2).await;
    assert_eq!(daemon.triggers(), [Trigger::Start]);
    assert_eq!(daemon.last().status(), RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn runs_go_on_with_the_last_good_roster_while_a_file_is_written() {
    let world = world();
    world.acme(|acme| acme.roster.as_mut().unwrap()[1].2 = Some(ENDS));
    let daemon = world.start();
    daemon.pass(6).await;
    // Half of a roster: the writer has come as far as the first line.
    let all = world.state().places["acme"].roster.clone().unwrap();
    world.acme(|acme| acme.roster.as_mut().unwrap().truncate(1));
    daemon.send(Event::FilesChanged).await;
    daemon.pass(3).await;
    daemon
        .send(Event::RunRequested {
            workspace: "acme".into(),
            answer: tokio::sync::oneshot::channel().0,
        })
        .await;
    daemon.pass(1).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Http]);
    assert!(!daemon.last().is_stale(), "it is not late yet");
    assert_eq!(world.state().places["acme"].accounts.len(), 2);
    world.acme(|acme| acme.roster = Some(all));
    write(&daemon, ("matt@acme.io", "ANALYST", None)).await;
    // A date falls due meanwhile.
    daemon.pass(4).await;
    assert_eq!(daemon.triggers()[2..], [Trigger::Date]);
    assert_eq!(world.state().places["acme"].accounts.len(), 1);
    assert_eq!(world.state().places["acme"].invitations.len(), 0);
    daemon.pass(2).await;
    assert_eq!(daemon.triggers()[3..], [Trigger::File]);
    assert_eq!(world.state().places["acme"].invitations.len(), 1);
}

/// Writes all the time for a minute: never five seconds apart, never twice the same.
async fn keep_writing(daemon: &Daemon) {
    for _ in 0..10 {
        write(daemon, ("matt@acme.io", "ANALYST", None)).await;
        daemon.pass(3).await;
        daemon.world.acme(|acme| acme.roster.as_mut().unwrap().truncate(2));
        daemon.send(Event::FilesChanged).await;
        daemon.pass(3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_never_stand_still_are_an_input_error() {
    let world = world();
    let daemon = world.start();
    daemon.pass(6).await;
    keep_writing(&daemon).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::File]);
    assert!(daemon.last().is_stale());
    daemon.pass(3).await;
    assert_eq!(daemon.triggers()[2..], [Trigger::File]);
    assert!(!daemon.last().is_stale());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_whose_files_never_stand_still_fails_its_first_run() {
    let daemon = world().start();
    keep_writing(&daemon).await;
    let report = daemon.last();
    assert!(
        matches!(&report.end, End::Failed(failure) if failure.kind == FailureKind::Roster),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_complete_during_a_run_interrupts_it() {
    let daemon = world().start();
    daemon.pass(6).await;
    daemon.world.acme(|acme| acme.list = Duration::from_mins(1));
    daemon.send(Event::Reload).await;
    daemon.pass(1).await;
    write(&daemon, ("matt@acme.io", "ANALYST", None)).await;
    daemon.pass(4).await;
    assert_eq!(daemon.triggers(), [Trigger::Start]);
    daemon.pass(2).await;
    assert_eq!(daemon.triggers(), [Trigger::Start, Trigger::Signal]);
    assert_eq!(daemon.last().status(), RunStatus::Interrupted);
}
