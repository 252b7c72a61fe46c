//! Rules for the source code: allowed imports, no effects in the core, sizes, and names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::rust::{bare, functions, heads, names, without_tests};

/// The rank of every top-level module, times ten. A module imports lower ranks and its own folder.
/// If two modules have one rank in the map and one imports the other, the last digits differ.
const RANKS: [(&str, u8); 39] = [
    ("link", 0),
    ("diagnostic", 1),
    ("email", 0),
    ("escape", 0),
    ("failure", 0),
    ("order", 0),
    ("revision", 0),
    ("status", 0),
    ("role", 0),
    ("size", 0),
    ("directory", 10),
    ("action", 12),
    ("yaml", 10),
    ("roster", 15),
    ("memory", 17),
    ("plan", 20),
    ("guard", 30),
    ("retry", 30),
    ("schedule", 30),
    ("report", 40),
    ("render", 45),
    ("notice", 46),
    ("blocking", 47),
    ("files", 47),
    ("client", 50),
    ("clock", 50),
    ("ledger", 50),
    ("source", 51),
    ("apply", 60),
    ("reconcile", 70),
    ("config", 80),
    ("sandbox", 80),
    ("systemd", 80),
    ("telemetry", 80),
    ("daemon", 90),
    ("notifier", 93),
    ("metrics", 92),
    ("web", 95),
    ("cli", 100),
];

/// The highest rank of the modules without effects.
const CORE: u8 = 46;
const STD_EFFECTS: [&str; 4] = ["fs", "env", "net", "process"];
const EFFECTS: [&str; 8] = [
    "tokio",
    "reqwest",
    "tracing",
    "fastrand",
    "futures_util",
    "Timestamp::now",
    "SystemTime",
    "Instant",
];
const MARKERS: [&str; 3] = ["TODO", "FIXME", "XXX"];
const UNFINISHED: [&str; 4] = ["dbg!", "todo!", "unimplemented!", "#[ignore"];
const BANNED: [&str; 4] = ["manager", "helper", "util", "delta"];
/// Names of earlier versions; each has a standard term instead.
const RETIRED: [&str; 49] = [
    "aside",
    "beats",
    "Begun",
    "Board",
    "Book",
    "Carrier",
    "Carry",
    "Closing",
    "Courier",
    "courier",
    "Crowd",
    "Deed",
    "deed",
    "Desk",
    "Docket",
    "docket",
    "Duty",
    "Ears",
    "Elsewhere",
    "enact",
    "Fares",
    "Fate",
    "fate",
    "ForGood",
    "ForNow",
    "Hooks",
    "Keeper",
    "Keepers",
    "KNOCK",
    "Knobs",
    "ladder",
    "LAST_WORDS",
    "Lift",
    "Mailbox",
    "Noted",
    "Parcel",
    "Pasts",
    "Picture",
    "Pulse",
    "rejudge",
    "rival",
    "Sabotage",
    "sit_down",
    "Telling",
    "Teller",
    "Terms",
    "Told",
    "Weather",
    "Wish",
];
const FILE: usize = 400;
const FUNCTION: usize = 70;
const COLUMNS: usize = 100;

/// A file; its path is relative to the package, with `/`.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The top-level module of the file.
    fn module(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn rank(&self) -> Option<u8> {
        match self.module() {
            "main" => Some(110),
            module => rank(module),
        }
    }

    /// The code without tests, comments and literals.
    fn shipped(&self) -> String {
        let is_test = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        if is_test { String::new() } else { without_tests(&bare(&self.text)) }
    }
}

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file in these folders.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root()).unwrap();
                let name = relative.to_str().unwrap().replace('\\', "/");
                found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 10, "the folders contain the sources");
    found
}

/// Every import that the rank of the file does not allow.
fn imports(source: &Source) -> Vec<String> {
    let (module, text) = (source.module(), source.shipped());
    if module == "lib" {
        return Vec::new();
    }
    let Some(own) = source.rank() else {
        return vec![format!("{}: `{module}` has no rank", source.path)];
    };
    let is_allowed =
        |target: &String| target == module || rank(target).is_none_or(|theirs| theirs < own);
    let mut targets: Vec<String> =
        ["crate", "rosterd"].iter().flat_map(|start| heads(&text, start)).collect();
    if !source.path[4..].contains('/') || source.path.ends_with("/mod.rs") {
        targets.extend(heads(&text, "super"));
    }
    let wrong = targets.into_iter().filter(|target| !is_allowed(target) || target == "*");
    wrong.map(|target| format!("{}: imports `{target}`", source.path)).collect()
}

/// Every effect in the core.
fn effects(source: &Source) -> Vec<String> {
    if source.rank().is_none_or(|rank| rank > CORE) {
        return Vec::new();
    }
    let text = source.shipped();
    let std = heads(&text, "std").into_iter().filter(|head| STD_EFFECTS.contains(&head.as_str()));
    let words = EFFECTS.into_iter().filter(|word| text.contains(word)).map(str::to_owned);
    std.chain(words).map(|word| format!("{}: `{word}` in the core", source.path)).collect()
}

/// Client and sandbox implement the API independently.
fn independence(source: &Source) -> Vec<String> {
    let reads = source.module() == "sandbox" && source.shipped().contains("client");
    reads.then(|| format!("{}: the sandbox uses the client", source.path)).into_iter().collect()
}

fn sizes(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let mut wrong = Vec::new();
    if source.path.starts_with("src/") && lines > FILE {
        wrong.push(format!("{}: {lines} lines", source.path));
    }
    // Snapshots in tests may be wider.
    let is_test = source.path.starts_with("tests/");
    let code = bare(&source.text);
    for (number, (line, code)) in (1..).zip(source.text.lines().zip(code.lines())) {
        let shows_text = is_test && code.contains("    ") && line.contains('"');
        if line.chars().count() > COLUMNS && !shows_text && !(is_test && code.trim().is_empty()) {
            wrong.push(format!("{}:{number}: more than {COLUMNS} columns", source.path));
        }
    }
    let long = functions(&bare(&source.text)).into_iter().filter(|(_, lines)| *lines > FUNCTION);
    wrong.extend(long.map(|(name, lines)| format!("{}: `{name}`, {lines} lines", source.path)));
    wrong
}

fn words(source: &Source) -> Vec<String> {
    let code = bare(&source.text);
    let markers = MARKERS.into_iter().filter(|word| source.text.contains(word));
    let unfinished = UNFINISHED.into_iter().filter(|word| code.contains(word));
    let mut wrong: Vec<String> = markers.chain(unfinished).map(str::to_owned).collect();
    let is_banned = |name: &String| {
        let name = name.to_ascii_lowercase();
        BANNED.iter().any(|word| name.contains(word))
    };
    wrong.extend(names(&code).into_iter().filter(is_banned));
    let file = source.path.to_ascii_lowercase();
    wrong.extend(BANNED.iter().filter(|word| file.contains(**word)).map(|it| (*it).to_owned()));
    wrong.into_iter().map(|word| format!("{}: `{word}`", source.path)).collect()
}

fn retired(source: &Source) -> Vec<String> {
    let code = bare(&source.text);
    let names = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    let found: BTreeSet<&str> = names.filter(|name| RETIRED.contains(name)).collect();
    found.into_iter().map(|name| format!("{}: `{name}`", source.path)).collect()
}

fn check(folders: &[&str], rule: fn(&Source) -> Vec<String>) {
    // This file contains what it forbids.
    let others = sources(folders).into_iter().filter(|it| it.path != "tests/it/tidy.rs");
    let wrong: Vec<String> = others.flat_map(|source| rule(&source)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn modules_import_lower_ranks_only() {
    check(&["src"], imports);
}

#[test]
fn the_core_has_no_effects() {
    check(&["src"], effects);
}

#[test]
fn the_sandbox_does_not_use_the_client() {
    check(&["src"], independence);
}

#[test]
fn files_functions_and_lines_are_within_their_limits() {
    check(&["src", "tests", "benches"], sizes);
}

#[test]
fn banned_words_do_not_occur() {
    check(&["src", "tests", "benches"], words);
}

#[test]
fn retired_names_do_not_occur() {
    check(&["src", "tests", "benches"], retired);
}

#[test]
fn an_import_of_a_higher_rank_is_found() {
    let wrong = |path: &str, text: &str| imports(&Source::new(path, text)).len();
    assert_eq!(wrong("src/plan/diff.rs", "use crate::{email::Email, guard, plan::Plan};"), 1);
    assert_eq!(wrong("src/plan/diff.rs", "fn f() { crate::client::graphql::g() }"), 1);
    assert_eq!(wrong("src/plan/mod.rs", "use super::apply;"), 1);
    assert_eq!(wrong("src/email.rs", "use crate::role::Role;"), 1, "the same rank");
    assert_eq!(wrong("src/email.rs", "use crate::*;"), 1);
    assert_eq!(wrong("src/nowhere.rs", ""), 1, "no rank");
    assert_eq!(wrong("src/cli/sandbox.rs", "use crate::daemon; use crate::sandbox::World;"), 0);
    assert_eq!(wrong("src/email.rs", "// crate::apply\nconst A: &str = \"crate::apply\";"), 0);
    assert_eq!(wrong("src/email.rs", "#[cfg(test)]\nmod tests { use crate::apply; }"), 0);
}

#[test]
fn an_effect_in_the_core_is_found() {
    let wrong = |path: &str, text: &str| effects(&Source::new(path, text)).len();
    assert_eq!(wrong("src/plan/mod.rs", "use std::{collections::HashMap, fs};"), 1);
    assert_eq!(wrong("src/guard/mod.rs", "fn f() { std::env::args(); }"), 1);
    assert_eq!(wrong("src/retry.rs", "let now = jiff::Timestamp::now();"), 1);
    assert_eq!(wrong("src/report.rs", "async fn f() { tokio::time::sleep(d).await }"), 1);
    assert_eq!(wrong("src/apply.rs", "use tokio::time::Instant;"), 0);
    let wrong = |text: &str| independence(&Source::new("src/sandbox/world.rs", text)).len();
    assert_eq!((wrong("use crate::client::response;"), wrong("use crate::role::Role;")), (1, 0));
}

#[test]
fn an_exceeded_limit_is_found() {
    let wrong = |text: &str| sizes(&Source::new("src/email.rs", text)).len();
    let function =
        |lines: usize| format!("fn f() {{\n{}}}\n", "    g('{', \"}\");\n".repeat(lines));
    assert_eq!((wrong(&function(68)), wrong(&function(69))), (0, 1));
    assert_eq!((wrong(&"\n".repeat(400)), wrong(&"\n".repeat(401))), (0, 1));
    assert_eq!((wrong(&"é".repeat(100)), wrong(&"é".repeat(101))), (0, 1));
}

#[test]
fn a_banned_word_is_found() {
    let wrong = |text: &str| words(&Source::new("src/email.rs", text)).len();
    for text in [
        "// TODO: later",
        "fn f() { todo!() }",
        "#[ignore]\nfn f() {}",
        "struct RunManager;",
        "fn helper_of() {}",
        "mod utils;",
        "enum Delta {}",
    ] {
        assert_eq!(wrong(text), 1, "{text}");
    }
    assert_eq!(wrong("fn managed() -> &str { \"helper todo!\" }"), 0);
    assert_eq!(words(&Source::new("src/utils.rs", "")).len(), 1);
}

#[test]
fn a_retired_name_is_found() {
    let found = |text: &str| retired(&Source::new("src/email.rs", text)).len();
    assert_eq!((found("struct Keeper { desk: Desk }"), found("let fate = fate();")), (2, 1));
    assert_eq!(found("// the Desk\nfn keepers() -> &str { \"Desk\" }"), 0);
}

#[test]
fn the_map_contains_every_module() {
    let path = root().join("ARCHITECTURE.md");
    let map = fs::read_to_string(path).expect("ARCHITECTURE.md is the map of the code");
    let missing: Vec<String> = sources(&["src"])
        .into_iter()
        .map(|source| source.path)
        .filter(|path| !contains_module(&map, path))
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md does not contain\n{}", missing.join("\n"));
}

/// `src/plan/diff.rs` occurs as `plan/diff`, or as `diff` in code, as a file or as a folder.
fn contains_module(map: &str, path: &str) -> bool {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let name = path.rsplit('/').next().unwrap_or(path);
    let spellings = [format!("`{name}`"), format!("{name}.rs"), format!("{name}/")];
    (path.contains('/') && map.contains(path)) || spellings.iter().any(|it| map.contains(it))
}

#[test]
fn a_module_missing_from_the_map_is_found() {
    let map = "`plan/diff` compares; `email`; roster/ is parsed; main.rs starts.";
    for path in ["src/plan/diff.rs", "src/email.rs", "src/roster/mod.rs", "src/main.rs"] {
        assert!(contains_module(map, path), "{path}");
    }
    for path in ["src/plan/change.rs", "src/report.rs", "src/guard/mod.rs"] {
        assert!(!contains_module(map, path), "{path}");
    }
}
