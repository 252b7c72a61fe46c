//! Import: the plan for an imported roster is empty.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use rosterd::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use rosterd::email::Email;
use rosterd::memory::Memory;
use rosterd::plan::{self, Rules};
use rosterd::role::Role;
use rosterd::roster::{Pattern, write};

use super::{cases, one, validate};
use crate::support::world::now;

/// Names and texts that are special in YAML.
const TEXT: [&str; 32] = [
    "",
    " ",
    "yes",
    "no",
    "on",
    "null",
    "~",
    "#x",
    "- x",
    "a: b",
    "a #b",
    "'",
    "\"",
    "it's",
    "\\",
    "two\nlines",
    "\ttab",
    "\r\n",
    "1",
    "1.0",
    "0x1f",
    ".nan",
    "2026-12-01",
    "true",
    "!raw X",
    "*a",
    "&a",
    "{}",
    "[]",
    "|",
    "<<",
    "---",
];
const STRANGE: [&str; 12] = [
    "😀",
    "山田",
    "e\u{301}",
    "\u{0}",
    "\u{7}",
    "\u{1b}[31m",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{202e}",
    "\u{ffff}",
    "\u{10ffff}",
];
const ADDRESSES: [&str; 26] = [
    "matt@acme.io",
    "MATT@acme.io",
    "max@acme.io",
    " john@acme.io ",
    "zoë@acme.io",
    "yan",
    "a b",
    "*@acme.io",
    "matt@*",
    "m?tt@acme.io",
    "[a-z]@acme.io",
    "]",
    "[",
    "!",
    "**",
    "a/b@acme.io",
    "\"quoted\"@acme.io",
    "x@y@z",
    "no@acme.io",
    "~",
    "#@acme.io",
    "svc-bolt@acme.io",
    "é",
    "É",
    "o'neil+x@acme.io",
    "-@acme.io",
];
const ROLES: [&str; 9] =
    ["ADMIN", "DEVELOPER", "BUSINESS", "GUEST_2", "admin", "", "not a role", "NEW\nROLE", "!raw X"];
const PATTERNS: [&str; 6] =
    ["*@paradime.io", "svc-bolt@acme.io", "*", "yan@acme.io", "y[ae]n@*", "m[aei]tt@*"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(&TEXT[..]).prop_map(str::to_owned),
        2 => prop::sample::select(&STRANGE[..]).prop_map(|it| format!("a{it}b")),
        1 => prop::sample::select(&STRANGE[..]).prop_map(str::to_owned),
        2 => any::<String>(),
    ]
}

fn email() -> impl Strategy<Value = Email> {
    let address = prop_oneof![
        6 => prop::sample::select(&ADDRESSES[..]).prop_map(str::to_owned),
        1 => text(),
        1 => text().prop_map(|text| format!("{text}@acme.io")),
    ];
    address
        .prop_map(|address| Email::remote(&address))
        .prop_filter("every user has an address", |email| !email.as_str().is_empty())
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        6 => prop::sample::select(&ROLES[..]).prop_map(Role::from_api),
        1 => text().prop_map(|text| Role::from_api(&text)),
    ]
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let account = (email(), role(), prop::option::of(text()));
    let status = prop::sample::select(&["ACTIVE", "SENT", "EXPIRED", "QUEUED"][..]);
    let invitation = (email(), role(), status.prop_map(InviteStatus::from_api));
    let lists = (prop::collection::vec(account, 0..6), prop::collection::vec(invitation, 0..6));
    lists.prop_map(|(accounts, invitations)| {
        let account = |(n, (email, role, name)): (usize, (Email, Role, Option<String>))| Account {
            uid: Uid(format!("{n:064x}").into()),
            email,
            name: name.map(Into::into),
            role,
        };
        let accounts = accounts.into_iter().enumerate().map(account).collect();
        let invitations = invitations
            .into_iter()
            .map(|(email, role, status)| Invitation { email, role, status })
            .collect();
        Snapshot::new(accounts, invitations, None).unwrap()
    })
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let chosen = prop::sample::subsequence(&PATTERNS[..], 0..=2);
    let place = rosterd::diagnostic::Place {
        file: rosterd::diagnostic::FileId(0),
        line: 1,
        column: 1,
        start: 0,
        end: 0,
    };
    chosen.prop_map(move |chosen| {
        chosen.into_iter().map(|text| Pattern::parse(text, place).unwrap()).collect()
    })
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn the_plan_for_an_imported_roster_is_empty(
        snapshot in snapshot(),
        patterns in patterns(),
    ) {
        let imported = write::import(&snapshot, &patterns);
        let sources = one(&imported.text);
        let (roster, found) = validate(&sources, &TimeZone::UTC);
        prop_assert_eq!(&found, &[], "{}", imported.text);
        let roster = roster.unwrap();
        let plan = plan::plan(&roster, &snapshot, &Memory::empty(), Rules::default(), now());
        prop_assert_eq!(plan.changes(), &[], "{}", imported.text);
        prop_assert_eq!(roster.members().len(), imported.members);
        for pattern in &patterns {
            prop_assert!(roster.unmanaged().iter().any(|it| it.written == pattern.written));
        }
        for account in snapshot.accounts() {
            let member = roster.members().iter().find(|member| member.email == account.email);
            prop_assert!(member.is_some() || roster.is_unmanaged(&account.email));
            if let Some(name) = member.and_then(|member| member.name.as_deref()) {
                let named = |it: &&Account| {
                    it.email == account.email && it.name.as_deref() == Some(name)
                };
                prop_assert!(snapshot.accounts().iter().any(|it| named(&it)), "{name:?}");
            }
        }
    }
}

#[test]
fn an_import_has_notes_about_users_that_are_not_members() {
    let account = |n: usize, email: &str, role: &str| Account {
        uid: Uid(n.to_string().into()),
        email: Email::remote(email),
        name: Some("Matt McDonald".into()),
        role: Role::from_api(role),
    };
    let invitation = |email: &str, status: &str| Invitation {
        email: Email::remote(email),
        role: Role::Business,
        status: InviteStatus::from_api(status),
    };
    let snapshot = Snapshot::new(
        vec![
            account(1, "matt@acme.io", "ADMIN"),
            account(2, "zoë@acme.io", "ADMIN"),
            account(3, "max@acme.io", "GUEST"),
        ],
        vec![
            invitation("alice@acme.io", "SENT"),
            invitation("john@acme.io", "EXPIRED"),
            invitation("max@acme.io", "EXPIRED"),
        ],
        None,
    )
    .unwrap();
    let imported = write::import(&snapshot, &[]);
    assert_eq!(
        imported.notes,
        [
            "zoë@acme.io: not valid in a roster, added to `unmanaged`",
            "john@acme.io: invitation expired, not imported",
        ]
    );
    assert_eq!(imported.members, 3);
    insta::assert_snapshot!(imported.text, @r"
    # yaml-language-server: $schema=users.schema.json
    version: 1
    users:
    - email: alice@acme.io
      role: BUSINESS
    - email: matt@acme.io
      role: ADMIN
      name: Matt McDonald
    - email: max@acme.io
      role: !raw GUEST
      name: Matt McDonald
    unmanaged:
    - zoë@acme.io
    ");
}
