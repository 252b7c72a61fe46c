//! Checks that the documents match the binary: README.md, docs, and what they link to.

mod commands;
mod links;
mod reference;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rosterd::config;
use serde_yaml::{Mapping, Value};

use crate::support::repository::Repository;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The names of README.md and of every page of docs.
fn pages() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("docs")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    names.sort();
    names.insert(0, "README.md".to_owned());
    names
}

/// Runs the binary in `folder` at the commit that the README shows.
fn rosterd_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("ROSTERD_REVISION", "3f2c1ab")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(rosterd_in(&root(), arguments).stdout).unwrap()
}

/// The blocks of a Markdown document that are fenced as `language`.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(|block| format!("{block}\n"))
        .collect()
}

/// The first cell of each row of the tables in a document, where it is code.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next())
}

#[test]
fn the_transcripts_of_the_readme_are_what_the_binary_prints() {
    let readme = document("README.md");
    let plan = stdout(&["--sandbox", "--plan"]);
    assert!(readme.contains(plan.trim_end()), "README.md shows another plan than\n{plan}");
    let once = stdout(&["--sandbox", "--once"]);
    assert!(readme.contains(once.trim_end()), "README.md shows another run than\n{once}");
}

/// Writes these files, runs the command of the console block that begins with it, and compares.
fn assert_transcript(page: &str, files: &[(&str, &str)], command: &str, code: i32) {
    let shown = blocks(&document(page), "console")
        .into_iter()
        .find_map(|block| block.strip_prefix(&format!("$ rosterd {command}\n")).map(str::to_owned))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
        // Long ago, so that nothing waits for the end of it.
        let file = std::fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    Repository::at(folder.path()).commit("Matt", "Remove two");
    let arguments: Vec<&str> = command.split(' ').collect();
    let ran = Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(printed.trim_end(), shown.trim_end(), "{page}: {command} prints\n{printed}");
    assert_eq!(ran.status.code(), Some(code));
}

#[test]
fn the_diagnostic_of_the_roster_page_is_what_check_prints() {
    let roster = "version: 1\nusers:\n  - email: matt@acme.io\n    role: DEVELOPR\n";
    assert_transcript("docs/roster.md", &[("users.yaml", roster)], "check -u users.yaml", 78);
}

#[test]
fn the_held_plan_of_the_guards_page_is_what_the_binary_prints() {
    let yaml = blocks(&document("docs/guards.md"), "yaml");
    let [.., configuration, roster] = yaml.as_slice() else { panic!("one of each") };
    let files = [("rosterd.yaml", configuration.as_str()), ("users.yaml", roster.as_str())];
    assert_transcript("docs/guards.md", &files, "--plan --sandbox", 0);
}

const ROSTER: &str = "version: 1\nusers: []\n";
const WORKSPACE: &str = "\
name: acme
endpoint: https://paradime.example.com
credentials: { api_secret: { env: SECRET } }
users: users.yaml
";

/// What a block of YAML is, made whole where it is only a part.
enum Example {
    Roster(String),
    Configuration(String),
}

impl Example {
    fn of(block: &str) -> Self {
        let written: Mapping = serde_yaml::from_str(block).unwrap();
        let has = |key: &str| written.contains_key(key);
        let lists_members = written
            .get("users")
            .and_then(Value::as_sequence)
            .is_some_and(|users| users.iter().all(Value::is_mapping));
        if lists_members || has("approvals") {
            return Self::Roster(completed(ROSTER, written));
        }
        let top = ["version", "workspaces", "schedule", "watch", "notify", "web", "listen"];
        let configuration = if top.iter().any(|key| has(key)) {
            let workspace: Mapping = serde_yaml::from_str(WORKSPACE).unwrap();
            let workspaces = Value::Sequence(vec![Value::Mapping(workspace)]);
            let whole = Mapping::from_iter([("workspaces".into(), workspaces)]);
            completed(&format!("version: 1\n{}", serde_yaml::to_string(&whole).unwrap()), written)
        } else {
            let workspace = completed(WORKSPACE, written);
            let lines = workspace.lines().map(|line| format!("    {line}\n"));
            format!("version: 1\nworkspaces:\n  -\n{}", lines.collect::<String>())
        };
        Self::Configuration(configuration)
    }
}

/// The keys of a block over those of a document that is whole.
fn completed(whole: &str, block: Mapping) -> String {
    let mut whole: Mapping = serde_yaml::from_str(whole).unwrap();
    whole.extend(block);
    serde_yaml::to_string(&whole).unwrap()
}

#[test]
fn every_yaml_example_is_valid() {
    let mut checked = 0;
    for page in pages() {
        for block in blocks(&document(&page), "yaml") {
            let folder = tempfile::tempdir().unwrap();
            match Example::of(&block) {
                Example::Roster(text) => {
                    std::fs::write(folder.path().join("users.yaml"), text).unwrap();
                    let ran = rosterd_in(folder.path(), &["check", "-u", "users.yaml"]);
                    let printed = String::from_utf8(ran.stdout).unwrap();
                    assert_eq!(ran.status.code(), Some(0), "{page}:\n{block}{printed}");
                }
                Example::Configuration(text) => {
                    let path = folder.path().join("rosterd.yaml");
                    std::fs::write(&path, text).unwrap();
                    let path = Some(path);
                    let request = config::Request { path, offline: true, ..Default::default() };
                    let loaded = config::load(&request, &|_| None, folder.path());
                    let problems = loaded.err().map(|invalid| invalid.diagnostics);
                    assert_eq!(problems, None, "{page}:\n{block}");
                }
            }
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} examples");
}

#[test]
fn the_readme_is_short() {
    let lines = document("README.md").lines().count();
    assert!(lines <= 120, "README.md has {lines} lines");
}

#[test]
fn the_architecture_names_every_file_that_it_should() {
    let text = document("ARCHITECTURE.md");
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name != "lib" {
            let named = [format!("`{name}/`"), format!("`{name}`")];
            assert!(
                named.iter().any(|shown| text.contains(shown)),
                "{name} is missing in ARCHITECTURE.md"
            );
        }
    }
    for path in text
        .split('`')
        .filter(|word| Path::new(word).extension().is_some_and(|ending| ending == "rs"))
    {
        let exists = root().join(path).exists() || root().join("src").join(path).exists();
        assert!(exists, "{path} does not exist");
    }
}
