//! Reads YAML with the place of every value: the one module that knows the YAML parser.

mod build;
mod fields;

use std::borrow::Cow;
use std::fmt::Display;

use crate::diagnostic::{Diagnostic, FileId, Place};
use crate::escape::escape;

pub use fields::{Fields, closest};

/// Collections may be nested so deep; what we read needs five levels.
pub const MAX_DEPTH: usize = 64;
/// Aliases may repeat so many values in all; what they may repeat is limited by [`MAX_VALUES`].
pub const MAX_ALIASED: usize = 100_000;
/// Maximum number of values in a file: ten times what the largest roster needs. The unit tests of
/// this module go up to it, so for them it is a tenth.
pub const MAX_VALUES: usize = if cfg!(test) { 200_000 } else { 2_000_000 };
/// So many problems of one kind are told of a file.
const MAX_LINES: usize = 100;

/// A value and where it stands. Text is borrowed from the file wherever it stands there as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'t> {
    pub place: Place,
    /// An explicit local tag such as `!raw`, without the exclamation mark.
    pub tag: Option<Box<str>>,
    pub value: Value<'t>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'t> {
    /// Nothing was written, or `null` or `~`.
    Null,
    /// The text as written, quotes and escapes resolved.
    Scalar {
        text: Cow<'t, str>,
        quoted: bool,
    },
    Seq(Vec<Node<'t>>),
    /// In the order written; duplicate keys have been reported and dropped.
    Map(Vec<Entry<'t>>),
}

/// A key and its value.
pub type Entry<'t> = (Key<'t>, Node<'t>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'t> {
    pub text: Cow<'t, str>,
    pub place: Place,
}

/// Reads one document. An empty text is a null at its beginning.
///
/// All that is wrong with it as YAML is told. A key that stands twice leaves a document, with the
/// first of its values; these leave none: a syntax error, tabs, merge-conflict markers, several
/// documents, nesting beyond [`MAX_DEPTH`], values beyond [`MAX_VALUES`], aliases beyond
/// [`MAX_ALIASED`].
pub fn parse<'t>(text: &'t str, file: FileId, out: &mut Vec<Diagnostic>) -> Option<Node<'t>> {
    let before = out.len();
    out.extend(conflict_markers(text, file));
    if out.len() > before {
        return None;
    }
    match build::document(text, file, out) {
        Ok(document) => Some(document),
        Err(error) => {
            // The parser stumbles over a tab in many ways, and seldom says so.
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

impl<'t> Node<'t> {
    /// The items of a list; anything else is told, as what `what` should be.
    pub fn items(&self, what: &str, out: &mut Vec<Diagnostic>) -> Option<&[Node<'t>]> {
        if let Value::Seq(items) = &self.value {
            self.refuse_tag(out);
            Some(items)
        } else {
            out.push(self.expected(what, "a list"));
            None
        }
    }

    /// The text of a scalar; anything else is told.
    pub fn text(&self, what: impl Display, out: &mut Vec<Diagnostic>) -> Option<&str> {
        if let Value::Scalar { text, .. } = &self.value {
            self.refuse_tag(out);
            Some(text)
        } else {
            out.push(self.expected(what, "text"));
            None
        }
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Tells a tag that means nothing here.
    pub fn refuse_tag(&self, out: &mut Vec<Diagnostic>) {
        if let Some(tag) = &self.tag {
            out.push(
                Diagnostic::error(
                    "unknown-tag",
                    format!("the tag `!{}` means nothing here", escape(tag)),
                )
                .at(self.place)
                .label("tagged")
                .hint("remove the tag; text that begins with `!` needs quotes"),
            );
        }
    }

    /// The problem that this is not what it should be.
    pub fn expected(&self, what: impl Display, kind: &str) -> Diagnostic {
        let found = match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        let problem =
            Diagnostic::error("wrong-type", format!("{what} must be {kind}, not {found}"))
                .at(self.place)
                .label(format!("expected {kind}"));
        match kind {
            "a list" => problem.hint("a list is written `[one, two]`, or a `- ` before each item"),
            "a mapping" => problem.hint("a mapping has lines such as `key: value`"),
            _ => problem,
        }
    }
}

/// Lines that a merge left behind.
fn conflict_markers(text: &str, file: FileId) -> Vec<Diagnostic> {
    const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
    // Few files have one anywhere, and looking for that is far quicker than looking at every line.
    if !MARKERS.iter().any(|marker| text.contains(marker)) {
        return Vec::new();
    }
    let is_marker = |line: &str| {
        MARKERS.iter().any(|marker| {
            line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    lines(text)
        .filter(|(_, _, line)| is_marker(line))
        .map(|(number, start, line)| {
            Diagnostic::error("merge-conflict", "a merge conflict is left in the file")
                .at(Place {
                    file,
                    line: number,
                    column: 1,
                    start,
                    end: start + length(line.trim_end()),
                })
                .label("marker of an unfinished merge")
                .hint("finish the merge: keep one side, and remove the markers")
        })
        .take(MAX_LINES)
        .collect()
}

/// Lines that are indented with a tab.
fn tabs(text: &str, file: FileId) -> Vec<Diagnostic> {
    lines(text)
        .filter_map(|(number, start, line)| {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            let at = length(&line[..line[..indent].find('\t')?]);
            (!line.trim().is_empty()).then(|| {
                Diagnostic::error("tab", "a tab in the indentation")
                    .at(Place {
                        file,
                        line: number,
                        column: at + 1,
                        start: start + at,
                        end: start + at + 1,
                    })
                    .label("a tab")
                    .hint("YAML is indented with spaces")
            })
        })
        .take(MAX_LINES)
        .collect()
}

/// Every line with its number and the byte at which it starts. As for the parser, a carriage
/// return by itself ends a line too.
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

/// Files are far smaller than 4 GiB.
fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
