//! Each guard: what it holds, what it lets go, and what it says.

mod policy;
mod remembered;
mod rename;

use rosterd::directory::Uid;
use rosterd::guard::{self, Budget, BudgetName, Guard, Limits, Override, Verdict};
use rosterd::memory::Memory;
use rosterd::plan::Plan;
use rosterd::plan::change::{Action, Change, Class};
use rosterd::role::Role;
use rosterd::roster::Member;

use crate::support::world::{World, dates, disable, elevated, email, hours, intent, uid};

fn held(verdict: &Verdict) -> Vec<String> {
    let row = |held: &guard::Held| {
        let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
        format!("{} {} by {}", held.change.action.kind(), held.change.email, by.join(", "))
    };
    verdict.held.iter().map(row).collect()
}

fn approved(verdict: &Verdict) -> Vec<String> {
    let row = |change: &Change| format!("{} {}", change.action.kind(), change.email);
    verdict.approved.changes().iter().map(row).collect()
}

fn messages(verdict: &Verdict) -> Vec<&str> {
    verdict.violations.iter().map(|refusal| refusal.message.as_str()).collect()
}

/// Budgets that never hold.
fn boundless(limits: &mut Limits) {
    for budget in limits.budgets.values_mut() {
        (budget.floor, budget.max) = (1_000_000, 1_000_000);
    }
}

fn budget(name: BudgetName, percent: u8, floor: usize) -> impl FnOnce(&mut Limits) {
    move |limits| {
        let default = limits.budgets[&name];
        limits.budgets.insert(name, Budget { percent, floor, ..default });
    }
}

#[test]
fn a_converged_workspace_holds_nothing() {
    assert_eq!(World::converged().verdict(), Verdict::default());
}

#[test]
fn a_suspended_workspace_holds_everything() {
    let world = World::converged().no_member("john").member("zoe", Role::Business);
    let verdict = world.limits(|limits| limits.suspend = true).verdict();
    assert_eq!(
        held(&verdict),
        ["disable john@acme.io by suspend", "invite zoe@acme.io by suspend"]
    );
    assert!(verdict.approved.is_empty());
    assert_eq!(
        messages(&verdict),
        ["all 2 changes, because the workspace is suspended (suspend in rosterd.yaml)"]
    );
    let quiet = World::converged().limits(|limits| limits.suspend = true).verdict();
    assert_eq!(quiet, Verdict::default(), "nothing wanted, nothing held");
}

#[test]
fn an_empty_roster_holds_every_disable_however_few() {
    let world = World::default().account("matt", Role::Developer).limits(boundless);
    let verdict = world.verdict();
    assert_eq!(held(&verdict), ["disable matt@acme.io by empty-roster"]);
    assert_eq!(
        messages(&verdict),
        ["1 of 1 accounts, because the roster has no members (users in users.yaml)"]
    );
    let one = World::default().account("matt", Role::Developer).both("max", Role::Admin);
    assert_eq!(approved(&one.verdict()), ["disable matt@acme.io"]);
}

#[test]
fn a_budget_allows_its_limit_and_holds_everything_above_it() {
    let world = World::converged().crowd(5).member("zoe", Role::Business);
    let three = world.clone().no_member("user0").no_member("user1").no_member("user2");
    assert!(three.verdict().held.is_empty());
    let verdict = three.no_member("user3").verdict();
    assert_eq!(verdict.held.len(), 4, "the whole class, never the excess alone");
    assert!(verdict.held.iter().all(|held| held.by == [Guard::Budget(BudgetName::Disable)]));
    assert_eq!(approved(&verdict), ["invite zoe@acme.io"], "the other classes go on");
    assert_eq!(
        messages(&verdict),
        ["4 of 10 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)"]
    );
}

#[test]
fn a_percentage_counts_where_it_is_more_than_the_floor() {
    // 40 managed accounts, 20 % of them: 8.
    let world = World::converged().crowd(35).account("svc", Role::Admin).unmanaged("svc*");
    let without = |count| {
        (0..count).fold(world.clone(), |world, n| world.no_member(&format!("user{n}"))).verdict()
    };
    assert_eq!(without(8).held.len(), 0);
    assert_eq!(without(9).held.len(), 9);
    assert_eq!(
        messages(&without(9)),
        ["9 of 40 accounts within 24 h, limit 8 (guard.budgets.disable in rosterd.yaml)"]
    );
}

#[test]
fn no_percentage_allows_more_than_the_maximum() {
    // 405 managed accounts, 20 % of them: 81.
    let world = World::converged().crowd(400);
    let without = |count| {
        (0..count).fold(world.clone(), |world, n| world.no_member(&format!("user{n}"))).verdict()
    };
    assert_eq!(without(50).held.len(), 0);
    assert_eq!(
        messages(&without(51)),
        ["51 of 405 accounts within 24 h, limit 50 (guard.budgets.disable in rosterd.yaml)"]
    );
}

#[test]
fn each_budget_counts_its_own_kind() {
    let world = World::converged()
        .no_member("john")
        .member("max", Role::Business)
        .member("zoe", Role::Admin)
        .member("yan", Role::Business);
    for (name, expected) in [
        (BudgetName::Disable, vec!["disable john@acme.io by disable-budget"]),
        (BudgetName::Demote, vec!["update_role max@acme.io by demote-budget"]),
        (BudgetName::GrantAdmin, vec!["invite zoe@acme.io by grant-admin-budget"]),
        (
            BudgetName::Invite,
            vec!["invite yan@acme.io by invite-budget", "invite zoe@acme.io by invite-budget"],
        ),
    ] {
        let verdict = world.clone().limits(budget(name, 0, 0)).verdict();
        assert_eq!(held(&verdict), expected);
        let place = format!("(guard.budgets.{} in rosterd.yaml)", name.key());
        assert!(messages(&verdict)[0].ends_with(&place));
        assert!(verdict.violations[0].hint.contains(&format!("guard.budgets.{}", name.key())));
    }
}

#[test]
fn an_elevation_and_an_update_to_admin_count_as_granted() {
    let world = World::converged()
        .member("max", Role::Admin)
        .member_with("matt", Role::Developer, elevated(Role::Admin, 1))
        .limits(budget(BudgetName::GrantAdmin, 0, 1));
    assert_eq!(
        held(&world.verdict()),
        [
            "update_role matt@acme.io by grant-admin-budget",
            "update_role max@acme.io by grant-admin-budget"
        ]
    );
}

#[test]
fn earlier_changes_count() {
    let disables = |used: i64, at: i64| {
        let entries = (0..used).map(|n| intent(&format!("user{n}"), disable(&format!("user{n}"))));
        World::converged().no_member("john").remember(at, entries).verdict()
    };
    assert!(disables(2, -1).held.is_empty());
    assert_eq!(disables(3, -1).held.len(), 1);
    assert!(disables(3, -24).held.is_empty(), "out of the window");
    let told = "4 of 5 accounts within 24 h, 3 of them already";
    assert!(messages(&disables(3, -1))[0].starts_with(told));
}

#[test]
fn a_role_of_the_same_tier_or_an_unknown_one_counts_as_demoted() {
    for role in [Role::Analyst, Role::from_api("NEW_ROLE")] {
        let world = World::converged().member("john", role);
        let verdict = world.limits(budget(BudgetName::Demote, 0, 0)).verdict();
        assert_eq!(held(&verdict), ["update_role john@acme.io by demote-budget"]);
    }
}

#[test]
fn the_first_admins_of_a_workspace_are_not_held() {
    let four = ["matt", "max", "zoe", "yan"];
    let world = four.into_iter().fold(World::default(), |w, name| w.member(name, Role::Admin));
    assert!(world.verdict().held.is_empty(), "no account yet");
    let world = world.both("john", Role::Business);
    assert!(world.verdict().held.is_empty(), "no admin yet");
    let world = world.both("alexandra", Role::Admin);
    assert_eq!(world.verdict().held.len(), 4, "the ordinary limit, 3");
}

#[test]
fn a_roster_that_keeps_no_admin_takes_admin_from_nobody() {
    let world = World::converged().no_member("alexandra").member("jonny", Role::Business);
    assert_eq!(
        held(&world.verdict()),
        ["update_role jonny@acme.io by min-admins", "disable alexandra@acme.io by min-admins"]
    );
}

#[test]
fn the_minimum_holds_all_changes_that_would_break_it() {
    let world = World::converged()
        .member_with("alexandra", Role::Admin, dates(None, Some(0)))
        .member_with("jonny", Role::Admin, dates(None, Some(0)))
        .account("zoe", Role::Admin);
    let verdict = world.clone().verdict();
    assert_eq!(
        held(&verdict),
        ["disable alexandra@acme.io by min-admins", "disable jonny@acme.io by min-admins"]
    );
    assert_eq!(approved(&verdict), ["disable zoe@acme.io"], "not a lasting admin");
    assert_eq!(
        messages(&verdict),
        ["2 of 3 admins would lose ADMIN, and 0 that the roster keeps would remain, limit 1 \
          (guard.min_admins in rosterd.yaml)"]
    );
    let verdict = world.limits(|limits| limits.min_admins = 0).verdict();
    assert!(verdict.held.is_empty(), "0 holds nothing");
}

#[test]
fn a_broken_minimum_holds_only_what_takes_admin() {
    let world = World::converged().no_member("jonny").account("zoe", Role::Business).member_with(
        "alexandra",
        Role::Admin,
        dates(None, Some(0)),
    );
    for floor in [2, 3] {
        let verdict = world.clone().limits(|limits| limits.min_admins = floor).verdict();
        assert_eq!(
            held(&verdict),
            ["disable alexandra@acme.io by min-admins", "disable jonny@acme.io by min-admins"],
            "an admin whom the roster drops counts where the floor is {floor}"
        );
        assert_eq!(approved(&verdict), ["disable zoe@acme.io"]);
    }
}

#[test]
fn without_a_permanent_admin_no_account_loses_admin() {
    let world = World::default()
        .account("alexandra", Role::Admin)
        .both("matt", Role::Developer)
        .account("matt", Role::Admin)
        .account("zoe", Role::Business);
    let verdict = world.clone().verdict();
    assert_eq!(
        held(&verdict),
        ["update_role matt@acme.io by min-admins", "disable alexandra@acme.io by min-admins"]
    );
    assert_eq!(approved(&verdict), ["disable zoe@acme.io"]);
    assert!(world.limits(|limits| limits.min_admins = 0).verdict().held.is_empty());
}

#[test]
fn a_grant_of_the_same_plan_never_counts() {
    let world = World::default()
        .both("zoe", Role::Developer)
        .member("zoe", Role::Admin)
        .both("alexandra", Role::Admin)
        .member("alexandra", Role::Business);
    let verdict = world.verdict();
    assert_eq!(approved(&verdict), ["update_role zoe@acme.io"]);
    assert_eq!(held(&verdict), ["update_role alexandra@acme.io by min-admins"]);
    let later = world.account("zoe", Role::Admin).verdict();
    assert_eq!(approved(&later), ["update_role alexandra@acme.io"], "a reading shows it");
}

#[test]
fn a_change_held_by_another_guard_does_not_count_against_the_minimum() {
    let world = World::converged()
        .member_with("alexandra", Role::Admin, dates(None, Some(0)))
        .member_with("jonny", Role::Admin, |_| {})
        .limits(|limits| limits.required_admins = vec![email("alexandra")]);
    assert_eq!(held(&world.verdict()), ["disable alexandra@acme.io by required-admins"]);
}

#[test]
fn a_required_admin_is_named_by_the_email_or_the_account_and_not_by_an_alias() {
    let alt = |member: &mut Member| member.aliases = Box::new([email("jonny-alt")]);
    let world = |required: &str| {
        World::converged()
            .member_with("jonny", Role::Business, alt)
            .no_member("matt")
            .limits(|limits| limits.required_admins = vec![email(required), email("alexandra")])
    };
    let moved = World::default()
        .member_with("jonny", Role::Business, alt)
        .member("zoe", Role::Admin)
        .account("jonny-alt", Role::Admin)
        .account("zoe", Role::Admin)
        .limits(|limits| {
            limits.required_admins = vec![email("jonny-alt")];
            limits.min_admins = 0;
        });
    let kept = ["update_role jonny@acme.io by required-admins"];
    assert_eq!(held(&moved.verdict()), kept, "the account's own address");
    let verdict = world("jonny").verdict();
    assert_eq!(held(&verdict), kept);
    assert_eq!(approved(&verdict), ["disable matt@acme.io"]);
    assert_eq!(
        messages(&verdict),
        ["1 of 2 required admins would lose ADMIN (guard.required_admins in rosterd.yaml)"]
    );
    assert_eq!(held(&world("jonny-alt").verdict()), [""; 0], "only an alias");
}

#[test]
fn an_approval_names_the_address_that_the_plan_shows() {
    let world = |approved: &str| {
        World::converged()
            .member_with("yan", Role::Business, |it| it.aliases = Box::new([email("yan-alt")]))
            .limits(budget(BudgetName::Invite, 0, 0))
            .approve(BudgetName::Invite, &[approved])
    };
    assert_eq!(approved(&world("yan").verdict()), ["invite yan@acme.io"]);
    let alias = world("yan-alt");
    assert_eq!(held(&alias.verdict()), ["invite yan@acme.io by invite-budget"]);
}

#[test]
fn a_workspace_without_an_admin_gets_its_first_ones_up_to_the_maximum() {
    let admins = |count| {
        let world = World::default().account("matt", Role::Developer).limits(|limits| {
            let budget = limits.budgets.get_mut(&BudgetName::GrantAdmin).unwrap();
            (budget.percent, budget.floor, budget.max) = (0, 1, 4);
        });
        (0..count).fold(world.member("matt", Role::Developer), |world, n| {
            world.member(&format!("admin{n}"), Role::Admin)
        })
    };
    assert_eq!(admins(4).verdict().held.len(), 0);
    let verdict = admins(5).verdict();
    assert_eq!(verdict.held.len(), 5);
    assert_eq!(
        messages(&verdict),
        ["5 of 1 accounts within 24 h, limit 4 (guard.budgets.grant_admin in rosterd.yaml)"]
    );
    assert_eq!(admins(2).both("zoe", Role::Admin).verdict().held.len(), 2, "limit 1");
}

#[test]
fn grant_admin_counts_every_administrative_or_unknown_role() {
    let from = [Role::Business, Role::Admin, Role::WorkspaceAdmin, Role::from_api("NEW")];
    let to = Role::KNOWN.into_iter().chain([Role::from_api("NEW"), Role::from_api("NEWER")]);
    let counted: Vec<String> = to
        .flat_map(|to| from.clone().map(|from| (from, to.clone())))
        .filter(|(from, to)| {
            let uid = Uid("u".into());
            let action = Action::UpdateRole { uid, from: from.clone(), to: to.clone() };
            from != to && !BudgetName::GrantAdmin.approves(&action)
        })
        .map(|(from, to)| format!("{from} {to}"))
        .collect();
    let free = ["DEVELOPER", "BUSINESS", "ANALYST", "SANDBOX_USER"];
    let free = free.iter().flat_map(|to| from.iter().map(move |from| format!("{from} {to}")));
    assert_eq!(counted, free.filter(|it| it != "BUSINESS BUSINESS").collect::<Vec<_>>());
}

#[test]
fn changes_with_dates_are_held_while_clocks_differ() {
    let mut world = World::converged()
        .member_with("matt", Role::Developer, dates(None, Some(0)))
        .member_with("max", Role::Developer, elevated(Role::Admin, 1))
        .member_with("john", Role::Developer, elevated(Role::Admin, 0))
        .account("john", Role::Admin)
        .member_with("yan", Role::Business, dates(Some(0), None))
        .member("zoe", Role::Business);
    let five = jiff::SignedDuration::from_mins(5);
    let second = jiff::SignedDuration::from_secs(1);
    for at in [hours(0) + five, hours(0) - five] {
        world.server_time = Some(at);
        assert!(world.verdict().held.is_empty(), "five minutes are tolerated");
    }
    for (at, side) in [(hours(0) + five + second, "behind"), (hours(0) - five - second, "ahead of")]
    {
        world.server_time = Some(at);
        let verdict = world.verdict();
        assert_eq!(
            held(&verdict),
            [
                "update_role max@acme.io by clock",
                "update_role john@acme.io by clock",
                "disable matt@acme.io by clock",
                "invite yan@acme.io by clock",
            ]
        );
        assert_eq!(approved(&verdict), ["invite zoe@acme.io"], "an edit is not a date");
        let expected = format!("is 301 s {side} the server's, limit 300 s");
        assert!(messages(&verdict)[0].ends_with(&expected), "{:?}", messages(&verdict));
    }
}

#[test]
fn every_change_of_a_member_with_dates_is_held_while_clocks_differ() {
    let mut world = World::converged()
        .member_with("matt", Role::Developer, dates(None, Some(48)))
        .account("matt", Role::Business)
        .member("zoe", Role::Developer)
        .account("zoe", Role::Business);
    world.server_time = Some(hours(72));
    let verdict = world.verdict();
    let matt = ["update_role matt@acme.io by clock"];
    assert_eq!(held(&verdict), matt, "his access is over by the server's clock");
    assert_eq!(approved(&verdict), ["update_role zoe@acme.io"]);
}

#[test]
fn several_guards_are_all_named() {
    let world = World::default()
        .account("zoe", Role::Admin)
        .limits(budget(BudgetName::Disable, 0, 0))
        .limits(|limits| limits.suspend = true);
    let verdict = world.verdict();
    assert_eq!(held(&verdict), ["disable zoe@acme.io by suspend, empty-roster, disable-budget"]);
    assert_eq!(verdict.violations.len(), 3);
    assert!(verdict.violations.is_sorted_by_key(|refusal| refusal.guard));
}

fn reevaluate(plan: &Plan, limits: &Limits, left: &[Change], effects: &[Change]) -> Verdict {
    guard::reevaluate(plan, limits, &Memory::empty(), &Override::None, left, effects)
}

#[test]
fn reevaluation_counts_what_happened() {
    let world = World::converged()
        .member("alexandra", Role::Business)
        .member_with("jonny", Role::Admin, dates(None, Some(0)))
        .both("zoe", Role::Admin)
        .limits(boundless);
    let plan = world.plan();
    assert_eq!(plan.facts.permanent_admins.len(), 2);
    let (left, none): (Vec<Change>, Vec<Change>) = (
        plan.changes().iter().filter(|c| c.action.class() == Class::Disable).cloned().collect(),
        vec![],
    );
    let again = |effects: &[Change]| reevaluate(&plan, &world.limits, &left, effects);
    assert!(again(&none).held.is_empty(), "zoe stays");
    let mut gone = left[0].clone();
    gone.action = rosterd::plan::change::Action::Disable { uid: uid("zoe"), role: Role::Admin };
    assert_eq!(held(&again(&[gone])), ["disable jonny@acme.io by min-admins"]);
}

#[test]
fn reevaluation_counts_budgets_with_what_happened() {
    let world = World::converged().no_member("john").no_member("matt");
    let world = world.limits(budget(BudgetName::Disable, 0, 1));
    let plan = world.plan();
    let (first, second) = plan.changes().split_at(1);
    let again =
        |left: &[Change], effects: &[Change]| reevaluate(&plan, &world.limits, left, effects);
    assert!(again(second, &[]).held.is_empty());
    assert!(again(first, first).held.is_empty(), "a second attempt at one thing");
    assert_eq!(again(second, first).held.len(), 1);
}
