//! What guards make of the ledger: budgets over time, foreseen ends, holds with an age, approvals.

use rosterd::action::{Action, BudgetName};
use rosterd::diagnostic::Sources;
use rosterd::guard::{self, Guard, Override};
use rosterd::memory::entry::{AttemptStatus, Entry, Key, OutcomeEntry};
use rosterd::role::Role;
use rosterd::roster::{ApprovalState, checks, raw};

use super::{approved, boundless, budget, held, messages};
use crate::support::world::{World, dates, disable, elevated, email, hours, intent, now, uid};

fn by_hand() -> Override {
    Override::All { reason: "for a test".into() }
}

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
fn a_clock_that_is_ahead_ends_no_window() {
    let mut world = one_leaves().remember(-25, [intent("zoe", disable("zoe"))]);
    assert_eq!(held(&world.verdict()), [""; 0]);
    for (server, is_held) in [(-2, 1), (-1, 0), (2, 0)] {
        world.server_time = Some(hours(server));
        assert_eq!(world.verdict().held.len(), is_held, "{server} h");
    }
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
fn an_end_of_access_has_a_budget_of_its_own_if_it_stood_for_a_window() {
    let limits = |limits: &mut rosterd::guard::Limits| {
        boundless(limits);
        budget(BudgetName::Disable, 0, 0)(limits);
        budget(BudgetName::Scheduled, 0, 1)(limits);
    };
    let world = World::converged()
        .member_with("matt", Role::Developer, dates(None, Some(0)))
        .limits(limits);
    for hours in [-1, -23] {
        let late = world.clone().seen(hours).verdict();
        assert_eq!(held(&late), ["disable matt@acme.io by disable-budget"], "{hours} h");
    }
    let scheduled = world.clone().seen(-24);
    assert!(scheduled.verdict().held.is_empty(), "{:?}", held(&scheduled.verdict()));
    assert!(scheduled.plan().changes()[0].scheduled);
    // It was taken back in between.
    let without = World::converged().member("matt", Role::Developer);
    let memory = World { memory: world.clone().seen(-48).memory, ..without }.seen(-30).memory;
    let again = World { memory, ..world.clone() };
    assert_eq!(again.clone().seen(-23).verdict().held.len(), 1);
    assert!(again.seen(-25).verdict().held.is_empty());
    let two = world.member_with("max", Role::Developer, dates(None, Some(0))).seen(-30);
    let verdict = two.verdict();
    let expected =
        ["disable matt@acme.io by scheduled-budget", "disable max@acme.io by scheduled-budget"];
    assert_eq!(held(&verdict), expected);
    assert!(verdict.approvals(None).unwrap().contains("disable: [matt@acme.io, max@acme.io]"));
}

#[test]
fn the_end_of_an_elevation_of_ours_is_free() {
    let none = |limits: &mut rosterd::guard::Limits| {
        boundless(limits);
        budget(BudgetName::Demote, 0, 0)(limits);
    };
    let grant = Action::UpdateRole { uid: uid("max"), from: Role::Developer, to: Role::Admin };
    let by_us = |world: World, elevates: bool| {
        let Entry::Intent(mut intent) = intent("max", grant.clone()) else { unreachable!() };
        intent.elevates = elevates;
        let world = world.remember(-30, [Entry::Intent(intent)]);
        world.account("max", Role::Admin).seen(-29)
    };
    let elevated =
        |ends| World::converged().member_with("max", Role::Developer, elevated(Role::Admin, ends));
    let world = by_us(elevated(0).seen(-31), true);
    assert!(world.clone().limits(none).verdict().held.is_empty());
    let demoted = ["update_role max@acme.io by demote-budget"];
    let by_hand = elevated(0).account("max", Role::Admin).seen(-29).limits(none).verdict();
    assert_eq!(held(&by_hand), demoted, "somebody else gave the role");
    let granted = by_us(elevated(0).seen(-31), false).limits(none).verdict();
    assert_eq!(held(&granted), demoted, "not for the elevation");
    let other = world.clone().member_with(
        "max",
        Role::Business,
        crate::support::world::elevated(Role::Admin, 0),
    );
    assert_eq!(held(&other.limits(none).verdict()), demoted, "not the role of before");
    let kept =
        World { members: World::converged().member("max", Role::Admin).members, ..world.clone() };
    let memory = kept.seen(-2).memory;
    let back = World { memory, ..world }.limits(none).verdict();
    assert_eq!(held(&back), demoted, "the roster had made it permanent");
}

fn world_begun() -> [Entry; 1] {
    [Entry::Ends { ends: Vec::new(), withdrawn: Vec::new() }]
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
    let lifted: Vec<String> = verdict
        .overridden
        .iter()
        .map(|(key, it)| format!("{} {:?}", key.email, it.guards))
        .collect();
    assert_eq!(lifted, ["yan@acme.io [Vanished, Budget(Invite)]"]);
    let by = &verdict.overridden.values().next().unwrap().by;
    assert_eq!((by.place.as_deref(), &*by.reason), (Some("users.yaml:90"), "for a test"));
}

#[test]
fn an_approval_that_an_earlier_version_used_releases_nothing() {
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
    let lifted = guard::evaluate(&clock.plan(), &clock.limits, &clock.memory, &by_hand());
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
    assert_eq!(first.violations.len(), 1, "they say the same");
}

#[test]
fn include_held_overrides_what_an_approval_could() {
    let world = all_kinds();
    let verdict = guard::evaluate(&world.plan(), &world.limits, &world.memory, &by_hand());
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
    assert!(read.approvals().iter().all(|it| it.state == ApprovalState::NotCommitted));
    world.approvals = read.approvals().to_vec();
    for approval in &mut world.approvals {
        approval.state = ApprovalState::Counts;
    }
    assert!(world.verdict().held.is_empty(), "{:?}\n{block}", held(&world.verdict()));
    let short = verdict.approvals_in_short().unwrap();
    assert!(!short.contains('\n') && short.starts_with("approvals: [{ disable: ["), "{short}");
    assert_eq!(World::converged().verdict().approvals(None), None);
}

/// Twenty accounts, a limit of two disables, and these members missing from the roster.
fn leaving(users: std::ops::Range<usize>) -> World {
    let world = World::converged().crowd(15).limits(budget(BudgetName::Disable, 0, 2));
    users.fold(world, |world, n| world.no_member(&format!("user{n}")))
}

/// The world after a run that held what it holds.
fn after_a_run(world: World) -> World {
    let verdict = world.verdict();
    let mut world = world.bound();
    let new = verdict
        .new_sets
        .iter()
        .map(|set| Entry::Set { budget: set.budget, members: set.members.clone() });
    let ended = Entry::SetEnded { of: verdict.ended_sets.clone() };
    let entries: Vec<Entry> = new.chain([ended]).collect();
    world.memory.preview(entries, now());
    world
}

/// The users of the crowd whose disable is held.
fn held_users(world: &World) -> Vec<String> {
    let held = world.verdict().held.into_iter();
    held.map(|it| it.change.email.as_str().replace("@acme.io", "").replace("user", "")).collect()
}

#[test]
fn later_leavers_are_judged_without_a_set() {
    let set = after_a_run(leaving(0..5));
    assert_eq!(held_users(&set), ["0", "1", "2", "3", "4"]);
    let later = set.clone().no_member("user7").no_member("user8");
    assert_eq!(held_users(&later), ["0", "1", "2", "3", "4"]);
    let many = later.clone().no_member("user9");
    assert_eq!(held_users(&many).len(), 8, "three more exceed the limit by themselves");
    let second = after_a_run(many);
    assert_eq!(held_users(&second.clone().no_member("user6")).len(), 8);
    assert_eq!(second.memory.sets(BudgetName::Disable).count(), 2);
    // What a set holds when it is unwanted and wanted again is still a member of it.
    let back = set.clone().both("user0", Role::Developer).both("user1", Role::Developer);
    let back = after_a_run(back);
    assert_eq!(held_users(&back), ["2", "3", "4"]);
    assert_eq!(held_users(&back.no_member("user0").no_member("user1")).len(), 5);
}

#[test]
fn a_set_ends_when_what_is_left_of_it_fits() {
    let set = after_a_run(leaving(0..5));
    let two = (2..5).fold(set, |it, n| it.both(&format!("user{n}"), Role::Developer));
    assert_eq!(held_users(&two), [""; 0]);
    assert_eq!(after_a_run(two.clone()).memory.sets(BudgetName::Disable).count(), 0);
    // They are counted like all others.
    assert_eq!(held_users(&two.no_member("user9")), ["0", "1", "9"]);
}

#[test]
fn what_is_approved_of_a_set_counts_for_the_rest_and_for_nobody_else() {
    let five = leaving(0..5);
    let approve = |count: usize| {
        let people: Vec<String> = (0..count).map(|n| format!("user{n}")).collect();
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        five.clone().approve(BudgetName::Disable, &people)
    };
    // The removal and the approvals are in one commit.
    assert_eq!(held_users(&approve(4)), ["4"], "four and one are more than two");
    assert_eq!(held_users(&approve(5)), [""; 0]);
    let approved = after_a_run(approve(5)).no_member("user8").no_member("user9");
    assert_eq!(held_users(&approved), [""; 0]);
    assert_eq!(held_users(&approved.no_member("user7")), ["7", "8", "9"]);
    // The four have been disabled.
    let mut later = after_a_run(approve(4));
    for n in 0..4 {
        let name = format!("user{n}");
        let Entry::Intent(mut intent) = intent(&name, disable(&name)) else { unreachable!() };
        let verdict = approve(4).verdict();
        let release = verdict.overridden.values().next().unwrap();
        (intent.approval, intent.approved) = (Some(release.by.clone()), release.approved.clone());
        let seq = later.memory.through() + 1;
        later.memory.preview(vec![Entry::Intent(intent), Entry::Shown { of: vec![seq] }], now());
        later.accounts.retain(|account| account.email != email(&name));
    }
    later = later.seen(0);
    assert_eq!(held_users(&later), ["4"], "however long the others are gone");
    assert_eq!(held_users(&later.clone().no_member("user8").no_member("user9")), ["4"]);
    assert_eq!(held_users(&later.approve(BudgetName::Disable, &["user4"])), [""; 0]);
}

#[test]
fn an_approval_of_one_action_exempts_from_its_budget_alone() {
    let world = World::converged().both("yan", Role::Developer);
    let limits = |limits: &mut guard::Limits| {
        budget(BudgetName::Invite, 0, 0)(limits);
        budget(BudgetName::GrantAdmin, 0, 1)(limits);
    };
    let invited = world.limits(limits).member("zoe", Role::Admin);
    let invited = invited.approve(BudgetName::Invite, &["zoe"]);
    let verdict = invited.verdict();
    let release = verdict.overridden.values().next().unwrap();
    assert_eq!(release.approved, [BudgetName::Invite]);
    let Entry::Intent(mut sent) = intent("zoe", Action::Invite { role: Role::Admin }) else {
        unreachable!()
    };
    (sent.approval, sent.approved) = (Some(release.by.clone()), release.approved.clone());
    let after = invited.remember(-1, [Entry::Intent(sent)]).member("yan", Role::Admin).verdict();
    assert_eq!(held(&after), ["update_role yan@acme.io by grant-admin-budget"]);
}

#[test]
fn what_was_approved_and_did_not_happen_does_not_count_for_the_rest() {
    let world = |status| {
        let five = leaving(0..3).approve(BudgetName::Disable, &["user0"]);
        let mut world = after_a_run(five);
        let Entry::Intent(mut intent) = intent("user0", disable("user0")) else { unreachable!() };
        let by = world.memory.approval(&world.approvals[0].item).unwrap().by.clone();
        (intent.approval, intent.approved) = (Some(by), vec![BudgetName::Disable]);
        let of = world.memory.through() + 1;
        let outcome = Entry::Outcome(OutcomeEntry { of, status, detail: None });
        world.memory.preview(vec![Entry::Intent(intent), outcome], hours(-1));
        world.both("user0", Role::Developer)
    };
    assert_eq!(held_users(&world(AttemptStatus::Done)), ["1", "2"]);
    assert_eq!(held_users(&world(AttemptStatus::Unknown)), ["1", "2"]);
    assert_eq!(held_users(&world(AttemptStatus::Rejected)), [""; 0]);
    assert_eq!(held_users(&world(AttemptStatus::NotSent)), [""; 0]);
}

#[test]
fn an_approval_releases_what_it_named_when_it_was_first_read() {
    // Nothing was held: later it releases nothing.
    let inert = leaving(0..2).approve(BudgetName::Disable, &["user0", "user1", "user2"]);
    let inert = after_a_run(inert).no_member("user2");
    assert_eq!(held_users(&inert), ["0", "1", "2"]);
    let plan = inert.plan();
    let kinds: Vec<_> = plan.findings().iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(kinds, ["approval_inert"; 3]);
    let mut again = inert.clone();
    for approval in &mut again.approvals {
        approval.item.reason = "they have left".into();
    }
    assert_eq!(held_users(&again), [""; 0], "with another reason it is another approval");
    // The account counts, not the address; and so does the role.
    let bound = after_a_run(leaving(0..5).approve(BudgetName::Disable, &["user0"]));
    assert_eq!(held_users(&bound), ["1", "2", "3", "4"]);
    let mut other = bound.clone();
    other.accounts.retain(|account| account.email != email("user0"));
    let other = other.account_as("another", "user0", Role::Developer);
    assert_eq!(held_users(&other), ["1", "2", "3", "4"], "judged apart from the set");
    assert!(other.verdict().overridden.is_empty());
    let none = |limits: &mut guard::Limits| budget(BudgetName::Demote, 0, 0)(limits);
    let demoted = World::converged().member("alexandra", Role::Business).limits(none);
    let demoted = after_a_run(demoted.approve(BudgetName::Demote, &["alexandra"]));
    assert_eq!(held(&demoted.verdict()), [""; 0]);
    let further = demoted.member("alexandra", Role::Developer).verdict();
    assert_eq!(held(&further), ["update_role alexandra@acme.io by demote-budget"]);
}

#[test]
fn an_approval_of_a_future_end_is_bound_to_its_instant() {
    let at = |ends| {
        let world = World::converged().member_with("max", Role::Developer, dates(None, Some(ends)));
        world.limits(budget(BudgetName::Disable, 0, 0)).approve(BudgetName::Disable, &["max"])
    };
    let bound = at(1).bound().memory;
    let past = |ends| World { memory: bound.clone(), ..at(ends) };
    let later = |ends: i64| {
        // The end that was an hour ahead has come.
        let mut world = past(ends);
        let time = world.members.iter_mut().find(|it| it.email == email("max"));
        time.unwrap().time.as_mut().unwrap().ends = Some(hours(ends));
        let roster = world.roster();
        let (rules, at) = (world.rules(), hours(2));
        let plan = rosterd::plan::plan(&roster, &world.snapshot(), &world.memory, rules, at);
        let verdict = guard::evaluate(&plan, &world.limits, &world.memory, &Override::None);
        verdict.held.len()
    };
    assert_eq!((later(1), later(0)), (0, 1));
}
