//! Properties of all formats: untrusted text is escaped, input order does not matter, the summary
//! counts the rows.

use proptest::prelude::*;
use rosterd::directory::Account;
use rosterd::guard::Limits;
use rosterd::plan::OnRemoved;
use rosterd::render::rows::Kind;
use rosterd::render::table::Screen;
use rosterd::render::{Summary, View, github, json, markdown, rows, saved, text, unified};
use rosterd::role::Role;

use super::{World, account, invitation, member, plain, rich};

const HOSTILE: &str = "x\u{1b}[31m|`</details><b>@team\n::error::[a](http://e)\u{202e}%\"@acme.io";

/// A workspace in which every text is untrusted.
fn hostile() -> World {
    let other = || Role::from_api("R\u{1b}|`<i>\n- email: z");
    let account = Account { name: Some(HOSTILE.into()), ..account(HOSTILE, other()) };
    let invitation = invitation(&format!("i{HOSTILE}"), other(), HOSTILE);
    World::new(vec![member("alice@acme.io", Role::Developer, 3)], vec![account], vec![invitation])
}

#[test]
fn untrusted_text_is_escaped_in_every_format() {
    let world = hostile();
    let view = world.view();
    let formats = [
        plain(&text::plan(&view, Screen { width: None, all: true })),
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
       - email: "ix\U0000001B[31m|`</details><b>@team\U0000000A::error::[a](http://e)\U0000202E%\"@acme.io"
         role: !raw "R\U0000001B|`<i>\U0000000A- email: z"
    -  - email: "x\U0000001B[31m|`</details><b>@team\U0000000A::error::[a](http://e)\U0000202E%\"@acme.io"
    -    role: !raw "R\U0000001B|`<i>\U0000000A- email: z"
    "#);
    let row = formats[2].lines().find(|line| line.starts_with("| `-` disable")).unwrap();
    insta::assert_snapshot!(row, @r#"| `-` disable | `x\u{1b}[31m\u{7c}\u{60}</details><b>@team\u{a}::error::[a](http://e)\u{202e}%"@acme.io` | `R\u{1b}\u{7c}\u{60}<i>\u{a}- email: z` | not in users.yaml; cannot be undone through the API |  |"#);
    let saved = saved::read(&formats[4]).unwrap();
    let verbatim = saved.workspaces[0].changes.iter().any(|change| change.email == HOSTILE);
    assert!(verbatim, "JSON keeps the address verbatim");
    assert_eq!(saved.workspaces[0].differences(&world.plan), [""; 0]);
}

#[test]
fn the_order_of_the_input_does_not_matter() {
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
            text::plan(&view, Screen::default()),
            unified::diff(&view),
            markdown::plan(&view),
            github::plan(&view),
            json::write(&[view]),
        ]
    };
    assert_eq!(all(world.view()), all(other.view()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every change and finding has one row, and the summary counts the rows.
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
        let Summary { invite, reinvite, role, disable, held, .. } = Summary::of(&world.plan, &rows);
        let Summary { propagating, pending, needs_action, drift, info, .. } =
            Summary::of(&world.plan, &rows);
        prop_assert_eq!(invite + reinvite + role + disable, world.verdict.approved.len());
        prop_assert_eq!(held, world.verdict.held.len());
        let findings = propagating + pending + needs_action + drift + info;
        prop_assert_eq!(findings, world.plan.findings().len());
        let shown = plain(&text::plan(&world.view(), Screen { width: None, all: true }));
        for row in &rows {
            let is_row = |line: &str| line.contains(row.kind.as_str()) && line.contains(&row.email);
            prop_assert!(shown.lines().any(is_row));
        }
        let (table, _) = shown.split_once("\nheld by ").unwrap_or((&shown, ""));
        let lines = table.lines().filter(|line| line.starts_with("  ") && line.contains('@'));
        prop_assert_eq!(lines.count(), rows.len());
        prop_assert!(rows.is_sorted_by_key(|row| row.kind));
        // The diff has a line for each change and for nothing else.
        let diff = unified::diff(&world.view());
        let lines = |start: &str| diff.lines().filter(|line| line.starts_with(start)).count();
        let changes = world.plan.changes();
        let kinds = |kind: &str| changes.iter().filter(|it| it.action.kind() == kind).count();
        prop_assert_eq!(lines("+  - email:"), kinds("invite"));
        prop_assert_eq!(lines("-  - email:"), kinds("disable"));
        prop_assert_eq!(lines("+    role:"), kinds("invite") + kinds("update_role"));
        prop_assert_eq!(lines("-    role:"), kinds("disable") + kinds("update_role"));
    }
}

#[test]
fn kinds_have_distinct_symbols_and_names() {
    let kinds = [
        Kind::Invite,
        Kind::Role,
        Kind::Disable,
        Kind::Pending,
        Kind::Held,
        Kind::NeedsAction,
        Kind::Drift,
        Kind::Info,
    ];
    let symbols: std::collections::BTreeSet<char> =
        kinds.iter().map(|kind| kind.symbol()).collect();
    let words: std::collections::BTreeSet<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    assert_eq!((symbols.len(), words.len()), (kinds.len(), kinds.len()));
}

#[test]
fn a_plan_with_changes_or_held_changes_is_not_in_sync() {
    assert!(Summary::default().is_in_sync());
    let counts: [fn(&mut Summary); 5] = [
        |it| it.invite = 1,
        |it| it.reinvite = 1,
        |it| it.role = 1,
        |it| it.disable = 1,
        |it| it.held = 1,
    ];
    for (at, count) in counts.into_iter().enumerate() {
        let mut summary = Summary { pending: 3, in_sync: 9, ..Summary::default() };
        assert!(summary.is_in_sync());
        count(&mut summary);
        assert!(!summary.is_in_sync(), "{at}");
    }
}
