//! What is told to those who do not look on: each thing once, and nothing that harms.

use jiff::SignedDuration;
use rosterd::diagnostic::Sources;
use rosterd::notice::tracker::{NoticeTracker, RunView};
use rosterd::notice::{Kind, MOST, Notice, json, slack};
use rosterd::report::{Applied, End, Failure, Outcome, RunReport, Trigger, Verification};
use rosterd::revision::Revision;
use rosterd::role::Role;
use serde_json::Value;

use crate::support::world::{World, dates, elevated, now};
use rosterd::failure::FailureKind;

/// A run over this world in which every approved change came to `outcome`.
fn ran(world: &World, outcome: &Outcome) -> RunReport {
    let (plan, verdict) = (world.plan(), world.verdict());
    let approved = verdict.approved.changes().iter();
    let outcomes = approved.map(|change| (change.clone(), outcome.clone())).collect();
    let verification = Verification::NotNeeded;
    let end = End::Applied(Box::new(Applied {
        plan: plan.into(),
        verdict: verdict.into(),
        outcomes,
        verification,
        lost: 0,
        stopped: None,
        next: None,
    }));
    RunReport {
        workspace: "acme".into(),
        trigger: Trigger::Schedule,
        started: now(),
        finished: now() + SignedDuration::from_secs(2),
        stale: false,
        ledger: None,
        end,
    }
}

fn well(world: &World) -> RunReport {
    ran(world, &Outcome::Done)
}

fn failed(kind: FailureKind) -> RunReport {
    let failure = Failure { kind, message: "cannot connect to https://api.acme.io".into() };
    RunReport { end: End::Failed(failure), ..well(&World::converged()) }
}

struct Listener {
    watch: NoticeTracker,
    sources: Sources,
}

impl Listener {
    fn new() -> Self {
        let mut sources = Sources::default();
        sources.add("users.yaml", "");
        Self { watch: NoticeTracker::new(SignedDuration::from_hours(14 * 24)), sources }
    }

    fn hear(&mut self, world: &World, report: &RunReport) -> Vec<Notice> {
        let revision = Revision {
            commit: "3f2c1abd".into(),
            author: Some("Alexandra <alexandra@acme.io>".into()),
            subject: Some("Let <!channel> in".into()),
            at: None,
            dirty: false,
        };
        self.watch.hear(&RunView {
            report,
            sources: &self.sources,
            roster: Some(&world.roster()),
            revision: Some(&revision),
        })
    }

    fn kinds(&mut self, world: &World, report: &RunReport) -> Vec<Kind> {
        self.hear(world, report).iter().map(|notice| notice.event).collect()
    }
}

#[test]
fn where_nothing_happens_nothing_is_told() {
    let (world, mut listener) = (World::converged(), Listener::new());
    for _ in 0..3 {
        assert_eq!(listener.hear(&world, &well(&world)), []);
    }
}

#[test]
fn every_change_is_told_with_its_plan_and_commit() {
    let world = World::converged().member("zoe", Role::Business);
    let mut listener = Listener::new();
    for _ in 0..2 {
        let told = listener.hear(&world, &well(&world));
        let [notice] = &told[..] else { panic!("{told:?}") };
        assert_eq!((notice.event, &*notice.summary), (Kind::Applied, "changes: 1 done"));
        let person = &notice.people[0];
        assert_eq!(
            (&*person.email, &*person.what, &*person.why),
            ("zoe@acme.io", "invite", "done")
        );
        assert_eq!(notice.plan, Some(world.plan().fingerprint().hex()));
        assert_eq!(notice.commit.as_ref().unwrap().id, "3f2c1ab");
    }
    let lost = ran(&world, &Outcome::NotSent("the key is refused".into()));
    assert_eq!(listener.kinds(&world, &lost), [Kind::Failing], "nothing was sent");
}

#[test]
fn what_is_held_is_told_when_it_is_new() {
    let mut world = World::converged().limits(|limits| limits.suspend = true);
    world = world.member("zoe", Role::Business);
    let mut listener = Listener::new();
    let told = listener.hear(&world, &well(&world));
    assert_eq!((told.len(), told[0].event, told[0].people.len()), (1, Kind::Held, 1));
    assert_eq!(told[0].people[0].why, "held by suspend");
    assert_eq!(listener.hear(&world, &well(&world)), [], "not at every tick");
    world = world.member("yan", Role::Business);
    let told = listener.hear(&world, &well(&world));
    assert_eq!(told[0].people.len(), 1, "only what is new is named: {told:?}");
    assert!(told[0].summary.starts_with("2 held"), "{told:?}");
    world.limits.suspend = false;
    assert_eq!(listener.kinds(&world, &well(&world)), [Kind::Applied]);
    world.limits.suspend = true;
    assert_eq!(listener.kinds(&world, &well(&world)), [Kind::Held], "held once more");
}

#[test]
fn what_could_be_released_comes_with_the_lines_that_do() {
    let mut world = World::converged();
    for name in ["ada", "bea", "cora", "dora"] {
        world = world.account(name, Role::Developer);
    }
    let told = Listener::new().hear(&world, &well(&world));
    let approvals = told[0].approvals.as_deref().unwrap();
    assert!(approvals.contains("- ada@acme.io"), "{approvals}");
    let body: Value = serde_json::from_str(&slack::body(&told[0])).unwrap();
    assert!(body.to_string().contains("- ada@acme.io"), "{body}");
}

#[test]
fn failing_and_recovered_are_told_once_each() {
    let (world, mut listener) = (World::converged(), Listener::new());
    assert_eq!(listener.kinds(&world, &failed(FailureKind::Connect)), [Kind::Failing]);
    for _ in 0..5 {
        assert_eq!(listener.hear(&world, &failed(FailureKind::Connect)), []);
    }
    assert_eq!(listener.hear(&world, &failed(FailureKind::Cancelled)), [], "it says nothing");
    let told = listener.hear(&world, &well(&world));
    assert_eq!((told.len(), told[0].event), (1, Kind::Recovered));
    assert_eq!(told[0].since.as_deref(), Some("2026-11-25T12:00:02Z"));
    assert_eq!(listener.hear(&world, &well(&world)), []);
    assert_eq!(listener.kinds(&world, &failed(FailureKind::Connect)), [Kind::Failing], "and again");
}

#[test]
fn why_runs_fail_is_said_in_the_summary() {
    let world = World::converged().member("zoe", Role::Business);
    let summary = |report: &RunReport| {
        let told = Listener::new().hear(&world, report);
        told.into_iter().find(|it| it.event == Kind::Failing).unwrap().summary
    };
    let refused = ran(&world, &Outcome::Rejected("no".into()));
    assert_eq!(summary(&refused), "runs fail: changes that were not made: 1");
    let mut unread = well(&world);
    let End::Applied(applied) = &mut unread.end else { panic!("it has a plan") };
    applied.verification = Verification::Failed("cut\u{1b}".into());
    let words = "runs fail: the reading after the changes failed: cut\\u{1b}";
    assert_eq!(summary(&unread), words);
    let mut lost = well(&world);
    let End::Applied(applied) = &mut lost.end else { panic!("it has a plan") };
    applied.lost = 1;
    assert_eq!(summary(&lost), "runs fail: a reading does not show what was done");
    assert_eq!(
        summary(&failed(FailureKind::Connect)),
        "runs fail: cannot connect to https://api.acme.io"
    );
}

#[test]
fn a_roster_that_cannot_be_used_is_told_though_runs_go_on() {
    let (world, mut listener) = (World::converged(), Listener::new());
    let stale = RunReport { stale: true, ..well(&world) };
    assert_eq!(listener.kinds(&world, &stale), [Kind::Failing]);
    assert_eq!(listener.hear(&world, &stale), []);
    assert_eq!(listener.kinds(&world, &well(&world)), [Kind::Recovered]);
}

#[test]
fn where_there_is_no_roster_at_all_one_notice_says_so() {
    let (world, mut listener) = (World::converged(), Listener::new());
    let without = RunReport { stale: true, ..failed(FailureKind::Roster) };
    assert_eq!(listener.kinds(&world, &without), [Kind::Failing]);
    assert_eq!(listener.hear(&world, &without), []);
    assert_eq!(listener.kinds(&world, &well(&world)), [Kind::Recovered]);
}

#[test]
fn ends_of_access_are_told_once_when_they_come_near() {
    let far = World::converged().member_with("zoe", Role::Business, dates(None, Some(24 * 15)));
    let near = World::converged()
        .both("zoe", Role::Business)
        .no_member("zoe")
        .member_with("zoe", Role::Business, dates(None, Some(24 * 13)))
        .both("yan", Role::Admin)
        .no_member("yan")
        .member_with("yan", Role::Business, elevated(Role::Admin, 5));
    let mut listener = Listener::new();
    assert_eq!(listener.kinds(&far, &well(&far)), [Kind::Applied]);
    let told = listener.hear(&near, &well(&near));
    let told: Vec<&Notice> = told.iter().filter(|it| it.event == Kind::Expiring).collect();
    let people: Vec<(&str, &str)> =
        told[0].people.iter().map(|it| (&*it.email, &*it.what)).collect();
    assert_eq!(people, [("yan@acme.io", "elevation"), ("zoe@acme.io", "access")]);
    assert!(told[0].people[1].why.starts_with("ends 2026-12-08"), "{told:?}");
    assert!(!listener.kinds(&near, &well(&near)).contains(&Kind::Expiring));
}

#[test]
fn what_needs_a_person_is_told_once() {
    use rosterd::directory::InviteStatus;
    let world = World::converged().invitation("eve", Role::Admin, InviteStatus::Pending);
    let mut listener = Listener::new();
    let told = listener.hear(&world, &well(&world));
    assert_eq!((told.len(), told[0].event), (1, Kind::NeedsPerson));
    assert_eq!(told[0].people[0].what, "unexpected_invitation");
    assert_eq!(listener.hear(&world, &well(&world)), []);
}

#[test]
fn workspaces_are_told_apart() {
    let (world, mut listener) = (World::converged(), Listener::new());
    let other = RunReport { workspace: "beta".into(), ..failed(FailureKind::Connect) };
    assert_eq!(listener.kinds(&world, &failed(FailureKind::Connect)), [Kind::Failing]);
    assert_eq!(listener.kinds(&world, &other), [Kind::Failing]);
    assert_eq!(listener.kinds(&world, &well(&world)), [Kind::Recovered]);
    assert_eq!(listener.hear(&world, &other), []);
}

#[test]
fn text_from_outside_neither_mentions_anybody_nor_breaks_out() {
    let mut world = World::converged().account("<!here>`*evil*\u{1b}[2J\u{202e}", Role::Developer);
    world.limits.suspend = true;
    let told = Listener::new().hear(&world, &well(&world));
    let body = slack::body(&told[0]);
    let read: Value = serde_json::from_str(&body).unwrap();
    for (text, what) in [("<!", "a mention"), ("\u{1b}", "ANSI"), ("\u{202e}", "bidi")] {
        let everything = read.to_string();
        let fences = everything.matches("```").count();
        assert!(!everything.contains(text) && fences.is_multiple_of(2), "{what} in {everything}");
    }
    assert!(body.contains("&lt;!here&gt;"), "{body}");
    let read: Value = serde_json::from_str(&json::body(&told[0])).unwrap();
    assert_eq!((&read["version"], &read["event"]), (&1.into(), &"held".into()));
    assert!(!read.to_string().contains('\u{202e}'));
}

#[test]
fn a_notice_stays_small_however_many_it_concerns() {
    let mut world = World::converged().crowd(2_000);
    world.members.truncate(5);
    let told = Listener::new().hear(&world, &well(&world));
    assert_eq!((told[0].people.len(), told[0].more), (MOST, 2_000 - MOST));
    let read: Value = serde_json::from_str(&slack::body(&told[0])).unwrap();
    for block in read["blocks"].as_array().unwrap() {
        let text = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str());
        let length = text.unwrap().chars().count();
        assert!((1..=3000).contains(&length), "{length}");
    }
    assert!(json::body(&told[0]).len() < 100_000);
}
