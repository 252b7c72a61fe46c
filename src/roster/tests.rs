use super::*;
use crate::diagnostic::FileId;
use jiff::SignedDuration;
use proptest::prelude::*;

const ON: u32 = 7;

fn place(line: u32) -> Place {
    Place { file: FileId(0), line, column: 1, start: 0, end: 0 }
}

fn member(email: &str, aliases: &[&str], line: u32) -> Member {
    Member {
        email: Email::remote(email),
        role: Role::Business,
        name: None,
        aliases: aliases.iter().map(|alias| Email::remote(alias)).collect(),
        time: None,
        place: place(line),
    }
}

fn roster(members: Vec<Member>, unmanaged: &[&str]) -> Result<Roster, Conflict> {
    let patterns = unmanaged.iter().map(|it| Pattern::parse(it, place(ON)).unwrap());
    Roster::new(members, patterns.collect(), Vec::new(), Digest::default())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn dated() -> Member {
    let elevate = Elevation { role: Role::Admin, until: at("2026-12-02T00:00:00Z"), reason: None };
    let period = Period {
        starts: Some(at("2026-12-01T00:00:00Z")),
        ends: Some(at("2026-12-03T00:00:00Z")),
        elevate: Some(elevate),
    };
    Member { time: Some(Box::new(period)), ..member("matt@acme.io", &[], 1) }
}

#[test]
fn every_interval_is_half_open() {
    let matt = dated();
    let instant = SignedDuration::from_nanos(1);
    for (boundary, before, after) in [
        ("2026-12-01T00:00:00Z", Phase::Future, Phase::Present),
        ("2026-12-03T00:00:00Z", Phase::Present, Phase::Past),
    ] {
        assert_eq!(matt.phase(at(boundary) - instant), before);
        assert_eq!(matt.phase(at(boundary)), after);
    }
    let until = at("2026-12-02T00:00:00Z");
    assert_eq!(matt.role_at(until - instant), &Role::Admin);
    assert_eq!(matt.role_at(until), &Role::Business);
    let max = member("max@acme.io", &[], 2);
    assert_eq!((max.phase(until), max.role_at(until)), (Phase::Present, &Role::Business));
}

#[test]
fn the_next_scheduled_date_is_after_now() {
    let roster = roster(vec![dated(), member("max@acme.io", &[], 2)], &[]).unwrap();
    let mut now = at("2026-11-25T12:00:00Z");
    for day in 1..=3 {
        let next = roster.next_boundary(now).unwrap();
        assert_eq!(next, at(&format!("2026-12-0{day}T00:00:00Z")));
        now = next;
    }
    assert_eq!(roster.next_boundary(now), None);
}

#[test]
fn duplicate_and_unmanaged_members_are_conflicts() {
    let twice = |again| Conflict::Duplicate { first: place(1), again: place(again) };
    let people = |email, aliases: &[&str]| {
        vec![member("Matt@acme.io", &["m@acme.io"], 1), member(email, aliases, 2)]
    };
    assert_eq!(roster(people("matt@ACME.io", &[]), &[]).err(), Some(twice(2)));
    assert_eq!(roster(people("zoe@acme.io", &["M@acme.io"]), &[]).err(), Some(twice(2)));
    let covered = Conflict::Unmanaged { member: place(1), pattern: place(ON) };
    assert_eq!(roster(people("zoe@acme.io", &[]), &["m@*"]).err(), Some(covered.clone()));
    assert_eq!(roster(people("zoe@acme.io", &[]), &["M@Acme.io"]).err(), Some(covered));
    let both = roster(people("alice@acme.io", &[]), &["*@paradime.io"]).unwrap();
    let emails = both.members().iter().map(|member| member.email.as_str());
    assert_eq!(emails.collect::<Vec<_>>(), ["alice@acme.io", "Matt@acme.io"]);
}

#[test]
fn unmanaged_patterns_are_exact_or_globs_and_ignore_case() {
    let roster = roster(Vec::new(), &["Svc-Bolt@acme.io", "*@Paradime.io", "u?r@acme.io"]);
    let roster = roster.unwrap();
    for (address, expected) in [
        ("svc-bolt@ACME.io", true),
        ("svc-bolt@acme.io.example", false),
        ("a.b/c@paradime.io", true),
        ("ann@sub.paradime.io", false),
        ("USR@acme.io", true),
        ("ur@acme.io", false),
    ] {
        assert_eq!(roster.is_unmanaged(&Email::remote(address)), expected, "{address}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_index_finds_the_same_as_matching_every_pattern(
        patterns in prop::collection::vec("(\\*@|[a-b@*?]{0,3})[a-bA-B.@*?]{1,4}", 0..6),
        address in "[a-bA-B.@]{1,6}",
    ) {
        let globs = patterns.iter().filter_map(|it| Pattern::parse(it, place(ON)).ok());
        let globs: Vec<Pattern> = globs.collect();
        let email = Email::remote(&address);
        let covers = |it: &Pattern| it.glob.matches(&email.folded());
        let expected = globs.iter().any(covers);
        let found = Unmanaged::new(globs.clone());
        prop_assert_eq!(found.find(&email).is_some_and(covers), expected, "{:?}", patterns);
        prop_assert_eq!(found.find(&email).is_some(), expected, "{:?}", patterns);
    }
}

#[test]
fn patterns_of_whole_domains_are_indexed() {
    let patterns = ["*@Paradime.io", "*@*.io", "svc@acme.io", "*@u?.io"];
    let patterns = patterns.map(|it| Pattern::parse(it, place(ON)).unwrap());
    let unmanaged = Unmanaged::new(patterns.to_vec());
    assert_eq!(unmanaged.domains.into_keys().collect::<Vec<_>>(), ["paradime.io"]);
    assert_eq!((unmanaged.exact.len(), unmanaged.globs), (1, vec![1, 3]));
}

#[test]
fn the_digest_depends_on_where_each_file_ends() {
    assert_ne!(Digest::of(["ab", "c"]), Digest::of(["a", "bc"]));
    assert_eq!(Digest::of(["ab"]), Digest::of(["ab"]));
    assert_eq!(Digest::of(["ab"]).hex().len(), 64);
}

#[test]
fn an_unmanaged_entry_that_can_match_no_account_is_refused() {
    for good in [
        "bot@acme.io",
        " Bot@Acme.io ",
        "*@acme.io",
        "*",
        "*bot*",
        "bot*",
        "svc-?@acme.io",
        "*@*.acme.io",
        "bot@acme.*",
        "bot@acme?io",
        "[ab]@acme.io",
        "bot[@]acme.io",
        "matt@acme.io?",
        "büro@acme.io",
        "büro*",
    ] {
        assert!(Pattern::parse(good, place(1)).is_ok(), "{good}");
    }
    for bad in [
        "",
        "bot",
        "acme.io",
        "@acme.io",
        "bot@",
        "bot@acme",
        "*@acme",
        "bot@acme.io.",
        "bot@acme.io\u{a0}",
        "*@acme.io\u{200b}",
        "b\u{ad}ot@acme.io",
        "bot@acme.io#comment",
        "*@acme.io#comment",
        "bot@acme.io # comment",
        "Bot <bot@acme.io>",
        "mailto:bot@acme.io",
        "bot@acme.io, svc@acme.io",
        "bot@acme.io svc@acme.io",
        "*@acme.io;*@acme.com",
        "\"bot@acme.io\"",
        "'bot@acme.io'",
        "bot @acme.io",
        "[bot@acme.io",
        "büro",
    ] {
        assert!(Pattern::parse(bad, place(1)).is_err(), "{bad}");
    }
}

#[test]
fn an_unmanaged_entry_is_idle_if_no_address_matches_it() {
    let written = ["bot@acme.io", "BOT@acme.io", "*@acme.io", "b*", "svc@acme.io", "*@acme.com"];
    let roster = roster(Vec::new(), &written).unwrap();
    let idle = |addresses: &[&str]| {
        let addresses: Vec<Email> = addresses.iter().map(|it| Email::remote(it)).collect();
        let addresses: Vec<&Email> = addresses.iter().collect();
        let idle = roster.idle_patterns(&addresses);
        idle.map(|pattern| pattern.written.clone()).collect::<Vec<_>>()
    };
    assert_eq!(idle(&[]), ["bot@acme.io", "BOT@acme.io", "b*", "svc@acme.io"]);
    assert_eq!(idle(&["Bot@ACME.io"]), ["svc@acme.io"]);
    assert_eq!(idle(&["svc@acme.io", "x@acme.com"]), ["bot@acme.io", "BOT@acme.io", "b*"]);
}
