//! Property tests of plans and guards over random workspaces.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use rosterd::directory::Uid;
use rosterd::guard::{BudgetName, Limits, Verdict};
use rosterd::plan::OnRemoved;
use rosterd::plan::change::Change;
use rosterd::reconcile::Evaluation;
use rosterd::report::RunStatus;
use rosterd::role::Role;

use crate::support::directory::{Fake, take_effect};
use crate::support::run::Run;
use crate::support::states::{LINES, Line, Shown, shown};
use crate::support::world::{World, email, lines, plan_rows};

const NAMES: [&str; 7] = ["alexandra", "alice", "jonny", "john", "matt", "max", "zoe"];

type People = Vec<(Line, Shown)>;

fn people() -> impl Strategy<Value = People> {
    let person = (prop::sample::select(LINES.to_vec()), prop::sample::select(shown()));
    prop::collection::vec(person, 0..=NAMES.len())
}

fn limits() -> impl Strategy<Value = Limits> {
    let floors = prop::collection::vec(0..5_usize, 4);
    let required = prop::sample::subsequence(&["alexandra", "matt-alt"][..], 0..=2);
    (0..4_usize, floors, required).prop_map(|(min_admins, floors, required)| {
        let mut limits = Limits { min_admins, ..Limits::default() };
        limits.required_admins = required.into_iter().map(email).collect();
        for (name, floor) in BudgetName::ALL.into_iter().zip(floors) {
            let budget = limits.budgets.get_mut(&name).unwrap();
            (budget.floor, budget.max) = (floor, floor + 1);
        }
        limits
    })
}

fn world(people: &People, report: bool) -> World {
    let on_removed = if report { OnRemoved::Report } else { OnRemoved::Disable };
    let world = World { on_removed, ..World::default() };
    let named = people.iter().zip(NAMES);
    named.fold(world, |world, ((line, shown), name)| world.person(name, *line, *shown))
}

fn after<'a>(world: &World, changes: impl IntoIterator<Item = &'a Change>) -> World {
    let mut world = world.clone();
    changes.into_iter().for_each(|change| take_effect(&mut world, change));
    world
}

/// The addresses of the managed accounts that are ADMIN.
fn admins(world: &World) -> BTreeSet<String> {
    let roster = world.roster();
    let counts = |it: &&rosterd::directory::Account| {
        it.role == Role::Admin && !roster.is_unmanaged(&it.email)
    };
    world.accounts.iter().filter(counts).map(|account| account.email.folded()).collect()
}

/// The number of admins whose role in the roster is ADMIN and that match one account each.
fn permanent_admins(world: &World) -> usize {
    let admins = admins(world);
    let theirs = |member: &&rosterd::roster::Member| {
        let shown = world.accounts.iter();
        let found = shown.filter(|it| member.addresses().any(|address| *address == it.email));
        found.count() == 1 && member.addresses().any(|address| admins.contains(&address.folded()))
    };
    world.members.iter().filter(|member| member.role == Role::Admin).filter(theirs).count()
}

fn check_subset(before: &World, subset: &[&Change]) -> Result<(), TestCaseError> {
    let after = after(before, subset.iter().copied());
    let (was, floor) = (permanent_admins(before), before.limits.min_admins);
    // A grant only helps, so the invariant must hold without it.
    let removals: Vec<&Change> =
        subset.iter().copied().filter(|it| !it.action.to().is_some_and(Role::is_admin)).collect();
    let without_grants = self::after(before, removals);
    prop_assert!(permanent_admins(&without_grants) >= was.min(floor), "permanent admins");
    if was == 0 && floor > 0 {
        prop_assert!(admins(&after).is_superset(&admins(before)), "the last admins");
    }
    for required in &before.limits.required_admins {
        let name = required.folded();
        prop_assert!(!admins(before).contains(&name) || admins(&after).contains(&name));
    }
    let roster = before.roster();
    let managed = before.accounts.iter().filter(|it| !roster.is_unmanaged(&it.email)).count();
    let bootstrapped = before.accounts.iter().all(|account| account.role != Role::Admin);
    for (name, budget) in &before.limits.budgets {
        let used =
            subset.iter().filter(|change| name.counts(&change.action, change.scheduled)).count();
        let free = *name == BudgetName::GrantAdmin && bootstrapped;
        let percent = managed * usize::from(budget.percent) / 100;
        let limit = if free { budget.max } else { budget.floor.max(percent).min(budget.max) };
        prop_assert!(used <= limit, "{name:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_after_apply_is_empty(people in people(), report: bool) {
        let world = world(&people, report);
        let after = after(&world, world.plan().changes());
        prop_assert_eq!(lines(after.plan().changes()), [""; 0]);
    }

    #[test]
    fn input_order_does_not_matter(people in people(), report: bool, turn in 0..9_usize) {
        let one = world(&people, report);
        let mut other = one.clone();
        other.members.reverse();
        other.unmanaged.reverse();
        let (accounts, invitations) = (other.accounts.len(), other.invitations.len());
        other.accounts.rotate_left(turn % accounts.max(1));
        other.invitations.rotate_left(turn % invitations.max(1));
        prop_assert_eq!(plan_rows(&one.plan()), plan_rows(&other.plan()));
        prop_assert_eq!(format!("{:?}", one.plan()), format!("{:?}", other.plan()));
        prop_assert_eq!(one.verdict(), other.verdict());
    }

    #[test]
    fn unmanaged_and_unknown_accounts_are_not_changed(people in people(), report: bool) {
        let world = world(&people, report);
        let plan = world.plan();
        for ((line, shown), name) in people.iter().zip(NAMES) {
            let about = |change: &&Change| change.email.as_str().starts_with(name);
            let count = plan.changes().iter().filter(about).count();
            let two = matches!(shown, Shown::Two(_) | Shown::Same(_));
            match line {
                Line::Unmanaged => prop_assert_eq!(count, 0),
                Line::Absent if report => prop_assert_eq!(count, 0),
                Line::Absent | Line::Expired => prop_assert!(count <= 1 + usize::from(two)),
                _ if two => prop_assert_eq!(count, 0),
                _ => prop_assert!(count <= 1),
            }
        }
        for change in plan.changes() {
            let known = |uid: &Uid| world.accounts.iter().any(|account| account.uid == *uid);
            prop_assert!(change.action.uid().is_none_or(known), "only accounts in the snapshot");
        }
    }

    #[test]
    fn every_subset_of_the_approved_changes_satisfies_the_guards(
        people in people(),
        report: bool,
        limits in limits(),
    ) {
        let world = World { limits, ..world(&people, report) };
        let verdict = world.verdict();
        let approved = verdict.approved.changes();
        for bits in 0..1_u32 << approved.len() {
            let chosen = (0..approved.len()).filter(|at| bits & (1 << at) != 0);
            let subset: Vec<&Change> = chosen.map(|at| &approved[at]).collect();
            check_subset(&world, &subset)?;
        }
    }

    #[test]
    fn approved_and_held_are_the_plan(people in people(), report: bool, limits in limits()) {
        let world = World { limits, ..world(&people, report) };
        let (plan, verdict) = (world.plan(), world.verdict());
        let held = verdict.held.iter().map(|held| &held.change);
        let mut all = lines(verdict.approved.changes().iter().chain(held));
        let mut planned = lines(plan.changes());
        all.sort();
        planned.sort();
        prop_assert_eq!(all, planned);
        let sorted = plan.changes().is_sorted_by_key(|change| change.action.class());
        prop_assert!(sorted, "grants come first");
        for held in &verdict.held {
            let reported = |guard| verdict.violations.iter().any(|it| it.guard == guard);
            prop_assert!(!held.by.is_empty() && held.by.iter().all(|guard| reported(*guard)));
        }
    }

    #[test]
    fn the_printed_plan_is_sent(people in people(), report: bool, limits in limits()) {
        let world = World { limits, ..world(&people, report) };
        let fake = Fake::new(&world);
        let seen = std::sync::Mutex::new(Arc::<Verdict>::default());
        let note = |look: &Evaluation| *seen.lock().unwrap() = Arc::clone(&look.verdict);
        let report = Run::of(&world).seen(&note).blocking(&fake);
        let seen = seen.into_inner().unwrap();
        let sent: Vec<Change> = fake.sent().into_iter().flat_map(|sent| sent.changes).collect();
        prop_assert!(sent.is_sorted_by_key(|change| change.action.class()));
        let printed: BTreeSet<String> = lines(seen.approved.changes()).into_iter().collect();
        prop_assert_eq!(sent.len(), printed.len(), "nothing twice");
        prop_assert_eq!(lines(&sent).into_iter().collect::<BTreeSet<_>>(), printed);
        let expected = if seen.held.is_empty() { RunStatus::Converged } else { RunStatus::Held };
        prop_assert_eq!(report.status(), expected);
        prop_assert_eq!(&report.applied().unwrap().verdict, &seen);
    }
}
