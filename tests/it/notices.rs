//! Notices: each event once, with escaped text.

mod limits;
mod restart;

use jiff::SignedDuration;
use rosterd::diagnostic::Sources;
use rosterd::link::{Links, RepoUrl};
use rosterd::notice::tracker::{NoticeTracker, Notified, RunView};
use rosterd::notice::{Kind, Notice, json, slack};
use rosterd::report::{Applied, End, Failure, Outcome, RunReport, Stale, Trigger, Verification};
use rosterd::revision::Revision;
use rosterd::role::Role;
use serde_json::Value;

use crate::support::world::{World, dates, elevated, now};
use rosterd::failure::FailureKind;

/// A run in which every approved change has this outcome.
fn run_with(world: &World, outcome: &Outcome) -> RunReport {
    let (plan, verdict) = (world.plan(), world.verdict());
    let approved = verdict.approved.changes().iter();
    let outcomes = approved.map(|change| (change.clone(), outcome.clone())).collect();
    let verification = Verification::NotNeeded;
    let end = End::Applied(Box::new(Applied {
        plan: plan.into(),
        verdict: verdict.into(),
        outcomes,
        asked_by: std::collections::HashMap::new(),
        revision: None,
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
        stale: None,
        key: None,
        ledger: None,
        end,
    }
}

fn succeeded(world: &World) -> RunReport {
    run_with(world, &Outcome::Done)
}

fn failed(kind: FailureKind) -> RunReport {
    let failure = Failure { kind, message: "cannot connect to https://api.acme.io".into() };
    RunReport { end: End::Failed(failure), ..succeeded(&World::converged()) }
}

const WITHIN: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A run with the last valid roster.
fn stale(report: RunReport) -> RunReport {
    let url = Some("https://github.com/acme/access/blob/9d0e3f2/users.yaml#L3".to_owned());
    let stale = Stale { why: "users.yaml:3:5: unknown key".into(), url };
    RunReport { stale: Some(stale), ..report }
}

struct TestTracker {
    tracker: NoticeTracker,
    /// What the ledger would keep.
    known: Option<Notified>,
    sources: Sources,
}

impl TestTracker {
    fn new() -> Self {
        let mut sources = Sources::default();
        sources.add("users.yaml", "");
        let links = Links {
            repo: RepoUrl::of_remote("git@github.com:acme/access.git").unwrap(),
            commit: Some("3f2c1abd".into()),
            files: vec![Some("users.yaml".into())],
        };
        let sources = sources.linked(Some(links));
        Self { tracker: NoticeTracker::new(&Kind::ALL, WITHIN), known: None, sources }
    }

    fn notices(&mut self, world: &World, report: &RunReport) -> Vec<Notice> {
        let revision = Revision {
            commit: "3f2c1abd".into(),
            author: Some("Alexandra <alexandra@acme.io>".into()),
            subject: Some("Let <!channel> in".into()),
            at: None,
            dirty: false,
        };
        let run = RunView {
            report,
            sources: &self.sources,
            roster: Some(&world.roster()),
            revision: Some(&revision),
        };
        let (notices, known) = self.tracker.on_run_completed(&run);
        self.known = known.or(self.known.take());
        notices
    }

    fn kinds(&mut self, world: &World, report: &RunReport) -> Vec<Kind> {
        self.notices(world, report).iter().map(|notice| notice.event).collect()
    }
}

#[test]
fn a_converged_run_creates_no_notice() {
    let (world, mut tracker) = (World::converged(), TestTracker::new());
    for _ in 0..3 {
        assert_eq!(tracker.notices(&world, &succeeded(&world)), []);
    }
}

#[test]
fn applied_changes_have_their_plan_and_commit() {
    let world = World::converged().member("zoe", Role::Business);
    let mut tracker = TestTracker::new();
    for _ in 0..2 {
        let notices = tracker.notices(&world, &succeeded(&world));
        let [notice] = &notices[..] else { panic!("{notices:?}") };
        assert_eq!((notice.event, &*notice.summary), (Kind::Applied, "changes: 1 done"));
        let person = &notice.people[0];
        assert_eq!(
            (&*person.email, &*person.what, &*person.why),
            ("zoe@acme.io", "invite", "done")
        );
        assert_eq!(notice.plan, Some(world.plan().fingerprint.hex()));
        let commit = notice.commit.as_ref().unwrap();
        let page = "https://github.com/acme/access";
        assert_eq!(commit.id, "3f2c1ab");
        assert_eq!(commit.url, Some(format!("{page}/commit/3f2c1abd")));
        let line = person.place.as_ref().unwrap().rsplit(':').next().unwrap();
        assert_eq!(person.url, Some(format!("{page}/blob/3f2c1abd/users.yaml#L{line}")));
    }
    let lost = run_with(&world, &Outcome::NotSent("the key is rejected".into()));
    assert_eq!(tracker.kinds(&world, &lost), [Kind::Failing], "no change was sent");
}

#[test]
fn an_elevation_that_has_ended_says_so() {
    let world = World::converged().account("zoe", Role::Admin).member_with(
        "zoe",
        Role::Business,
        elevated(Role::Admin, -1),
    );
    let notices = TestTracker::new().notices(&world, &succeeded(&world));
    assert_eq!(notices[0].people[0].why, "done, elevation ended");
}

#[test]
fn held_changes_are_reported_when_new() {
    let mut world = World::converged().limits(|limits| limits.suspend = true);
    world = world.member("zoe", Role::Business);
    let mut tracker = TestTracker::new();
    let notices = tracker.notices(&world, &succeeded(&world));
    assert_eq!((notices.len(), notices[0].event, notices[0].people.len()), (1, Kind::Held, 1));
    assert_eq!(notices[0].people[0].why, "held by suspend");
    let hint = "set `suspend: false` to let rosterd change this workspace";
    assert_eq!(notices[0].hint.as_deref(), Some(hint));
    assert!(slack::body(&notices[0]).contains(&format!("What to do: {hint}")));
    assert_eq!(tracker.notices(&world, &succeeded(&world)), [], "not after every run");
    world = world.member("yan", Role::Business);
    let notices = tracker.notices(&world, &succeeded(&world));
    assert_eq!(notices[0].people.len(), 1, "only new changes are listed: {notices:?}");
    assert!(notices[0].summary.starts_with("2 held"), "{notices:?}");
    world.limits.suspend = false;
    assert_eq!(tracker.kinds(&world, &succeeded(&world)), [Kind::Applied]);
    world.limits.suspend = true;
    assert_eq!(tracker.kinds(&world, &succeeded(&world)), [Kind::Held], "held again");
}

#[test]
fn a_held_notice_has_the_approvals_block() {
    let mut world = World::converged();
    for name in ["ada", "bea", "cora", "dora"] {
        world = world.account(name, Role::Developer);
    }
    let notices = TestTracker::new().notices(&world, &succeeded(&world));
    let approvals = notices[0].approvals.as_deref().unwrap();
    assert!(approvals.contains("- ada@acme.io"), "{approvals}");
    let body: Value = serde_json::from_str(&slack::body(&notices[0])).unwrap();
    assert!(body.to_string().contains("- ada@acme.io"), "{body}");
}

#[test]
fn failing_and_recovered_are_sent_once_each() {
    let (world, mut tracker) = (World::converged(), TestTracker::new());
    assert_eq!(tracker.kinds(&world, &failed(FailureKind::Connect)), [Kind::Failing]);
    for _ in 0..5 {
        assert_eq!(tracker.notices(&world, &failed(FailureKind::Connect)), []);
    }
    assert_eq!(tracker.notices(&world, &failed(FailureKind::Cancelled)), [], "interrupted");
    let notices = tracker.notices(&world, &succeeded(&world));
    assert_eq!((notices.len(), notices[0].event), (1, Kind::Recovered));
    assert_eq!(notices[0].since.as_deref(), Some("2026-11-25T12:00:02Z"));
    assert_eq!(notices[0].summary, "recovered after 0 s");
    assert_eq!(tracker.notices(&world, &succeeded(&world)), []);
    assert_eq!(
        tracker.kinds(&world, &failed(FailureKind::Connect)),
        [Kind::Failing],
        "a new failure"
    );
}

#[test]
fn the_summary_says_why_runs_fail() {
    let world = World::converged().member("zoe", Role::Business);
    let summary = |report: &RunReport| {
        let notices = TestTracker::new().notices(&world, report);
        notices.into_iter().find(|it| it.event == Kind::Failing).unwrap().summary
    };
    let refused = run_with(&world, &Outcome::Rejected("no".into()));
    assert_eq!(summary(&refused), "failing: changes failed: 1");
    let mut unread = succeeded(&world);
    let End::Applied(applied) = &mut unread.end else { panic!("no plan") };
    applied.verification = Verification::Failed("cut\u{1b}".into());
    assert_eq!(summary(&unread), "failing: verification failed: cut\\u{1b}");
    let mut lost = succeeded(&world);
    let End::Applied(applied) = &mut lost.end else { panic!("no plan") };
    applied.lost = 1;
    let message = "failing: the workspace does not show a change that the API confirmed";
    assert_eq!(summary(&lost), message);
    assert_eq!(
        summary(&failed(FailureKind::Connect)),
        "failing: cannot connect to https://api.acme.io"
    );
}

#[test]
fn an_invalid_roster_is_reported_while_runs_go_on() {
    let (world, mut tracker) = (World::converged(), TestTracker::new());
    let stale = stale(succeeded(&world));
    let notices = tracker.notices(&world, &stale);
    assert_eq!((notices.len(), notices[0].event, &notices[0].commit), (1, Kind::Failing, &None));
    let summary = "the roster is not valid, the last valid one stays in use: users.yaml:3:5: \
                   unknown key";
    assert_eq!(notices[0].summary, summary);
    let line = "https://github.com/acme/access/blob/9d0e3f2/users.yaml#L3";
    assert_eq!(notices[0].url.as_deref(), Some(line));
    let link = format!("<{line}|the line that is not valid>");
    assert!(slack::body(&notices[0]).contains(&link), "{notices:?}");
    assert_eq!(tracker.notices(&world, &stale), []);
    assert_eq!(tracker.kinds(&world, &succeeded(&world)), [Kind::Recovered]);
}

#[test]
fn one_notice_reports_that_there_is_no_roster() {
    let (world, mut tracker) = (World::converged(), TestTracker::new());
    let without = stale(failed(FailureKind::Roster));
    assert_eq!(tracker.kinds(&world, &without), [Kind::Failing]);
    assert_eq!(tracker.notices(&world, &without), []);
    assert_eq!(tracker.kinds(&world, &succeeded(&world)), [Kind::Recovered]);
}

#[test]
fn expiring_access_is_reported_once() {
    let far = World::converged().member_with("zoe", Role::Business, dates(None, Some(24 * 15)));
    let near = World::converged()
        .both("zoe", Role::Business)
        .no_member("zoe")
        .member_with("zoe", Role::Business, dates(None, Some(24 * 13)))
        .both("yan", Role::Admin)
        .no_member("yan")
        .member_with("yan", Role::Business, elevated(Role::Admin, 5));
    let mut tracker = TestTracker::new();
    assert_eq!(tracker.kinds(&far, &succeeded(&far)), [Kind::Applied]);
    let notices = tracker.notices(&near, &succeeded(&near));
    let notices: Vec<&Notice> = notices.iter().filter(|it| it.event == Kind::Expiring).collect();
    let people: Vec<(&str, &str)> =
        notices[0].people.iter().map(|it| (&*it.email, &*it.what)).collect();
    assert_eq!(people, [("yan@acme.io", "elevation"), ("zoe@acme.io", "access")]);
    assert_eq!(notices[0].summary, "access or elevation of 2 people ends within 14 days");
    assert!(notices[0].people[1].why.starts_with("ends 2026-12-08"), "{notices:?}");
    assert!(!tracker.kinds(&near, &succeeded(&near)).contains(&Kind::Expiring));
}

#[test]
fn needed_actions_are_reported_once() {
    use rosterd::directory::InviteStatus;
    let world = World::converged().invitation("eve", Role::Admin, InviteStatus::Pending);
    let mut tracker = TestTracker::new();
    let notices = tracker.notices(&world, &succeeded(&world));
    assert_eq!((notices.len(), notices[0].event), (1, Kind::NeedsPerson));
    assert_eq!(notices[0].people[0].what, "unexpected_invitation");
    assert_eq!(notices[0].summary, "action outside rosterd needed for 1 person");
    assert_eq!(tracker.notices(&world, &succeeded(&world)), []);
}

#[test]
fn workspaces_are_tracked_separately() {
    let (world, mut tracker) = (World::converged(), TestTracker::new());
    let other = RunReport { workspace: "beta".into(), ..failed(FailureKind::Connect) };
    assert_eq!(tracker.kinds(&world, &failed(FailureKind::Connect)), [Kind::Failing]);
    assert_eq!(tracker.kinds(&world, &other), [Kind::Failing]);
    assert_eq!(tracker.kinds(&world, &succeeded(&world)), [Kind::Recovered]);
    assert_eq!(tracker.notices(&world, &other), []);
}

#[test]
fn text_from_outside_is_escaped() {
    let mut world = World::converged().account("<!here>`*evil*\u{1b}[2J\u{202e}", Role::Developer);
    world.limits.suspend = true;
    let notices = TestTracker::new().notices(&world, &succeeded(&world));
    let body = slack::body(&notices[0]);
    let read: Value = serde_json::from_str(&body).unwrap();
    for (text, what) in [("<!", "a mention"), ("\u{1b}", "ANSI"), ("\u{202e}", "bidi")] {
        let everything = read.to_string();
        let fences = everything.matches("```").count();
        assert!(!everything.contains(text) && fences.is_multiple_of(2), "{what} in {everything}");
    }
    assert!(body.contains("&lt;!here&gt;"), "{body}");
    limits::assert_slack_accepts(&body);
    let read: Value = serde_json::from_str(&json::body(&notices[0])).unwrap();
    assert_eq!((&read["version"], &read["event"]), (&1.into(), &"held".into()));
    assert!(!read.to_string().contains('\u{202e}'));
}

/// The subject of a commit is a text from outside: its author chooses it.
#[test]
fn a_subject_neither_formats_nor_links() {
    let world = World::converged().account("eve", Role::Developer);
    let mut notice = TestTracker::new().notices(&world, &succeeded(&world)).remove(0);
    let subject = "*bold* _x_ `code` https://acme.io @channel <!here> <https://acme.io|click>";
    notice.commit.as_mut().unwrap().subject = Some(subject.to_owned());
    notice.summary = subject.to_owned();
    let read: Value = serde_json::from_str(&slack::body(&notice)).unwrap();
    let blocks = read["blocks"].as_array().unwrap();
    let shown: Vec<&Value> = [&blocks[0]["text"], &blocks.last().unwrap()["elements"][0]].into();
    for text in shown {
        assert_eq!(text["type"], "plain_text", "{text}");
        assert!(text["text"].as_str().unwrap().contains("*bold* _x_ `code` https://acme.io"));
        assert!(!text["text"].as_str().unwrap().contains('<'), "{text}");
    }
}
