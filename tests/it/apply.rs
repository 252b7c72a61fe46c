//! Apply: every reply, the barriers, the limits, and what the next run gets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rosterd::apply::journal::Journal;
use rosterd::apply::{self, ApplyContext, ApplyResult, GIVE_UP_AFTER, Sending};
use rosterd::client::{Answer, Reply};
use rosterd::diagnostic::Sources;
use rosterd::guard::{BudgetName, Override, Verdict};
use rosterd::ledger::{Ledger, Location};
use rosterd::plan::change::{Change, Class};
use rosterd::report::Outcome;
use rosterd::role::Role;
use tokio_util::sync::CancellationToken;

use crate::support::directory::{
    Fake, FrozenClock, denied, done, error, refused, throttled, timed_out,
};
use crate::support::world::{World, dates, now};
use rosterd::failure::FailureKind;

/// The environment of an apply, with the progress that was reported.
struct TestEnv {
    sending: Sending,
    cancel: CancellationToken,
    progress: Mutex<Vec<(usize, usize)>>,
}

impl TestEnv {
    fn new(concurrency: usize, batch: usize) -> Self {
        let sending = Sending { concurrency, batch };
        Self { sending, cancel: CancellationToken::new(), progress: Mutex::default() }
    }

    async fn apply(&self, world: &World, fake: &Fake) -> ApplyResult {
        self.apply_as(world, fake, &world.verdict()).await
    }

    async fn apply_as(&self, world: &World, fake: &Fake, verdict: &Verdict) -> ApplyResult {
        let context = ApplyContext {
            plan: &world.plan(),
            limits: &world.limits,
            overrides: &Override::None,
            sending: self.sending,
            cancel: &self.cancel,
            on_progress: &|known, total| self.progress.lock().unwrap().push((known, total)),
        };
        let ledger = Ledger::at(Location::Memory);
        let mut writer = ledger.open("acme", now()).unwrap();
        let (sources, overridden, asked_by) = (Sources::default(), BTreeMap::new(), HashMap::new());
        let mut journal = Journal::new(&mut writer, &FrozenClock, &sources, &overridden, &asked_by);
        apply::apply(fake, verdict, &context, &mut journal).await
    }
}

/// So many invitations.
fn invitations(count: usize) -> World {
    let names = (0..count).map(|n| format!("user{n:03}"));
    names.fold(World::converged(), |world, name| world.member(&name, Role::Business))
}

/// One change of each class.
fn one_of_each() -> World {
    World::converged()
        .member("john", Role::Developer)
        .member("max", Role::Business)
        .no_member("matt")
        .member("zoe", Role::Business)
}

fn count(effects: &ApplyResult, wanted: fn(&Outcome) -> bool) -> usize {
    effects.outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count()
}

fn is_done(outcome: &Outcome) -> bool {
    *outcome == Outcome::Done
}

fn is_not_sent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotSent(_))
}

fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown(_))
}

#[tokio::test(start_paused = true)]
async fn nothing_approved_sends_nothing() {
    let (world, stage) = (World::converged(), TestEnv::new(4, 25));
    let fake = Fake::new(&world);
    let effects = stage.apply(&world, &fake).await;
    assert!(effects.outcomes.is_empty() && fake.sent().is_empty());
    assert!(stage.progress.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_class_starts_when_the_one_before_is_answered() {
    let world = one_of_each();
    let fake = Fake::new(&world);
    let effects = TestEnv::new(4, 25).apply(&world, &fake).await;
    let sent = fake.sent();
    let classes: Vec<Class> = sent.iter().map(|sent| sent.changes[0].action.class()).collect();
    assert_eq!(classes, Class::ALL[..4], "and no second invitation");
    assert!(sent.windows(2).all(|pair| pair[1].at >= pair[0].answered));
    assert_eq!(count(&effects, is_done), 4);
    assert!(fake.world().plan().changes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn batches_and_connections_are_bounded_and_shared_evenly() {
    let world = invitations(50);
    for (concurrency, batch, size, most) in
        [(4, 25, 13, 4), (4, 5, 5, 4), (1, 25, 25, 1), (0, 0, 1, 1), (100, 25, 1, 50)]
    {
        let fake = Fake::new(&world);
        let effects = TestEnv::new(concurrency, batch).apply(&world, &fake).await;
        assert_eq!(count(&effects, is_done), 50);
        assert_eq!(fake.sizes().iter().max(), Some(&size), "{concurrency} {batch}");
        assert_eq!(fake.most_flying.load(Ordering::SeqCst), most, "{concurrency} {batch}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_has_its_own_outcome() {
    let world = invitations(4);
    let fake = Fake::new(&world).answer(|_, _, _| {
        let unclear = Answer::Unknown("unclear".into());
        Reply::Answered(vec![Answer::Done, Answer::Rejected("no".into()), unclear])
    });
    let effects = TestEnv::new(1, 25).apply(&world, &fake).await;
    let outcomes: Vec<&Outcome> = effects.outcomes.iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(
        outcomes,
        [
            &Outcome::Done,
            &Outcome::Rejected("no".into()),
            &Outcome::Unknown("unclear".into()),
            &Outcome::Unknown("the response does not mention it".into()),
        ]
    );
    assert!(effects.stopped.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_batch_is_not_sent_again_and_blocks_no_later_class() {
    let world = one_of_each();
    let fake = Fake::new(&world).answer(|nth, batch, world| match nth {
        0 => timed_out(),
        _ => done(batch, world),
    });
    let effects = TestEnv::new(4, 25).apply(&world, &fake).await;
    assert_eq!((count(&effects, is_unknown), count(&effects, is_done)), (1, 3));
    assert_eq!(fake.sizes(), vec![1; 4]);
}

#[tokio::test(start_paused = true)]
async fn the_whole_class_waits_as_long_as_the_server_asks() {
    let world = invitations(8);
    let fake = Fake::new(&world).answer(|nth, batch, world| match nth {
        1 => throttled(Some(20)),
        _ => done(batch, world),
    });
    let effects = TestEnv::new(2, 1).apply(&world, &fake).await;
    assert_eq!(count(&effects, is_done), 8);
    let sent = fake.sent();
    let refused_at = sent[1].answered;
    for late in sent.iter().filter(|sent| sent.at > refused_at) {
        assert!(late.at >= refused_at + Duration::from_secs(20), "nobody goes on meanwhile");
    }
    assert_eq!(sent.len(), 9, "sent again once");
    assert_eq!(fake.most_flying.load(Ordering::SeqCst), 2, "and then side by side again");
}

#[tokio::test(start_paused = true)]
async fn a_class_throttled_for_a_minute_is_deferred_and_the_next_is_tried() {
    let world = one_of_each();
    let fake = Fake::new(&world).answer(|_, batch, world| match batch[0].action.class() {
        Class::Demote => throttled(Some(7)),
        _ => done(batch, world),
    });
    let began = tokio::time::Instant::now();
    let effects = TestEnv::new(4, 25).apply(&world, &fake).await;
    // The class after it waits as long as the server last asked, or as the back-off says.
    assert!(began.elapsed() <= GIVE_UP_AFTER + rosterd::retry::CAP);
    assert!(began.elapsed() > GIVE_UP_AFTER / 2);
    assert_eq!((count(&effects, is_not_sent), count(&effects, is_done)), (1, 3));
    assert!(effects.stopped.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_longer_than_a_run_ends_the_sending() {
    let world = one_of_each();
    let fake = Fake::new(&world).answer(|_, _, _| throttled(Some(600)));
    let effects = TestEnv::new(4, 25).apply(&world, &fake).await;
    assert_eq!((fake.sent().len(), count(&effects, is_not_sent)), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn no_connection_for_a_minute_ends_the_apply() {
    let world = one_of_each();
    let fake = Fake::new(&world).answer(|_, _, _| Reply::NotExecuted {
        error: error(FailureKind::Connect),
        retry_after: Some(Duration::from_secs(10)),
    });
    let effects = TestEnv::new(4, 25).apply(&world, &fake).await;
    assert_eq!(count(&effects, is_not_sent), 4);
    assert_eq!(effects.stopped.unwrap().kind, FailureKind::Connect);
    assert!(fake.sent().iter().all(|sent| sent.changes[0].action.class() == Class::Grant));
}

type Says = fn() -> Reply;
type Became = fn(&Outcome) -> bool;

#[tokio::test(start_paused = true)]
async fn denied_or_not_graphql_stops_every_connection_at_once() {
    let stops: [(Says, Became); 4] = [
        (denied, is_not_sent),
        (|| Reply::Refused(error(FailureKind::MissingCapability)), is_not_sent),
        (|| Reply::Unknown(error(FailureKind::NotJson)), is_unknown),
        (|| Reply::Unknown(error(FailureKind::Forbidden)), is_unknown),
    ];
    for (reply, outcome) in stops {
        let world = invitations(40);
        let fake = Fake::new(&world).answer(move |nth, batch, world| match nth {
            0 => reply(),
            _ => done(batch, world),
        });
        let effects = TestEnv::new(2, 5).apply(&world, &fake).await;
        assert_eq!(fake.sent().len(), 2, "only what was already under way");
        assert!(effects.stopped.is_some());
        assert_eq!(count(&effects, is_done), 5);
        assert!(effects.outcomes[..5].iter().all(|(_, became)| outcome(became)));
        assert!(effects.outcomes[10..].iter().all(|(_, became)| is_not_sent(became)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_the_later_classes() {
    let world = one_of_each();
    let fake = Fake::new(&world).answer(|_, _, _| denied());
    let effects = TestEnv::new(4, 25).apply(&world, &fake).await;
    assert_eq!((fake.sent().len(), count(&effects, is_not_sent)), (1, 4));
    assert!(effects.held.is_empty(), "nothing is judged that cannot go out");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_batches_gets_single_changes() {
    let world = invitations(12).no_member("john").no_member("matt");
    let fake = Fake::new(&world).answer(|_, batch, world| match batch.len() {
        1 => done(batch, world),
        _ => refused(),
    });
    let effects = TestEnv::new(1, 5).apply(&world, &fake).await;
    assert_eq!(count(&effects, is_done), 14);
    assert_eq!(effects.max_batch, Some(1));
    let batches: Vec<usize> = fake.sizes().into_iter().filter(|size| *size > 1).collect();
    assert_eq!(batches, [2], "the next class knows it");
}

#[tokio::test(start_paused = true)]
async fn the_largest_size_that_the_server_accepts_is_searched() {
    let world = invitations(1_000).limits(|limits| {
        let budget = limits.budgets.get_mut(&BudgetName::Invite).unwrap();
        (budget.floor, budget.max) = (1_000, 1_000);
    });
    let fake = Fake::new(&world).answer(|_, batch, world| match batch.len() {
        ..=10 => done(batch, world),
        _ => refused(),
    });
    let effects = TestEnv::new(8, 50).apply(&world, &fake).await;
    assert_eq!((count(&effects, is_done), effects.max_batch), (1_000, Some(10)));
    assert!(fake.sent().len() <= 170, "{} requests", fake.sent().len());
}

#[tokio::test(start_paused = true)]
async fn one_invalid_change_does_not_end_batches() {
    let world = invitations(3);
    let spoils = |change: &&Change| change.email.as_str().starts_with("user001");
    let fake = Fake::new(&world).answer(move |_, batch, world| {
        if batch.iter().any(spoils) { refused() } else { done(batch, world) }
    });
    let effects = TestEnv::new(1, 5).apply(&world, &fake).await;
    assert_eq!(count(&effects, is_done), 2);
    assert!(matches!(effects.outcomes[1].1, Outcome::Rejected(_)));
    assert_eq!(effects.max_batch, None);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_at_the_next_batch() {
    let world = invitations(20);
    let stage = TestEnv::new(1, 5);
    let cancel = stage.cancel.clone();
    let fake = Fake::new(&world).answer(move |nth, batch, world| {
        if nth == 1 {
            cancel.cancel();
        }
        done(batch, world)
    });
    let effects = stage.apply(&world, &fake).await;
    assert_eq!(fake.sizes(), [5, 5], "what is under way is waited for");
    assert_eq!((count(&effects, is_done), count(&effects, is_not_sent)), (10, 10));
    assert_eq!(effects.stopped.unwrap().kind, FailureKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn cancelling_does_not_wait_for_retry_after() {
    let world = invitations(3);
    let stage = TestEnv::new(1, 5);
    let fake = Fake::new(&world).answer(|_, _, _| throttled(Some(50)));
    let cancel = stage.cancel.clone();
    let cancelling = async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    };
    let began = tokio::time::Instant::now();
    let (effects, ()) = tokio::join!(stage.apply(&world, &fake), cancelling);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(count(&effects, is_not_sent), 3);
}

#[tokio::test(start_paused = true)]
async fn progress_counts_to_the_end() {
    let world = invitations(12).no_member("john");
    let stage = TestEnv::new(1, 5);
    stage.apply(&world, &Fake::new(&world)).await;
    assert_eq!(*stage.progress.lock().unwrap(), [(1, 13), (6, 13), (11, 13), (13, 13)]);
}

#[tokio::test(start_paused = true)]
async fn the_guards_reevaluate_before_access_is_taken_away() {
    // Approved under another limit than the one in force now: the second judgement holds it.
    let world = World::converged()
        .member_with("alexandra", Role::Admin, dates(None, Some(0)))
        .member("max", Role::Business);
    let verdict = world.verdict();
    assert!(verdict.held.is_empty());
    let stricter = world.clone().limits(|limits| limits.min_admins = 2);
    let fake = Fake::new(&world);
    let stage = TestEnv::new(4, 25);
    let effects = stage.apply_as(&stricter, &fake, &verdict).await;
    assert_eq!(fake.sizes(), [1], "only max");
    assert_eq!(effects.held.len(), 1);
    assert_eq!(effects.held[0].change.action.class(), Class::Disable);
    assert_eq!(effects.violations.len(), 1);
    assert_eq!(effects.outcomes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_some_requests_is_not_given_up() {
    let world = invitations(6);
    let fake = Fake::new(&world).answer(|nth, batch, world| match nth % 2 {
        0 => throttled(Some(50)),
        _ => done(batch, world),
    });
    let effects = TestEnv::new(1, 1).apply(&world, &fake).await;
    assert_eq!(count(&effects, is_done), 6);
}
