//! Parses YAML with the place of every value, and writes scalars. The only module that uses the
//! YAML parser.

mod build;
mod fields;
pub mod redact;

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use crate::diagnostic::{Diagnostic, FileId, Place};
use crate::escape::is_hostile;

pub use fields::{Fields, closest};

/// Maximum nesting depth of collections. A roster or a configuration needs five levels.
pub const MAX_DEPTH: usize = 64;
/// Maximum number of values that anchors hold, and maximum number that aliases repeat.
pub const MAX_ALIASED: usize = 100_000;
/// Maximum number of values in files of the usual size, all together: those of 100,000 members with
/// six each. Larger files may have one for each `BYTES_PER_VALUE`. Unit tests have less.
pub const MAX_VALUES: usize = if cfg!(test) { 200_000 } else { 600_000 };
const BYTES_PER_VALUE: usize = 28;
/// Maximum number of reported problems of one kind.
const MAX_PER_KIND: usize = 100;

/// A value and its place. The text is borrowed from the file where possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'t> {
    pub place: Place,
    /// An explicit local tag such as `!raw`, without the exclamation mark.
    pub tag: Option<Box<str>>,
    pub value: Value<'t>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'t> {
    /// No value, `null` or `~`.
    Null,
    /// The text as written, quotes and escapes resolved.
    Scalar {
        text: Cow<'t, str>,
        quoted: bool,
    },
    Seq(Vec<Node<'t>>),
    /// In file order. Duplicate keys have been reported; the first one counts.
    Map(Vec<Entry<'t>>),
}

/// A key and its value.
pub type Entry<'t> = (Key<'t>, Node<'t>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'t> {
    pub text: Cow<'t, str>,
    pub place: Place,
}

/// Parses a file with one document. An empty file is a null value.
///
/// Reports all problems to `out`. Of a duplicate key the first value counts. Any other problem
/// returns None, and then duplicate keys are not reported: a syntax error, a tab in the
/// indentation, a merge conflict marker, a second document, or a limit exceeded ([`MAX_DEPTH`],
/// [`MAX_VALUES`], [`MAX_ALIASED`]).
pub fn parse<'t>(text: &'t str, file: FileId, out: &mut Vec<Diagnostic>) -> Option<Node<'t>> {
    parse_part(text, file, &mut max_values(text.len()), out)
}

/// Maximum number of values in files of this size.
pub fn max_values(bytes: usize) -> usize {
    MAX_VALUES.max(bytes / BYTES_PER_VALUE)
}

/// Parses one of several files, that may have `left` more values together. None left is an error.
pub fn parse_part<'t>(
    text: &'t str,
    file: FileId,
    left: &mut usize,
    out: &mut Vec<Diagnostic>,
) -> Option<Node<'t>> {
    let before = out.len();
    out.extend(conflict_markers(text, file));
    if out.len() > before {
        return None;
    }
    match build::document(text, file, left, out) {
        Ok(document) => Some(document),
        Err(error) => {
            out.truncate(before);
            // The parser reports tabs as various other errors.
            let line = error.place.map_or(0, |place| place.line);
            let tabs = tabs(text, file);
            match tabs.first().and_then(|tab| tab.place) {
                Some(first) if first.line <= line => out.extend(tabs),
                _ => out.push(error),
            }
            None
        }
    }
}

/// Formats a text as a YAML scalar on one line, valid in block and flow collections: plain if it
/// is read back as the same text, otherwise in double quotes with invisible characters escaped.
pub fn scalar(text: &str) -> String {
    const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_safe = |c: char| c.is_alphanumeric() || " @._+-'".contains(c);
    let is_word = text.starts_with(char::is_alphabetic)
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    let is_address = text.starts_with(char::is_alphanumeric) && text.contains('@');
    if (is_word || is_address) && text.chars().all(is_safe) && !text.ends_with(' ') {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_hostile(c) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

impl<'t> Node<'t> {
    /// The items of a list. Reports anything else; `what` names the value.
    pub fn items(&self, what: &str, out: &mut Vec<Diagnostic>) -> Option<&[Node<'t>]> {
        if let Value::Seq(items) = &self.value {
            self.reject_tag(out);
            Some(items)
        } else {
            out.push(self.expected(what, "a list"));
            None
        }
    }

    /// The text of a scalar. Reports anything else.
    pub fn text(&self, what: impl Display, out: &mut Vec<Diagnostic>) -> Option<&str> {
        if let Value::Scalar { text, .. } = &self.value {
            self.reject_tag(out);
            Some(text)
        } else {
            out.push(self.expected(what, "text"));
            None
        }
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Reports a tag where none is allowed.
    pub fn reject_tag(&self, out: &mut Vec<Diagnostic>) {
        if self.tag.is_some() {
            Diagnostic::error("unknown-tag", "a tag that is not known here")
                .marked(self.place, "unknown tag")
                .hint("remove the tag; quote text that begins with `!`")
                .emit(out);
        }
    }

    /// The diagnostic for a value of the wrong type.
    pub fn expected(&self, what: impl Display, kind: &str) -> Diagnostic {
        let found = match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        let problem =
            Diagnostic::error("wrong-type", format!("{what} must be {kind}, not {found}"))
                .marked(self.place, format!("expected {kind}"));
        match kind {
            "a list" => problem.hint("write `[one, two]`, or `- ` before each item"),
            "a mapping" => problem.hint("write lines such as `key: value`"),
            _ => problem,
        }
    }
}

const CONFLICT_MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

fn is_conflict_marker(line: &str) -> bool {
    CONFLICT_MARKERS.iter().any(|marker| {
        line.strip_prefix(marker)
            .is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with(' '))
    })
}

/// Reports the lines with merge conflict markers.
fn conflict_markers(text: &str, file: FileId) -> Vec<Diagnostic> {
    // A search of the whole text is much faster than a check of each line.
    if !CONFLICT_MARKERS.iter().any(|marker| text.contains(marker)) {
        return Vec::new();
    }
    lines(text)
        .filter(|(_, _, line)| is_conflict_marker(line))
        .map(|(number, start, line)| {
            let end = start + length(line.trim_end());
            Diagnostic::error("merge-conflict", "unresolved merge conflict")
                .marked(Place { file, line: number, column: 1, start, end }, "conflict marker")
                .hint("resolve the conflict: keep one side, and remove the markers")
        })
        .take(MAX_PER_KIND)
        .collect()
}

/// Reports the lines that are indented with tabs.
fn tabs(text: &str, file: FileId) -> Vec<Diagnostic> {
    lines(text)
        .filter_map(|(number, start, line)| {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            let at = length(&line[..line[..indent].find('\t')?]);
            let start = start + at;
            (!line.trim().is_empty()).then(|| {
                Diagnostic::error("tab", "tab in the indentation")
                    .marked(
                        Place { file, line: number, column: at + 1, start, end: start + 1 },
                        "tab",
                    )
                    .hint("indent YAML with spaces")
            })
        })
        .take(MAX_PER_KIND)
        .collect()
}

/// Every line with its number and its start byte. As in the parser, a single carriage return is a
/// line break.
fn lines(text: &str) -> impl Iterator<Item = (u32, u32, &str)> {
    let (mut rest, mut start) = (text, 0);
    (1..).map_while(move |number| {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, ending) = rest.split_at(end);
        let next = match ending.as_bytes() {
            [] if line.is_empty() => return None,
            [] => end,
            [b'\r', b'\n', ..] => end + 2,
            _ => end + 1,
        };
        let at = start;
        start += length(&rest[..next]);
        rest = &rest[next..];
        Some((number, at, line))
    })
}

/// The length in bytes. Files are much smaller than 4 GiB.
fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
