//! What guards make of the ledger: budgets over time, foreseen ends, holds with an age, approvals.

use rosterd::action::{Action, BudgetName};
use rosterd::diagnostic::Sources;
use rosterd::guard::{self, Guard, Override};
use rosterd::memory::entry::{AttemptStatus, Entry, Key, OutcomeEntry};
use rosterd::role::Role;
use rosterd::roster::{checks, raw};

use super::{approved, boundless, budget, held, messages};
use crate::support::world::{World, dates, disable, elevated, email, hours, intent, now, uid};

fn closed(world: World, status: AttemptStatus) -> World {
    let of = world.memory.through();
    world.remember(-1, [Entry::Outcome(OutcomeEntry { of, status, detail: None })])
}

/// A world in which one disable is wanted, and the limit is one.
fn one_leaves() -> World {
    World::converged().no_member("john").limits(budget(BudgetName::Disable, 0, 1))
}

#[test]
fn only_what_may_have_happened_is_counted() {
    let after = |status| {
        let world = one_leaves().remember(-1, [intent("zoe", disable("zoe"))]);
        closed(world, status).verdict().held.len()
    };
    for status in [
        AttemptStatus::Done,
        AttemptStatus::Unknown,
        AttemptStatus::NoEffect,
        AttemptStatus::Lapsed,
    ] {
        assert_eq!(after(status), 1, "{status:?}");
    }
    for status in [AttemptStatus::Rejected, AttemptStatus::NotSent] {
        assert_eq!(after(status), 0, "{status:?}");
    }
    let open = one_leaves().remember(-1, [intent("zoe", disable("zoe"))]);
    assert_eq!(open.verdict().held.len(), 1, "it is open");
}

#[test]
fn attempts_at_one_change_count_once() {
    let again = || intent("john", Action::Disable { uid: uid("john"), role: Role::Business });
    let world = one_leaves().remember(-3, [again()]).remember(-2, [again()]);
    assert!(world.verdict().held.is_empty());
    // What a reading has shown is not an attempt: somebody undid it, and it is done once more.
    let of = world.memory.through();
    let shown = world.remember(-1, [Entry::Shown { of: vec![of] }]);
    assert_eq!(shown.verdict().held.len(), 1);
}

#[test]
fn a_scheduled_end_is_neither_counted_nor_held() {
    let none = |limits: &mut rosterd::guard::Limits| {
        boundless(limits);
        budget(BudgetName::Disable, 0, 0)(limits);
        budget(BudgetName::Demote, 0, 0)(limits);
    };
    let world = World::converged()
        .member_with("matt", Role::Developer, dates(None, Some(0)))
        .member_with("jonny", Role::Developer, elevated(Role::Admin, 0))
        .limits(none);
    let seen_late = world.clone().remember(-1, world_begun()).verdict();
    assert_eq!(
        held(&seen_late),
        ["update_role jonny@acme.io by demote-budget", "disable matt@acme.io by disable-budget"]
    );
    // The same dates, while they lay ahead.
    let scheduled = world.seen(-1);
    assert!(scheduled.verdict().held.is_empty(), "{:?}", held(&scheduled.verdict()));
    // Neither do they use up the budget of anybody else.
    let plan = scheduled.plan();
    assert!(plan.changes().iter().all(|change| change.scheduled));
}

fn world_begun() -> [Entry; 1] {
    [Entry::Ends { ends: Vec::new() }]
}

#[test]
fn the_minimum_holds_for_scheduled_ends() {
    let world = World::converged()
        .member_with("alexandra", Role::Admin, dates(None, Some(0)))
        .member_with("jonny", Role::Admin, dates(None, Some(0)))
        .limits(boundless)
        .seen(-1);
    assert_eq!(
        held(&world.verdict()),
        ["disable alexandra@acme.io by min-admins", "disable jonny@acme.io by min-admins"]
    );
}

#[test]
fn an_admin_with_a_recent_demotion_does_not_count() {
    // The reading still shows both as admins; one of them may have been demoted a moment ago.
    let demote = Action::UpdateRole { uid: uid("jonny"), from: Role::Admin, to: Role::Business };
    let world = |minutes: i64| {
        let mut world = World::converged().no_member("alexandra").limits(boundless);
        let at = now() - jiff::SignedDuration::from_mins(minutes);
        let seq = world.memory.through() + 1;
        let entry = intent("jonny", demote.clone());
        world.memory.fold(&rosterd::memory::entry::Record { seq, at, entry });
        world
    };
    assert_eq!(held(&world(1).verdict()), ["disable alexandra@acme.io by min-admins"]);
    assert!(world(11).verdict().held.is_empty());
}

fn held_since(world: World, at: i64, guard: Guard) -> World {
    let change =
        world.plan().changes().iter().find(|it| it.action.kind() == "disable").cloned().unwrap();
    let change = Key::of(&change.action, &change.email);
    world.remember(at, [Entry::Held { change, by: vec![guard.to_string()] }])
}

#[test]
fn a_hold_has_an_age() {
    let world = one_leaves().limits(budget(BudgetName::Disable, 0, 0));
    assert_eq!(world.verdict().held[0].since, None);
    let held = held_since(world, -30, Guard::Budget(BudgetName::Disable)).verdict();
    assert_eq!(held.held[0].since, Some(hours(-30)));
}

#[test]
fn changes_with_dates_are_held_while_time_is_before_the_ledger() {
    let world = World::converged().member_with("matt", Role::Developer, dates(None, Some(0)));
    let ahead = world.clone().remember(1, world_begun()).verdict();
    assert_eq!(held(&ahead), ["disable matt@acme.io by clock"]);
    assert!(messages(&ahead)[0].contains("is dated 3600 s in the future"));
    assert!(world.remember(0, world_begun()).verdict().held.is_empty());
}

/// Everybody who can be held by a guard that an approval lifts.
fn all_kinds() -> World {
    let gone = World::converged().both("yan", Role::Developer).seen(-2);
    let mut gone = gone;
    gone.accounts.retain(|account| account.email != email("yan"));
    gone.seen(-1)
        .no_member("john")
        .member("max", Role::Business)
        .member("matt", Role::Admin)
        .member("zoe", Role::Admin)
        .limits(|limits| {
            for name in BudgetName::ALL {
                budget(name, 0, 0)(limits);
            }
        })
}

#[test]
fn an_approval_overrides_its_guards_for_its_people() {
    let alone = held(&all_kinds().verdict());
    assert_eq!(
        alone,
        [
            "update_role matt@acme.io by grant-admin-budget",
            "update_role max@acme.io by demote-budget",
            "disable john@acme.io by disable-budget",
            "invite yan@acme.io by vanished, invite-budget",
            "invite zoe@acme.io by grant-admin-budget, invite-budget",
        ]
    );
    let with = |budget, people: &[&str]| held(&all_kinds().approve(budget, people).verdict());
    let without = |at: usize| {
        let mut rest = alone.clone();
        rest.remove(at);
        rest
    };
    assert_eq!(with(BudgetName::GrantAdmin, &["matt"]), without(0));
    assert_eq!(with(BudgetName::Demote, &["max"]), without(1));
    assert_eq!(with(BudgetName::Disable, &["JOHN"]), without(2));
    assert_eq!(with(BudgetName::Invite, &["yan"]), without(3), "and `vanished` with it");
    assert_eq!(with(BudgetName::Disable, &["matt", "max", "yan", "nobody"]), alone);
    let mut half = alone.clone();
    half[4] = "invite zoe@acme.io by grant-admin-budget".into();
    assert_eq!(with(BudgetName::Invite, &["zoe"]), half, "it needs both");
}

#[test]
fn overridden_guards_are_reported() {
    let verdict = all_kinds().approve(BudgetName::Invite, &["yan"]).verdict();
    let lifted: Vec<String> =
        verdict.overridden.iter().map(|(key, by)| format!("{} {by:?}", key.email)).collect();
    assert_eq!(lifted, ["yan@acme.io [Vanished, Budget(Invite)]"]);
}

#[test]
fn a_used_approval_releases_nothing() {
    let world = all_kinds().approve(BudgetName::Disable, &["john"]);
    let entry = Entry::ApprovalUsed { budget: BudgetName::Disable, email: email("john") };
    let used = world.clone().remember(0, [entry]);
    assert!(held(&used.verdict()).contains(&"disable john@acme.io by disable-budget".into()));
    assert!(!held(&world.verdict()).iter().any(|row| row.contains("john")));
}

#[test]
fn no_approval_overrides_the_lock_out_guards() {
    let people = ["alexandra", "jonny", "matt", "max", "john"];
    let everybody = |world: World| {
        BudgetName::ALL.into_iter().fold(world, |world, name| world.approve(name, &people))
    };
    let nobody = everybody(World { members: Vec::new(), ..World::converged() });
    assert_eq!(nobody.verdict().held.len(), 5, "an empty roster");
    let suspended = World::converged().no_member("john").limits(|limits| limits.suspend = true);
    assert_eq!(everybody(suspended).verdict().held.len(), 1);
    let floor = World::converged().no_member("alexandra").no_member("jonny").limits(boundless);
    assert_eq!(everybody(floor).verdict().held.len(), 2);
    let required = World::converged()
        .no_member("jonny")
        .limits(|limits| limits.required_admins = vec![email("jonny")]);
    assert_eq!(everybody(required).verdict().held.len(), 1);
    let mut clock = World::converged().member_with("matt", Role::Developer, dates(None, Some(0)));
    clock.server_time = Some(hours(1));
    assert_eq!(everybody(clock.clone()).verdict().held.len(), 1);
    let lifted = guard::evaluate(&clock.plan(), &clock.limits, &clock.memory, Override::All);
    assert_eq!(lifted.held.len(), 1, "nor does a person");
}

#[test]
fn the_block_is_short_for_a_few_and_a_list_for_more() {
    let block = |count: usize| {
        let world = World::converged().limits(budget(BudgetName::Disable, 0, 0));
        let world = (0..count).fold(world, |it, n| it.account(&format!("user{n}"), Role::Analyst));
        world.verdict().approvals(None).unwrap()
    };
    let users = "user0@acme.io, user1@acme.io, user2@acme.io";
    assert_eq!(
        block(3),
        format!("approvals:\n  - disable: [{users}]\n    reason: \"\" # write why\n")
    );
    let users: String = (0..4).map(|n| format!("\n      - user{n}@acme.io")).collect();
    assert_eq!(
        block(4),
        format!("approvals:\n  - disable:{users}\n    reason: \"\" # write why\n")
    );
}

#[test]
fn holds_added_later_are_merged_in_order() {
    let one = |name: &str| {
        let world = World::converged().limits(budget(BudgetName::Disable, 0, 0));
        world.account(name, Role::Analyst).verdict()
    };
    let (mut first, later) = (one("yan"), one("bob"));
    first.add(later.held.clone(), later.violations.clone());
    let order = ["disable bob@acme.io by disable-budget", "disable yan@acme.io by disable-budget"];
    assert_eq!(held(&first), order);
    assert_eq!(first.violations.len(), 2, "they concern different people");
    first.add(Vec::new(), later.violations);
    assert_eq!(first.violations.len(), 2, "the same again");
}

#[test]
fn include_held_overrides_what_an_approval_could() {
    let world = all_kinds();
    let verdict = guard::evaluate(&world.plan(), &world.limits, &world.memory, Override::All);
    assert!(verdict.held.is_empty());
    assert_eq!(approved(&verdict).len(), 5);
}

#[test]
fn the_block_releases_exactly_what_is_held_whatever_the_addresses_are() {
    let hostile = "o'connor \"q\" \\ \u{202e}#: [x]@acme.io";
    let mut world = all_kinds().account(hostile, Role::Developer);
    for n in 0..5 {
        world = world.account(&format!("user{n}"), Role::Developer);
    }
    let verdict = world.verdict();
    let block = verdict.approvals(None).unwrap();
    let mut sources = Sources::default();
    let roster = "version: 1\nusers: [{ email: alexandra@acme.io, role: ADMIN }]\n";
    sources.add("users.yaml", format!("{roster}{block}"));
    let zone = jiff::tz::TimeZone::UTC;
    let (read, found) = checks::validate(raw::read(&sources), &sources, &zone, now());
    let read = read.unwrap_or_else(|| panic!("{found:?}\n{block}"));
    world.approvals = read.approvals().to_vec();
    assert!(world.verdict().held.is_empty(), "{:?}\n{block}", held(&world.verdict()));
    let short = verdict.approvals_in_short().unwrap();
    assert!(!short.contains('\n') && short.starts_with("approvals: [{ disable: ["), "{short}");
    assert_eq!(World::converged().verdict().approvals(None), None);
}
