//! Mutated rosters: no panic, and no roster despite an error.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::Index;
use rosterd::diagnostic::{Diagnostic, FileId, Sources, any_error};
use rosterd::render;
use rosterd::roster::checks::MAX_PROBLEMS;
use rosterd::roster::{Member, Roster};

use super::{cases, one, validate};

const GOOD: &str = include_str!("../../fixtures/roster/good.yaml");

/// Validates a text. Checks that every problem has a valid place and can be rendered.
fn check(text: &str) -> Result<Option<Roster>, TestCaseError> {
    let sources = one(text);
    let (roster, found) = validate(&sources, &TimeZone::UTC);
    prop_assert_eq!(roster.is_some(), !any_error(&found), "{:?}", found);
    for problem in &found {
        prop_assert!(is_placed(problem, &sources), "{:?} in {:?}", problem, text);
    }
    let _ = render::diagnostics::text(&found, &sources, false);
    Ok(roster)
}

/// Whether every place of the problem is within the text.
fn is_placed(problem: &Diagnostic, sources: &Sources) -> bool {
    let places = problem.place.iter().chain(problem.related.iter().map(|(place, _)| place));
    problem.place.is_some()
        && places.into_iter().all(|place| {
            let text = &sources.get(place.file).unwrap().text;
            (place.start as usize) <= text.len() && place.line >= 1 && place.column >= 1
        })
}

fn fragments() -> impl Strategy<Value = String> {
    let part = prop::sample::select(
        &[
            "version: 1",
            "\n",
            "  ",
            "- ",
            "users:",
            "email: ",
            "matt@acme.io",
            "role: ",
            "ADMIN",
            "roles:",
            "unmanaged:",
            "approvals:",
            "disable: ",
            "elevate: ",
            "until: ",
            "starts: ",
            "2027-01-01",
            "!raw ",
            "&a ",
            "*a",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            "\"",
            "'",
            "|\n",
            ">-\n",
            "#",
            "\t",
            "---\n",
            "...\n",
            "? ",
            "<<: ",
            "~",
            "\r",
            "\u{feff}",
            "é",
            "😀",
            "%YAML 1.2\n",
            "\u{0}",
            "\u{85}",
            "\u{2028}",
        ][..],
    );
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn changed_bytes(
        changes in prop::collection::vec((any::<Index>(), 0..128_u8), 1..6),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn a_truncated_file(from in any::<Index>(), to in any::<Index>()) {
        let (from, to) = (from.index(GOOD.len()), to.index(GOOD.len()));
        let bytes = [&GOOD.as_bytes()[..from], &GOOD.as_bytes()[to..]].concat();
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn swapped_lines(swaps in prop::collection::vec((0..24_usize, 0..24_usize), 1..6)) {
        let mut lines: Vec<&str> = GOOD.lines().collect();
        for (a, b) in swaps {
            let count = lines.len();
            lines.swap(a % count, b % count);
        }
        check(&lines.join("\n"))?;
    }

    #[test]
    fn any_text(text in prop_oneof![fragments(), any::<String>()]) {
        check(&text)?;
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(
        order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let entry = |n: usize| format!(
            "  - email: User{n}@acme.io\n    role: own{}\n    aliases: [a{n}@acme.io]\n    \
             expires: 2027-01-{:02}\n",
            n % 3, n + 1,
        );
        let roles = "roles: { own0: ADMIN, own1: BUSINESS, own2: !raw NEW }\n";
        let file = |order: &[usize]| {
            let entries: String = order.iter().map(|n| entry(*n)).collect();
            format!("version: 1\n{roles}users:\n{entries}")
        };
        let members = |text: &str| -> Result<Vec<Member>, TestCaseError> {
            let roster = check(text)?.expect("a roster");
            let anywhere = |member: &Member| {
                let mut member = member.clone();
                member.place = roster.members()[0].place;
                member
            };
            Ok(roster.members().iter().map(anywhere).collect())
        };
        let in_order = members(&file(&(0..12).collect::<Vec<_>>()))?;
        let shuffled = members(&file(&order))?;
        let same = |(a, b): (&Member, &Member)| Member { place: b.place, ..a.clone() } == *b;
        prop_assert!(in_order.len() == 12 && in_order.iter().zip(&shuffled).all(same));
    }
}

#[test]
fn patterns_and_values_have_limits() {
    let file = |patterns: &str| format!("version: 1\nusers: []\nunmanaged:\n{patterns}");
    let fast: String =
        (0..30_000).map(|n| format!("  - 'bot{n}@acme.io'\n  - '*@{n}.acme.io'\n")).collect();
    let slow = |count: usize| (0..count).map(|n| format!("  - 'bot{n}-*@acme.io'\n"));
    let codes = |text: &str| {
        let found = validate(&one(text), &TimeZone::UTC).1;
        found.into_iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    let most: String = slow(1_000).collect();
    assert_eq!(codes(&file(&format!("{fast}{most}"))), [""; 0]);
    assert_eq!(codes(&file(&slow(1_001).collect::<String>())), ["too-many-patterns"]);
    // Of all files together.
    let mut sources = Sources::default();
    for name in ["a", "b", "c"] {
        sources.add(name, format!("[{}]", "a,".repeat(250_000)));
    }
    let found = validate(&sources, &TimeZone::UTC).1;
    let problem = found.iter().find(|problem| problem.code == "too-many-values").unwrap();
    assert_eq!(problem.place.unwrap().file, FileId(2));
}

#[test]
fn the_number_of_problems_has_a_limit() {
    let member = "- {}\n".repeat(200_000);
    let nothing = format!("version: 1\nusers:\n{member}");
    let twice =
        format!("version: 1\nusers:\n{}", "- {email: a@acme.io, role: ADMIN}\n".repeat(20_000));
    let unmanaged = twice.clone() + "unmanaged: ['*']\n";
    for text in [nothing, twice, unmanaged] {
        let (roster, found) = validate(&one(&text), &TimeZone::UTC);
        assert!(roster.is_none());
        assert_eq!(found.len(), MAX_PROBLEMS + 1);
        assert_eq!(found[MAX_PROBLEMS].code, "too-many-problems");
    }
    let strange: String = (0..100_000).map(|n| format!("    k{n}: 1\n")).collect();
    let strange = format!("version: 1\nusers:\n  - email: a@acme.io\n    role: ADMIN\n{strange}");
    assert_eq!(validate(&one(&strange), &TimeZone::UTC).1.len(), 100, "for one mapping");
    let conflict = "<<<<<<< HEAD\n".repeat(100_000);
    assert_eq!(validate(&one(&conflict), &TimeZone::UTC).1.len(), 100);
}
