//! Keeps secrets in a file out of its diagnostics: only what is known to be no secret is drawn.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value as Schema;

use super::fields::present_name;
use super::{Node, Value, is_conflict_marker};
use crate::diagnostic::{Diagnostic, FileId, Place};

/// Prefix of bearer tokens.
pub const TOKEN_PREFIX: &str = "prdm_";
/// Diagnostics whose texts contain nothing of the value at their place.
const STATIC: [&str; 7] = [
    "unknown-key",
    "missing-key",
    "no-value",
    "wrong-type",
    "secret-in-file",
    "bad-approval",
    "bad-secret",
];

/// What of a file is never shown: every line with anything but known keys and their values, and
/// every value whose key is unknown or, in the schema, `writeOnly`.
#[derive(Debug)]
pub struct Redaction<'t> {
    file: FileId,
    text: &'t str,
    /// The starts of the lines that are not drawn, in order.
    lines: Vec<u32>,
    /// The starts of all unknown keys, and of everything below them.
    unknown: HashSet<u32>,
    /// Whether an alias may repeat a value that is not shown.
    is_opaque: bool,
}

impl<'t> Redaction<'t> {
    /// `document` is None if the text is not valid YAML. Then nothing is drawn from the first line
    /// on that may contain an unknown key.
    pub fn of(
        file: FileId,
        text: &'t str,
        document: Option<&Node<'_>>,
        schema: &Schema,
    ) -> Redaction<'t> {
        let mut of = Visit::default();
        let lines = if let Some(document) = document {
            of.node(document, schema, false);
            let unknown = &of.unknown;
            of.shown.retain(|range| !unknown.contains(&range.start));
            of.shown.sort_unstable_by_key(|range| range.start);
            hidden_lines(text, &of.shown, unknown)
        } else {
            let mut names = HashMap::new();
            known_keys(schema, &mut names);
            let end = offset(readable(text, &names));
            line_ranges(text).map(|line| line.start).filter(|start| *start >= end).collect()
        };
        let is_opaque = of.has_secrets || !of.unknown.is_empty();
        Redaction { file, text, lines, unknown: of.unknown, is_opaque }
    }

    /// Whether a line of this place is hidden.
    fn hides(&self, place: &Place) -> bool {
        let before = self.text.get(..index(place.start)).unwrap_or_default();
        let from = before.rfind('\n').map_or(0, |at| offset(at + 1));
        let next = self.lines.partition_point(|line| *line < from);
        place.file == self.file
            && self.lines.get(next).is_some_and(|line| *line < place.end.max(place.start + 1))
    }

    /// Whether a text about this place may repeat a value that is not shown.
    fn is_secret(&self, place: &Place) -> bool {
        let is_alias = || self.text.get(index(place.start)..).is_some_and(|it| it.starts_with('*'));
        place.file == self.file
            && (self.unknown.contains(&place.start) || self.is_opaque && is_alias())
    }
}

/// Hides source lines, and replaces texts that may repeat what is hidden.
pub fn redact<'t>(found: &mut [Diagnostic], files: &[Redaction<'t>]) {
    for problem in found {
        let related = problem.related.iter().map(|(place, _)| *place);
        let places: Vec<Place> = problem.place.into_iter().chain(related).collect();
        let any = |is: fn(&Redaction<'t>, &Place) -> bool| {
            places.iter().any(|place| files.iter().any(|file| is(file, place)))
        };
        problem.redacted |= any(Redaction::hides);
        if any(Redaction::is_secret) && !STATIC.contains(&problem.code) {
            problem.message = problem.code.replace('-', " ");
            (problem.label, problem.hint) = (None, None);
        }
        if problem.message.contains(TOKEN_PREFIX) {
            "the file contains a token".clone_into(&mut problem.message);
        }
        problem.label.take_if(|label| label.contains(TOKEN_PREFIX));
        problem.hint.take_if(|hint| hint.contains(TOKEN_PREFIX));
    }
}

/// A walk through a document, beside its schema.
#[derive(Default)]
struct Visit {
    /// Known keys, and values that are no secret.
    shown: Vec<Range<u32>>,
    unknown: HashSet<u32>,
    has_secrets: bool,
}

impl Visit {
    fn node(&mut self, node: &Node<'_>, schema: &Schema, is_secret: bool) {
        let is_secret = is_secret || schema["writeOnly"] == true;
        self.has_secrets |= is_secret;
        match &node.value {
            Value::Null => self.show(node.place, is_secret),
            Value::Scalar { text, .. } if takes_text(schema) => {
                let may_hold_secret = text.contains(TOKEN_PREFIX) || text.contains("://");
                self.show(node.place, is_secret || may_hold_secret);
            }
            Value::Seq(items) if let Some(schema) = part(schema, |it| it.get("items")) => {
                for item in items {
                    self.node(item, schema, is_secret);
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    if let Some(schema) = value_schema(schema, &key.text) {
                        self.show(key.place, is_secret);
                        self.node(value, schema, is_secret);
                    } else {
                        self.unknown.insert(key.place.start);
                        self.hide(value);
                    }
                }
            }
            _ if is_secret => {}
            _ => self.hide(node),
        }
    }

    fn show(&mut self, place: Place, is_secret: bool) {
        if !is_secret {
            self.shown.push(place.start..place.end);
        }
    }

    fn hide(&mut self, node: &Node<'_>) {
        self.unknown.insert(node.place.start);
        match &node.value {
            Value::Null | Value::Scalar { .. } => {}
            Value::Seq(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    self.unknown.insert(key.place.start);
                    self.hide(value);
                }
            }
        }
    }
}

/// A part of the schema, or of one of its alternatives.
fn part<'s>(
    schema: &'s Schema,
    of: impl Fn(&'s Schema) -> Option<&'s Schema>,
) -> Option<&'s Schema> {
    let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array());
    std::iter::once(schema).chain(alternatives.flatten()).find_map(of)
}

fn takes_text(schema: &Schema) -> bool {
    let of = |schema: &'_ Schema| match &schema["type"] {
        Schema::String(kind) => kind != "object" && kind != "array",
        Schema::Array(_) => true,
        _ => schema.get("const").or_else(|| schema.get("enum")).is_some(),
    };
    part(schema, |schema| of(schema).then_some(schema)).is_some()
}

/// The schema of the value of a key; None if the key is unknown.
fn value_schema<'s>(schema: &'s Schema, key: &str) -> Option<&'s Schema> {
    part(schema, |schema| {
        let of = |key: &str| schema.get("properties")?.get(key);
        let any = || schema.get("additionalProperties").filter(|schema| schema.is_object());
        of(key).or_else(|| of(present_name(key)?)).or_else(any)
    })
}

/// The names of the keys whose values are no secret, and whether any key is known below them.
fn known_keys<'s>(schema: &'s Schema, names: &mut HashMap<&'s str, bool>) {
    for (name, value) in schema.get("properties").and_then(Schema::as_object).into_iter().flatten()
    {
        if value["writeOnly"] != true {
            names.insert(name, value["additionalProperties"].is_object());
            known_keys(value, names);
        }
    }
    if let Some(items) = schema.get("items") {
        known_keys(items, names);
    }
}

/// The lines with anything but the ranges `shown`, structure and comments.
fn hidden_lines(text: &str, shown: &[Range<u32>], unknown: &HashSet<u32>) -> Vec<u32> {
    let mut unknown: Vec<u32> = unknown.iter().copied().collect();
    unknown.sort_unstable();
    let mut ranges = shown.iter().peekable();
    let mut hidden = Vec::new();
    for Range { start, end } in line_ranges(text) {
        let first = unknown.partition_point(|at| *at < start);
        let mut is_hidden = unknown.get(first).is_some_and(|at| *at < end);
        let mut position = start;
        while let Some(range) = ranges.peek().filter(|range| range.start < end) {
            let gap = text.get(index(position)..index(range.start.max(position)));
            is_hidden |= !gap.is_some_and(is_structure);
            position = position.max(range.end);
            if range.end > end {
                break;
            }
            ranges.next();
        }
        let rest = text.get(index(position.min(end))..index(end));
        is_hidden |= !rest.is_some_and(|rest| is_structure(rest.trim_end()));
        if is_hidden {
            hidden.push(start);
        }
    }
    hidden
}

/// Whether this is YAML without values: punctuation, the tag of a role, or a comment.
fn is_structure(text: &str) -> bool {
    let is_sign = |c: char| " \t\r\n\u{feff}-?:,[]{}\"'|>".contains(c);
    without_comment(text).is_some_and(|text| text.replace("!raw", "").chars().all(is_sign))
}

/// None if the comment has a sign of an assignment, or a token.
fn without_comment(text: &str) -> Option<&str> {
    let (code, comment) = text.split_once('#').unwrap_or((text, ""));
    (!comment.contains([':', '=']) && !comment.contains(TOKEN_PREFIX)).then_some(code)
}

/// The end of the lines before the first one that may have an unknown key or a secret.
fn readable(text: &str, names: &HashMap<&str, bool>) -> usize {
    let mut end = 0;
    // The indentation of a key below which any key is known.
    let mut any = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        any.take_if(|above| !line.trim().is_empty() && indent <= *above);
        let keys = keys(line);
        // Below it are only pairs: a key without a value may begin a mapping.
        let is_pair = keys.len() == 1 && !line.trim_end().ends_with(':');
        let is_known = |key: &&str| names.contains_key(key) || any.is_some() && is_pair;
        let is_readable =
            is_structure(line) || is_conflict_marker(line) || has_only(line, is_known);
        if !is_readable || line.contains(TOKEN_PREFIX) || line.contains("://") {
            break;
        }
        if keys.last().is_some_and(|key| names.get(key) == Some(&true)) {
            any = Some(indent);
        }
        end += line.len();
    }
    end
}

/// Whether every part of the line has a key that is known, or is one word in a list.
fn has_only(line: &str, is_known: impl Fn(&&str) -> bool) -> bool {
    let Some(code) = without_comment(line) else { return false };
    let parts = code.split([',', '{', '}', '[', ']']).map(str::trim).filter(|it| !it.is_empty());
    parts.enumerate().all(|(position, part)| {
        let keys = keys(part);
        let is_item = position > 0 || part.starts_with('-');
        let value = part.trim_start_matches(['-', ' ']);
        let is_word = !value.starts_with('?') && !value.contains(char::is_whitespace);
        keys.iter().all(&is_known) && (!keys.is_empty() || is_item && is_word)
    })
}

/// What may be a key: every text before a colon.
fn keys(text: &str) -> Vec<&str> {
    let (mut keys, mut from) = (Vec::new(), 0);
    for (colon, _) in text.match_indices(':') {
        let (before, after) = (&text[from..colon], &text[colon + 1..]);
        let ends_key = after.is_empty()
            || after.starts_with(|c: char| c.is_whitespace() || "[]{},\"'".contains(c))
            || before.ends_with(['"', '\'']);
        if ends_key {
            let is_mark = |c: char| c.is_whitespace() || "-?\"'\u{feff}".contains(c);
            keys.push(before.trim_matches(is_mark));
            from = colon + 1;
        }
    }
    keys
}

/// The lines as [`str::split`] at line feeds has them: a single carriage return ends none.
fn line_ranges(text: &str) -> impl Iterator<Item = Range<u32>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let range = start..start + offset(line.len());
        start = range.end;
        range
    })
}

fn offset(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn index(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
