//! What a receiver knows outlives a restart.

use rosterd::directory::InviteStatus;
use rosterd::failure::FailureKind;
use rosterd::notice::Kind;
use rosterd::notice::tracker::NoticeTracker;
use rosterd::report::{End, Failure, Outcome, RunReport};
use rosterd::role::Role;

use super::{TestTracker, WITHIN, failed, run_with, stale, succeeded};
use crate::support::world::{World, dates};

/// Another process, which has read what the ledger kept.
fn restarted(before: &TestTracker, events: &[Kind]) -> TestTracker {
    let kept = serde_json::to_string(before.known.as_ref().unwrap()).unwrap();
    let mut tracker = NoticeTracker::new(events, WITHIN);
    tracker.restore("acme", || serde_json::from_str(&kept).ok());
    TestTracker { tracker, ..TestTracker::new() }
}

/// Every condition that is notified once, with the kind of its notice.
fn conditions() -> Vec<(World, RunReport, Kind)> {
    let well = World::converged;
    let held = well().member("zoe", Role::Business).limits(|limits| limits.suspend = true);
    let person = well().invitation("eve", Role::Admin, InviteStatus::Pending);
    let ends = well().both("zoe", Role::Business).no_member("zoe");
    let ends = ends.member_with("zoe", Role::Business, dates(None, Some(24)));
    let failing = failed(FailureKind::Connect);
    let message = "nothing is changed until this is resolved".to_owned();
    let waiting = End::Failed(Failure { kind: FailureKind::Listing, message });
    let waiting = RunReport { end: waiting, ..succeeded(&well()) };
    [
        (held.clone(), succeeded(&held), Kind::Held),
        (person.clone(), succeeded(&person), Kind::NeedsPerson),
        (ends.clone(), succeeded(&ends), Kind::Expiring),
        (well(), failing, Kind::Failing),
        (well(), stale(succeeded(&well())), Kind::Failing),
        (well(), waiting, Kind::Held),
    ]
    .into()
}

#[test]
fn a_restart_repeats_nothing() {
    for (world, report, kind) in conditions() {
        let mut first = TestTracker::new();
        assert_eq!(first.kinds(&world, &report), [kind]);
        assert_eq!(first.kinds(&world, &report), [], "{kind:?}");
        let mut second = restarted(&first, &Kind::ALL);
        assert_eq!(second.kinds(&world, &report), [], "{kind:?}");
        assert_eq!(second.known, None, "nothing has changed");
    }
}

#[test]
fn what_ends_during_a_restart_is_notified() {
    let well = World::converged();
    for (world, report, kind) in conditions() {
        let mut first = TestTracker::new();
        first.notices(&world, &report);
        let mut second = restarted(&first, &Kind::ALL);
        let ended = second.notices(&well, &succeeded(&well));
        let kinds: Vec<Kind> = ended.iter().map(|notice| notice.event).collect();
        if kind == Kind::Failing {
            assert_eq!(kinds, [Kind::Recovered]);
            assert_eq!(ended[0].since.as_deref(), Some("2026-11-25T12:00:02Z"));
        } else {
            assert_eq!(kinds, []);
        }
        let mut third = restarted(&second, &Kind::ALL);
        assert_eq!(third.kinds(&world, &report), [kind], "it has begun again");
    }
}

#[test]
fn what_a_receiver_did_not_want_to_know_is_new_to_it() {
    for (world, report, kind) in conditions() {
        let mut first = TestTracker::new();
        first.tracker = NoticeTracker::new(&[Kind::Applied], WITHIN);
        assert_eq!((first.kinds(&world, &report), &first.known), (vec![], &None));
        first.tracker = NoticeTracker::new(&Kind::ALL, WITHIN);
        assert_eq!(first.kinds(&world, &report), [kind]);
    }
}

#[test]
fn an_older_version_of_what_was_kept_is_read() {
    let known = serde_json::from_str(r#"{"held":["0123456789abcdef"],"later":1}"#).ok();
    let mut tracker = TestTracker::new();
    tracker.tracker.restore("acme", || known);
    let world = World::converged().member("zoe", Role::Business);
    let report = run_with(&world, &Outcome::Done);
    assert_eq!(tracker.kinds(&world, &report), [Kind::Applied]);
}
