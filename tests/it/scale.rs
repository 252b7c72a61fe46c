//! A plan for 100,000 users is correct.

use rosterd::plan::change::Class;
use rosterd::role::Role;
use rosterd::roster::Member;

use crate::support::world::{World, email};

const USERS: usize = 100_000;

/// Every user is in the roster and in the workspace; in every thousand, four differ.
fn large_world() -> World {
    let mut world = World::converged();
    let template = world.members[2].clone();
    let account = world.accounts[2].clone();
    for n in 0..USERS {
        let name = format!("user{n:06}");
        let role = if n % 1000 == 1 { Role::Business } else { Role::Developer };
        if n % 1000 != 2 {
            let mut member = Member { email: email(&name), ..template.clone() };
            member.aliases = Box::new([email(&format!("{name}-alt"))]);
            world.members.push(member);
        }
        if n % 1000 != 3 {
            // One in a thousand under the alias, the others in another spelling.
            let shown = if n % 1000 == 4 { format!("{name}-alt") } else { name.to_uppercase() };
            let mut account = account.clone();
            (account.email, account.role) = (email(&shown), role);
            account.uid = rosterd::directory::Uid(name.into());
            world.accounts.push(account);
        }
    }
    world
}

#[test]
fn a_plan_for_100_000_users_is_correct() {
    let plan = large_world().plan();
    let of = |class| plan.changes().iter().filter(|change| change.action.class() == class).count();
    assert_eq!(Class::ALL.map(of), [100, 0, 100, 100, 0]);
    assert_eq!(plan.findings().len(), 100, "the accounts under an alias");
    assert_eq!(plan.facts.in_sync, 5 + USERS - 300);
    assert_eq!(plan.facts.managed, 5 + USERS - 100);
    let is_different = |name: &str| name.ends_with(['1', '2', '3']);
    assert!(
        plan.changes()
            .iter()
            .all(|change| { is_different(change.email.as_str().split('@').next().unwrap()) })
    );
}
