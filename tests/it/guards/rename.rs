//! The guard `rename`: an account without a member may be a member's under another address.

use rosterd::action::{Action, BudgetName};
use rosterd::directory::InviteStatus;
use rosterd::guard::Verdict;
use rosterd::plan::FindingKind;
use rosterd::plan::rename::NAME_HOLDS;
use rosterd::role::Role;
use rosterd::roster::Member;

use super::{approved, boundless, held};
use crate::support::world::{World, dates, email, hours, intent, now, plan_rows};

fn called(name: &str) -> impl FnOnce(&mut Member) {
    move |member| member.name = Some(name.into())
}

/// A workspace whose first listing is three days old.
fn known() -> World {
    World::converged().limits(boundless).seen(-72)
}

/// Adds a member who was invited this number of hours before now, and whose invitation is not
/// listed any more.
fn invited(world: World, name: &str, shown: &str, at: i64) -> World {
    let role = Role::Developer;
    let world = world.member_with(name, role.clone(), called(shown));
    world.remember(at, [intent(name, Action::Invite { role })])
}

/// The suspects of a plan: the account and the member whose it may be.
fn suspects(verdict: &Verdict) -> Vec<String> {
    let held = verdict.held.iter().filter_map(|held| {
        let member = held.change.suspect.as_ref()?;
        Some(format!("{} may be {member}", held.change.email))
    });
    held.collect()
}

const NONE: [&str; 0] = [];

#[test]
fn an_account_that_appears_instead_of_an_invitation_is_held_until_somebody_says_whose_it_is() {
    for address in ["janeqdoe@gmail.com", "jane.doe@acme.io", "jd@acme.io"] {
        let member = "jane.q.doe@gmail.com";
        let world = invited(known(), member, "Jane Doe", -47);
        let arrived = world.account(address, Role::Developer).seen(0);
        let verdict = arrived.verdict();
        assert_eq!(suspects(&verdict), [format!("{address} may be {member}")]);
        assert_eq!(approved(&verdict), NONE, "nor is the member invited again");
        let plan = arrived.plan();
        let finding = &plan.findings()[0];
        assert_eq!(finding.kind, FindingKind::MaybeRenamed { account: email(address) });
        assert_eq!(finding.email, email(member));
        // It does not end by itself: the same listing a month later.
        let later = World { memory: arrived.memory.clone(), ..arrived.clone() }.seen(700);
        assert_eq!(suspects(&later.verdict()).len(), 1);

        let approval = arrived.clone().approve(BudgetName::Disable, &[address]).verdict();
        assert_eq!(held(&approval), NONE);
        assert_eq!(approved(&approval), [format!("disable {address}")]);
        let alias = |it: &mut Member| it.aliases = Box::new([email(address)]);
        let alias = arrived.clone().member_with(member, Role::Developer, alias);
        assert_eq!(approved(&alias.verdict()), NONE);
        assert_eq!(plan_rows(&alias.plan()), [format!("EmailDiffers {member} DEVELOPER")]);
        for ended in [
            arrived.clone().account(member, Role::Developer),
            arrived.clone().no_member(member),
            arrived.clone().member_with(member, Role::Developer, dates(None, Some(0))),
        ] {
            let verdict = ended.verdict();
            assert_eq!(approved(&verdict), [format!("disable {address}")], "{verdict:?}");
        }
    }
}

#[test]
fn an_arrival_needs_an_invitation_of_ours_that_is_not_listed() {
    let john = |world: World| world.account("hand-made", Role::Developer).seen(0).verdict();
    let jane = |at| invited(known(), "jane", "Jane Doe", at);
    assert_eq!(suspects(&john(jane(-47))), ["hand-made@acme.io may be jane@acme.io"]);
    assert_eq!(suspects(&john(jane(0))).len(), 1, "accepted within minutes");
    let ahead = World { server_time: Some(hours(-48)), ..jane(-31 * 24) };
    assert_eq!(suspects(&john(ahead)).len(), 1, "29 days ago by the server's clock");
    for (why, world) in [
        ("the invitation is still listed", {
            jane(-47).invitation("jane", Role::Developer, InviteStatus::Pending)
        }),
        ("it expired", jane(-47).invitation("jane", Role::Developer, InviteStatus::Expired)),
        ("the last one is over 30 days old", jane(-31 * 24)),
        ("access has ended", jane(-47).member_with("jane", Role::Developer, dates(None, Some(0)))),
        ("access has not begun", {
            jane(-47).member_with("jane", Role::Developer, dates(Some(1), None))
        }),
        ("it is that of a former member, who had an invitation to this address", {
            jane(-47).remember(-46, [intent("hand-made", Action::Invite { role: Role::Developer })])
        }),
        ("not invited", known().member("jane", Role::Developer)),
        (
            "another role",
            known()
                .member("jane", Role::Business)
                .remember(-47, [intent("jane", Action::Invite { role: Role::Business })]),
        ),
        ("she has an account", jane(-47).account("jane", Role::Developer)),
        ("it was there before", {
            jane(-47)
                .no_member("jane")
                .account("hand-made", Role::Developer)
                .seen(-1)
                .member("jane", Role::Developer)
        }),
    ] {
        let verdict = john(world);
        assert_eq!(suspects(&verdict), NONE, "{why}");
        assert!(approved(&verdict).contains(&"disable hand-made@acme.io".to_owned()), "{why}");
    }
}

#[test]
fn at_most_one_arrival_is_held_for_a_member_and_the_likely_one_first() {
    let world = invited(known(), "jane", "Jane Doe", -47);
    let world =
        ["aaa", "bbb"].into_iter().fold(world, |it, name| it.account(name, Role::Developer));
    assert_eq!(suspects(&world.clone().seen(0).verdict()), ["aaa@acme.io may be jane@acme.io"]);
    let named = world.clone().named("bbb", "jane  DOE").seen(0).verdict();
    assert_eq!(suspects(&named), ["bbb@acme.io may be jane@acme.io"]);
    assert_eq!(approved(&named), ["disable aaa@acme.io"]);
    let alike = world.account("j.ane+x@gmail.com", Role::Developer).seen(0).verdict();
    assert_eq!(suspects(&alike), ["j.ane+x@gmail.com may be jane@acme.io"]);
    // A later one does not take her place.
    let first = invited(known(), "jane", "Jane Doe", -47).account("aaa", Role::Developer).seen(-1);
    let second = first.account("jane@gmail.com", Role::Developer).seen(0).verdict();
    assert_eq!(suspects(&second), ["aaa@acme.io may be jane@acme.io"]);
}

#[test]
fn of_several_who_arrived_at_once_each_may_be_each() {
    let world = invited(invited(known(), "jane", "Jane Doe", -47), "yan", "Yan Lee", -47);
    let world = world.account("aaa", Role::Developer).account("bbb", Role::Developer).seen(-1);
    let both = ["aaa@acme.io may be jane@acme.io", "bbb@acme.io may be yan@acme.io"];
    assert_eq!(suspects(&world.verdict()), both);
    // `aaa` is Yan's after all: `bbb` is not disabled, because it may be Jane's.
    let alias = |it: &mut Member| it.aliases = Box::new([email("aaa")]);
    let known = world.clone().member_with("yan", Role::Developer, alias).seen(0).verdict();
    assert_eq!(
        (suspects(&known), approved(&known)),
        (vec!["bbb@acme.io may be jane@acme.io".to_owned()], vec![],)
    );
    // One member is left: one account stays held.
    let one = world.no_member("yan").seen(0).verdict();
    assert_eq!(suspects(&one), ["aaa@acme.io may be jane@acme.io"]);
    assert_eq!(approved(&one), ["disable bbb@acme.io"]);
}

/// One person under a new address, as it looks without an alias.
fn renamed(at: i64) -> World {
    let matt = World::converged().limits(boundless).named("matt", " Matt  McDonald ").seen(-72);
    matt.no_member("matt").member_with("matthew", Role::Developer, called("matt mcdonald")).seen(at)
}

#[test]
fn an_account_with_the_name_of_a_new_member_is_held_for_a_day() {
    let rows = ["disable matt@acme.io by rename"];
    let fresh = renamed(0);
    assert_eq!(held(&fresh.verdict()), rows);
    assert_eq!(
        approved(&fresh.verdict()),
        ["invite matthew@acme.io"],
        "the new address is invited"
    );
    assert_eq!(fresh.plan().next, Some(now() + NAME_HOLDS));
    assert_eq!(held(&renamed(-23).verdict()), rows);
    assert_eq!(renamed(-23).plan().next, Some(hours(1)));
    assert_eq!(held(&renamed(-24).verdict()), NONE, "once an account");
    let mut ahead = renamed(-24);
    ahead.server_time = Some(hours(-20));
    assert_eq!(held(&ahead.verdict()), ["disable matt@acme.io by clock"]);
    let blank = World { memory: rosterd::memory::Memory::empty(), ..renamed(0) };
    assert_eq!(held(&blank.verdict()), rows, "and without a ledger");
    // Whatever becomes of the sign meanwhile.
    let invite = intent("matthew", Action::Invite { role: Role::Developer });
    for still in [
        renamed(-2).remember(-1, [invite]).invitation(
            "matthew",
            Role::Developer,
            InviteStatus::Pending,
        ),
        renamed(-2).named("matt", "M"),
        renamed(-2).member("matthew", Role::Developer),
        renamed(-2).account("matthew", Role::Developer),
        renamed(-2).account("matt", Role::Business).named("matt", "Other"),
        // Another address again: the day is the same.
        renamed(-2).no_member("matthew").member_with(
            "mcd",
            Role::Developer,
            called("Matt McDonald"),
        ),
    ] {
        let still = still.seen(0);
        assert_eq!(held(&still.verdict()), rows);
        assert_eq!(still.plan().next, Some(hours(22)));
    }
    // But for a member who left.
    assert_eq!(held(&renamed(-2).no_member("matthew").verdict()), NONE);
    let expired = renamed(-2).member_with("matthew", Role::Developer, dates(None, Some(0)));
    assert_eq!(held(&expired.verdict()), NONE);
}

#[test]
fn a_name_is_a_sign_only_if_it_is_full_and_unique() {
    let world = || World::converged().limits(boundless).no_member("matt").no_member("max");
    let held = |world: World| suspects(&world.verdict());
    let joins =
        |world: World, name: &str| world.member_with("matthew", Role::Developer, called(name));
    let both = ["matt@acme.io may be matthew@acme.io"];
    assert_eq!(held(joins(world().named("matt", "Matt McDonald"), "Matt McDonald")), both);
    assert_eq!(held(joins(world().named("matt", "Matt"), "Matt")), NONE);
    assert_eq!(held(joins(world().named("matt", " "), "")), NONE);
    let two = world().named("matt", "Matt McDonald").named("max", "Matt McDonald");
    assert_eq!(held(joins(two, "Matt McDonald")), NONE, "two accounts");
    let two = world().named("matt", "Matt McDonald").member_with(
        "mcd",
        Role::Business,
        called("MATT MCDONALD"),
    );
    assert_eq!(held(joins(two, "Matt McDonald")), NONE, "two members");
    let has_one = world().named("matt", "John Doe").member_with("john", Role::Business, |it| {
        it.name = Some("John Doe".into());
    });
    assert_eq!(held(has_one), NONE, "the member has an account");
}

#[test]
fn a_sign_from_a_clock_that_was_ahead_counts_from_now() {
    let ahead = renamed(240).seen(0);
    assert_eq!(ahead.plan().next, Some(now() + NAME_HOLDS));
    assert_eq!(held(&ahead.verdict()), ["disable matt@acme.io by rename"]);
    assert_eq!(ahead.memory.renames().len(), 1);
}

#[test]
fn a_possible_rename_fills_no_budget() {
    let world = renamed(0).limits(|limits| {
        for budget in limits.budgets.values_mut() {
            (budget.floor, budget.percent) = (1, 0);
        }
    });
    let verdict = world.no_member("max").verdict();
    assert_eq!(held(&verdict), ["disable matt@acme.io by rename"]);
    assert_eq!(approved(&verdict), ["disable max@acme.io", "invite matthew@acme.io"]);
}
