//! The views of a plan: one small rich plan in every format, hostile text inert in each.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rosterd::diagnostic::{Diagnostic, FileId, Place, Sources};
use rosterd::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use rosterd::email::Email;
use rosterd::guard::{Limits, Spent, Verdict, judge};
use rosterd::memory::Memory;
use rosterd::plan::{OnRemoved, Plan, plan};
use rosterd::render::rows::{self, Kind};
use rosterd::render::{Summary, View, diagnostics, github, json, markdown, text, unified};
use rosterd::report::{Applied, End, Failure, Outcome, Residue, RunReport, Trigger, Verification};
use rosterd::role::Role;
use rosterd::roster::{Digest, Elevation, Member, Pattern, Period, Roster};

const NOW: &str = "2026-11-25T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// One workspace: the two states, what the planner made of them, and the verdict.
struct World {
    sources: Sources,
    roster: Roster,
    snapshot: Snapshot,
    plan: Plan,
    verdict: Verdict,
}

impl World {
    fn new(members: Vec<Member>, accounts: Vec<Account>, invitations: Vec<Invitation>) -> Self {
        Self::with(members, accounts, invitations, OnRemoved::Disable, &Limits::default())
    }

    fn with(
        members: Vec<Member>,
        accounts: Vec<Account>,
        invitations: Vec<Invitation>,
        on_removed: OnRemoved,
        limits: &Limits,
    ) -> Self {
        let mut sources = Sources::default();
        sources.add("users.yaml", "version: 1\nusers:\n");
        let unmanaged = vec![Pattern::parse("*@paradime.io", place(90)).unwrap()];
        let digest = Digest::of(["version: 1\nusers:\n"]);
        let roster = Roster::new(members, unmanaged, Vec::new(), digest).unwrap();
        let snapshot = Snapshot::new(accounts, invitations, None).unwrap();
        let plan = plan(&roster, &snapshot, &Memory::empty(), on_removed, now());
        let verdict = judge(&plan, limits, &Spent::new());
        Self { sources, roster, snapshot, plan, verdict }
    }

    fn view(&self) -> View<'_> {
        View {
            workspace: "acme",
            sources: &self.sources,
            roster: &self.roster,
            snapshot: &self.snapshot,
            plan: &self.plan,
            verdict: &self.verdict,
        }
    }
}

fn place(line: u32) -> Place {
    Place { file: FileId(0), line, column: 12, start: 0, end: 7 }
}

fn member(email: &str, role: Role, line: u32) -> Member {
    let email = Email::parse(email).unwrap();
    Member { email, role, name: None, aliases: Box::default(), time: None, place: place(line) }
}

fn account(email: &str, role: Role) -> Account {
    let name = email.split('@').next().map(Into::into);
    Account { uid: Uid(format!("uid-{email}").into()), email: Email::remote(email), name, role }
}

fn invitation(email: &str, role: Role, status: &str) -> Invitation {
    Invitation { email: Email::remote(email), role, status: InviteStatus::from_api(status) }
}

/// Every kind of row: approved changes, held ones, and every standing but drift.
fn rich() -> World {
    let period = Period {
        elevate: Some(Elevation {
            role: Role::Admin,
            until: now() + SignedDuration::from_hours(1),
            reason: None,
        }),
        ..Period::default()
    };
    let later =
        Period { starts: Some("2026-12-01T00:00:00Z".parse().unwrap()), ..Period::default() };
    let members = vec![
        member("alexandra@acme.io", Role::Admin, 3),
        member("jonny@acme.io", Role::Business, 5),
        Member { time: Some(Box::new(period)), ..member("matt@acme.io", Role::Developer, 7) },
        member("alice@acme.io", Role::Developer, 9),
        member("john@acme.io", Role::Admin, 11),
        member("max@acme.io", Role::Business, 13),
        Member { time: Some(Box::new(later)), ..member("yan@acme.io", Role::Analyst, 15) },
    ];
    let mut accounts = vec![
        account("alexandra@acme.io", Role::Admin),
        account("jonny@acme.io", Role::Admin),
        account("matt@acme.io", Role::Developer),
        account("bolt@paradime.io", Role::Admin),
    ];
    accounts.extend((1..=12).map(|n| account(&format!("user{n}@acme.io"), Role::Developer)));
    let invitations = vec![
        invitation("john@acme.io", Role::Admin, "SENT"),
        invitation("max@acme.io", Role::Admin, "QUEUED"),
        invitation("zoe@acme.io", Role::Developer, "ACTIVE"),
    ];
    World::new(members, accounts, invitations)
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}

#[test]
fn text_says_every_row_once_and_folds_what_is_held() {
    insta::assert_snapshot!(plain(&text::plan(&rich().view(), false)), @"
    acme   users.yaml   plan 80d4a020

      + invite     alice@acme.io   DEVELOPER          users.yaml:9
      ~ role       matt@acme.io    DEVELOPER → ADMIN  elevated   users.yaml:7
      ~ role       jonny@acme.io   ADMIN → BUSINESS   users.yaml:5
      … waiting    john@acme.io    ADMIN              invited, not yet accepted   users.yaml:11
      … waiting    max@acme.io     ADMIN              invited with MORE than the roster's BUSINESS: it can be corrected once accepted   users.yaml:13
      ! held       user10@acme.io  disable            not in users.yaml   cannot be undone through the API
      ! held       user11@acme.io  disable            not in users.yaml   cannot be undone through the API
      ! held       user12@acme.io  disable            not in users.yaml   cannot be undone through the API
      ! held       user1@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user2@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user3@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user4@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user5@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       …               4 more
      × unfixable  zoe@acme.io     DEVELOPER          invited, not in the roster: the API cannot withdraw it; withdraw it in the workspace settings
      · noted      max@acme.io     ADMIN              unknown invitation status QUEUED, taken as pending   users.yaml:13
      · noted      yan@acme.io     ANALYST            access begins 2026-12-01T00:00:00Z: nothing to do yet   users.yaml:15

    held by disable-budget: 12 of 15 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)
      hint: if all of them are meant, raise `guard.budgets.disable` in rosterd.yaml in a reviewed commit, and lower it again afterwards

    1 to invite, 2 roles to change, 12 held, 2 waiting, 1 unfixable, 2 noted, 1 in sync
    ");
}

#[test]
fn verbose_text_shows_every_row_and_its_guard() {
    let shown = plain(&text::plan(&rich().view(), true));
    let row = shown.lines().find(|line| line.contains("user12@acme.io")).unwrap();
    insta::assert_snapshot!(row, @"  ! held       user12@acme.io  disable            not in users.yaml   cannot be undone through the API   disable-budget");
    assert!(!shown.contains(" more\n"));
}

#[test]
fn nothing_to_do_is_one_line() {
    let world = World::new(
        vec![member("alexandra@acme.io", Role::Admin, 3)],
        vec![account("alexandra@acme.io", Role::Admin)],
        Vec::new(),
    );
    insta::assert_snapshot!(plain(&text::plan(&world.view(), false)), @"acme   users.yaml   in sync: 1 member, nothing to do");
    assert_eq!(unified::diff(&world.view()), "");
}

#[test]
fn drift_is_reported_and_long_or_wide_addresses_keep_the_columns() {
    let long = format!("{}@acme.io", "x".repeat(60));
    let world = World::with(
        vec![member("alexandra@acme.io", Role::Admin, 3), member(&long, Role::Business, 5)],
        vec![account("alexandra@acme.io", Role::Admin), account("山田@acme.io", Role::Analyst)],
        Vec::new(),
        OnRemoved::Report,
        &Limits::default(),
    );
    insta::assert_snapshot!(plain(&text::plan(&world.view(), false)), @"
    acme   users.yaml   plan e40e3446

      + invite     xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@acme.io  BUSINESS  users.yaml:5
      ≠ drift      山田@acme.io  ANALYST   not in the roster; `on_removed: report` leaves the account

    1 to invite, 1 reported only, 1 in sync
    ");
}

#[test]
fn the_diff_is_the_plan() {
    insta::assert_snapshot!(unified::diff(&rich().view()), @"
    # 12 of 15 changes are held: disable-budget
    --- acme (directory)
    +++ acme (after the plan)
    @@ -2,37 +2,15 @@
     users:
       - email: alexandra@acme.io
         role: ADMIN
    +  - email: alice@acme.io
    +    role: DEVELOPER
       - email: john@acme.io
         role: ADMIN
       - email: jonny@acme.io
    -    role: ADMIN
    +    role: BUSINESS
       - email: matt@acme.io
    -    role: DEVELOPER
    +    role: ADMIN
       - email: max@acme.io
         role: ADMIN
    -  - email: user10@acme.io
    -    role: DEVELOPER
    -  - email: user11@acme.io
    -    role: DEVELOPER
    -  - email: user12@acme.io
    -    role: DEVELOPER
    -  - email: user1@acme.io
    -    role: DEVELOPER
    -  - email: user2@acme.io
    -    role: DEVELOPER
    -  - email: user3@acme.io
    -    role: DEVELOPER
    -  - email: user4@acme.io
    -    role: DEVELOPER
    -  - email: user5@acme.io
    -    role: DEVELOPER
    -  - email: user6@acme.io
    -    role: DEVELOPER
    -  - email: user7@acme.io
    -    role: DEVELOPER
    -  - email: user8@acme.io
    -    role: DEVELOPER
    -  - email: user9@acme.io
    -    role: DEVELOPER
       - email: zoe@acme.io
         role: DEVELOPER
    ");
}

#[test]
fn markdown_is_ready_for_a_comment() {
    insta::assert_snapshot!(markdown::plan(&rich().view()), @"
    <!-- rosterd:plan:acme -->
    ### rosterd plan for `acme`: 1 to invite, 2 roles to change, 12 held, 2 waiting, 1 unfixable, 2 noted, 1 in sync

    `users.yaml` · plan `80d4a020`

    #### Changes

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `+` invite | `alice@acme.io` | `DEVELOPER` |  | `users.yaml:9` |
    | `~` role | `matt@acme.io` | `DEVELOPER → ADMIN` | elevated | `users.yaml:7` |
    | `~` role | `jonny@acme.io` | `ADMIN → BUSINESS` |  | `users.yaml:5` |

    #### Held

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `!` held | `user10@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user11@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user12@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user1@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user2@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user3@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user4@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user5@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user6@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user7@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user8@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user9@acme.io` | `disable` | not in users.yaml; cannot be undone through the API; disable-budget |  |

    > **held by disable-budget**: 12 of 15 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)
    >
    > hint: if all of them are meant, raise &#96;guard.budgets.disable&#96; in rosterd.yaml in a reviewed commit, and lower it again afterwards

    <details><summary>1 unfixable</summary>

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `×` unfixable | `zoe@acme.io` | `DEVELOPER` | invited, not in the roster: the API cannot withdraw it; withdraw it in the workspace settings |  |

    </details>

    <details><summary>2 waiting</summary>

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `…` waiting | `john@acme.io` | `ADMIN` | invited, not yet accepted | `users.yaml:11` |
    | `…` waiting | `max@acme.io` | `ADMIN` | invited with MORE than the roster's BUSINESS: it can be corrected once accepted | `users.yaml:13` |

    </details>

    <details><summary>2 noted</summary>

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `·` noted | `max@acme.io` | `ADMIN` | unknown invitation status QUEUED, taken as pending | `users.yaml:13` |
    | `·` noted | `yan@acme.io` | `ANALYST` | access begins 2026-12-01T00:00:00Z: nothing to do yet | `users.yaml:15` |

    </details>
    ");
}

#[test]
fn github_annotates_the_lines_of_the_roster() {
    let world = rich();
    let shown = github::plan(&world.view());
    let some: Vec<&str> = shown.lines().filter(|line| !line.contains("@acme.io disable")).collect();
    insta::assert_snapshot!(some.join("\n"), @"
    ::notice file=users.yaml,line=9,col=12,title=acme%3A invite::alice@acme.io DEVELOPER
    ::notice file=users.yaml,line=7,col=12,title=acme%3A role::matt@acme.io DEVELOPER → ADMIN; elevated
    ::notice file=users.yaml,line=5,col=12,title=acme%3A role::jonny@acme.io ADMIN → BUSINESS
    ::notice file=users.yaml,line=11,col=12,title=acme%3A waiting::john@acme.io ADMIN; invited, not yet accepted
    ::notice file=users.yaml,line=13,col=12,title=acme%3A waiting::max@acme.io ADMIN; invited with MORE than the roster's BUSINESS: it can be corrected once accepted
    ::warning title=acme%3A unfixable::zoe@acme.io DEVELOPER; invited, not in the roster: the API cannot withdraw it; withdraw it in the workspace settings
    ::notice file=users.yaml,line=13,col=12,title=acme%3A noted::max@acme.io ADMIN; unknown invitation status QUEUED, taken as pending
    ::notice file=users.yaml,line=15,col=12,title=acme%3A noted::yan@acme.io ANALYST; access begins 2026-12-01T00:00:00Z: nothing to do yet
    ::warning title=acme%3A held by disable-budget::12 of 15 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)%0Ahint: if all of them are meant, raise `guard.budgets.disable` in rosterd.yaml in a reviewed commit, and lower it again afterwards
    ::notice title=rosterd plan for acme::1 to invite, 2 roles to change, 12 held, 2 waiting, 1 unfixable, 2 noted, 1 in sync
    ");
}

#[test]
fn json_tells_every_field() {
    let world = World::with(
        vec![
            member("alexandra@acme.io", Role::Admin, 3),
            member("jonny@acme.io", Role::Business, 5),
            member("alice@acme.io", Role::Developer, 9),
            member("john@acme.io", Role::Admin, 11),
        ],
        vec![account("alexandra@acme.io", Role::Admin), account("jonny@acme.io", Role::Admin)],
        vec![invitation("john@acme.io", Role::Admin, "SENT")],
        OnRemoved::Disable,
        &Limits { required_admins: vec![Email::remote("jonny@acme.io")], ..Limits::default() },
    );
    insta::assert_snapshot!(json::write(&[world.view()]), @r#"
    {
      "format_version": 1,
      "workspaces": [
        {
          "workspace": "acme",
          "roster": {
            "digest": "d00e1c0cedac2c408ea64030b8134ce250129870ce3d0e5f92929599874b1d34",
            "files": [
              "users.yaml"
            ]
          },
          "fingerprint": "a9626c7be6496d5583baf0af1aaf17118f5fc42e2f7f30b3b548a432a6e10b12",
          "made_at": "2026-11-25T12:00:00Z",
          "changes": [
            {
              "kind": "update_role",
              "class": "demote",
              "email": "jonny@acme.io",
              "uid": "uid-jonny@acme.io",
              "from": "ADMIN",
              "to": "BUSINESS",
              "reason": "another role in the roster",
              "name": "jonny",
              "place": {
                "file": "users.yaml",
                "line": 5,
                "column": 12
              },
              "held_by": [
                "required-admins"
              ]
            },
            {
              "kind": "invite",
              "class": "invite",
              "email": "alice@acme.io",
              "to": "DEVELOPER",
              "reason": "not in the workspace yet",
              "place": {
                "file": "users.yaml",
                "line": 9,
                "column": 12
              },
              "held_by": []
            }
          ],
          "findings": [
            {
              "kind": "invited",
              "standing": "waiting",
              "words": "invited, not yet accepted",
              "email": "john@acme.io",
              "role": "ADMIN",
              "place": {
                "file": "users.yaml",
                "line": 11,
                "column": 12
              }
            }
          ],
          "refusals": [
            {
              "guard": "required-admins",
              "message": "1 of 1 required admins would lose ADMIN (guard.required_admins in rosterd.yaml)",
              "hint": "nothing releases this but another `guard.required_admins`"
            }
          ],
          "summary": {
            "invite": 1,
            "role": 0,
            "disable": 0,
            "held": 1,
            "waiting": 1,
            "unfixable": 0,
            "drift": 0,
            "noted": 0,
            "in_sync": 1
          }
        }
      ]
    }
    "#);
}

#[test]
fn what_is_written_is_read_back_without_a_difference() {
    let world = rich();
    let written = json::write(&[world.view()]);
    let read = json::read(&written).unwrap();
    let saved = read.workspace("acme").unwrap();
    assert_eq!(saved.differences(&world.plan), []);
    assert_eq!(saved.changes.len(), world.plan.changes().len());
    let held = saved.changes.iter().filter(|change| !change.held_by.is_empty()).count();
    assert_eq!(held, world.verdict.held.len());
    assert!(held > 0 && read.workspace("other").is_none());
}

#[test]
fn a_stale_plan_says_what_is_different() {
    let mut world = rich();
    let saved = json::read(&json::write(&[world.view()])).unwrap().workspaces.remove(0);
    let mut accounts = world.snapshot.accounts().to_vec();
    accounts.retain(|account| account.email.as_str() != "user3@acme.io");
    accounts.push(account("alice@acme.io", Role::Business));
    let jonny = accounts.iter_mut().find(|it| it.email.as_str() == "jonny@acme.io").unwrap();
    jonny.uid = Uid("uid-again".into());
    let members = world.roster.members().to_vec();
    let digest = Digest::of(["something else"]);
    world.roster = Roster::new(members, Vec::new(), Vec::new(), digest).unwrap();
    let snapshot = Snapshot::new(accounts, world.snapshot.invitations().to_vec(), None).unwrap();
    let fresh = plan(&world.roster, &snapshot, &Memory::empty(), OnRemoved::Disable, now());
    let told: Vec<String> = saved.differences(&fresh).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    the roster is another one: d00e1c0c then, 3464a539 now
    no longer wanted: invite alice@acme.io DEVELOPER
    new since then:   update_role alice@acme.io BUSINESS → DEVELOPER (uid uid-alice@acme.io)
    new since then:   disable bolt@paradime.io ADMIN (uid uid-bolt@paradime.io)
    new since then:   update_role jonny@acme.io ADMIN → BUSINESS (uid uid-again)
    no longer wanted: update_role jonny@acme.io ADMIN → BUSINESS (uid uid-jonny@acme.io)
    no longer wanted: disable user3@acme.io DEVELOPER (uid uid-user3@acme.io)
    ");
}

#[test]
fn what_is_no_plan_says_so() {
    let told = |text: &str| json::read(text).unwrap_err().to_string();
    let version = r#"{"format_version": 2, "workspaces": []}"#;
    let damaged = r#"{"format_version": 1, "workspaces": [{"workspace": 3}]}"#;
    let all = [told("users:\n"), told("{}"), told("[1]"), told(version), told(damaged)];
    insta::assert_snapshot!(all.join("\n"), @"
    this is not JSON (expected value at line 1 column 1); a plan is written by `rosterd --plan --format json`
    this JSON is not a plan: it has no `format_version`; write one with `rosterd --plan --format json`
    the plan is damaged: invalid length 1, expected struct SavedPlans with 2 elements; make it again
    the plan has format_version 2, and this rosterd reads 1; make the plan again
    the plan is damaged: invalid type: integer `3`, expected a string; make it again
    ");
}

const HOSTILE: &str = "x\u{1b}[31m|`</details><b>@team\n::error::[a](http://e)\u{202e}%\"@acme.io";

/// A workspace in which other people chose every text.
fn hostile() -> World {
    let other = || Role::from_api("R\u{1b}|`<i>\n- email: z");
    let account = Account { name: Some(HOSTILE.into()), ..account(HOSTILE, other()) };
    let invitation = invitation(&format!("i{HOSTILE}"), other(), HOSTILE);
    World::new(vec![member("alice@acme.io", Role::Developer, 3)], vec![account], vec![invitation])
}

#[test]
fn hostile_text_is_inert_in_every_format() {
    let world = hostile();
    let view = world.view();
    let formats = [
        plain(&text::plan(&view, true)),
        unified::diff(&view),
        markdown::plan(&view),
        github::plan(&view),
        json::write(&[view]),
    ];
    for shown in &formats {
        let bad = |c: char| c != '\n' && rosterd::escape::is_hostile(c);
        assert!(!shown.contains(bad), "{shown}");
        assert!(shown.lines().all(|line| !line.starts_with("::error")), "{shown}");
    }
    assert!(formats[1].lines().all(|line| !line[1..].starts_with("- email: z")));
    insta::assert_snapshot!(formats[1], @r#"
    --- acme (directory)
    +++ acme (after the plan)
    @@ -1,6 +1,6 @@
     version: 1
     users:
    +  - email: alice@acme.io
    +    role: DEVELOPER
       - email: "ix\\u{1b}[31m|`</details><b>@team\\u{a}::error::[a](http://e)\\u{202e}%\"@acme.io"
         role: !raw "R\\u{1b}|`<i>\\u{a}- email: z"
    -  - email: "x\\u{1b}[31m|`</details><b>@team\\u{a}::error::[a](http://e)\\u{202e}%\"@acme.io"
    -    role: !raw "R\\u{1b}|`<i>\\u{a}- email: z"
    "#);
    let row = formats[2].lines().find(|line| line.contains("disable")).unwrap();
    insta::assert_snapshot!(row, @"### rosterd plan for `acme`: 1 to invite, 1 to disable, 1 unfixable, 1 noted");
    let saved = json::read(&formats[4]).unwrap();
    let verbatim = saved.workspaces[0].changes.iter().any(|change| change.email == HOSTILE);
    assert!(verbatim, "JSON keeps the address as it is");
    assert_eq!(saved.workspaces[0].differences(&world.plan), []);
}

#[test]
fn the_order_of_the_input_never_matters() {
    let world = rich();
    let mut members = world.roster.members().to_vec();
    let mut accounts = world.snapshot.accounts().to_vec();
    let mut invitations = world.snapshot.invitations().to_vec();
    members.reverse();
    accounts.reverse();
    invitations.reverse();
    let other = World::new(members, accounts, invitations);
    let all = |view: View<'_>| {
        [
            text::plan(&view, false),
            unified::diff(&view),
            markdown::plan(&view),
            github::plan(&view),
            json::write(&[view]),
        ]
    };
    assert_eq!(all(world.view()), all(other.view()));
}

#[test]
fn a_comment_stays_within_its_limit_and_counts_what_it_leaves_out() {
    let members = (0..3000).map(|n| member(&format!("user{n}@acme.io"), Role::Business, n));
    let limits = Limits { budgets: std::collections::BTreeMap::new(), ..Limits::default() };
    let world = World::with(members.collect(), Vec::new(), Vec::new(), OnRemoved::Disable, &limits);
    let comment = markdown::plan(&world.view());
    assert!(comment.len() < 65_536);
    let shown = comment.lines().filter(|line| line.contains("@acme.io")).count();
    assert!(comment.contains(&format!("… and {} more", 3000 - shown)), "{shown}");
}

#[test]
fn a_hundred_thousand_people_make_a_small_diff() {
    let name = |n: u32| format!("user{n}@acme.io");
    let members = (0..100_000).map(|n| member(&name(n), Role::Business, n)).collect();
    let accounts = (1..100_000)
        .map(|n| account(&name(n), if n == 500 { Role::Analyst } else { Role::Business }));
    let world = World::new(members, accounts.collect(), Vec::new());
    insta::assert_snapshot!(unified::diff(&world.view()), @"
    --- acme (directory)
    +++ acme (after the plan)
    @@ -1,5 +1,7 @@
     version: 1
     users:
    +  - email: user0@acme.io
    +    role: BUSINESS
       - email: user10000@acme.io
         role: BUSINESS
       - email: user10001@acme.io
    @@ -89109,7 +89111,7 @@
       - email: user5009@acme.io
         role: BUSINESS
       - email: user500@acme.io
    -    role: ANALYST
    +    role: BUSINESS
       - email: user50100@acme.io
         role: BUSINESS
       - email: user50101@acme.io
    ");
}

fn report(world: &World, outcomes: &[Outcome], verification: Verification) -> RunReport {
    let approved = world.verdict.approved.changes().iter().cloned();
    let applied = Applied {
        plan: world.plan.clone(),
        verdict: world.verdict.clone(),
        outcomes: approved.zip(outcomes.iter().cloned()).collect(),
        verification,
        stopped: None,
    };
    let end = End::Applied(Box::new(applied));
    RunReport {
        workspace: "acme".into(),
        trigger: Trigger::Start,
        started: now(),
        finished: now(),
        stale: false,
        end,
    }
}

#[test]
fn a_run_tells_what_was_done_and_what_is_left() {
    let world = rich();
    let outcomes = [
        Outcome::Done,
        Outcome::Rejected("no\u{1b}[2J such user".into()),
        Outcome::Unknown("no answer in 60 s".into()),
    ];
    let left = world.verdict.approved.changes()[1..].to_vec();
    let residue = Residue { applicable: left, in_sync: 2, ..Residue::default() };
    let report = report(&world, &outcomes, Verification::Read(Box::new(residue)));
    insta::assert_snapshot!(plain(&text::run(&report, &world.sources, false)), @r"
    acme   users.yaml   plan 80d4a020

      ✓ role       matt@acme.io    DEVELOPER → ADMIN  done   elevated   users.yaml:7
      × role       jonny@acme.io   ADMIN → BUSINESS   rejected: no\u{1b}[2J such user   users.yaml:5
      ? invite     alice@acme.io   DEVELOPER          unknown: no answer in 60 s   users.yaml:9
      … waiting    john@acme.io    ADMIN              invited, not yet accepted   users.yaml:11
      … waiting    max@acme.io     ADMIN              invited with MORE than the roster's BUSINESS: it can be corrected once accepted   users.yaml:13
      ! held       user10@acme.io  disable            not in users.yaml   cannot be undone through the API
      ! held       user11@acme.io  disable            not in users.yaml   cannot be undone through the API
      ! held       user12@acme.io  disable            not in users.yaml   cannot be undone through the API
      ! held       user1@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user2@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user3@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user4@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       user5@acme.io   disable            not in users.yaml   cannot be undone through the API
      ! held       …               4 more
      × unfixable  zoe@acme.io     DEVELOPER          invited, not in the roster: the API cannot withdraw it; withdraw it in the workspace settings
      · noted      max@acme.io     ADMIN              unknown invitation status QUEUED, taken as pending   users.yaml:13
      · noted      yan@acme.io     ANALYST            access begins 2026-12-01T00:00:00Z: nothing to do yet   users.yaml:15

    held by disable-budget: 12 of 15 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)
      hint: if all of them are meant, raise `guard.budgets.disable` in rosterd.yaml in a reviewed commit, and lower it again afterwards

    still to do: the next run decides anew:
      ~ role       jonny@acme.io  ADMIN → BUSINESS  users.yaml:5
      + invite     alice@acme.io  DEVELOPER         users.yaml:9

    1 done, 1 rejected, 1 unknown, 12 held, 2 left, 2 in sync
    ");
}

#[test]
fn a_converged_run_ends_in_sync_and_a_failed_one_says_why() {
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
    insta::assert_snapshot!(plain(&text::run(&report, &world.sources, false)), @"
    acme   users.yaml   plan e8421410

      ✓ invite     alice@acme.io  ANALYST  done   users.yaml:5

    in sync: 1 done, 1 in sync
    ");
    report.stale = true;
    report.end =
        End::Failed(Failure { kind: "unauthorized", message: "the key is not accepted".into() });
    insta::assert_snapshot!(plain(&text::run(&report, &world.sources, false)), @"acme   users.yaml   (the last good roster: the files cannot be used)   failed: the key is not accepted (unauthorized)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every count of the summary is a number of rows, every change and finding has one row.
    #[test]
    fn the_summary_counts_the_rows(
        people in prop::collection::vec((0_u8..4, 0_u8..5, 0_usize..3, 0_usize..3), 0..12),
        report in any::<bool>(),
        floor in 0_usize..4,
    ) {
        let roles = [Role::Admin, Role::Developer, Role::Business];
        let (mut members, mut accounts, mut invitations) = (Vec::new(), Vec::new(), Vec::new());
        for (n, (kind, state, role, other)) in people.into_iter().enumerate() {
            let email = format!("user{n}@acme.io");
            if kind > 0 {
                members.push(member(&email, roles[role].clone(), 3));
            }
            match state {
                0 => {}
                1 => invitations.push(invitation(&email, roles[other].clone(), "SENT")),
                2 => invitations.push(invitation(&email, roles[other].clone(), "EXPIRED")),
                _ => accounts.push(account(&email, roles[other].clone())),
            }
        }
        let mut limits = Limits::default();
        limits.budgets.values_mut().for_each(|budget| budget.floor = floor);
        let on_removed = if report { OnRemoved::Report } else { OnRemoved::Disable };
        let world = World::with(members, accounts, invitations, on_removed, &limits);
        let rows = rows::of_view(&world.view());
        let Summary { invite, role, disable, held, waiting, unfixable, drift, noted, in_sync: _ } =
            Summary::of(&world.plan, &rows);
        prop_assert_eq!(invite + role + disable, world.verdict.approved.len());
        prop_assert_eq!(held, world.verdict.held.len());
        prop_assert_eq!(waiting + unfixable + drift + noted, world.plan.findings().len());
        let shown = plain(&text::plan(&world.view(), true));
        for row in &rows {
            let tells = |line: &str| line.contains(row.kind.word()) && line.contains(&row.email);
            prop_assert!(shown.lines().any(tells));
        }
        let lines = shown.lines().filter(|line| line.starts_with("  ") && line.contains('@'));
        prop_assert_eq!(lines.count(), rows.len());
        prop_assert!(rows.is_sorted_by_key(|row| row.kind));
    }
}

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.add(
        "users.yaml",
        format!(
            "users:\n  - email: ada@acme.io\n  - email: \u{1b}[31mx@acme.io\n{}token@acme.io # {}\n",
            "y".repeat(500),
            "z".repeat(500)
        ),
    );
    sources
}

fn spot(sources: &Sources, text: &str) -> Place {
    let whole = &sources.get(FileId(0)).unwrap().text;
    let start = whole.find(text).unwrap();
    let line = whole[..start].matches('\n').count() + 1;
    let column = whole[..start].chars().rev().take_while(|c| *c != '\n').count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap();
    Place {
        file: FileId(0),
        line: number(line),
        column: number(column),
        start: number(start),
        end: number(start + text.len()),
    }
}

fn problems(sources: &Sources) -> Vec<Diagnostic> {
    vec![
        Diagnostic::error("duplicate-address", "duplicate address `x@acme.io`")
            .at(spot(sources, "x@acme.io"))
            .label("listed again here")
            .related(spot(sources, "ada@acme.io"), "first listed here")
            .hint("remove one of the two, or join them with `aliases`"),
        Diagnostic::warning("bad-address", "bad\u{1b} address").at(spot(sources, "token@acme.io")),
        Diagnostic::error("secret-in-file", "a secret stands in the file")
            .at(spot(sources, "token@acme.io"))
            .label("here")
            .hint("name an environment variable")
            .concealed(),
        Diagnostic::error("unreadable", "users.yaml cannot be read: no such file"),
    ]
}

#[test]
fn a_diagnostic_draws_its_line_unless_it_is_concealed() {
    let sources = sources();
    let shown = diagnostics::text(&problems(&sources), &sources, false);
    insta::assert_snapshot!(shown, @r"
    error[duplicate-address]: duplicate address `x@acme.io`
      ╭▸ users.yaml:3:17
      │
      ⸬  
    3 │   - email: \u{1b}[31mx@acme.io
      │                      ━━━━━━━━━ listed again here
      ⸬  users.yaml:2:12
      │
      ⸬  
    2 │   - email: ada@acme.io
      │            ─────────── first listed here
      │
      ╰ help: remove one of the two, or join them with `aliases`

    warning[bad-address]: bad\u{1b} address
      ╭▸ users.yaml:4:501
      │
      ⸬  
    4 │ …yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyytoken@acme.io # zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz…
      ╰╴                                                                                 ━━━━━━━━━━━━━

    error[secret-in-file]: a secret stands in the file
     ╭▸ users.yaml:4:501
     ├ note: here
     ╰ help: name an environment variable

    error[unreadable]: users.yaml cannot be read: no such file
    ");
    let concealed = problems(&sources).split_off(2);
    let styled = diagnostics::text(&concealed, &sources, true);
    assert!(styled.contains('\u{1b}') && !styled.contains("token"), "{styled}");
}

#[test]
fn diagnostics_as_json_and_as_annotations() {
    let sources = sources();
    let problems = problems(&sources);
    insta::assert_snapshot!(diagnostics::json(&problems[..1], &sources), @r#"
    [
      {
        "code": "duplicate-address",
        "severity": "error",
        "message": "duplicate address `x@acme.io`",
        "file": "users.yaml",
        "line": 3,
        "column": 17,
        "start": 46,
        "end": 55,
        "label": "listed again here",
        "hint": "remove one of the two, or join them with `aliases`",
        "related": [
          {
            "file": "users.yaml",
            "line": 2,
            "column": 12,
            "message": "first listed here"
          }
        ]
      }
    ]
    "#);
    insta::assert_snapshot!(github::diagnostics(&problems, &sources), @r"
    ::error file=users.yaml,line=3,col=17,title=duplicate-address::duplicate address `x@acme.io`%0Ausers.yaml:2: first listed here%0Ahint: remove one of the two, or join them with `aliases`
    ::warning file=users.yaml,line=4,col=501,title=bad-address::bad\u{1b} address
    ::error file=users.yaml,line=4,col=501,title=secret-in-file::a secret stands in the file%0Ahint: name an environment variable
    ::error title=unreadable::users.yaml cannot be read: no such file
    ");
}

#[test]
fn a_place_of_another_text_never_breaks_the_drawing() {
    let sources = sources();
    for (start, end) in [(0, 0), (5, 2), (3, 9_999), (9_999, 10_000), (1, 30)] {
        let place = Place { file: FileId(0), line: 1, column: 1, start, end };
        let problem = Diagnostic::error("any", "any").at(place).label("here");
        let shown = diagnostics::text(&[problem], &sources, false);
        assert!(shown.contains("users.yaml:1:1"), "{shown}");
    }
    let nowhere = Diagnostic::error("any", "any").at(Place { file: FileId(7), ..place(1) });
    assert!(diagnostics::text(&[nowhere], &sources, false).contains("?:1:12"));
}

#[test]
fn kinds_are_told_apart_without_colour() {
    let kinds = [
        Kind::Invite,
        Kind::Role,
        Kind::Disable,
        Kind::Waiting,
        Kind::Held,
        Kind::Unfixable,
        Kind::Drift,
        Kind::Noted,
    ];
    let symbols: std::collections::BTreeSet<char> =
        kinds.iter().map(|kind| kind.symbol()).collect();
    let words: std::collections::BTreeSet<&str> = kinds.iter().map(|kind| kind.word()).collect();
    assert_eq!((symbols.len(), words.len()), (kinds.len(), kinds.len()));
}
