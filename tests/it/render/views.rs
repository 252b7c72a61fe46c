//! One plan in each human-readable format.

use rosterd::diagnostic::Sources;
use rosterd::guard::Limits;
use rosterd::link::{Links, RepoUrl};
use rosterd::plan::OnRemoved;
use rosterd::render::approve::{ApproveBy, COMMAND};
use rosterd::render::table::Screen;
use rosterd::render::{View, github, json, markdown, saved, text, unified};
use rosterd::revision::Revision;
use rosterd::role::Role;

use unicode_width::UnicodeWidthStr as _;

use super::{World, account, member, plain, rich};

#[test]
fn text_shows_every_row_once_and_folds_held_rows() {
    insta::assert_snapshot!(plain(&text::plan(&rich().view(), Screen::default())), @r#"
    acme   users.yaml   plan 80d4a020
    15 accounts (2 ADMIN, 13 DEVELOPER), 3 invitations (2 ADMIN, 1 DEVELOPER), 1 unmanaged

        KIND          WHO            ROLE               WHY
      + invite        alice@acme.io  DEVELOPER          users.yaml:9
      ~ role          jonny@acme.io  ADMIN → BUSINESS   users.yaml:5
      ~ role          matt@acme.io   DEVELOPER → ADMIN  elevated   users.yaml:7
      … pending       john@acme.io   ADMIN              invited, acceptance pending   users.yaml:11
      … pending       max@acme.io    ADMIN              invited with a HIGHER role than BUSINESS; can be changed once accepted   users.yaml:13
      ! held          user1@acme.io  disable DEVELOPER
      ! held          user2@acme.io  disable DEVELOPER
      ! held          user3@acme.io  disable DEVELOPER
      ! held          user4@acme.io  disable DEVELOPER
      ! held          user5@acme.io  disable DEVELOPER
      ! held          user6@acme.io  disable DEVELOPER
      ! held          user7@acme.io  disable DEVELOPER
      ! held          user8@acme.io  disable DEVELOPER
      ! held          … 4 more; --all shows them
      ! held          all 12: not in users.yaml, cannot be undone through the API, disable-budget
      × needs action  zoe@acme.io    DEVELOPER          invited, but not in the roster; the API cannot withdraw the invitation; if accepted, treated as any account
      · info          max@acme.io    ADMIN              unknown invitation status QUEUED, treated as pending   users.yaml:13
      · info          yan@acme.io    ANALYST            access starts 2026-12-01 00:00 UTC   users.yaml:15

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

    1 to invite, 2 roles to change, 12 held, 2 pending, 1 needs action, 2 info, 1 in sync
    "#);
}

#[test]
fn where_the_roster_has_approvals_only_the_new_items_are_shown() {
    let mut world = rich();
    world.sources = Sources::default();
    world.sources.add("users.yaml", "version: 1\napprovals:\n- invite: [a@acme.io]\n");
    let items = "\n- disable:\n    - user1@acme.io\n";
    let shown = plain(&text::plan(&world.view(), Screen::default()));
    assert!(shown.contains(&items.replace('\n', "\n  ")), "{shown}");
    let shown = shown + &markdown::plan(&world.view());
    assert_eq!(shown.matches(" approve, add these items to `approvals:`, with a").count(), 2);
    assert!(shown.contains(&format!("```yaml{items}")) && !shown.contains("approvals:\n"));
}

#[test]
fn where_nothing_is_committed_a_saved_plan_is_applied() {
    let world = rich();
    let view = View { approve_by: ApproveBy::SavedPlan, ..world.view() };
    let shown = plain(&text::plan(&view, Screen::default()));
    let (_, commands) = shown.split_once("\nto approve, ").unwrap();
    insta::assert_snapshot!(commands.split("\n\n1 to").next().unwrap(), @r#"
    the roster is not in a git work tree, so run these, with the same options:

      rosterd --plan --format json --out PLAN.json
      rosterd apply PLAN.json --include-held --reason "..."
    "#);
}

#[test]
fn a_comment_for_many_people_fits_and_cuts_no_address() {
    let long = |n: usize| format!("{n:03}&{}@acme.io", "x".repeat(242));
    let odd = |n: usize| format!("user{n}&x<{n}@acme.io");
    let (long, odd) = (&long as &dyn Fn(usize) -> String, &odd as &dyn Fn(usize) -> String);
    for (count, address, is_complete) in [(150, odd, true), (150, long, false), (400, long, false)]
    {
        let addresses: Vec<String> = (0..count).map(address).collect();
        let mut accounts = vec![account("alexandra@acme.io", Role::Admin)];
        accounts.extend(addresses.iter().map(|it| account(it, Role::Business)));
        let members = vec![member("alexandra@acme.io", Role::Admin, 3)];
        let shown = markdown::plan(&World::new(members, accounts, Vec::new()).view());
        assert!(shown.chars().count() < 65_536, "{}", shown.len());
        let words = shown.split([' ', '\n', '`', '[', ']', ',', '"']);
        for word in words.filter(|word| word.contains("@acme") || word.contains("xxx")) {
            assert!(addresses.iter().any(|it| it == word), "{word}");
        }
        assert_eq!(shown.contains("```yaml\napprovals:\n"), is_complete);
        let instead = format!("run `{COMMAND}`: the lines for {count} people are too long");
        assert_eq!(shown.contains(&instead), !is_complete);
        assert_eq!(shown.matches("reason: \"\" # write why").count(), usize::from(is_complete));
    }
}

#[test]
fn every_row_is_shown_on_request_and_what_all_have_is_said_once() {
    let shown = plain(&text::plan(&rich().view(), Screen { width: None, all: true }));
    let row = shown.lines().find(|line| line.contains("user12@acme.io")).unwrap();
    insta::assert_snapshot!(row, @"  ! held          user12@acme.io  disable DEVELOPER");
    assert!(!shown.contains(" more;"));
    let common = "all 12: not in users.yaml, cannot be undone through the API, disable-budget\n";
    assert_eq!(shown.matches(common).count(), 1, "{shown}");
}

#[test]
fn a_plan_fits_the_terminal_and_is_not_wrapped_in_a_pipe() {
    let odd = "山田.with.a.very.long.name.and.an.even.longer.family.name@subsidiary.acme.io";
    let accounts = vec![account("alexandra@acme.io", Role::Admin), account(odd, Role::Admin)];
    let members = vec![
        member("alexandra@acme.io", Role::Admin, 3),
        member("elise.of.the.data.platform.team@acme.io", Role::Business, 5),
    ];
    let world = World::new(members, accounts, Vec::new());
    for width in [40, 80, 120] {
        let screen = Screen { width: Some(width), all: false };
        let shown = plain(&text::plan(&world.view(), screen));
        let (table, _) = shown.rsplit_once("\n\n").unwrap();
        for line in table.lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
        assert!(table.contains("  KIND") && table.contains("WHO"), "{table}");
    }
    let piped = plain(&text::plan(&world.view(), Screen::default()));
    assert!(piped.lines().any(|line| line.contains(odd) && line.contains("disable")), "{piped}");
}

#[test]
fn a_plan_in_sync_is_one_line() {
    let world = World::new(
        vec![member("alexandra@acme.io", Role::Admin, 3)],
        vec![account("alexandra@acme.io", Role::Admin)],
        Vec::new(),
    );
    insta::assert_snapshot!(plain(&text::plan(&world.view(), Screen::default())), @"acme   users.yaml   No changes: 1 member in sync");
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
    insta::assert_snapshot!(plain(&text::plan(&world.view(), Screen::default())), @"
    acme   users.yaml   plan e40e3446
    2 accounts (1 ADMIN, 1 ANALYST)

        KIND    WHO           ROLE      WHY
      + invite  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@acme.io  BUSINESS  users.yaml:5
      ≠ drift   山田@acme.io  ANALYST   not in the roster; unchanged because of `on_removed: report`

    1 to invite, 1 drift, 1 in sync
    ");
}

#[test]
fn the_diff_shows_every_change_of_the_plan() {
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
fn markdown_shows_the_plan_and_the_approvals() {
    insta::assert_snapshot!(markdown::plan(&rich().view()), @r#"
    <!-- rosterd:plan:acme -->
    ### rosterd plan for `acme`: 1 to invite, 2 roles to change, 12 held, 2 pending, 1 needs action, 2 info, 1 in sync

    `users.yaml` · plan `80d4a020`

    15 accounts (2 ADMIN, 13 DEVELOPER), 3 invitations (2 ADMIN, 1 DEVELOPER), 1 unmanaged

    #### Changes

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `+` invite | `alice@acme.io` | `DEVELOPER` |  | `users.yaml:9` |
    | `~` role | `jonny@acme.io` | `ADMIN → BUSINESS` |  | `users.yaml:5` |
    | `~` role | `matt@acme.io` | `DEVELOPER → ADMIN` | elevated | `users.yaml:7` |

    #### Held

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `!` held | `user1@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user2@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user3@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user4@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user5@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user6@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user7@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user8@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user9@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user10@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user11@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |
    | `!` held | `user12@acme.io` | `disable DEVELOPER` | not in users.yaml; cannot be undone through the API; disable-budget |  |

    > **held by disable-budget**: 12 of 15 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)
    >
    > hint: if all of them are intended, approve them by name, or raise `guard.budgets.disable`, in a reviewed commit

    To approve, add these lines to the roster, with a reason, and commit them, or run `rosterd approve --all --reason "..."`:

    ```yaml
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
    ```

    <details><summary>1 needs action</summary>

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `×` needs action | `zoe@acme.io` | `DEVELOPER` | invited, but not in the roster; the API cannot withdraw the invitation; if accepted, treated as any account |  |

    </details>

    <details><summary>2 pending</summary>

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `…` pending | `john@acme.io` | `ADMIN` | invited, acceptance pending | `users.yaml:11` |
    | `…` pending | `max@acme.io` | `ADMIN` | invited with a HIGHER role than BUSINESS; can be changed once accepted | `users.yaml:13` |

    </details>

    <details><summary>2 info</summary>

    | | Who | What | Why | Where |
    |---|---|---|---|---|
    | `·` info | `max@acme.io` | `ADMIN` | unknown invitation status QUEUED, treated as pending | `users.yaml:13` |
    | `·` info | `yan@acme.io` | `ANALYST` | access starts 2026-12-01 00:00 UTC | `users.yaml:15` |

    </details>
    "#);
}

#[test]
fn where_the_repository_has_pages_commit_and_places_are_links() {
    let mut world = rich();
    let links = Links {
        repo: RepoUrl::of_remote("git@github.com:acme/access.git").unwrap(),
        commit: Some("3f2c1abd".into()),
        files: vec![Some("teams/users.yaml".into())],
    };
    world.sources = world.sources.linked(Some(links));
    let revision =
        Revision { commit: "3f2c1abd".into(), author: None, subject: None, at: None, dirty: false };
    let view = View { revision: Some(&revision), ..world.view() };
    let commit = "https://github.com/acme/access/commit/3f2c1abd";
    let line = "https://github.com/acme/access/blob/3f2c1abd/teams/users.yaml#L9";
    let comment = markdown::plan(&view);
    assert!(comment.contains(&format!("`users.yaml` @ [`3f2c1ab`]({commit}) · plan")), "{comment}");
    assert!(comment.contains(&format!("|  | [`users.yaml:9`]({line}) |\n")), "{comment}");
    let saved = saved::read(&json::write(&[view])).unwrap().workspaces.remove(0);
    assert_eq!(saved.roster.commit_url.as_deref(), Some(commit));
    let mut urls = saved.changes.into_iter().filter_map(|change| change.place?.url);
    assert!(urls.any(|url| url == line));
}

#[test]
fn github_annotations_are_at_the_lines_of_the_roster() {
    let world = rich();
    let shown = github::plan(&world.view());
    let some: Vec<&str> = shown.lines().filter(|line| !line.contains("@acme.io disable")).collect();
    insta::assert_snapshot!(some.join("\n"), @"
    ::notice file=users.yaml,line=9,col=12,title=acme%3A invite::alice@acme.io DEVELOPER
    ::notice file=users.yaml,line=5,col=12,title=acme%3A role::jonny@acme.io ADMIN → BUSINESS
    ::notice file=users.yaml,line=7,col=12,title=acme%3A role::matt@acme.io DEVELOPER → ADMIN; elevated
    ::notice file=users.yaml,line=11,col=12,title=acme%3A pending::john@acme.io ADMIN; invited, acceptance pending
    ::notice file=users.yaml,line=13,col=12,title=acme%3A pending::max@acme.io ADMIN; invited with a HIGHER role than BUSINESS; can be changed once accepted
    ::warning title=acme%3A needs action::zoe@acme.io DEVELOPER; invited, but not in the roster; the API cannot withdraw the invitation; if accepted, treated as any account
    ::notice file=users.yaml,line=13,col=12,title=acme%3A info::max@acme.io ADMIN; unknown invitation status QUEUED, treated as pending
    ::notice file=users.yaml,line=15,col=12,title=acme%3A info::yan@acme.io ANALYST; access starts 2026-12-01 00:00 UTC
    ::warning title=acme%3A held by disable-budget::12 of 15 accounts within 24 h, limit 3 (guard.budgets.disable in rosterd.yaml)%0Ahint: if all of them are intended, approve them by name, or raise `guard.budgets.disable`, in a reviewed commit
    ::notice title=rosterd plan for acme::1 to invite, 2 roles to change, 12 held, 2 pending, 1 needs action, 2 info, 1 in sync
    ");
}

#[test]
fn a_comment_is_cut_at_the_limit_and_counts_the_rest() {
    let members = (0..3000).map(|n| member(&format!("user{n}@acme.io"), Role::Business, n));
    let limits = Limits { budgets: std::collections::BTreeMap::new(), ..Limits::default() };
    let world = World::with(members.collect(), Vec::new(), Vec::new(), OnRemoved::Disable, &limits);
    let comment = markdown::plan(&world.view());
    assert!(comment.len() < 65_536);
    let shown = comment.lines().filter(|line| line.contains("@acme.io")).count();
    assert!(comment.contains(&format!("… and {} more rows", 3000 - shown)), "{shown}");
}

#[test]
fn the_diff_of_a_large_roster_is_small() {
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

#[test]
fn the_rows_of_a_lookalike_and_of_its_member_name_each_other() {
    let members = vec![
        member("alexandra@acme.io", Role::Admin, 3),
        member("zoe@acme.io", Role::Developer, 5),
    ];
    let accounts = vec![
        account("alexandra@acme.io", Role::Admin),
        account("zoe@acme.io\u{a0}", Role::Developer),
    ];
    let shown =
        plain(&text::plan(&World::new(members, accounts, Vec::new()).view(), Screen::default()));
    let row = |what: &str| shown.lines().find(|line| line.contains(what)).unwrap();
    assert!(row("  disable").contains("zoe@acme.io\\u{a0}  disable"), "{shown}");
    assert!(row("  disable").contains("not in users.yaml, resembles zoe@acme.io  "), "{shown}");
    let ending = "resembles zoe@acme.io\\u{a0}   lookalike   users.yaml:5";
    assert!(row("invite DEVELOPER").ends_with(ending), "{shown}");
}
