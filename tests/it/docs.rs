//! What the documents promise is tried.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The binary in the project's folder, as the README has it, at the commit that the README shows.
fn rosterd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(arguments)
        .current_dir(root())
        .env_clear()
        .env("ROSTERD_REVISION", "3f2c1ab")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(rosterd(arguments).stdout).unwrap()
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

#[test]
fn the_transcript_of_the_readme_is_what_the_binary_prints() {
    let readme = document("README.md");
    let plan = stdout(&["--sandbox", "--plan"]);
    assert!(readme.contains(plan.trim_end()), "the README shows another plan than\n{plan}");
    let once = stdout(&["--sandbox", "--once"]);
    assert!(readme.contains(once.trim_end()), "the README shows another run than\n{once}");
}

#[test]
fn the_roster_of_the_readme_is_valid() {
    let readme = document("README.md");
    let roster =
        blocks(&readme, "yaml").into_iter().find(|block| block.contains("users:")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    std::fs::write(&file, roster).unwrap();
    let checked = rosterd(&["check", "--users", file.to_str().unwrap()]);
    let said = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(0), "{said}");
}

#[test]
fn the_mistake_of_the_readme_is_told_as_it_says() {
    let readme = document("README.md");
    let shown =
        blocks(&readme, "console").into_iter().find(|b| b.contains("rosterd check")).unwrap();
    let drawn = shown.split_once('\n').unwrap().1;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("users.yaml"),
        "version: 1\nusers:\n  - email: matt@acme.io\n    role: DEVELOPR\n",
    )
    .unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(["check", "-u", "users.yaml"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(checked.status.code(), Some(78));
    assert_eq!(String::from_utf8(checked.stdout).unwrap().trim_end(), drawn.trim_end());
}

/// The commands with options of their own.
const COMMANDS: [&[&str]; 10] = [
    &[],
    &["import"],
    &["check"],
    &["sandbox"],
    &["apply"],
    &["history"],
    &["access"],
    &["ledger", "verify"],
    &["health"],
    &["man"],
];

#[test]
fn every_command_and_flag_of_the_readme_exists() {
    let readme = document("README.md");
    let help = stdout(&["--help"]);
    let mut told = 0;
    for row in readme.lines().filter(|line| line.starts_with("| `rosterd ")) {
        let typed = row.trim_start_matches("| `").split('`').next().unwrap();
        let word = typed.split_whitespace().nth(1).unwrap();
        assert!(help.contains(word), "{word} is not in --help");
        told += 1;
    }
    assert!(told >= 6, "only {told} commands are told");
    let told = readme + &document("deploy/README.md");
    for flag in told.split(['`', ' ', '(', ')', '\n']).filter(|word| word.starts_with("--")) {
        let flag = flag.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let known = ["--release", "--force", "--path", "--features"].contains(&flag)
            || COMMANDS
                .iter()
                .any(|command| stdout(&[*command, &["--help"]].concat()).contains(flag));
        assert!(known, "{flag} is told of and in no --help");
    }
}

#[test]
fn every_command_of_the_help_is_in_the_readme() {
    let readme = document("README.md");
    let help = stdout(&["--help"]);
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| *name != "help") {
        assert!(readme.contains(&format!("`rosterd {name}")), "{name} is not in the README");
    }
}

#[test]
fn the_exit_codes_are_the_same_everywhere() {
    let readme = document("README.md");
    let help = stdout(&["--help"]);
    for code in ["0", "1", "2", "3", "64", "78"] {
        assert!(readme.contains(&format!("| {code} | ")), "{code} is not in the README");
        assert!(help.contains(&format!("{code} ")), "{code} is not in --help");
    }
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    const DOCUMENTS: [&str; 7] = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "deploy/README.md",
        "benches/README.md",
        ".github/CONTRIBUTING.md",
        ".github/SECURITY.md",
    ];
    for name in DOCUMENTS {
        let text = document(name);
        let folder = root().join(name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            let within = !file.starts_with("http") && !file.is_empty();
            assert!(!within || folder.join(file).exists(), "{name}: {link} leads nowhere");
        }
    }
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
        let there = root().join(path).exists() || root().join("src").join(path).exists();
        assert!(there, "{path} does not exist");
    }
}
