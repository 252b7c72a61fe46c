//! The configuration: a file in a constant environment. No output contains a secret.

use std::path::Path;

use rosterd::config::{Loaded, Request, load};
use rosterd::diagnostic::{FileId, InputError, Sources, any_error};
use rosterd::yaml::{self, Node, Value};
use tempfile::TempDir;

use super::output;

/// A secret written into the file: the tail of a token, or a whole secret.
const SECRET: &str = "s3cr3t";
/// Secrets in environment variables.
const HIDDEN: [(&str, &str); 2] =
    [("PARADIME_API_SECRET", "prdm_wsp_of-the-environment"), ("TOKEN", "prdm_cmp_of-another")];
const KEYS: [&str; 3] = ["credentials", "api_key", "api_secret"];

thread_local! {
    /// The folder of the file, for the checks of this thread.
    static FOLDER: TempDir = tempfile::tempdir().expect("a folder for the file");
}

/// Every diagnostic has a valid position, and no rendering is harmful or contains a secret.
pub fn check(data: &[u8]) {
    FOLDER.with(|folder| check_in(folder.path(), data));
}

fn check_in(folder: &Path, data: &[u8]) {
    std::fs::write(folder.join("rosterd.yaml"), data).expect("the file is written");
    for offline in [false, true] {
        let request = Request { offline, ..Request::default() };
        match load(&request, &env, folder) {
            Ok(Loaded { config, sources, warnings }) => {
                assert!(!any_error(&warnings), "{warnings:?}");
                assert!(!config.workspaces.is_empty());
                check_diagnostics(&warnings, &sources);
            }
            Err(InputError { sources, diagnostics }) => {
                assert!(any_error(&diagnostics), "{diagnostics:?}");
                check_diagnostics(&diagnostics, &sources);
            }
        }
    }
}

fn env(name: &str) -> Option<String> {
    let hidden = HIDDEN.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let value = match name {
        "PARADIME_API_ENDPOINT" => "https://api.acme.io/graphql",
        "HOST" => "api.acme.io",
        "EMPTY" => "",
        "HOME" => "/home/matt",
        _ => hidden?,
    };
    Some(value.to_owned())
}

fn check_diagnostics(found: &[rosterd::diagnostic::Diagnostic], sources: &Sources) {
    for problem in found {
        output::is_placed(problem, sources);
    }
    let shown = output::renderings(found, sources);
    let text = sources.get(FileId(0)).map_or("", |file| &*file.text);
    for shown in &shown {
        assert!(
            !(is_a_secret(text) && shown.contains(SECRET)),
            "the secret of {text:?} in {shown}"
        );
    }
}

/// Whether the only [`SECRET`] of the text is in a place for a secret.
fn is_a_secret(text: &str) -> bool {
    let Some((before, after)) = text.split_once(SECRET) else { return false };
    // The name of a variable is shown.
    if after.contains(SECRET) || before.contains("${") {
        return false;
    }
    let line = before.rsplit('\n').next().unwrap_or_default();
    if KEYS.iter().any(|key| line.contains(key)) {
        return true;
    }
    match yaml::parse(text, FileId(0), &mut Vec::new()) {
        Some(document) => credentials(&document).any(|node| holds_secret(node)),
        None => KEYS.iter().any(|key| before.contains(key)),
    }
}

/// The credentials of every workspace.
fn credentials<'n>(document: &'n Node<'_>) -> impl Iterator<Item = &'n Node<'n>> {
    let items = match value(document, "workspaces").map(|node| &node.value) {
        Some(Value::Seq(items)) => &items[..],
        _ => &[],
    };
    items.iter().filter_map(|workspace| value(workspace, "credentials"))
}

fn value<'n>(node: &'n Node<'_>, key: &str) -> Option<&'n Node<'n>> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(it, _)| it.text == key).map(|(_, node)| node)
}

fn holds_secret(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Scalar { text, .. } => text.contains(SECRET),
        Value::Seq(items) => items.iter().any(holds_secret),
        Value::Map(entries) => {
            entries.iter().any(|(key, node)| key.text.contains(SECRET) || holds_secret(node))
        }
    }
}
