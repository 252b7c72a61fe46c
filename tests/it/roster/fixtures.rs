//! Compares the diagnostics of every fixture with the expected ones.
//!
//! A fixture is a file, or a folder of files, in `tests/fixtures/roster`. `NAME.txt` has the
//! expected diagnostics: the place, the marked text, the message, the label and the hint.
//! `UPDATE_FIXTURES=1` rewrites them: review the difference before you commit it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rosterd::action::ApprovalItem;
use rosterd::diagnostic::{Diagnostic, Place, Severity, Sources};
use rosterd::escape::escape;
use rosterd::render;
use rosterd::roster::{Member, Roster};

use super::validate;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/roster")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == extension)
}

/// The fixtures, with their names without the extension.
fn fixtures() -> Vec<(String, Sources)> {
    let mut found = Vec::new();
    for name in names_in(&folder()).into_iter().filter(|name| !has_extension(name, "txt")) {
        let path = folder().join(&name);
        let mut sources = Sources::default();
        if path.is_dir() {
            for file in names_in(&path) {
                sources.add(&file, fs::read_to_string(path.join(&file)).unwrap());
            }
        } else {
            sources.add(&name, fs::read_to_string(&path).unwrap());
        }
        found.push((name.trim_end_matches(".yaml").to_owned(), sources));
    }
    found
}

/// The time zone of a fixture: from a comment `# zone: NAME`, else UTC.
fn zone(sources: &Sources) -> TimeZone {
    let mut lines = sources.iter().flat_map(|(_, file)| file.text.lines());
    let zone = lines.find_map(|line| line.strip_prefix("# zone: "));
    zone.map_or(TimeZone::UTC, |name| TimeZone::get(name).unwrap())
}

fn at(place: Place, sources: &Sources) -> String {
    let Place { file, line, column, start, end } = place;
    let text = &sources.get(file).unwrap().text;
    let marked = &text[start as usize..end as usize];
    let before = &text[..start as usize];
    assert_eq!(line as usize, before.matches('\n').count() + 1, "the line is that of the byte");
    let head = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    assert_eq!(column as usize, head.chars().count() + 1, "the column is that of the byte");
    format!("{}:{line}:{column} {marked:?}", sources.name(file))
}

fn describe(problem: &Diagnostic, sources: &Sources) -> String {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = problem.place.map_or_else(|| "no place".to_owned(), |place| at(place, sources));
    let mut text =
        format!("{place}\n    {severity} {}: {}\n", problem.code, escape(&problem.message));
    if let Some(label) = &problem.label {
        let _ = writeln!(text, "    label: {}", escape(label));
    }
    for (place, label) in &problem.related {
        let _ = writeln!(text, "    related: {} {label}", at(*place, sources));
    }
    if let Some(hint) = &problem.hint {
        let _ = writeln!(text, "    hint: {}", escape(hint));
    }
    text
}

fn member(member: &Member) -> String {
    let mut text = format!("{} {}", member.email, member.role);
    if let Some(name) = &member.name {
        let _ = write!(text, " {name:?}");
    }
    for alias in &member.aliases {
        let _ = write!(text, " alias {alias}");
    }
    if let Some(period) = &member.time {
        if let Some(starts) = &period.starts {
            let _ = write!(text, " from {starts}");
        }
        if let Some(ends) = &period.ends {
            let _ = write!(text, " before {ends}");
        }
        if let Some(elevation) = &period.elevate {
            let _ = write!(text, " {} before {}", elevation.role, elevation.until);
            if let Some(reason) = &elevation.reason {
                let _ = write!(text, " because {reason:?}");
            }
        }
    }
    text + "\n"
}

fn roster(roster: &Roster) -> String {
    let mut text = "roster\n".to_owned();
    for one in roster.members() {
        let _ = write!(text, "    {}", member(one));
    }
    for pattern in roster.unmanaged() {
        let _ = writeln!(text, "    unmanaged {}", pattern.written);
    }
    for approval in roster.approvals() {
        let ApprovalItem { action, email, reason } = &approval.item;
        let _ = writeln!(text, "    approved {} {email} {reason:?}", action.key());
    }
    text
}

#[test]
fn every_fixture_has_the_expected_diagnostics() {
    let mut different = Vec::new();
    let mut expected: BTreeSet<String> =
        names_in(&folder()).into_iter().filter(|name| has_extension(name, "txt")).collect();
    for (name, sources) in fixtures() {
        let (valid, found) = validate(&sources, &zone(&sources));
        let mut actual: String = found.iter().map(|problem| describe(problem, &sources)).collect();
        actual.push_str(&valid.as_ref().map_or_else(|| "no roster\n".to_owned(), roster));
        let file = format!("{name}.txt");
        expected.remove(&file);
        let path = folder().join(file);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(&path, &actual).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != actual {
            different.push(format!("{name}\n{actual}"));
        }
    }
    assert!(different.is_empty(), "different diagnostics:\n{}", different.join("\n"));
    assert!(expected.is_empty(), "expectations without a fixture: {expected:?}");
}

#[test]
fn problems_are_sorted_by_place() {
    for (name, sources) in fixtures() {
        let (_, found) = validate(&sources, &zone(&sources));
        let places = found.iter().filter_map(|problem| problem.place);
        assert!(places.map(|place| (place.file, place.start)).is_sorted(), "{name}");
    }
}

#[test]
fn every_problem_is_rendered_at_its_place() {
    for (name, sources) in fixtures() {
        let (_, found) = validate(&sources, &zone(&sources));
        for problem in &found {
            let drawn = render::diagnostics::text(std::slice::from_ref(problem), &sources, false);
            let place = problem.place.unwrap();
            let origin = format!("{}:{}:{}\n", sources.name(place.file), place.line, place.column);
            assert!(drawn.contains(&origin), "{name}: {origin} in\n{drawn}");
            assert_ne!(drawn.contains('━'), problem.redacted, "{name}: what is marked in\n{drawn}");
            assert!(problem.label.is_some() || problem.hint.is_some(), "{name}:\n{drawn}");
        }
    }
}

/// The diagnostic codes in a source file.
fn codes(text: &str) -> BTreeSet<String> {
    let calls =
        text.split("Diagnostic::error(").flat_map(|part| part.split("Diagnostic::warning("));
    let quoted = calls.skip(1).filter_map(|call| call.trim_start().strip_prefix('"'));
    quoted.filter_map(|call| Some(call.split_once('"')?.0.to_owned())).collect()
}

#[test]
fn every_code_has_a_fixture() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut missing = BTreeSet::new();
    for part in ["yaml", "roster", "roster/checks"] {
        for name in names_in(&source.join(part)).iter().filter(|name| has_extension(name, "rs")) {
            missing.append(&mut codes(&fs::read_to_string(source.join(part).join(name)).unwrap()));
        }
    }
    assert!(missing.len() > 20, "found the codes");
    for (_, sources) in fixtures() {
        validate(&sources, &zone(&sources)).1.iter().for_each(|problem| {
            missing.remove(problem.code);
        });
    }
    // Covered by other tests: some need large files, and only configurations have renamed keys and
    // a policy.
    for covered in
        ["too-many-problems", "too-many-values", "too-many-patterns", "renamed-key", "policy"]
    {
        missing.remove(covered);
    }
    assert!(missing.is_empty(), "{missing:?}");
}
