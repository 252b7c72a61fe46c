//! What plans say beside their changes: addresses of one person, what is waited for, approvals.

use rosterd::action::{Action, BudgetName};
use rosterd::directory::InviteStatus;
use rosterd::email::Email;
use rosterd::guard;
use rosterd::memory::Memory;
use rosterd::memory::entry::{Closing, Entry, Fate};
use rosterd::plan::FindingKind;
use rosterd::role::Role;

use crate::support::world::{World, disable, email, hours, intent, told};

/// A member under a new address, whose account still has the old one.
fn moved() -> World {
    World::default()
        .member_with("matt", Role::Admin, |member| member.aliases = [email("old")].into())
        .account("old", Role::Developer)
}

#[test]
fn a_change_names_every_address_of_its_person_once() {
    let also = |world: &World| -> Vec<String> {
        let plan = world.plan();
        plan.changes()[0].also.iter().map(Email::to_string).collect()
    };
    assert_eq!(also(&moved()), ["old@acme.io"]);
    let third = |member: &mut rosterd::roster::Member| {
        member.aliases = [email("old"), email("older")].into();
    };
    let world = moved().member_with("matt", Role::Admin, third);
    assert_eq!(also(&world), ["old@acme.io", "older@acme.io"]);
    let same = World::default().member("matt", Role::Admin).account("matt", Role::Developer);
    assert_eq!(also(&same), [""; 0]);
}

#[test]
fn of_two_invitations_the_one_that_can_be_accepted_counts_then_the_one_to_the_own_address() {
    let alias = |member: &mut rosterd::roster::Member| member.aliases = [email("old")].into();
    let kinds = |invitations: [(&str, &str); 2]| {
        let world = World::default().member_with("matt", Role::Developer, alias);
        let world = invitations.into_iter().fold(world, |world, (name, status)| {
            // The role says which of the two it was.
            let role = if name == "matt" { Role::Admin } else { Role::Analyst };
            world.invitation(name, role, InviteStatus::from_api(status))
        });
        told(&world.plan())
    };
    let own = ["InvitedWithOtherRole matt@acme.io ADMIN"];
    let old = ["InvitedWithOtherRole old@acme.io ANALYST"];
    for (matt, alias, expected) in
        [("SENT", "SENT", own), ("SENT", "EXPIRED", own), ("EXPIRED", "SENT", old)]
    {
        assert_eq!(kinds([("matt", matt), ("old", alias)]), expected, "{matt} {alias}");
        assert_eq!(kinds([("old", alias), ("matt", matt)]), expected, "{alias} {matt}");
    }
}

#[test]
fn without_a_ledger_nothing_is_waited_for_and_the_plan_says_so() {
    let expired = InviteStatus::Expired;
    let world = World::converged().member("zoe", Role::Developer).invitation(
        "zoe",
        Role::Developer,
        expired,
    );
    let without = World { memory: Memory::empty(), ..world.clone() }.plan();
    assert_eq!((without.remembers(), without.next()), (false, None));
    assert_eq!(told(&without), ["InvitationExpired zoe@acme.io DEVELOPER"]);
    let with = World { memory: Memory::of_ledger(), ..world }.plan();
    assert_eq!((with.remembers(), with.next()), (true, Some(hours(24))));
}

#[test]
fn what_settles_says_whether_the_api_has_answered() {
    let settling = |world: World, action: Action, name: &str, fate: Option<Fate>| {
        let world = world.seen(-2).remember(0, [intent(name, action)]);
        let of = world.memory.through();
        let closing = fate.map(|fate| Entry::Outcome(Closing { of, fate, detail: None }));
        let plan = world.remember(0, closing).plan();
        let kinds = plan.findings().iter().map(|finding| finding.kind.clone());
        let kinds: Vec<FindingKind> = kinds.collect();
        assert!(plan.changes().is_empty(), "{fate:?}");
        kinds
    };
    for (fate, answered) in [(Some(Fate::Done), true), (Some(Fate::Unknown), false), (None, false)]
    {
        let expected = [FindingKind::Settling { answered }];
        let leaver = World::converged().account("zoe", Role::Developer);
        assert_eq!(settling(leaver, disable("zoe"), "zoe", fate), expected, "{fate:?}");
        let comer = World::converged().member("zoe", Role::Developer);
        let invite = Action::Invite { role: Role::Developer };
        assert_eq!(settling(comer, invite, "zoe", fate), expected, "{fate:?}");
    }
    // What settles of somebody else says nothing.
    let two = World::converged().member("zoe", Role::Developer).member("yan", Role::Developer);
    let invite = || Action::Invite { role: Role::Developer };
    let two = two.remember(0, [intent("yan", invite())]);
    let of = two.memory.through();
    let two = two.remember(0, [Entry::Outcome(Closing { of, fate: Fate::Done, detail: None })]);
    let plan = two.remember(0, [intent("zoe", invite())]).plan();
    let of = |name: &str| {
        let mut found = plan.findings().iter();
        found.find(|it| it.email == email(name)).map(|finding| finding.kind.clone())
    };
    assert_eq!(of("yan"), Some(FindingKind::Settling { answered: true }));
    assert_eq!(of("zoe"), Some(FindingKind::Settling { answered: false }));
}

#[test]
fn an_approval_of_what_is_planned_is_not_idle() {
    let world = World::converged()
        .account("zoe", Role::Developer)
        .approve(BudgetName::Disable, &["zoe", "matt"]);
    let plan = world.plan();
    let idle: Vec<_> = plan.findings().iter().map(|it| (it.kind.clone(), &it.email)).collect();
    let budget = BudgetName::Disable;
    assert_eq!(idle, [(FindingKind::ApprovalIdle { budget }, &email("matt"))]);
}

#[test]
fn a_clock_is_trusted_until_the_server_shows_another() {
    let mut world = World::converged();
    assert!(guard::clock_is_trusted(&world.plan()));
    world.server_time = Some(hours(1));
    assert!(!guard::clock_is_trusted(&world.plan()));
}
