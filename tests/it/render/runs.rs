//! The result of a run, as text.

use std::collections::HashMap;

use rosterd::failure::FailureKind;
use rosterd::render::approve::ApproveBy;
use rosterd::render::table::Screen;
use rosterd::render::text;
use rosterd::report::{
    Applied, End, Failure, Outcome, Residue, RunReport, Stale, Trigger, Verification,
};
use rosterd::role::Role;

use super::{World, account, member, now, plain, rich};

fn report(world: &World, outcomes: &[Outcome], verification: Verification) -> RunReport {
    let approved = world.verdict.approved.changes().iter().cloned();
    let applied = Applied {
        plan: world.plan.clone().into(),
        verdict: world.verdict.clone().into(),
        outcomes: approved.zip(outcomes.iter().cloned()).collect(),
        asked_by: HashMap::new(),
        revision: None,
        verification,
        lost: 0,
        stopped: None,
        next: None,
    };
    let end = End::Applied(Box::new(applied));
    RunReport {
        workspace: "acme".into(),
        trigger: Trigger::Start,
        started: now(),
        finished: now(),
        stale: None,
        key: None,
        ledger: None,
        end,
    }
}

#[test]
fn a_run_shows_outcomes_and_remaining_changes() {
    let world = rich();
    let outcomes = [
        Outcome::Done,
        Outcome::Rejected("no\u{1b}[2J such user".into()),
        Outcome::Unknown("no answer in 60 s".into()),
    ];
    let remaining = world.verdict.approved.changes()[1..].to_vec();
    let residue = Residue { applicable: remaining, in_sync: 2, ..Residue::default() };
    let report = report(&world, &outcomes, Verification::Read(Box::new(residue)));
    insta::assert_snapshot!(plain(&text::run(&report, &world.sources, ApproveBy::Commit, Screen::default())), @r#"
    acme   users.yaml   plan 80d4a020

        KIND    WHO            ROLE               WHY
      ✓ role    matt@acme.io   DEVELOPER → ADMIN  done   elevated   users.yaml:7
      × role    jonny@acme.io  ADMIN → BUSINESS   rejected: no\u{1b}[2J such user   users.yaml:5
      ? invite  alice@acme.io  DEVELOPER          unknown: no answer in 60 s   users.yaml:9
      ! held    user1@acme.io  disable DEVELOPER
      ! held    user2@acme.io  disable DEVELOPER
      ! held    user3@acme.io  disable DEVELOPER
      ! held    user4@acme.io  disable DEVELOPER
      ! held    user5@acme.io  disable DEVELOPER
      ! held    user6@acme.io  disable DEVELOPER
      ! held    user7@acme.io  disable DEVELOPER
      ! held    user8@acme.io  disable DEVELOPER
      ! held    … 4 more; --all shows them
      ! held    all 12: not in users.yaml, cannot be undone through the API, disable-budget

    held by disable-budget: 12 of 15 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)
      hint: if all of them are intended, approve them by name, or raise `guard.budgets.disable`, in a reviewed commit

    to approve, add these lines to the roster, with a reason, and commit them, or run `rosterd approve --all --reason "..."`:

      approvals:
        - disable:
            - user1@acme.io
            - user2@acme.io
            - user3@acme.io
            - user4@acme.io
            - user5@acme.io
            - user6@acme.io
            - user7@acme.io
            - user8@acme.io
            - user9@acme.io
            - user10@acme.io
            - user11@acme.io
            - user12@acme.io
          reason: "" # write why

    1 done, 1 rejected, 1 unknown, 12 held, 2 remaining, 2 in sync
    "#);
}

#[test]
fn a_run_without_changes_is_one_line() {
    let world = rich();
    let report = report(&world, &[], Verification::NotNeeded);
    let shown = plain(&text::run(&report, &world.sources, ApproveBy::Commit, Screen::default()));
    assert_eq!(shown, "acme   users.yaml   12 held, 1 in sync\n");
}

#[test]
fn a_converged_run_is_in_sync_and_a_failed_run_shows_the_error() {
    let world = World::new(
        vec![
            member("alexandra@acme.io", Role::Admin, 3),
            member("alice@acme.io", Role::Analyst, 5),
        ],
        vec![account("alexandra@acme.io", Role::Admin)],
        Vec::new(),
    );
    let residue = Residue { in_sync: 1, ..Residue::default() };
    let mut report = report(&world, &[Outcome::Done], Verification::Read(Box::new(residue)));
    insta::assert_snapshot!(plain(&text::run(&report, &world.sources, ApproveBy::Commit, Screen::default())), @"
    acme   users.yaml   plan e8421410

        KIND    WHO            ROLE     WHY
      ✓ invite  alice@acme.io  ANALYST  done   users.yaml:5

    applied: 1 done, 1 in sync
    ");
    report.stale = Some(Stale { why: "invalid".into(), url: None });
    report.end = End::Failed(Failure {
        kind: FailureKind::Unauthorized,
        message: "the key is not accepted".into(),
    });
    insta::assert_snapshot!(plain(&text::run(&report, &world.sources, ApproveBy::Commit, Screen::default())), @"acme   users.yaml   (last valid roster: the files have errors)   failed: the key is not accepted (unauthorized)");
}

#[test]
fn a_stopped_or_unverified_run_is_not_in_sync() {
    let world = rich();
    let outcomes =
        [Outcome::Done, Outcome::NotSent("the server rejects the key".into()), Outcome::Done];
    let failed = || Verification::Failed("connection reset".into());
    let mut report = report(&world, &outcomes, failed());
    let last = |report: &RunReport| {
        let shown = plain(&text::run(report, &world.sources, ApproveBy::Commit, Screen::default()));
        shown.lines().last().unwrap_or_default().to_owned()
    };
    let unverified = last(&report);
    if let End::Applied(applied) = &mut report.end {
        applied.stopped =
            Some(Failure { kind: FailureKind::Cancelled, message: "stopped by a signal".into() });
    }
    insta::assert_snapshot!(format!("{unverified}\n{}", last(&report)), @"
    not verified: connection reset; 2 done, 1 skipped, 12 held, 1 in sync
    stopped early: stopped by a signal; 2 done, 1 skipped, 12 held, 1 in sync
    ");
}

#[test]
fn skipped_changes_are_folded() {
    let people = |n: u32| {
        let email: &'static str = Box::leak(format!("user{n}@acme.io").into_boxed_str());
        member(email, Role::Analyst, 3 + n)
    };
    let admin = account("alexandra@acme.io", Role::Admin);
    let mut members = vec![member("alexandra@acme.io", Role::Admin, 2)];
    members.extend((1..=30).map(people));
    let world = World::new(members, vec![admin], Vec::new());
    let outcomes = vec![Outcome::NotSent("interrupted".into()); 30];
    let shown = text::run(
        &report(&world, &outcomes, Verification::NotNeeded),
        &world.sources,
        ApproveBy::Commit,
        Screen::default(),
    );
    assert!(shown.contains("22 more") && shown.contains("30 skipped"), "{shown}");
    assert!(shown.contains("all 30: skipped: interrupted"), "{shown}");
    assert_eq!(shown.matches("@acme.io").count(), 8, "{shown}");
}

#[test]
fn changes_that_are_not_visible_yet_are_counted_as_propagating() {
    let world = rich();
    let held = world.verdict.held[0].change.clone();
    let residue =
        Residue { propagating: 1, released: vec![held], in_sync: 4, ..Residue::default() };
    let done = [Outcome::Done, Outcome::Done, Outcome::Done];
    let report = report(&world, &done, Verification::Read(Box::new(residue)));
    let shown = plain(&text::run(&report, &world.sources, ApproveBy::Commit, Screen::default()));
    let (_, after) = shown.split_once("reason: \"\" # write why\n").unwrap();
    insta::assert_snapshot!(after, @"

    no longer held, for the next run:
        KIND     WHO             ROLE       WHY
      - disable  user10@acme.io  DEVELOPER  not in users.yaml   cannot be undone through the API

    3 done, 12 held, 1 propagating, 4 in sync
    ");
}
