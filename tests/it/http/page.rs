//! The pages: what needs a person, long lists, runs, requests for a run, and addresses that do not
//! exist.

use std::fmt::Write as _;

use rosterd::render::access;

use super::{HttpResponse, SOON, WebDaemon};
use crate::cli::test_env::{ROSTER, TestEnv, eventually, replace};

/// Asserts that the page has these parts, in this order.
#[track_caller]
fn in_order(page: &str, parts: &[&str]) {
    let mut rest = page;
    for part in parts {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part}:\n{page}"));
        rest = after;
    }
}

/// A daemon that holds the invitations of `count` new members.
fn holding(count: usize) -> WebDaemon {
    let web = WebDaemon::new("");
    let guarded = web.env.read("rosterd.yaml")
        + "    timezone: Europe/Berlin\n    guard: { budgets: { invite: { floor: 0, percent: 0 } } }\n";
    replace(&web.env.path("rosterd.yaml"), &guarded);
    let mut roster = ROSTER.to_owned();
    for number in 1..=count {
        writeln!(roster, "  - {{ email: user{number}@acme.io, role: BUSINESS }}").unwrap();
    }
    replace(&web.env.path("users.yaml"), &roster);
    eventually(SOON, "it is held", || web.state() == "held");
    web
}

#[test]
fn what_needs_a_person_stands_first_and_long_lists_have_pages() {
    let web = holding(60);
    let page = web.get("/workspaces/acme").body;
    in_order(
        &page,
        &[
            "<title>! acme: held",
            "href=\"/assets/icon/held\"",
            "Held: needs a decision",
            "invite-budget",
            "To release: ",
            "id=\"approvals\"",
            "data-copy=\"approvals\"",
            "1 to 25 of 60 held",
            "! invite",
            "user2@acme.io",
            "user10@acme.io",
            "users.yaml:",
            "?held=25&#38;action=0&#38;plan=0#held",
            "At a glance",
            "held since",
            "id=\"plan\"",
            "times in Europe/Berlin",
        ],
    );
    let (first, _) = page.split_once("At a glance").unwrap();
    assert!(!first.contains("user26@acme.io</a>"), "{first}");
    let page = web.get("/workspaces/acme?held=50").body;
    in_order(&page, &["51 to 60 of 60 held", "user51@acme.io</a>", ">Previous<", "At a glance"]);
    assert!(!page.contains(">Next<"), "{page}");
    in_order(&web.get("/workspaces/acme?held=9999").body, &["none of 60 held", "At a glance"]);
    in_order(&web.get("/").body, &["<title>! ", "href=\"/assets/icon/held\""]);
}

#[test]
fn a_stale_roster_and_a_failure_stand_first() {
    let web = WebDaemon::new("");
    in_order(
        &web.get("/workspaces/acme").body,
        &["<title>✓ acme: in sync", "/assets/icon/in_sync"],
    );
    web.env.write("users.yaml", "version: 1\nusers:\n  - { email: matt@acme.io, role: DEV }\n");
    eventually(SOON, "it is stale", || web.state() == "stale");
    let parts = ["<title>≠ acme: stale", "The roster is invalid", "users.yaml:3:", "At a glance"];
    in_order(&web.get("/workspaces/acme").body, &parts);
    web.env.write("users.yaml", ROSTER);
    let failing = web.env.read("rosterd.yaml").replace("PARADIME_API_SECRET", "NO_SUCH_SECRET");
    replace(&web.env.path("rosterd.yaml"), &failing);
    eventually(SOON, "it is failing", || web.state() == "failing");
    let parts = [
        "<title>× acme: failing",
        "/assets/icon/failing",
        "The last run failed",
        "NO_SUCH_SECRET",
        "Correct the variable or the file",
        "At a glance",
    ];
    in_order(&web.get("/workspaces/acme").body, &parts);
}

#[test]
fn each_state_has_an_icon_of_its_own() {
    let web = WebDaemon::new("");
    let states = ["starting", "in_sync", "changing", "held", "stale", "failing"];
    let icons = states.map(|state| {
        let icon = web.get(&format!("/assets/icon/{state}"));
        assert_eq!(
            (icon.status, &icon.headers["content-type"]),
            (200, &"image/svg+xml".parse().unwrap())
        );
        icon.body
    });
    for (at, icon) in icons.iter().enumerate() {
        assert!(icon.starts_with("<svg") && !icons[..at].contains(icon), "{icon}");
    }
    assert_eq!(web.get("/assets/icon/other").status, 404);
}

#[test]
fn runs_have_pages_and_can_be_limited_to_those_that_changed_something() {
    let web = WebDaemon::new("");
    web.daemon.signal("HUP");
    let runs =
        || web.get("/api/v1/workspaces/acme/runs").json()["items"].as_array().unwrap().clone();
    eventually(SOON, "a second run has ended", || runs().len() == 2);
    let changed = web.get("/api/v1/workspaces/acme/runs?changed=true").json();
    assert_eq!(changed["items"].as_array().unwrap()[..], runs()[1..], "{changed}");
    let page = web.get("/workspaces/acme/runs?changed=true").body;
    assert_eq!(page.matches("<details").count(), 1, "{page}");
    assert_eq!(web.get("/workspaces/acme/runs").body.matches("<details").count(), 2);
    let id = runs()[1]["id"].as_u64().unwrap();
    let page = web.get(&format!("/workspaces/acme/runs?run={id}")).body;
    in_order(
        &page,
        &["Run ", "2 done", "duration", " s</dd>", "process start", "2 events", "alice@"],
    );
    let page = web.get(&format!("/workspaces/acme/runs?run={id}&offset=1")).body;
    in_order(&page, &["2 to 2 of 2 events", ">Previous<"]);
    in_order(&web.get("/workspaces/acme/runs?run=9999").body, &["No such run is recorded"]);
}

#[test]
fn people_are_counted_once_and_can_be_downloaded() {
    let web = WebDaemon::new("");
    let page = web.get("/workspaces/acme").body;
    in_order(&page, &["people?role=ADMIN\">ADMIN</a>: 1 account, 2 invitations", "ADMIN: 1</li>"]);
    let page = web.get("/workspaces/acme/people?role=ADMIN").body;
    in_order(&page, &["3 people: 1 account, 2 invitations", "people.csv?q=&#38;role=ADMIN&#38;"]);
    let csv = web.get("/workspaces/acme/people.csv?role=ADMIN&offset=2&limit=1");
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let disposition = csv.headers["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename=\"access-acme.csv\"");
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!(lines[0].replace('"', ""), access::HEADER);
    assert_eq!(lines.len(), 4, "every match is in it: {}", csv.body);
}

/// Sends the form of the page, and follows the redirect.
fn submit(web: &WebDaemon, body: &str, headers: &[(&str, &str)]) -> HttpResponse {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let headers: Vec<_> = headers.iter().copied().chain([kind]).collect();
    let url = format!("{}/workspaces/acme/run", web.base);
    super::send("POST", &url, &headers, body).expect("no response")
}

#[test]
fn the_form_requests_a_run_with_the_token() {
    let mut env = TestEnv::new();
    env.set("WEB_TOKEN", "the-token-of-this-test");
    let web = WebDaemon::with_env(env, "web: { token: { env: WEB_TOKEN } }");
    let runs = || web.get("/workspaces/acme/runs").body.matches("<details").count();
    assert!(web.get("/workspaces/acme").body.contains("action=\"/workspaces/acme/run\""));
    let bearer = ("authorization", "Bearer the-token-of-this-test");
    let basic = ("authorization", "Basic em9lOnRoZS10b2tlbi1vZi10aGlzLXRlc3Q=");
    for credentials in [bearer, basic] {
        let denied = submit(&web, "token=another", &[credentials]);
        assert!(
            denied.body.contains("No run was requested: the token is wrong"),
            "{}",
            denied.body
        );
        assert_eq!(submit(&web, "", &[credentials]).status, 422, "a browser repeats credentials");
    }
    assert_eq!(runs(), 1);
    let accepted = submit(&web, "username=rosterd&token=the-token-of-this-test", &[]);
    assert!(accepted.body.contains("A run was requested"), "{}", accepted.body);
    assert!(!accepted.body.contains("the-token-of-this-test"));
    eventually(SOON, "the run has ended", || runs() == 2);
}

#[test]
fn without_a_token_no_run_can_be_requested_from_the_page() {
    let web = WebDaemon::new("");
    assert!(!web.get("/workspaces/acme").body.contains("Request a run"));
    let denied = submit(&web, "token=", &[]);
    assert!(denied.body.contains("No run was requested"), "{}", denied.body);
}

#[test]
fn an_unknown_address_answers_browsers_with_a_page() {
    let web = WebDaemon::new("");
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let page = web.request("GET", "/nowhere", &browser);
    assert_eq!(
        (page.status, &page.headers["content-type"]),
        (404, &"text/html; charset=utf-8".parse().unwrap())
    );
    in_order(&page.body, &["Page not found", "href=\"/\""]);
    let page = web.request("GET", "/workspaces/acme/people/mat@acme.io", &browser);
    assert_eq!(page.status, 404);
    in_order(&page.body, &["Person not found", "Did you mean matt@acme.io?", "/workspaces/acme\""]);
    for (path, headers) in [("/nowhere", &[][..]), ("/api/v1/nowhere", &browser[..])] {
        let answer = web.request("GET", path, headers);
        assert_eq!((answer.status, &answer.json()["error"]), (404, &"not found".into()), "{path}");
    }
}
