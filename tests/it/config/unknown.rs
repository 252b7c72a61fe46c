//! No value of an unknown key is ever shown, wherever it is and however it is spelled: in the
//! configuration or in a roster, in any format.

use jiff::tz::TimeZone;
use rosterd::config::{Request, load};
use rosterd::diagnostic::{Diagnostic, InputError, Sources, any_error};
use rosterd::roster::{checks, raw};

use super::{env, folder, renderings};

/// The secret.
const MARKER: &str = "Hush8xZ";

/// Spellings of an unknown key with a secret. In each, `$` is a secret, and `~` the indentation.
const SPELLINGS: [&str; 33] = [
    "password: $",
    "token: $",
    "apiSecret: $",
    "X-API-SECRET: $",
    "\"password\": \"$\"",
    "'password' : '$'",
    "password: $ # comment",
    "my secret password: $",
    "password: |\n~  $\n~  $",
    "password: |2-\n~  $",
    "password: >-\n~  first\n~\n~  $",
    "password: first\n~  $",
    "password: \"first\n~  $\"",
    "password: [$, $]",
    "password:\n~  - $\n~  - [$]",
    "password: { user: matt, version: $ }",
    "auth:\n~  email: $\n~  more:\n~    - name: $",
    "password: &anchor $\n~again: *anchor",
    "password: &anchor { role: $, email: $ }\n~again: *anchor",
    "password: &$ x",
    "password: !$ x",
    "password: !!str $",
    "password: $\n~password: $",
    "$: x",
    "$: ",
    "$: x\n~$: y",
    "? $\n~: x",
    "? [$]\n~: x",
    "password: \"$",
    "password: $: $",
    "password: $\n~\t- x",
    "password: *$",
    "password: $\n<<<<<<< ours\n~x: 1\n=======\n>>>>>>> theirs",
];

/// Places of the configuration, with other problems around them. `%` is where the key is.
const PLACES: [&str; 40] = [
    "%\nversion: 2\n",
    "version: 2\n%\nlisten: nowhere\n",
    "schedule:\n  cron: never\n  %\n  jitter: long\n",
    "watch:\n  %\n  poll: 0s\n",
    "watch:\n  settle: often\n  %\n",
    "web:\n  anonymous: perhaps\n  %\n",
    "web:\n  token:\n    %\n",
    "web:\n  token:\n    env: NAME\n    %\n",
    "notify:\n  - url: ftp://acme.io\n    %\n    format: fax\n",
    "notify:\n  - url:\n      %\n",
    "notify:\n  - url: https://acme.io\n    secret:\n      %\n    events: [none]\n",
    "notify:\n  %\n",
    "defaults:\n  %\n  suspend: perhaps\n",
    "defaults:\n  http:\n    batch: 0\n    %\n",
    "defaults:\n  guard:\n    %\n    min_admins: none\n",
    "defaults:\n  guard:\n    budgets:\n      %\n",
    "defaults:\n  guard:\n    budgets:\n      disable:\n        %\n        percent: 101\n",
    "defaults:\n  policy:\n    domains: [x]\n    %\n",
    "defaults:\n  credentials:\n    %\n",
    "defaults:\n  credentials:\n    api_key:\n      %\n",
    "workspaces:\n  - %\n    name: acme\n",
    "workspaces:\n  - name: acme\n    %\n    timezone: Mars\n",
    "workspaces:\n  - name: acme\n    credentials:\n      %\n",
    "workspaces:\n  - name: acme\n    credentials:\n      api_secret: { env: SECRET }\n      %\n",
    "workspaces:\n  - name: acme\n    credentials:\n      api_secret:\n        %\n",
    "workspaces:\n  - name: acme\n    credentials:\n      api_key:\n        file: x\n        %\n",
    "workspaces:\n  - name: acme\n    guard:\n      %\n      required_admins: [x]\n",
    "workspaces:\n  - name: acme\n    guard:\n      budgets:\n        invite:\n          %\n",
    "workspaces:\n  - name: acme\n    policy:\n      %\n      guests: { x: y }\n",
    "workspaces:\n  - name: acme\n    http:\n      %\n      timeout: 0s\n",
    "workspaces:\n  - name: acme\n    http:\n      rate: fast\n      %\n",
    "workspaces:\n  %\n",
    "version:\n  %\n",
    "listen:\n  %\n",
    "retention:\n  %\n",
    "store:\n  %\n",
    "safe_directories:\n  - %\n",
    "workspaces:\n  - name:\n      %\n    endpoint: x\n",
    "workspaces:\n  - name: acme\n    endpoint:\n      %\n    users: [{ x: y }]\n",
    "workspaces:\n  - name: acme\n    users:\n      %\n    on_removed: never\n",
];

/// Places of a roster.
const ROSTER_PLACES: [&str; 14] = [
    "%\nversion: 2\n",
    "version: 1\nusers: []\n%\n",
    "version: 1\nroles: { x: NONE }\nusers:\n  - %\n    email: matt\n",
    "version: 1\nusers:\n  - email: matt@acme.io\n    %\n    role: NONE\n",
    "version: 1\nusers:\n  - email: matt@acme.io\n    role: ADMIN\n    elevate:\n      %\n      until: never\n",
    "version: 1\nusers:\n  - email:\n      %\n    role: ADMIN\n",
    "version: 1\nusers:\n  - email: matt@acme.io\n    role:\n      %\n",
    "version: 1\nusers:\n  - email: matt@acme.io\n    role: ADMIN\n    aliases:\n      - %\n",
    "version: 1\nusers:\n  - email: matt@acme.io\n    role: ADMIN\n    starts:\n      %\n",
    "version: 1\nusers:\n  %\n",
    "version: 1\nroles:\n  x:\n    %\nusers: []\n",
    "version: 1\nusers: []\nunmanaged:\n  - %\n",
    "version: 1\nusers: []\napprovals:\n  - %\n    disable: [x]\n",
    "version: 1\nusers: []\napprovals:\n  - disable:\n      - %\n",
];

/// The text with the spelling at its place.
fn spelled(place: &str, spelling: &str) -> String {
    let before = place.split('%').next().unwrap();
    let pad = " ".repeat(before.len() - before.rfind('\n').map_or(0, |at| at + 1));
    place.replace('%', &spelling.replace('~', &pad).replace('$', MARKER))
}

#[track_caller]
fn shows_nothing(text: &str, found: &[Diagnostic], sources: &Sources) {
    for shown in renderings(found, sources) {
        assert!(!shown.contains(MARKER), "{text}\n{shown}");
    }
}

#[track_caller]
fn check_configuration(text: &str) {
    let folder = folder(text);
    for offline in [false, true] {
        let request = Request { offline, ..Request::default() };
        let Err(InputError { sources, diagnostics }) = load(&request, &env, folder.path()) else {
            panic!("it is accepted:\n{text}")
        };
        shows_nothing(text, &diagnostics, &sources);
    }
}

#[track_caller]
fn check_roster(text: &str) {
    let mut sources = Sources::default();
    sources.add("users.yaml", text);
    let now = "2026-11-25T10:00:00Z".parse().unwrap();
    let (_, found) = checks::validate(raw::read(&sources), &sources, &TimeZone::UTC, now);
    assert!(any_error(&found), "it is accepted:\n{text}");
    shows_nothing(text, &found, &sources);
}

#[test]
fn nowhere_is_the_value_of_an_unknown_key_shown() {
    for spelling in SPELLINGS {
        for place in PLACES {
            check_configuration(&spelled(place, spelling));
        }
        for place in ROSTER_PLACES {
            check_roster(&spelled(place, spelling));
        }
    }
    // A forgotten colon, where no text is expected.
    for place in &PLACES[..31] {
        check_configuration(&spelled(place, "password $"));
    }
}

/// On one line with known keys, whose values are wrong.
#[test]
fn no_line_with_an_unknown_key_is_drawn() {
    for pair in ["password: $", "\"password\": $", "$: x", "$", "password: [$]", "a: { b: $ }"] {
        let pair = pair.replace('$', MARKER);
        for text in [
            format!("{{ version: 2, {pair} }}"),
            format!("{{ \"version\":2,\"password\":\"{MARKER}\", {pair} }}"),
            format!("version: 1\nhttp: {{ batch: 0, {pair} }}"),
            format!("version: 1\nwatch: {{ poll: 0s, {pair} }}"),
            format!("version: 1\nwatch: {{ {pair}, poll: 0s }} # x"),
            format!("version: 1\nworkspaces: [{{ name: '', {pair}, timezone: Mars }}]"),
            format!(
                "version: 1\nworkspaces: [{{ http: {{ batch: 0 }}, credentials: {{ {pair} }} }}]"
            ),
        ] {
            check_configuration(&text);
        }
        for text in [
            format!("version: 1\nusers: [{{ email: matt, {pair}, role: NONE }}]"),
            format!(
                "version: 1\nusers:\n  - {{ email: a@acme.io, role: ADMIN, {pair} }}\n  - email: a@acme.io\n"
            ),
        ] {
            check_roster(&text);
        }
    }
}

/// A known key may repeat the value by an alias; a file may be something else entirely.
#[test]
fn neither_aliases_nor_other_files_show_it() {
    for known in ["timezone: *x", "on_removed: *x", "http: { rate: *x }", "<<: *x", "users: [*x]"] {
        check_configuration(&format!(
            "password: &x {MARKER}\nversion: 1\nworkspaces:\n  - name: acme\n    {known}\n"
        ));
    }
    for known in ["role: *x", "starts: *x", "aliases: [*x]", "elevate: { role: *x, until: *x }"] {
        for secret in [MARKER.to_owned(), format!("[{MARKER}]"), format!("{{ role: {MARKER} }}")] {
            check_roster(&format!(
                "password: &x {secret}\nversion: 1\nusers:\n  - email: matt@acme.io\n    {known}\n"
            ));
        }
    }
    let member =
        format!("x: &x\n  email: {MARKER}\n  role: {MARKER}\nversion: 1\nusers: [*x, *x]\n");
    check_roster(&member);
    for other in [
        MARKER.to_owned(),
        format!("{MARKER}\n"),
        format!("PASSWORD={MARKER}\nTOKEN={MARKER}\n"),
        format!("-----BEGIN KEY-----\n{MARKER}==\n-----END KEY-----\n"),
        format!("- {MARKER}\n- {MARKER}\n"),
        format!("[api]\nsecret = \"{MARKER}\n"),
        format!("{{\"password\": \"{MARKER}\"}}"),
        format!("machine acme.io login matt password {MARKER}: ["),
        format!("a: 1\n---\npassword: {MARKER}\n"),
    ] {
        check_configuration(&other);
        check_roster(&other);
    }
}

/// A secret in the value of a known key, where none belongs.
#[test]
fn no_url_and_no_token_is_shown() {
    for value in [
        format!("https://matt:{MARKER}@acme.io/x"),
        format!("https://acme.io/x?key={MARKER}"),
        format!("matt:{MARKER}@acme.io"),
        format!("prdm_wsp_{MARKER}"),
        MARKER.to_owned(),
    ] {
        for key in [
            "endpoint: ",
            "credentials: ",
            "credentials: { api_key: ",
            "credentials: { api_secret: ",
        ] {
            let end = if key.contains('{') { " }" } else { "" };
            let line = format!("{key}\"{value}\"{end}");
            check_configuration(&format!("version: 2\nworkspaces:\n  - {line}\n"));
            let line = format!("{{ {line}, name: '', timezone: Mars }}");
            check_configuration(&format!("version: 1\nworkspaces: [{line}]\n"));
        }
        for key in ["store", "public_url"] {
            check_configuration(&format!("version: 2\n{key}: \"{value}\"\nversion: 1\n"));
            check_configuration(&format!("{{ {key}: \"{value}\", version: 2 }}\n"));
        }
        check_configuration(&format!(
            "version: 2\nnotify: [{{ url: \"{value}\", format: fax }}]\n"
        ));
    }
    check_roster(&format!(
        "version: 1\nusers:\n  - {{ email: a@acme.io, role: prdm_wsp_{MARKER} }}\n"
    ));
}
