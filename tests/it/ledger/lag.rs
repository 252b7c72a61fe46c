//! Stale listings, which show less than an earlier one.

use rosterd::memory::entry::{Entry, Record};
use rosterd::plan::change::Action;
use rosterd::role::Role;

use crate::support::world::{World, disable, intent, now, plan_rows, uid};

/// Something of ours happened so many minutes ago, and a reading showed it at once.
fn shown(mut world: World, minutes: i64, name: &str, action: Action) -> World {
    let at = now() - jiff::SignedDuration::from_mins(minutes);
    let seq = world.memory.through() + 1;
    world.memory.fold(&Record { seq, at, entry: intent(name, action) });
    world.memory.fold(&Record { seq: seq + 1, at, entry: Entry::Shown { of: vec![seq] } });
    world
}

fn role(from: Role, to: Role) -> Action {
    Action::UpdateRole { uid: uid("matt"), from, to }
}

#[test]
fn an_effect_that_disappears_is_propagating_first() {
    let without = World::converged().no_member("matt");
    assert_eq!(plan_rows(&without.plan()).len(), 1);
    let disabled = shown(without.clone(), 9, "matt", disable("matt"));
    assert_eq!(plan_rows(&disabled.plan()), ["Propagating matt@acme.io DEVELOPER"]);
    let long_ago = shown(without, 10, "matt", disable("matt"));
    assert!(plan_rows(&long_ago.plan())[0].starts_with("disable matt@acme.io"));

    let analyst = World::converged().member("matt", Role::Analyst);
    let updated = shown(analyst, 1, "matt", role(Role::Developer, Role::Analyst));
    assert!(plan_rows(&updated.plan())[0].starts_with("Propagating matt@acme.io"));
}

#[test]
fn a_change_that_is_reverted_does_not_wait_for_the_first_attempt() {
    let world = World::converged().member("matt", Role::Analyst);
    let there = shown(world, 3, "matt", role(Role::Developer, Role::Analyst));
    let back = shown(there, 2, "matt", role(Role::Analyst, Role::Developer));
    assert!(plan_rows(&back.plan())[0].starts_with("update_role matt@acme.io"));
}
