//! Commands, options and exit codes in the documents.

use std::collections::{BTreeMap, BTreeSet};

use super::{blocks, document, pages, root, rosterd_in, rows, stdout};

/// The options of each command that the documents name, by its words.
#[derive(Default)]
struct Helps(BTreeMap<Vec<String>, BTreeSet<String>>);

impl Helps {
    /// The options that a command has, those of every command included.
    fn options(&mut self, command: &[&str]) -> &BTreeSet<String> {
        let key = command.iter().map(|&word| word.to_owned()).collect();
        self.0.entry(key).or_insert_with(|| {
            let ran = rosterd_in(&root(), &[command, &["--help"]].concat());
            assert!(ran.status.success(), "there is no command {command:?}");
            let mut help = String::from_utf8(ran.stdout).unwrap();
            if command.is_empty() {
                // `--plan` has the options of `plan`.
                help += &stdout(&["plan", "--help"]);
            }
            help.lines()
                .filter(|line| line.trim_start().starts_with('-'))
                .flat_map(|line| line.split_whitespace().take_while(|word| word.starts_with('-')))
                .map(|word| word.trim_end_matches([',', '.']).to_owned())
                .collect()
        })
    }
}

/// The names of the commands, from `--help`.
fn commands() -> Vec<String> {
    let help = stdout(&["--help"]);
    let list = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    list.lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The words after `rosterd` in what a document lets people type, or None.
fn arguments(typed: &str) -> Option<Vec<&str>> {
    let typed = typed.trim_start_matches("$ ").split([';', '|', '#', '>']).next()?;
    let mut words = typed.split_whitespace();
    match (words.next()?, typed.split_once(" -- ")) {
        ("rosterd", _) => Some(words.collect()),
        ("cargo", Some((_, after))) => Some(after.split_whitespace().collect()),
        _ => None,
    }
}

/// The code within the lines of a document that are not fenced.
fn spans(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_command_and_option_in_the_documents_exists() {
    let mut helps = Helps::default();
    let all: Vec<String> = commands();
    let mut typed_commands = 0;
    for page in pages() {
        let text = document(&page);
        let consoles = blocks(&text, "console").join("");
        let typed = consoles.lines().filter(|line| line.starts_with("$ "));
        for typed in typed.chain(spans(&text)) {
            let Some(words) = arguments(typed) else { continue };
            let named = words.iter().take_while(|word| !word.starts_with('-'));
            let depth = if words.first() == Some(&"ledger") { 2 } else { 1 };
            let command: Vec<&str> = named.take(depth).copied().collect();
            assert!(
                command.first().is_none_or(|name| all.iter().any(|known| known == name)),
                "{page}: `{typed}`: no such command"
            );
            let options = helps.options(&command);
            for word in words.iter().filter(|word| word.starts_with('-')) {
                assert!(options.contains(*word), "{page}: `{typed}`: no option {word}");
            }
            typed_commands += 1;
        }
    }
    assert!(typed_commands >= 40, "only {typed_commands} commands are shown");
}

#[test]
fn every_option_that_stands_alone_exists() {
    let mut helps = Helps::default();
    let mut known: BTreeSet<String> =
        ["--force", "--release", "--features", "-vv"].map(str::to_owned).into();
    known.extend(helps.options(&[]).iter().cloned());
    known.extend(helps.options(&["ledger", "verify"]).iter().cloned());
    for name in commands() {
        known.extend(helps.options(&[&name]).iter().cloned());
    }
    for page in pages() {
        let text = document(&page);
        for span in spans(&text).into_iter().filter(|span| span.starts_with('-')) {
            for word in
                span.split_whitespace().filter(|word| word.len() > 1 && word.starts_with('-'))
            {
                assert!(known.contains(word), "{page}: no command has the option {word}");
            }
        }
    }
}

#[test]
fn the_documents_have_every_command_and_option() {
    let text = document("docs/commands.md") + &document("docs/sandbox.md");
    let spans: BTreeSet<&str> =
        spans(&text).into_iter().filter_map(|span| span.split(' ').next()).collect();
    let mut helps = Helps::default();
    for name in commands() {
        let row = format!("| `rosterd {name}");
        assert!(text.contains(&row), "docs/commands.md has no row of {name}");
        for option in helps.options(&[&name]) {
            assert!(spans.contains(option.as_str()), "{name} {option} is in no document");
        }
    }
    for command in [&[][..], &["ledger", "verify"]] {
        for option in helps.options(command) {
            assert!(spans.contains(option.as_str()), "{command:?} {option} is in no document");
        }
    }
}

#[test]
fn the_exit_codes_of_the_documents_are_those_of_the_help() {
    let help = stdout(&["--help"]);
    let shown = help.split("Exit codes:").nth(1).unwrap();
    let shown = shown.split([' ', ',', '\n']).filter_map(|word| word.parse::<u8>().ok());
    let text = document("docs/commands.md");
    let table = text.split("## Exit codes").nth(1).unwrap();
    let written = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let written = written.filter_map(|cell| cell.parse::<u8>().ok());
    assert_eq!(written.collect::<Vec<_>>(), shown.collect::<Vec<_>>());
}

#[test]
fn every_fault_of_the_sandbox_page_exists() {
    let help = stdout(&["sandbox", "--help"]);
    let text = document("docs/sandbox.md");
    let table = text.split("| fault | effect |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let faults: Vec<&str> = rows(table).collect();
    assert_eq!(faults.len(), 10);
    for fault in faults {
        assert!(help.contains(fault), "{fault} is not in the help");
    }
}
