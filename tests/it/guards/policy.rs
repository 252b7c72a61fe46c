//! Members whom the policy does not allow.

use rosterd::directory::InviteStatus;
use rosterd::guard::{self, BudgetName, Override};
use rosterd::role::Role;
use rosterd::roster::policy::{Domain, Policy};

use super::{approved, boundless, budget, held, messages};
use crate::support::world::{World, dates, email};

fn policy(world: World) -> World {
    let domains = |it: &[&str]| it.iter().map(|it| Domain::parse(it).unwrap()).collect();
    let policy = Policy { domains: domains(&["acme.io"]), guests: domains(&["partner.com"]) };
    World { policy, ..world }.limits(boundless)
}

#[test]
fn only_what_gives_is_held() {
    let world = policy(World::converged())
        .member("zoe@acme.oi", Role::Business)
        .member("yan", Role::Business)
        .member_with("ann", Role::Business, |it| it.aliases = Box::new([email("ann@home.me")]))
        .invitation("ann", Role::Business, InviteStatus::Expired)
        .member("grows@home.me", Role::Developer)
        .account("grows@home.me", Role::Business)
        .member("shrinks@home.me", Role::Business)
        .account("shrinks@home.me", Role::Developer)
        .member("side@home.me", Role::Business)
        .account("side@home.me", Role::Analyst)
        .member_with("ended@home.me", Role::Business, dates(None, Some(-1)))
        .account("ended@home.me", Role::Business)
        .both("stays@home.me", Role::Business)
        .account("gone@home.me", Role::Business);
    let verdict = world.verdict();
    assert_eq!(
        held(&verdict),
        ["update_role grows@home.me by policy", "invite zoe@acme.oi by policy"]
    );
    assert_eq!(
        approved(&verdict),
        [
            "update_role shrinks@home.me",
            "update_role side@home.me",
            "disable ended@home.me",
            "disable gone@home.me",
            "invite yan@acme.io",
        ]
    );
    assert_eq!(
        messages(&verdict),
        [
            "2 of 13 members may not get access or a higher role: an address is in no domain that is \
          allowed (policy.domains in rosterd.yaml)"
        ]
    );
    assert_eq!(
        verdict.violations[0].hint,
        "correct the address, or add its domain to `policy.domains`: grows@home.me, zoe@acme.oi"
    );
    let later = world.seen(-300).verdict();
    assert!(held(&later).contains(&"reinvite ann@acme.io by policy".to_owned()), "{later:?}");
}

#[test]
fn a_guest_is_held_until_the_access_ends() {
    let world = policy(World::converged()).member("zoe@partner.com", Role::Business);
    let verdict = world.clone().verdict();
    assert_eq!(held(&verdict), ["invite zoe@partner.com by policy"]);
    assert_eq!(
        messages(&verdict),
        ["1 of 6 members may not get access or a higher role: an address is a guest without \
          `expires` (policy.guests in rosterd.yaml)"]
    );
    assert_eq!(verdict.violations[0].hint, "write `expires` beside the member: zoe@partner.com");
    let ends = world.member_with("zoe@partner.com", Role::Business, dates(None, Some(48)));
    assert_eq!(approved(&ends.verdict()), ["invite zoe@partner.com"]);
}

#[test]
fn nothing_but_the_roster_or_the_policy_lifts_it() {
    let people = ["a@home.me", "b@home.me", "c@home.me", "d@home.me"];
    let world = people.iter().fold(World::converged(), |it, name| it.member(name, Role::Admin));
    let world = policy(world).approve(BudgetName::Invite, &people);
    let verdict = world.clone().approve(BudgetName::GrantAdmin, &people).verdict();
    assert_eq!(verdict.held.len(), 4);
    assert_eq!(verdict.approvals(None), None);
    assert!(verdict.violations[0].hint.ends_with(": a@home.me, b@home.me, c@home.me, …"));
    let by_hand = Override::All { reason: "for a test".into() };
    let all = guard::evaluate(&world.plan(), &world.limits, &world.memory, &by_hand);
    assert_eq!(all.held, verdict.held);
    let any = World { policy: Policy::default(), ..world };
    assert!(any.verdict().held.is_empty());
}

#[test]
fn it_fills_no_budget() {
    let world = policy(World::converged())
        .member("a@home.me", Role::Admin)
        .member("b@home.me", Role::Business)
        .member("zoe", Role::Admin)
        .limits(budget(BudgetName::Invite, 0, 1))
        .limits(budget(BudgetName::GrantAdmin, 0, 1));
    let verdict = world.verdict();
    assert_eq!(held(&verdict), ["invite a@home.me by policy", "invite b@home.me by policy"]);
    assert_eq!(approved(&verdict), ["invite zoe@acme.io"]);
}
