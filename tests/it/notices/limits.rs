//! What receivers accept: sizes, and no markup in text from outside.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rosterd::guard::BudgetName;
use rosterd::notice::{Commit, Kind, MAX_PEOPLE, Notice, Person, json, slack};
use rosterd::role::Role;
use serde_json::Value;

use super::{TestTracker, succeeded};
use crate::support::world::World;

/// Slack's limits: <https://docs.slack.dev/reference/block-kit/blocks> and
/// <https://docs.slack.dev/messaging/formatting-message-text>.
#[track_caller]
pub fn assert_slack_accepts(body: &str) {
    let read: Value = serde_json::from_str(body).unwrap();
    assert!((1..=4000).contains(&read["text"].as_str().unwrap().chars().count()), "{body}");
    assert_eq!(read["mrkdwn"], false);
    let blocks = read["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50, "{body}");
    for block in blocks {
        let is_context = block["type"] == "context";
        let text = if is_context { &block["elements"][0] } else { &block["text"] };
        let shown = text["text"].as_str().unwrap();
        assert!((1..=3000).contains(&shown.chars().count()), "{shown}");
        if text["type"] == "mrkdwn" {
            assert_eq!(text["verbatim"], true, "{text}");
            assert!(is_ours(shown), "{shown}");
        } else {
            assert_eq!((&text["type"], &text["emoji"]), (&"plain_text".into(), &false.into()));
            assert!(!shown.contains(['<', '>']), "{shown}");
        }
    }
}

/// Whether all markup of a text is ours: it is preformatted as a whole, or has only links with
/// known names.
fn is_ours(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix("```\n").and_then(|it| it.strip_suffix("```")) {
        return !inner.contains("```") && !inner.contains(['<', '>']);
    }
    let mut rest = String::new();
    for (at, part) in text.split('<').enumerate() {
        let (link, after) = if at == 0 { ("", part) } else { part.split_once('>').unwrap() };
        rest.push_str(after);
        let Some((url, name)) = link.split_once('|') else {
            assert!(at == 0, "{text}");
            continue;
        };
        let is_line = name.strip_prefix("line ").is_some_and(|it| it.parse::<u32>().is_ok());
        let names = ["web UI", "commit", "the line that is not valid", "the page of the workspace"];
        assert!(is_line || names.contains(&name), "{name}");
        assert!(url.starts_with("https://") && !url.contains(['|', '<', ' ']), "{url}");
    }
    let words = ["To approve, ", "The lines that approve ", " · "];
    rest.is_empty() || words.iter().any(|it| rest.starts_with(it))
}

const MARKUP: [&str; 9] =
    ["<!channel>", "<https://acme.io|x>", "```", "`", "*b*", "_", "&", "@here ", "é😀"];

/// Text that a person outside might choose, as long as it may be.
fn hostile() -> impl Strategy<Value = String> {
    let part =
        prop_oneof![proptest::sample::select(&MARKUP[..]).prop_map(str::to_owned), ".{0,40}"];
    proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

fn person() -> impl Strategy<Value = Person> {
    let texts = [hostile(), hostile(), hostile(), hostile()];
    (texts, proptest::option::of(1..100_000_u32)).prop_map(|([email, what, role, why], line)| {
        let place = line.map(|line| format!("{what}:{line}"));
        let url = line.map(|line| format!("https://git.acme.io/a/blob/3f2c1abd/x.yaml#L{line}"));
        Person { email, what, role, why, place, url }
    })
}

prop_compose! {
    fn notice()(
        people in proptest::collection::vec(person(), 0..=MAX_PEOPLE),
        [summary, hint, approvals, author, subject] in
            [hostile(), hostile(), hostile(), hostile(), hostile()],
        (more, approvable) in (0..2_usize, 0..2_usize),
        (has_url, event) in (any::<bool>(), proptest::sample::select(&Kind::ALL[..])),
    ) -> Notice {
        let url = |url: &str| has_url.then(|| url.to_owned());
        let commit = Commit {
            id: "3f2c1ab".into(),
            author: Some(author),
            subject: Some(subject),
            url: url("https://git.acme.io/a/commit/3f2c1abd"),
        };
        Notice {
            event,
            workspace: "acme".into(),
            at: "2026-11-25T12:00:02Z".into(),
            summary,
            plan: Some("80d4a020".into()),
            commit: Some(commit),
            page: url("https://rosterd.acme.io/workspaces/a&b|c"),
            url: url("https://git.acme.io/a/blob/3f2c1abd/x.yaml#L7"),
            people,
            more,
            hint: Some(hint),
            approvals: Some(approvals),
            approvable,
            since: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn slack_accepts_every_notice(notice in notice()) {
        assert_slack_accepts(&slack::body(&notice));
    }
}

#[test]
fn slack_accepts_a_notice_of_every_kind() {
    for event in Kind::ALL.into_iter().chain([Kind::Test]) {
        let notice = Notice { event, ..Notice::test(jiff::Timestamp::UNIX_EPOCH) };
        assert_slack_accepts(&slack::body(&notice));
    }
}

/// The bound of the documentation.
#[test]
fn the_largest_json_is_bounded() {
    let mut world = World::converged().limits(|limits| limits.suspend = true);
    let role = Role::from_api(&"X".repeat(5_000));
    for n in 0..60 {
        world = world.account(&format!("{n:03}\\{}", "😀".repeat(20_000)), role.clone());
    }
    let notice = TestTracker::new().notices(&world, &succeeded(&world)).remove(0);
    let named = notice.people.len();
    assert!((1..MAX_PEOPLE).contains(&named) && named + notice.more == 60, "{named}");
    assert!(json::body(&notice).len() < 512 * 1024);
    assert_slack_accepts(&slack::body(&notice));
}

#[test]
fn the_size_of_a_notice_is_bounded() {
    let mut world = World::converged().crowd(2_000);
    world.members.truncate(5);
    let notices = TestTracker::new().notices(&world, &succeeded(&world));
    assert_eq!((notices[0].people.len(), notices[0].more), (MAX_PEOPLE, 2_000 - MAX_PEOPLE));
    let read: Value = serde_json::from_str(&slack::body(&notices[0])).unwrap();
    for block in read["blocks"].as_array().unwrap() {
        let text = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str());
        let length = text.unwrap().chars().count();
        assert!((1..=3000).contains(&length), "{length}");
    }
    assert!(json::body(&notices[0]).len() < 100_000);
}

/// Every word of a text that could be an address, or a part of one, is one of these addresses.
#[track_caller]
fn assert_whole(text: &str, addresses: &BTreeSet<String>) {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let text = text.replace("\\\\", "\\");
    let words = text.split([' ', '\n', '[', ']', '"', '(', ')', '|', ',']);
    for word in words.filter(|word| word.contains('@') || word.contains("xxx")) {
        assert!(addresses.contains(word), "{word} in\n{text}");
    }
}

/// A notice of held accounts with these addresses, and the addresses.
fn notice_of_held(count: usize, address: &dyn Fn(usize) -> String) -> (Notice, BTreeSet<String>) {
    let mut world = World::converged();
    let addresses: BTreeSet<String> = (0..count).map(address).collect();
    for name in &addresses {
        world = world.account(name.trim_end_matches("@acme.io"), Role::Developer);
    }
    world = world.limits(|limits| limits.budgets.get_mut(&BudgetName::Disable).unwrap().floor = 0);
    let notices = TestTracker::new().notices(&world, &succeeded(&world));
    (notices.into_iter().find(|it| it.event == Kind::Held).unwrap(), addresses)
}

#[test]
fn no_address_is_ever_cut() {
    let long = |n: usize| format!("{n:03}&{}@acme.io", "x".repeat(242));
    let odd = |n: usize| format!("user{n}&x<`{n}@acme.io");
    let short = |n: usize| format!("user{n}@acme.io");
    assert_eq!(long(0).len(), 254);
    for (count, address) in [
        (150, &short as &dyn Fn(usize) -> String),
        (150, &odd),
        (150, &long),
        (12, &long),
        (9, &long),
        (20, &odd),
        (10, &short),
    ] {
        let (notice, mut addresses) = notice_of_held(count, address);
        let body: Value = serde_json::from_str(&slack::body(&notice)).unwrap();
        let blocks = body["blocks"].as_array().unwrap().iter();
        let texts: Vec<&str> = blocks
            .map(|it| it["text"]["text"].as_str().or(it["elements"][0]["text"].as_str()).unwrap())
            .collect();
        // Of the commit.
        addresses.extend(["<alexandra@acme.io>:".to_owned(), "@".to_owned()]);
        for text in &texts {
            assert!((1..=3000).contains(&text.chars().count()), "{text}");
            assert_whole(text, &addresses);
        }
        let all = texts.concat();
        let block = notice.approvals.as_deref().unwrap();
        let is_complete = all.contains(&block.replace('&', "&amp;").replace('<', "&lt;"));
        assert_eq!(is_complete, count < 12 || (count == 20), "{all}");
        let people = format!("approve {count} people are too long for a message: run `rosterd ");
        assert_eq!(all.contains(&people), !is_complete, "{all}");
        let json: Value = serde_json::from_str(&json::body(&notice)).unwrap();
        assert_eq!(json["approvals"], block, "the JSON has all of it");
        assert_eq!(block.matches("@acme.io").count(), count);
        assert_whole(block, &addresses);
    }
}

#[test]
fn a_long_block_is_replaced_by_a_link() {
    let (notice, _) = notice_of_held(150, &|n| format!("user{n}@acme.io"));
    let page = |page: &str, notice| Notice { page: Some(page.into()), ..notice };
    let body = slack::body(&page("https://rosterd.acme.io/workspaces/a&b|c", notice));
    let link = "<https://rosterd.acme.io/workspaces/a&amp;b%7Cc|the page of the workspace>";
    assert!(body.contains(link), "{body}");
    let (notice, _) = notice_of_held(10, &|n| format!("user{n}@acme.io"));
    assert!(!slack::body(&page("https://rosterd.acme.io/", notice)).contains("the page"));
}
