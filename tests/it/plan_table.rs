//! The table of differences, enumerated: one person against the expected rows, and the independence
//! of two and three people. `past` adds the history as a third dimension.

mod past;

use rosterd::plan::OnRemoved;

use crate::support::states::{LINES, Line, Shown, Who, shown};
use crate::support::world::{World, email, plan_rows};

const MODES: [OnRemoved; 2] = [OnRemoved::Disable, OnRemoved::Report];

#[test]
fn a_converged_workspace_has_an_empty_plan() {
    let plan = World::converged().plan();
    assert_eq!(plan_rows(&plan), [""; 0]);
    assert_eq!(plan.facts.in_sync, 5);
}

/// The expected rows, abbreviated: `invite DEVELOPER`, `role ADMIN > BUSINESS`, `disable`, or the
/// kind of a finding.
fn table(line: Line, shown: Shown, mode: OnRemoved) -> Vec<String> {
    match line {
        Line::Unmanaged if shown == Shown::Nothing => vec!["UnmanagedIdle".into()],
        Line::Unmanaged => vec![],
        Line::Absent => absent(shown, mode),
        Line::Member(who) => member(who, who, shown, "role differs from the roster"),
        Line::Started => {
            member(Who::Developer, Who::Developer, shown, "role differs from the roster")
                .into_iter()
                .map(|row| row.replace("not in the workspace", "access starts"))
                .collect()
        }
        Line::Elevated => member(Who::Admin, Who::Developer, shown, "elevated"),
        Line::ElevationEnded => {
            let was_elevated = matches!(
                shown,
                Shown::Account(Who::Admin)
                    | Shown::Alias(Who::Admin)
                    | Shown::AccountAndInvitation(Who::Admin)
            );
            let why = if was_elevated { "elevation ended" } else { "role differs from the roster" };
            member(Who::Developer, Who::Developer, shown, why)
        }
        Line::Future => future(shown),
        Line::Expired => expired(shown),
    }
}

fn absent(shown: Shown, mode: OnRemoved) -> Vec<String> {
    let removal = match mode {
        OnRemoved::Disable => "disable: not in the roster",
        OnRemoved::Report => "Drift",
    };
    match shown {
        Shown::Nothing => vec![],
        Shown::Account(_) | Shown::Alias(_) => vec![removal.into()],
        Shown::Two(_) | Shown::Same(_) => vec![removal.into(), removal.into()],
        Shown::Pending(_) => vec!["UnexpectedInvitation".into()],
        Shown::Odd(_) => vec!["UnexpectedInvitation".into(), "UnknownStatus".into()],
        Shown::Lapsed(_) => vec!["UnexpectedInvitationExpired".into()],
        Shown::AccountAndInvitation(_) => vec![removal.into(), "UnexpectedInvitation".into()],
    }
}

/// `wanted` is the role in force, `own` the role of an invitation.
fn member(wanted: Who, own: Who, shown: Shown, why: &str) -> Vec<String> {
    let role = |from: Who| {
        let row = format!("role {} > {}: {why}", from.role(), wanted.role());
        (from != wanted).then_some(row)
    };
    let invited = |who| if who == own { "Invited" } else { "InvitedWithOtherRole" }.to_owned();
    match shown {
        Shown::Nothing => vec![format!("invite {}: not in the workspace", own.role())],
        Shown::Account(who) | Shown::AccountAndInvitation(who) => role(who).into_iter().collect(),
        Shown::Alias(who) => role(who).into_iter().chain(["EmailDiffers".into()]).collect(),
        Shown::Two(_) | Shown::Same(_) => vec!["SeveralAccounts".into()],
        Shown::Pending(who) => vec![invited(who)],
        Shown::Odd(who) => vec![invited(who), "UnknownStatus".into()],
        Shown::Lapsed(_) => vec!["InvitationExpired".into()],
    }
}

fn future(shown: Shown) -> Vec<String> {
    match shown {
        Shown::Account(_) | Shown::AccountAndInvitation(_) => vec!["ActiveBeforeStart".into()],
        Shown::Alias(_) => vec!["ActiveBeforeStart".into(), "EmailDiffers".into()],
        Shown::Two(_) | Shown::Same(_) => vec!["SeveralAccounts".into()],
        Shown::Nothing | Shown::Pending(_) | Shown::Odd(_) | Shown::Lapsed(_) => {
            vec!["NotStarted".into()]
        }
    }
}

/// The member is named in the file, so `on_removed` does not matter.
fn expired(shown: Shown) -> Vec<String> {
    match shown {
        Shown::Nothing => vec![],
        Shown::Account(_) | Shown::AccountAndInvitation(_) => vec!["disable: expired".into()],
        Shown::Alias(_) => vec!["disable: expired".into(), "EmailDiffers".into()],
        Shown::Two(_) => {
            vec!["disable: expired".into(), "disable: expired".into(), "EmailDiffers".into()]
        }
        Shown::Same(_) => vec!["disable: expired".into(), "disable: expired".into()],
        Shown::Pending(_) => vec!["UnexpectedInvitation".into()],
        Shown::Odd(_) => vec!["UnexpectedInvitation".into(), "UnknownStatus".into()],
        Shown::Lapsed(_) => vec!["UnexpectedInvitationExpired".into()],
    }
}

/// The rows of the plan, abbreviated as in [`table`].
fn abbreviated(world: &World) -> Vec<String> {
    let plan = world.plan();
    let changes = plan.changes().iter().map(|change| {
        let role = |role: Option<&rosterd::role::Role>| role.map(ToString::to_string);
        let why = change.reason.description();
        match (role(change.action.from()), role(change.action.to())) {
            (None, Some(to)) => format!("{} {to}: {why}", change.action.kind()),
            (Some(from), Some(to)) => format!("role {from} > {to}: {why}"),
            _ => format!("disable: {why}"),
        }
    });
    let findings = plan.findings().iter().map(|finding| {
        let kind = format!("{:?}", finding.kind);
        kind.split([' ', '{']).next().unwrap().to_owned()
    });
    changes.chain(findings).collect()
}

#[test]
fn the_plan_for_one_person_follows_the_table() {
    let mut rows = 0;
    for line in LINES {
        for shown in shown() {
            for mode in MODES {
                let mut world = World::default().person("matt", line, shown);
                world.on_removed = mode;
                let (mut plan, mut expected) = (abbreviated(&world), table(line, shown, mode));
                plan.sort();
                expected.sort();
                assert_eq!(plan, expected, "{line:?}, {shown:?}, {mode:?}");
                rows += 1;
            }
        }
    }
    assert_eq!(rows, 11 * 33 * 2);
}

#[test]
fn an_update_and_a_disable_have_the_uid_of_the_matched_account() {
    for line in [Line::Member(Who::Business), Line::Expired] {
        let plan = World::default().person("matt", line, Shown::Alias(Who::Admin)).plan();
        let [change] = plan.changes() else { panic!("{line:?}") };
        assert_eq!(change.action.uid().unwrap().as_str(), "uid-matt");
        let listed = Some(email("matt-alt"));
        assert_eq!((&change.email, &change.listed), (&email("matt"), &listed));
    }
}

/// The state of one person does not change the plan for others.
fn assert_independent(people: &[(Line, Shown)], alone: &[Vec<String>], mode: OnRemoved) {
    let names = ["matt", "max", "zoe"];
    let mut world = World { on_removed: mode, ..World::default() };
    for ((line, shown), name) in people.iter().zip(names) {
        world = world.person(name, *line, *shown);
    }
    let mut together = plan_rows(&world.plan());
    let mut apart: Vec<String> = alone.iter().flatten().cloned().collect();
    together.sort();
    apart.sort();
    assert_eq!(together, apart, "{people:?}");
}

fn alone(name: &str, states: &[(Line, Shown)], mode: OnRemoved) -> Vec<Vec<String>> {
    let world = World { on_removed: mode, ..World::default() };
    let plan = |(line, shown): &(Line, Shown)| {
        plan_rows(&world.clone().person(name, *line, *shown).plan())
    };
    states.iter().map(plan).collect()
}

#[test]
fn two_people_are_planned_independently() {
    let of = |shown: Shown| LINES.into_iter().map(move |line| (line, shown));
    let few = |shown: &Shown| !format!("{shown:?}").contains("Business");
    let states: Vec<_> = shown().into_iter().filter(few).flat_map(of).collect();
    for mode in MODES {
        let (first, second) = (alone("matt", &states, mode), alone("max", &states, mode));
        for (a, one) in states.iter().zip(&first) {
            for (b, two) in states.iter().zip(&second) {
                assert_independent(&[*a, *b], &[one.clone(), two.clone()], mode);
            }
        }
    }
}

#[test]
fn three_people_are_planned_independently() {
    use Shown::{Account, Alias, Lapsed, Nothing, Pending, Two};
    let states = [
        (Line::Absent, Account(Who::Admin)),
        (Line::Absent, Pending(Who::Developer)),
        (Line::Unmanaged, Account(Who::Admin)),
        (Line::Member(Who::Admin), Nothing),
        (Line::Member(Who::Business), Account(Who::Admin)),
        (Line::Member(Who::Developer), Alias(Who::Developer)),
        (Line::Member(Who::Developer), Two(Who::Admin)),
        (Line::Member(Who::New), Lapsed(Who::New)),
        (Line::Future, Account(Who::Business)),
        (Line::Expired, Account(Who::Developer)),
        (Line::Expired, Two(Who::Admin)),
        (Line::Elevated, Account(Who::Developer)),
        (Line::ElevationEnded, Account(Who::Admin)),
    ];
    for mode in MODES {
        let each = ["matt", "max", "zoe"].map(|name| alone(name, &states, mode));
        for a in 0..states.len() {
            for b in 0..states.len() {
                for c in 0..states.len() {
                    let alone = [each[0][a].clone(), each[1][b].clone(), each[2][c].clone()];
                    assert_independent(&[states[a], states[b], states[c]], &alone, mode);
                }
            }
        }
    }
}
