//! Removes secrets that were written into the file from its diagnostics.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::secrets::TOKEN_PREFIX;
use crate::diagnostic::{Diagnostic, Place};
use crate::yaml::{Node, Value};

/// Lines with these words, and the lines below them, may contain a secret.
const WORDS: [&str; 8] = [
    "credentials",
    "api_key",
    "api_secret",
    "token:",
    "secret:",
    "url:",
    "hooks.slack.com",
    TOKEN_PREFIX,
];

/// Reports every token in the document. A path may contain the name of one.
pub(super) fn tokens(node: &Node<'_>, out: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => {
            if is_token(text) {
                out.push(secret_in_file(node.place, "the file contains a token"));
            }
        }
        Value::Seq(items) => items.iter().for_each(|item| tokens(item, out)),
        Value::Map(entries) => {
            for (key, node) in entries {
                if is_token(&key.text) {
                    out.push(secret_in_file(key.place, "the file contains a token"));
                }
                let is_path = matches!(&node.value, Value::Scalar { text, .. }
                    if key.text == "file" && text.contains('/'));
                if !is_path {
                    tokens(node, out);
                }
            }
        }
    }
}

fn is_token(text: &str) -> bool {
    let kinds = ["prdm_wsp_", "prdm_cmp_"];
    text.trim_start().starts_with(TOKEN_PREFIX) || kinds.iter().any(|kind| text.contains(kind))
}

/// The error for a literal secret.
pub(super) fn secret_in_file(place: Place, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("secret-in-file", message)
        .at(place)
        .hint("write { env: NAME } or { file: PATH }; replace the secret if it has been committed")
        .redacted()
}

/// Hides every source line that may contain a secret, and removes possible secrets from messages.
pub(super) fn redact(found: &mut [Diagnostic], text: &str) {
    // If the file is not valid YAML, the end of a secret is unknown.
    let broken = found.iter().any(|problem| matches!(problem.code, "yaml-syntax" | "tab"));
    let hidden = hidden(text, !broken);
    let mut held: Vec<bool> = text.lines().map(|line| line.contains(TOKEN_PREFIX)).collect();
    for place in found.iter().filter(|problem| problem.redacted).filter_map(|it| it.place) {
        mark(&mut held, lines(place, text));
    }
    for problem in found {
        let related = problem.related.iter().map(|(place, _)| *place);
        let places: Vec<Place> = problem.place.into_iter().chain(related).collect();
        let touches = places.iter().any(|place| any(&hidden, &lines(*place, text)));
        // Lines between two places may be shown with them.
        let first = places.iter().map(|place| *lines(*place, text).start()).min();
        let last = places.iter().map(|place| *lines(*place, text).end()).max();
        let spans =
            |marked: &[bool]| first.zip(last).is_some_and(|(from, to)| any(marked, &(from..=to)));
        problem.redacted |= touches || spans(&held) || spans(&hidden);
        if touches || spans(&held) {
            redact_message(problem);
        }
    }
}

/// Keeps one diagnostic for each literal secret, and drops the others at its place.
pub(super) fn only_the_secret(found: &mut Vec<Diagnostic>) {
    let is_secret = |problem: &Diagnostic| problem.code == "secret-in-file";
    let secrets: HashSet<Option<Place>> =
        found.iter().filter(|problem| is_secret(problem)).map(|problem| problem.place).collect();
    let mut reported = HashSet::new();
    found.retain(|problem| match problem.code {
        "secret-in-file" => reported.insert(problem.place),
        "missing-key" => true,
        _ => !secrets.contains(&problem.place),
    });
}

/// An unknown key may itself be the secret, unless it is similar to a known one.
fn redact_message(problem: &mut Diagnostic) {
    let likely = problem.hint.as_deref().is_some_and(|hint| hint.starts_with("did you mean"));
    match problem.code {
        "unknown-key" if !likely => {
            let within = problem.message.rsplit_once(" in ").map_or("the file", |(_, it)| it);
            problem.message = format!("unknown key in {within}");
        }
        "duplicate-key" => "duplicate key".clone_into(&mut problem.message),
        _ => {}
    }
    if problem.message.contains(TOKEN_PREFIX) {
        "the file contains a token".clone_into(&mut problem.message);
    }
    problem.hint.take_if(|hint| hint.contains(TOKEN_PREFIX));
}

/// Which lines may contain a secret: lines with one of [`WORDS`], and those indented below them, or
/// all that follow if the indentation is not reliable.
fn hidden(text: &str, indented: bool) -> Vec<bool> {
    // The value of an anchor may be used in the credentials.
    if text.split_ascii_whitespace().any(|word| word.starts_with('&')) {
        return vec![true; text.lines().count()];
    }
    let mut block = None;
    let hides = |line: &str| {
        let deep = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
        if indented && !line.trim().is_empty() {
            block.take_if(|above| deep <= *above);
        }
        let has_user = line.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
        if block.is_none() && WORDS.iter().any(|word| line.contains(word)) {
            block = Some(deep);
        }
        block.is_some() || has_user
    };
    text.lines().map(hides).collect()
}

/// The lines of a place, from 0, as [`str::lines`] counts them. `Place` also counts a lone carriage
/// return as a line break.
fn lines(place: Place, text: &str) -> RangeInclusive<usize> {
    let before = text.get(..place.start as usize).unwrap_or(text);
    let first = before.matches('\n').count();
    let part = text.get(place.start as usize..place.end as usize).unwrap_or_default();
    first..=first + part.matches('\n').count()
}

fn any(marked: &[bool], lines: &RangeInclusive<usize>) -> bool {
    marked.iter().skip(*lines.start()).take(lines.end() - lines.start() + 1).any(|is| *is)
}

fn mark(marked: &mut [bool], lines: RangeInclusive<usize>) {
    lines.for_each(|line| marked.get_mut(line).into_iter().for_each(|mark| *mark = true));
}
