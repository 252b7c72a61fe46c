//! What waits for an operator's decision: a listing, a place, a ledger from the future.

use rosterd::directory::Snapshot;
use rosterd::failure::FailureKind;
use rosterd::guard::operator::{OperatorHold, admission};
use rosterd::guard::{BudgetName, Guard};
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::entry::{Acceptable, Entry};
use rosterd::memory::place::WorkspacePlace;
use rosterd::memory::scope::Scope;
use rosterd::reconcile::{LedgerConfig, RunSession};
use rosterd::report::{RunReport, RunStatus};
use rosterd::role::Role;
use tokio_util::sync::CancellationToken;

use crate::support::directory::{Fake, FrozenClock};
use crate::support::run::{Run, SCOPE, records};
use crate::support::world::{World, dates, disable, hours, intent, now};

fn at(host: &str, uid: Option<&str>) -> Scope {
    let place = WorkspacePlace { host: host.into(), uid: uid.map(str::to_owned) };
    Scope { place: Some(place), ..Scope::of_name(SCOPE) }
}

fn memory() -> Ledger {
    Ledger::at(Location::Memory)
}

async fn run(world: &World, ledger: &Ledger, scope: &Scope) -> (RunReport, usize) {
    let fake = Fake::new(world);
    let report = Run::of(world).ledger(ledger).scope(scope).go(&fake).await;
    let sent = fake.sent().len();
    (report, sent)
}

/// The kind of the failure for which nothing of a listing is used.
fn held(report: &RunReport) -> Option<FailureKind> {
    assert!(report.applied().is_some() || report.status() == RunStatus::Held, "{report:?}");
    report.failure().map(|failure| failure.kind)
}

async fn accept(what: Acceptable, snapshot: &Snapshot, ledger: &Ledger, scope: &Scope) {
    let config = LedgerConfig { scope: scope.clone(), ..records(ledger) };
    let session = RunSession::acquire(&config, &FrozenClock, &CancellationToken::new()).await;
    let session = session.unwrap();
    let hold: OperatorHold = session.waiting(what, snapshot, now()).expect("it waits");
    session.accept(&hold, "checked by hand", snapshot, now()).await.unwrap();
}

/// Only the first accounts.
fn short(world: &World, count: usize) -> World {
    let mut short = world.clone();
    short.accounts.truncate(count);
    short
}

#[test]
fn half_of_the_accounts_that_are_not_disabled_must_be_listed() {
    let scope = Scope::of_name("acme");
    for (before, disabled, listed, is_held) in [
        (0, 0, 0, false), // the first listing
        (1, 0, 1, false),
        (1, 0, 0, true),
        (1, 1, 0, false),
        (2, 0, 1, false),
        (3, 0, 1, true),
        (5, 0, 3, false),
        (5, 0, 2, true),
        (5, 1, 2, false),
        (5, 5, 0, false),
    ] {
        let mut world = World::converged();
        world.accounts.truncate(before);
        let names: Vec<String> = world.accounts.iter().map(|it| it.email.folded()).collect();
        let last = names.iter().rev().take(disabled);
        let intents = last.map(|name| intent(name, disable(name.trim_end_matches("@acme.io"))));
        let world = world.clone().seen(-2).remember(-1, intents.collect::<Vec<_>>());
        let found = admission(&world.memory, &scope, &[], &short(&world, listed).snapshot());
        assert_eq!(found.is_some(), is_held, "{before} {disabled} {listed}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_listing_changes_nothing_until_one_fits() {
    let (world, ledger, scope) = (World::converged(), memory(), Scope::of_name(SCOPE));
    run(&world, &ledger, &scope).await;
    let before = ledger.read_state(SCOPE).unwrap();
    // Everybody who is listed is to be disabled.
    let wrong = short(&world.clone().no_member("alexandra").no_member("jonny"), 2);
    let (report, sent) = run(&wrong, &ledger, &scope).await;
    assert_eq!((held(&report), sent), (Some(FailureKind::Listing), 0));
    let message = &report.failure().unwrap().message;
    assert!(message.contains("rosterd accept listing --workspace acme --digest "), "{message}");
    let after = ledger.read_state(SCOPE).unwrap();
    assert!(before.present().count() == 5 && after.present().count() == 5);
    let (report, _) = run(&world, &ledger, &scope).await;
    assert_eq!(held(&report), None);
    assert_eq!(report.status(), RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_listing_is_the_next_base() {
    let (world, ledger, scope) = (World::converged(), memory(), Scope::of_name(SCOPE));
    run(&world, &ledger, &scope).await;
    let two = short(&world, 2);
    assert_eq!(held(&run(&two, &ledger, &scope).await.0), Some(FailureKind::Listing));
    accept(Acceptable::Listing, &two.snapshot(), &ledger, &scope).await;
    let (report, sent) = run(&two, &ledger, &scope).await;
    assert_eq!((held(&report), sent), (None, 0));
    let by = &report.applied().unwrap().verdict.held[0].by;
    assert_eq!(by, &[Guard::Vanished], "the missing members are not invited again");
    let none = short(&world, 0);
    assert_eq!(held(&run(&none, &ledger, &scope).await.0), Some(FailureKind::Listing));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_rosterd_has_shortened_fits() {
    let world = World::converged().crowd(8).limits(|limits| {
        limits.budgets.get_mut(&BudgetName::Disable).unwrap().percent = 100;
    });
    let (ledger, scope) = (memory(), Scope::of_name(SCOPE));
    run(&world, &ledger, &scope).await;
    let wanted = (0..8).fold(world, |world, n| world.no_member(&format!("user{n}")));
    let (report, sent) = run(&wanted, &ledger, &scope).await;
    assert_eq!((report.status(), sent), (RunStatus::Converged, 4), "5 of 13 are left");
}

#[tokio::test(start_paused = true)]
async fn another_place_waits_for_an_operator() {
    let (world, ledger) = (World::converged().no_member("max"), memory());
    let (here, there) = (at("api.acme.io", None), at("api.acme.com", None));
    run(&World::converged(), &ledger, &here).await;
    let (report, sent) = run(&world, &ledger, &there).await;
    assert_eq!((held(&report), sent), (Some(FailureKind::Place), 0));
    accept(Acceptable::Place, &world.snapshot(), &ledger, &there).await;
    let (report, sent) = run(&world, &ledger, &there).await;
    assert_eq!((held(&report), sent), (None, 1));
    assert_eq!(held(&run(&world, &ledger, &here).await.0), Some(FailureKind::Place));
}

#[tokio::test(start_paused = true)]
async fn an_added_uid_is_no_other_place_and_another_uid_is() {
    let (world, ledger) = (World::converged(), memory());
    let of = |uid| at("api.acme.io", uid);
    for (uid, expected) in [
        (None, None),
        (Some("1"), None),
        (None, None),
        (Some("2"), Some(FailureKind::Place)),
        (Some("1"), None),
    ] {
        let (report, _) = run(&world, &ledger, &of(uid)).await;
        assert_eq!(held(&report), expected, "{uid:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_name_at_a_known_place_waits_for_formerly_or_an_operator() {
    let (world, renamed) = (World::converged(), Scope::of_name("sales"));
    for (uids, other_accounts, expected) in [
        ((None, None), false, Some(FailureKind::Place)),
        ((Some("1"), None), false, Some(FailureKind::Place)),
        ((Some("1"), Some("1")), true, Some(FailureKind::Place)),
        ((Some("1"), Some("2")), false, None),
        ((None, None), true, None),
    ] {
        let ledger = memory();
        run(&world, &ledger, &at("api.acme.io", uids.0)).await;
        let second = Scope { place: at("api.acme.io", uids.1).place, ..renamed.clone() };
        let other = || World::default().both("zoe", Role::Admin);
        let listed = if other_accounts { other() } else { world.clone() };
        let (report, _) = run(&listed, &ledger, &second).await;
        assert_eq!(held(&report), expected, "{uids:?} {other_accounts}");
        if expected.is_none() {
            continue;
        }
        let accepted = ledger.clone();
        let formerly = Scope { formerly: Some(SCOPE.into()), ..second.clone() };
        if other_accounts {
            accept(Acceptable::Place, &listed.snapshot(), &accepted, &second).await;
            assert_eq!(held(&run(&listed, &accepted, &second).await.0), None);
        } else {
            assert_eq!(held(&run(&listed, &ledger, &formerly).await.0), None);
            let back = run(&listed, &ledger, &at("api.acme.io", uids.0)).await.0;
            assert_eq!(held(&back), Some(FailureKind::Place), "the old name is closed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_from_the_future_waits_for_an_operator() {
    let (ledger, scope) = (memory(), Scope::of_name(SCOPE));
    let world = World::converged().member_with("max", Role::Developer, dates(None, Some(-1)));
    let mut writer = ledger.open(SCOPE, hours(48)).unwrap();
    let ahead = Entry::Ends { ends: Vec::new(), withdrawn: Vec::new() };
    writer.write(vec![ahead], hours(48)).await.unwrap();
    drop(writer);
    let (report, sent) = run(&world, &ledger, &scope).await;
    let violation = &report.applied().unwrap().verdict.violations[0];
    assert_eq!((violation.guard, sent), (Guard::Clock, 0));
    assert!(violation.hint.contains("rosterd accept clock"), "{}", violation.hint);
    accept(Acceptable::Clock, &world.snapshot(), &ledger, &scope).await;
    let (report, sent) = run(&world, &ledger, &scope).await;
    assert_eq!((report.status(), sent), (RunStatus::Converged, 1));
}
