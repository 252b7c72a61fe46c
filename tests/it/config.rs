//! Diagnostics of invalid configurations, and the settings of valid ones.

mod credentials;
mod defaults;
mod offline;
mod schemas;
mod settings;
mod start;
mod unknown;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rosterd::config::{Config, Request, load};
use rosterd::diagnostic::{Diagnostic, InputError, Severity, Sources};
use rosterd::render;

/// Stands in every fixture whose name begins with `secret-`, as or within the secret.
const SECRET: &str = "s3cr3t";

/// The environment of these tests.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "PARADIME_API_ENDPOINT" => "https://api.acme.io/graphql",
        "HOST" => "api.acme.io",
        "EMPTY" => "",
        "HOME" => "/home/matt",
        _ => return None,
    };
    Some(value.to_owned())
}

/// A folder with this configuration as `rosterd.yaml`.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rosterd.yaml"), text).unwrap();
    folder
}

/// A minimal configuration, with more lines of its one workspace.
fn minimal(more: &str) -> String {
    format!(
        "version: 1\nworkspaces:\n  - name: acme\n    endpoint: ${{PARADIME_API_ENDPOINT}}\n    \
         credentials: {{ api_key: {{ env: KEY }}, api_secret: {{ env: SECRET }} }}\n    \
         users: users.yaml\n{more}"
    )
}

/// Loads what must be good, without a warning.
#[track_caller]
fn good(text: &str, request: &Request) -> Config {
    let folder = folder(text);
    match load(request, &env, folder.path()) {
        Ok(loaded) => {
            assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
            loaded.config
        }
        Err(invalid) => panic!("{}", drawn(&invalid)),
    }
}

/// The codes of what is wrong.
#[track_caller]
fn codes(text: &str, request: &Request) -> Vec<&'static str> {
    let folder = folder(text);
    let invalid = load(request, &env, folder.path()).expect_err("it is wrong");
    invalid.diagnostics.iter().map(|problem| problem.code).collect()
}

fn drawn(invalid: &InputError) -> String {
    render::diagnostics::text(&invalid.diagnostics, &invalid.sources, false)
}

/// One line for a problem: place, severity, code, message, hint.
fn line(problem: &Diagnostic) -> String {
    let place = problem.place.map_or("-".to_owned(), |it| format!("{}:{}", it.line, it.column));
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut line = format!("{place} {severity} {}: {}", problem.code, problem.message);
    for (place, words) in &problem.related {
        let _ = write!(line, " ({}:{} {words})", place.line, place.column);
    }
    if let Some(hint) = &problem.hint {
        let _ = write!(line, " -> {hint}");
    }
    line
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Each fixture ends with what is said about it, a comment `#! ` for each problem; the variable
/// `UPDATE_FIXTURES` writes it anew.
#[test]
fn every_error_is_reported_as_its_fixture_says() {
    let mut wrong = String::new();
    for path in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (text, expected) = text.split_once("#! ").unwrap_or((&text, ""));
        let expected: Vec<&str> = expected.split("#! ").map(str::trim_end).collect();
        let folder = folder(text);
        let said = match load(&Request::default(), &env, folder.path()) {
            Ok(loaded) => loaded.warnings,
            Err(invalid) => invalid.diagnostics,
        };
        let here = folder.path().display().to_string();
        let said: Vec<String> = said.iter().map(|it| line(it).replace(&here, "FOLDER")).collect();
        if said != expected && std::env::var_os("UPDATE_FIXTURES").is_some() {
            let told = said.join("\n#! ");
            std::fs::write(&path, format!("{text}#! {told}\n")).unwrap();
        } else if said != expected {
            let _ = write!(wrong, "{}\n#! {}\n", path.display(), said.join("\n#! "));
        }
    }
    assert!(wrong.is_empty(), "these say something else:\n{wrong}");
}

/// Every rendering of these problems.
fn renderings(diagnostics: &[Diagnostic], sources: &Sources) -> [String; 4] {
    [
        render::diagnostics::text(diagnostics, sources, false),
        render::diagnostics::text(diagnostics, sources, true),
        render::diagnostics::json([(diagnostics, sources)]),
        render::github::diagnostics(diagnostics, sources),
    ]
}

#[test]
fn a_secret_in_the_file_is_rejected_and_never_shown() {
    let mut seen = 0;
    for path in fixtures() {
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(text) = text.split("#! ").next().filter(|text| text.contains(SECRET)) else {
            continue;
        };
        for offline in [false, true] {
            let folder = folder(text);
            let request = Request { offline, ..Request::default() };
            let Err(invalid) = load(&request, &env, folder.path()) else {
                panic!("{} is refused", path.display())
            };
            for shown in renderings(&invalid.diagnostics, &invalid.sources) {
                assert!(!shown.contains(SECRET), "{}:\n{shown}", path.display());
                assert!(shown.contains("rosterd.yaml"), "{}:\n{shown}", path.display());
            }
        }
        seen += 1;
    }
    assert!(seen > 15, "{seen} fixtures hold one");
}

#[test]
fn lines_without_secrets_are_shown() {
    for (more, part) in [
        ("version: 1\n", "7 │ version: 1"),
        ("    timezone: Europe/Berln\n", "timezone: Europe/Berln"),
        ("    http: { batch: 0 }\n", "http: { batch: 0 }"),
    ] {
        let folder = folder(&minimal(more));
        let invalid = load(&Request::default(), &env, folder.path()).unwrap_err();
        assert!(drawn(&invalid).contains(part), "{}", drawn(&invalid));
    }
}
