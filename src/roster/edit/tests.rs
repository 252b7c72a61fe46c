use proptest::prelude::*;

use super::*;

const REASON: &str = "moved: \"away\" \\\n\tby # éva\u{202e}";

fn people(names: &[&str]) -> Vec<Email> {
    names.iter().map(|name| Email::remote(&format!("{name}@acme.io"))).collect()
}

/// Adds one item.
fn add(text: &str, names: &[&str]) -> Option<String> {
    let people = people(names);
    add_approvals(text, &BTreeMap::from([(BudgetName::Disable, people.iter().collect())]), "why")
}

const USERS: &str = "version: 1\nusers:\n  - { email: matt@acme.io, role: ADMIN }\n";
const ITEM: &str = "  - disable: [zoe@acme.io]\n    reason: why\n";

#[track_caller]
fn assert_edit(before: &str, after: &str) {
    assert_eq!(add(before, &["zoe"]).as_deref(), Some(after));
}

#[test]
fn without_the_key_a_section_is_added_at_the_end() {
    let section = format!("\napprovals:\n{ITEM}");
    assert_edit(USERS, &format!("{USERS}{section}"));
    assert_edit(USERS.trim_end(), &format!("{USERS}{section}"));
    assert_edit(&format!("{USERS}\n"), &format!("{USERS}{section}"));
    assert_edit(&format!("{USERS}# end"), &format!("{USERS}# end\n{section}"));
    assert_edit(
        &format!("---\n{USERS}...\n# no more\n"),
        &format!("---\n{USERS}{section}...\n# no more\n"),
    );
    let (bom, returns) = (format!("\u{feff}{USERS}"), USERS.replace('\n', "\r\n"));
    assert_edit(&bom, &format!("{bom}{section}"));
    assert_edit(&returns, &format!("{returns}{}", section.replace('\n', "\r\n")));
    let indented = "  version: 1\n  users: []\n";
    let lines: String = ITEM.lines().map(|line| format!("  {line}\n")).collect();
    assert_edit(indented, &format!("{indented}\n  approvals:\n{lines}"));
}

const OLD: &str = "  - demote: [ada@acme.io]\n    reason: once\n";

#[test]
fn an_item_follows_the_last_one_and_its_comments() {
    let before = format!("approvals: # reviewed\n{OLD}");
    for (own, after) in [
        ("", ""),
        ("", "# about users\n"),
        ("", "\n# about users\n\n"),
        ("    # why\n", "\n"),
        ("  # - disable: [x@acme.io]\n", "\n  # other\n"),
    ] {
        assert_edit(
            &format!("{before}{own}{after}{USERS}"),
            &format!("{before}{own}{ITEM}{after}{USERS}"),
        );
    }
    assert_edit(&format!("{USERS}{}", before.trim_end()), &format!("{USERS}{before}{ITEM}"));
    let returns = |text: &str| text.replace('\n', "\r\n");
    assert_edit(
        &returns(&format!("{before}\n{USERS}")),
        &returns(&format!("{before}{ITEM}\n{USERS}")),
    );
    for key in ["\"approvals\":\n", "'approvals' :\n", "approvals: &held\n"] {
        let is_added = add(&format!("{key}{OLD}{USERS}"), &["zoe"]);
        assert_eq!(is_added.unwrap(), format!("{key}{OLD}{ITEM}{USERS}"), "{key}");
    }
}

#[test]
fn an_item_is_indented_like_the_others() {
    let flat =
        |text: &str| text.lines().map(|line| format!("{}\n", &line[2..])).collect::<String>();
    let (old, item) = (flat(OLD), flat(ITEM));
    for after in ["", "# about users\n", "\n\n"] {
        assert_edit(
            &format!("approvals:\n{old}{after}{USERS}"),
            &format!("approvals:\n{old}{item}{after}{USERS}"),
        );
    }
    assert_edit(
        &format!("{USERS}approvals:\n{old}...\n"),
        &format!("{USERS}approvals:\n{old}{item}...\n"),
    );
    let list = "approvals:\n- disable:\n  - ada@acme.io\n# not at all:\n  - bea@acme.io\n  \
                reason: |\n    # one\n\n    two\n";
    assert_edit(&format!("{list}\n{USERS}"), &format!("{list}{item}\n{USERS}"));
}

#[test]
fn brackets_stay_unless_they_are_empty() {
    for (before, after) in [
        ("approvals: []\n", format!("approvals:\n{ITEM}")),
        ("approvals:   [ ]   # none\n", format!("approvals:   # none\n{ITEM}")),
    ] {
        assert_edit(&format!("{USERS}{before}"), &format!("{USERS}{after}"));
        assert_edit(&format!("{before}{USERS}"), &format!("{after}{USERS}"));
    }
    assert_edit(&format!("{USERS}approvals: []"), &format!("{USERS}approvals:\n{ITEM}"));
    let (old, new) =
        ("{ demote: [ada@acme.io], reason: x }", "{ disable: [zoe@acme.io], reason: why }");
    for (before, after) in [
        (format!("[{old}]"), format!("[{old}, {new}]")),
        (format!("[ {old}, ]"), format!("[ {old}, {new}, ]")),
        (format!("[\n  {old}, # one, two\n]"), format!("[\n  {old}, # one, two\n  {new},\n]")),
        (format!("[\n  {old} # one, two\n  ]"), format!("[\n  {old}, # one, two\n  {new}\n  ]")),
        (format!("[\n  {old}\n  ,\n]"), format!("[\n  {old}\n  ,\n  {new},\n]")),
    ] {
        assert_edit(
            &format!("approvals: {before}\n{USERS}"),
            &format!("approvals: {after}\n{USERS}"),
        );
    }
}

#[test]
fn more_than_three_people_get_a_line_each() {
    let four = ["ada", "bea", "cora", "dora"];
    let lines: String = people(&four).iter().map(|it| format!("      - {it}\n")).collect();
    let added = format!("\napprovals:\n  - disable:\n{lines}    reason: why\n");
    assert_eq!(add(USERS, &four).unwrap(), format!("{USERS}{added}"));
    let flow = add(&format!("{USERS}approvals: [{{ demote: [ada@acme.io] }}]\n"), &four).unwrap();
    let lines = flow.lines().filter(|line| line.trim_end_matches(',').ends_with("ra@acme.io"));
    assert_eq!(lines.count(), 2, "{flow}");
}

#[test]
fn what_cannot_be_edited_safely_is_left_alone() {
    for text in [
        "",
        "users: [",
        "{ version: 1, users: [] }",
        "{ version: 1, users: [], approvals: [] }",
        "version: 1\nusers: []\napprovals:\n",
        "version: 1\nusers: []\napprovals: null\n",
        "version: 1\nusers: []\napprovals: [\n]\n",
        "version: 1\nusers: []\nversion: 1\n",
        "version: 1\nusers: &x []\napprovals: *x\n",
        "version: 1\nusers: []\napprovals: { disable: [a@acme.io] }\n",
        "version: 1\nusers: [{ email: a@acme.io, role: NOBODY }]\n",
    ] {
        assert_eq!(add(text, &["zoe"]), None, "{text}");
    }
    let long = Email::remote(&format!("{}@acme.io", "x".repeat(300)));
    let items = BTreeMap::from([(BudgetName::Disable, vec![&long])]);
    assert_eq!(add_approvals(USERS, &items, "why"), None, "not valid in a roster");
}

#[test]
fn the_indentation_of_the_items_is_found() {
    for (text, indent) in [
        (USERS.to_owned(), None),
        (format!("# approvals:\n{USERS}"), None),
        (format!("approvals: []\n{USERS}"), Some(2)),
        (format!("{USERS}\"approvals\":\n# one\n- demote: []\n"), Some(0)),
        (format!("{USERS}approvals:\n\n    - demote: []\n"), Some(4)),
        ("approvals:\nusers:\n      - demote: []\n".to_owned(), Some(2)),
    ] {
        assert_eq!(item_indent(&text), indent, "{text}");
    }
}

/// A section of a file, with what may be around it.
fn section() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "version: 1\n",
        "users:\n  - email: matt@acme.io\n    role: DEVELOPER # here\n",
        "users:\n- { email: matt@acme.io, role: dev, aliases: [m@acme.io] }\n",
        "users: [ { email: &m matt@acme.io, role: ADMIN,\n  expires: 2027-01-01 } ]\n",
        "roles:\n  dev: DEVELOPER\n",
        "unmanaged: [\"*@paradime.io\",\n  \"#x@acme.io\"]\n",
        "unmanaged:\n- bot@acme.io\n\n- 'it''s@acme.io'\n",
    ])
    .prop_map(str::to_owned)
}

fn gap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "",
        "\n",
        "# about the next\n",
        "\n  # indented\n\n",
        "    # deep\n",
    ])
}

fn item() -> impl Strategy<Value = (String, String)> {
    let items = prop::sample::select(vec![
        ("disable: [ada@acme.io]", "reason: \"#, ]\""),
        ("demote: [ada@acme.io, bea@acme.io] # two, of\n", "reason: it's\n"),
        ("grant_admin:\n  - ada@acme.io\n", "reason: |\n    one\n\n    # two\n"),
        ("invite:\n- ada@acme.io\n# odd", "reason: >-\n  one\n  two"),
    ]);
    items.prop_map(|(action, reason)| (action.trim_end().to_owned(), reason.trim_end().to_owned()))
}

/// The section `approvals`: missing, with dashes, or with brackets.
fn approvals_section() -> impl Strategy<Value = String> {
    let list =
        (prop::collection::vec((item(), gap()), 1..4), 0..5_usize).prop_map(|(items, indent)| {
            let pad = " ".repeat(indent);
            let lines = items.iter().map(|((action, reason), gap)| {
                let fields = format!("{action}\n{reason}").replace('\n', &format!("\n{pad}  "));
                format!("{pad}- {fields}\n{gap}")
            });
            format!("approvals:\n{}", lines.collect::<String>())
        });
    let flow = (1..3_usize, any::<[bool; 3]>()).prop_map(|(count, [lines, comma, comment])| {
        let (open, between) = if lines { ("\n   ", "\n   ") } else { ("", " ") };
        let item = "{ disable: [ada@acme.io, bea@acme.io], reason: \"a, #b\" }";
        let items = vec![item; count].join(&format!(",{between}"));
        let comma = if comma { "," } else { "" };
        let comment = if comment && lines { " # one, two" } else { "" };
        let close = if lines { "\n  ]" } else { "]" };
        format!("approvals: [{open}{items}{comma}{comment}{close}\n")
    });
    prop_oneof![
        1 => Just(String::new()),
        1 => Just("approvals: [] # none\n".to_owned()),
        2 => list,
        1 => flow,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever the file looks like, the edit is verified, keeps every line and only adds some.
    #[test]
    fn an_edit_adds_lines_and_keeps_all_others(
        mut sections in prop::collection::vec((section(), gap()), 0..5),
        approvals in approvals_section(),
        position in any::<prop::sample::Index>(),
        (start, end, returns) in (
            prop::sample::select(vec!["", "\u{feff}", "---\n", "# first\n\n"]),
            prop::sample::select(vec!["", "...\n", "...\n# after\n"]),
            any::<bool>(),
        ),
        cut in any::<bool>(),
        count in 1..6_usize,
    ) {
        let mut seen = std::collections::BTreeSet::new();
        sections.extend([("version: 1\n".to_owned(), ""), ("users: []\n".to_owned(), "")]);
        sections.retain(|(text, _)| seen.insert(text.split(':').next().unwrap().to_owned()));
        if !sections.iter().any(|(text, _)| text.starts_with("roles")) {
            sections.push(("roles: { dev: DEVELOPER }\n".to_owned(), ""));
        }
        sections.insert(position.index(sections.len() + 1), (approvals, ""));
        let body: String = sections.iter().map(|(text, gap)| format!("{text}{gap}")).collect();
        let mut before = format!("{start}{body}{end}");
        if cut {
            before.truncate(before.trim_end().len());
        }
        if returns {
            before = before.replace('\n', "\r\n");
        }
        let emails = people(&["x", "\u{a0}y", "o'z #", "*w", "v"]);
        let people: Vec<&Email> = emails.iter().take(count).collect();
        let items = [(BudgetName::Disable, people.clone()), (BudgetName::Invite, people)];
        let items = BTreeMap::from(items);
        let after = add_approvals(&before, &items, REASON);
        let after = after.unwrap_or_else(|| panic!("not edited:\n{before}"));
        let (mut rest, mut lost) = (after.lines(), Vec::new());
        for line in before.lines() {
            let mut ahead = rest.clone();
            if ahead.any(|new| new == line) {
                rest = ahead;
            } else {
                lost.push(line);
            }
        }
        let is_flow = before.contains("approvals: [");
        prop_assert!(lost.len() <= usize::from(is_flow), "{lost:?}\n{before}\n---\n{after}");
        prop_assert_eq!(before.contains("\r\n"), after.contains("\r\n"));
        prop_assert!(!returns || !after.replace("\r\n", "").contains('\n'), "{}", after);
    }
}
