//! One whole run: what the reading after it settles, and how the run ends.

use jiff::{SignedDuration, Timestamp};
use rosterd::client::{Answer, Reply};
use rosterd::clock::Clock;
use rosterd::directory::{Account, InviteStatus};
use rosterd::guard::{BudgetName, Limits};
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::scope::Scope;
use rosterd::plan::change::Class;
use rosterd::reconcile::{REREAD_DELAY, check_size};
use rosterd::report::{Applied, Outcome, Residue, RunReport, RunStatus, Verification};
use rosterd::role::Role;

use crate::support::directory::{Fake, done, error, refused, take_effect, timed_out};
use crate::support::run::{Run, SCOPE};
use crate::support::world::{World, dates, elevated, email, now, uid};
use rosterd::failure::FailureKind;

async fn run(world: &World, fake: &Fake) -> RunReport {
    Run::of(world).go(fake).await
}

fn applied(report: &RunReport) -> &Applied {
    report.applied().expect("a plan")
}

fn residue(report: &RunReport) -> &Residue {
    match &applied(report).verification {
        Verification::Read(residue) => residue,
        other => panic!("{other:?}"),
    }
}

fn one_of_each() -> World {
    World::converged()
        .member("john", Role::Developer)
        .member("max", Role::Business)
        .no_member("matt")
        .member("zoe", Role::Business)
}

#[tokio::test(start_paused = true)]
async fn a_converged_workspace_is_listed_once() {
    let world = World::converged();
    let fake = Fake::new(&world);
    let report = run(&world, &fake).await;
    assert_eq!(report.status(), RunStatus::Converged);
    assert_eq!(applied(&report).verification, Verification::NotNeeded);
    assert_eq!((fake.lists(), fake.sent().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_too_many_changes_is_refused_before_anything_is_sent() {
    let world = one_of_each();
    let report = Run::of(&world).max_changes(4).go(&Fake::new(&world)).await;
    assert_eq!(report.status(), RunStatus::Converged);
    let fake = Fake::new(&world);
    let report = Run::of(&world).max_changes(3).go(&fake).await;
    let failure = report.failure().unwrap();
    assert_eq!(failure.kind, FailureKind::TooLarge);
    let message = "the plan has 4 changes and findings; at most 3 are supported";
    assert!(failure.message.starts_with(message), "{failure:?}");
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_listing_far_larger_than_the_roster_is_refused() {
    let mut world = World::converged();
    let (most, limit) = (10, world.members.len() + 10);
    while world.accounts.len() < limit {
        let name = format!("stranger{}", world.accounts.len());
        let account = world.accounts[0].clone();
        world.accounts.push(Account { uid: uid(&name), email: email(&name), ..account });
    }
    assert_eq!(check_size(&world.snapshot(), &world.roster(), most), Ok(()));
    let world = world.invitation("zoe", Role::Business, InviteStatus::Pending);
    let fake = Fake::new(&world);
    let run = Run::of(&world).max_changes(most);
    let ledger = run.ledger.clone();
    let report = run.go(&fake).await;
    let failure = report.failure().unwrap();
    assert_eq!(failure.kind, FailureKind::TooLarge);
    let message = format!("the listing has {} users and invitations, and the roster", limit + 1);
    assert!(failure.message.starts_with(&message), "{failure:?}");
    let memory = ledger.read_workspace(&Scope::of_name(SCOPE)).unwrap();
    assert!(memory.account(&world.accounts[0].uid).is_none(), "nothing of it is remembered");
}

#[tokio::test(start_paused = true)]
async fn a_run_converges_and_lists_again() {
    let world = one_of_each();
    let fake = Fake::new(&world);
    let report = run(&world, &fake).await;
    assert_eq!(report.status(), RunStatus::Converged);
    assert_eq!(*residue(&report), Residue { in_sync: 4, ..Residue::default() });
    assert_eq!(fake.lists(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_listing_there_is_no_plan() {
    let world = one_of_each();
    let fake = Fake::new(&world).list_as(|_, _, _| Err(error(FailureKind::Incomplete)));
    let report = run(&world, &fake).await;
    assert_eq!(report.status(), RunStatus::Failed);
    assert!(report.applied().is_none() && fake.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_change_is_done_if_the_listing_shows_it() {
    for class in &Class::ALL[..4] {
        let (world, class) = (one_of_each(), *class);
        let fake = Fake::new(&world).answer(move |_, batch, world| {
            let reply = done(batch, world);
            if batch[0].action.class() == class { timed_out() } else { reply }
        });
        let report = run(&world, &fake).await;
        assert_eq!(report.status(), RunStatus::Converged, "{class:?}");
        assert!(applied(&report).outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Done));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_change_without_effect_stays_unknown_and_fails_the_run() {
    for class in &Class::ALL[..4] {
        let (world, class) = (one_of_each(), *class);
        let fake = Fake::new(&world).answer(move |_, batch, world| {
            if batch[0].action.class() == class { timed_out() } else { done(batch, world) }
        });
        let report = run(&world, &fake).await;
        assert_eq!(report.status(), RunStatus::Failed, "{class:?}");
        assert_eq!((residue(&report).applicable.len(), residue(&report).propagating), (0, 1));
        assert_eq!(fake.sent().len(), 4, "never sent again in this run");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_need_for_a_change_is_not_its_effect() {
    // The account whose role was to change has gone by another hand.
    let world = World::converged().member("max", Role::Business);
    let fake = Fake::new(&world).answer(|_, batch, world| {
        world.accounts.retain(|account| Some(&account.uid) != batch[0].action.uid());
        timed_out()
    });
    let report = run(&world, &fake).await;
    assert!(matches!(applied(&report).outcomes[0].1, Outcome::Unknown(_)));
    // Somebody else's invitation, with another role, is not ours.
    let world = World::converged().member("zoe", Role::Business);
    let fake = Fake::new(&world).answer(|_, batch, world| {
        let mut other = batch[0].clone();
        other.action = rosterd::plan::change::Action::Invite { role: Role::Developer };
        take_effect(world, &other);
        timed_out()
    });
    let report = run(&world, &fake).await;
    assert!(matches!(applied(&report).outcomes[0].1, Outcome::Unknown(_)));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_lags_is_read_once_more() {
    let world = one_of_each();
    let fake = Fake::new(&world)
        .list_as(|nth, world, before| Ok(if nth < 2 { before } else { world.snapshot() }));
    let began = tokio::time::Instant::now();
    let report = run(&world, &fake).await;
    assert_eq!(report.status(), RunStatus::Converged);
    assert_eq!(fake.lists(), 3);
    assert!(began.elapsed() >= REREAD_DELAY);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_change_that_no_listing_shows_propagates_then_fails() {
    let world = one_of_each();
    let fake =
        Fake::new(&world).answer(|_, batch, _| Reply::Answered(vec![Answer::Done; batch.len()]));
    let ledger = Ledger::at(Location::Memory);
    let after = async |minutes| {
        let clock = After(SignedDuration::from_mins(minutes));
        Run::of(&world).ledger(&ledger).clock(&clock).go(&fake).await
    };
    let report = after(0).await;
    assert_eq!((report.status(), residue(&report).propagating), (RunStatus::Converged, 4));
    assert_eq!(fake.lists(), 3, "and no more than that");
    assert_eq!(report.next(), Some(now() + SignedDuration::from_mins(10)));
    let report = after(9).await;
    assert_eq!((report.status(), fake.sent().len()), (RunStatus::Converged, 4), "not sent again");
    let report = after(10).await;
    assert_eq!((report.status(), applied(&report).lost), (RunStatus::Failed, 3));
    assert_eq!(fake.sent().len(), 4, "the ladder of violations, and the one of invitations");
    after(70).await;
    assert_eq!(fake.sent().len(), 7, "an hour after they were found to be lost");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_change_fails_the_run_and_only_itself() {
    let world = one_of_each();
    let fake = Fake::new(&world).answer(|_, batch, world| match batch[0].action.class() {
        Class::Invite => Reply::Answered(vec![Answer::Rejected("no".into())]),
        _ => done(batch, world),
    });
    let report = run(&world, &fake).await;
    assert_eq!((report.status(), report.status().exit_code()), (RunStatus::Failed, 1));
    assert!(residue(&report).applicable.is_empty(), "it is tried again later");
    assert_eq!(applied(&report).outcomes.iter().filter(|(_, o)| *o == Outcome::Done).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn held_changes_exit_with_3_and_a_grant_releases_the_next() {
    let world = World::default()
        .both("alexandra", Role::Admin)
        .both("zoe", Role::Developer)
        .member("alexandra", Role::Business)
        .member("zoe", Role::Admin);
    let fake = Fake::new(&world);
    let report = run(&world, &fake).await;
    assert_eq!((report.status(), report.status().exit_code()), (RunStatus::Held, 3));
    assert_eq!(residue(&report).released, [applied(&report).verdict.held[0].change.clone()]);
    assert_eq!(run(&fake.world(), &fake).await.status(), RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn a_failed_verification_fails_the_run() {
    let world = one_of_each();
    let fake = Fake::new(&world).list_as(|nth, _, before| match nth {
        0 => Ok(before),
        _ => Err(error(FailureKind::Timeout)),
    });
    let report = run(&world, &fake).await;
    assert_eq!(report.status(), RunStatus::Failed);
    assert!(matches!(applied(&report).verification, Verification::Failed(_)));
}

/// A clock that stands so long after the instant of the plans.
struct After(SignedDuration);

impl Clock for After {
    fn now(&self) -> Timestamp {
        now() + self.0
    }
}

/// A clock that stands at one instant until something is sent, and nine minutes later from then on.
#[derive(Clone, Default)]
struct Slow(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        let later = self.0.load(std::sync::atomic::Ordering::SeqCst);
        now() + SignedDuration::from_mins(if later { 9 } else { 0 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_run_does_not_distrust_the_clock() {
    let mut world = World::converged()
        .member_with("matt", Role::Developer, dates(None, Some(0)))
        .member_with("max", Role::Developer, elevated(Role::Admin, 1));
    world.server_time = Some(now());
    let clock = Slow::default();
    let time = clock.clone();
    let fake = Fake::new(&world).answer(move |_, _, _| {
        time.0.store(true, std::sync::atomic::Ordering::SeqCst);
        timed_out()
    });
    let fake = fake.list_as(|nth, world, before| {
        let mut later = world.clone();
        later.server_time = Some(now() + SignedDuration::from_mins(9));
        Ok(if nth == 0 { before } else { later.snapshot() })
    });
    let report = Run::of(&world).clock(&clock).go(&fake).await;
    assert_eq!((residue(&report).propagating, applied(&report).verdict.held.len()), (2, 0));
    assert_eq!(report.status(), RunStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_does_not_verify() {
    let world = one_of_each();
    let run = Run::of(&world);
    let cancel = run.cancel.clone();
    let fake = Fake::new(&world).answer(move |_, batch, world| {
        cancel.cancel();
        done(batch, world)
    });
    let report = run.go(&fake).await;
    assert_eq!((report.status(), fake.lists(), fake.sent().len()), (RunStatus::Interrupted, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_effect_goes_out_in_halves_next_time() {
    let world = (0..16).fold(World::converged().limits(boundless), |world, n| {
        let name = format!("user{n:02}");
        world.both(&name, Role::Developer).member(&name, Role::Business)
    });
    let fake = Fake::new(&world)
        .answer(|_, batch, world| if batch.len() > 2 { timed_out() } else { done(batch, world) });
    let ledger = Ledger::at(Location::Memory);
    let mut largest = Vec::new();
    for minutes in [0, 5, 11, 22] {
        let before = fake.sent().len();
        let clock = After(SignedDuration::from_mins(minutes));
        let run = Run::of(&world).sending(2, 100).ledger(&ledger).clock(&clock);
        // Each time as a new process would.
        let report = run.go(&fake).await;
        largest.push((fake.sizes()[before..].iter().max().copied(), report.status()));
    }
    let (failed, converged) = (RunStatus::Failed, RunStatus::Converged);
    assert_eq!(
        largest,
        [(Some(8), failed), (None, converged), (Some(4), failed), (Some(2), converged)]
    );
}

fn boundless(limits: &mut Limits) {
    limits.budgets.values_mut().for_each(|budget| (budget.floor, budget.max) = (1_000, 1_000));
}

#[tokio::test(start_paused = true)]
async fn the_size_that_a_server_accepts_is_remembered() {
    let world = (0..6)
        .fold(World::converged(), |world, n| world.member(&format!("user{n}"), Role::Business));
    let fake = || {
        Fake::new(&world).answer(
            |_, batch, world| {
                if batch.len() > 2 { refused() } else { done(batch, world) }
            },
        )
    };
    let (first, second) = (fake(), fake());
    let result = Run::of(&world).sending(1, 4).attempt(&first).await.unwrap();
    assert_eq!(result.max_batch, Some(2));
    assert_eq!(first.sizes(), [4, 2, 3, 1, 2, 1]);
    Run::of(&world).sending(1, 4).max_batch(2).go(&second).await;
    assert_eq!(second.sizes(), [2; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_jump_does_not_reset_a_budget() {
    let one = |limits: &mut Limits| {
        let disable = limits.budgets.get_mut(&BudgetName::Disable).unwrap();
        (disable.percent, disable.floor) = (0, 1);
    };
    let mut world = World::converged().limits(one).no_member("max");
    world.server_time = Some(now());
    let (fake, ledger) = (Fake::new(&world), Ledger::at(Location::Memory));
    for (days, gone) in [(0, "max"), (12, "max"), (0, "john")] {
        world = world.no_member(gone);
        let clock = After(SignedDuration::from_hours(24 * days));
        Run::of(&world).ledger(&ledger).clock(&clock).go(&fake).await;
    }
    let sent = fake.sent();
    let sent: Vec<_> = sent.iter().flat_map(|it| &it.changes).map(|it| it.email.clone()).collect();
    assert_eq!(sent, [email("max")], "the second one of a day is held");
}
