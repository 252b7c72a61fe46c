//! Keeps secrets that somebody wrote into the file from being shown with its problems.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::secrets::TOKEN_PREFIX;
use crate::diagnostic::{Diagnostic, Place};
use crate::yaml::{Node, Value};

/// What stands below these keys, or beside them, may be a secret.
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

/// Every token in the document, wherever it stands. A path may be named after one.
pub(super) fn tokens(node: &Node<'_>, out: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => {
            if is_token(text) {
                out.push(refused(node.place, "a token stands in the file"));
            }
        }
        Value::Seq(items) => items.iter().for_each(|item| tokens(item, out)),
        Value::Map(entries) => {
            for (key, node) in entries {
                if is_token(&key.text) {
                    out.push(refused(key.place, "a token stands in the file"));
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

/// The problem that a secret itself stands there.
pub(super) fn refused(place: Place, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("secret-in-file", message)
        .at(place)
        .hint(
            "name where it is: { env: NAME } or { file: PATH }; and replace a secret that was \
             committed",
        )
        .redacted()
}

/// Conceals every line that may hold a secret, and takes from messages what may be one.
pub(super) fn conceal(found: &mut [Diagnostic], text: &str) {
    // Where the file is not YAML, nobody knows where a secret ends.
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
        // Lines between two places may be drawn with them.
        let first = places.iter().map(|place| *lines(*place, text).start()).min();
        let last = places.iter().map(|place| *lines(*place, text).end()).max();
        let spans =
            |marked: &[bool]| first.zip(last).is_some_and(|(from, to)| any(marked, &(from..=to)));
        problem.redacted |= touches || spans(&held) || spans(&hidden);
        if touches || spans(&held) {
            redact(problem);
        }
    }
}

/// Where a secret stands, nothing else about it matters, and once is enough.
pub(super) fn only_the_secret(found: &mut Vec<Diagnostic>) {
    let is_secret = |problem: &Diagnostic| problem.code == "secret-in-file";
    let secrets: HashSet<Option<Place>> =
        found.iter().filter(|it| is_secret(it)).map(|it| it.place).collect();
    let mut told = HashSet::new();
    found.retain(|problem| match problem.code {
        "secret-in-file" => told.insert(problem.place),
        "missing-key" => true,
        _ => !secrets.contains(&problem.place),
    });
}

/// A key may itself be the secret, unless it is nearly one that is known.
fn redact(problem: &mut Diagnostic) {
    let likely = problem.hint.as_deref().is_some_and(|hint| hint.starts_with("did you mean"));
    match problem.code {
        "unknown-key" if !likely => {
            let within = problem.message.rsplit_once(" in ").map_or("the file", |(_, it)| it);
            problem.message = format!("an unknown key in {within}");
        }
        "duplicate-key" => "duplicate key".clone_into(&mut problem.message),
        _ => {}
    }
    if problem.message.contains(TOKEN_PREFIX) {
        "a token stands here".clone_into(&mut problem.message);
    }
    problem.hint.take_if(|hint| hint.contains(TOKEN_PREFIX));
}

/// Which lines may hold a secret: those that speak of one, and what is indented below them; all
/// that follows where the indentation says nothing.
fn hidden(text: &str, indented: bool) -> Vec<bool> {
    // What an anchor names may stand anywhere and be meant for the credentials.
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

/// The lines of a place, from 0, as [`str::lines`] counts them: the place itself counts a carriage
/// return by itself too.
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
    lines.for_each(|line| marked.get_mut(line).into_iter().for_each(|it| *it = true));
}
