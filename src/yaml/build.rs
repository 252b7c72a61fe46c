//! Builds nodes from the parser's events, within limits.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, Tag};

use super::{Entry, Key, MAX_ALIASED, MAX_DEPTH, MAX_PER_KIND, MAX_VALUES, Node, Value};
use crate::diagnostic::{Diagnostic, FileId, Place};
use crate::escape::escape;

/// Duplicate keys of a mapping with fewer entries are found by linear search.
const FEW: usize = 16;

/// Parses one document. Reports duplicate keys to `out`.
pub(super) fn document<'t>(
    text: &'t str,
    file: FileId,
    left: &mut usize,
    out: &mut Vec<Diagnostic>,
) -> Result<Node<'t>, Diagnostic> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder {
        text,
        parser: Parser::new_from_str_with_options(text, options),
        file,
        bom_count: (0..)
            .zip(text.chars())
            .take_while(|(_, c)| *c == '\u{feff}')
            .fold(0, |n, _| n + 1),
        anchors: HashMap::new(),
        anchored: 0,
        aliased: 0,
        left,
        expected_entries: 0,
        duplicates: 0,
        out,
    };
    builder.document()
}

struct Builder<'t, 'o> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    file: FileId,
    /// Number of byte order marks at the start of the text.
    bom_count: u32,
    /// The anchored nodes, each with its weight.
    anchors: HashMap<usize, (Node<'t>, usize)>,
    /// Total weight of the anchors. Nested anchors count several times.
    anchored: usize,
    /// Total weight of the values that aliases repeat.
    aliased: usize,
    /// How many more values there may be.
    left: &'o mut usize,
    /// Capacity for the next mapping: the number of entries of the last one.
    expected_entries: usize,
    /// Number of duplicate keys reported.
    duplicates: usize,
    out: &'o mut Vec<Diagnostic>,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Node<'t>, Diagnostic> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if document.is_some() => {
                    return Err(Diagnostic::error("several-documents", "more than one document")
                        .marked(self.place(&span), "a second document starts here")
                        .hint("remove the `---` line, or split the file"));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => document = Some(self.node(event, &span)?),
            }
        }
        let place = Place { file: self.file, line: 1, column: 1, start: 0, end: 0 };
        Ok(document.unwrap_or(Node { place, tag: None, value: Value::Null }))
    }

    #[inline]
    fn next(&mut self) -> Result<(Event<'t>, Span), Diagnostic> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node<'t>, Diagnostic> {
        let mut place = self.place(span);
        self.take(1, place)?;
        let (anchor, tag, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain;
                let null = !quoted
                    && tag.is_none()
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (anchor, tag, if null { Value::Null } else { Value::Scalar { text, quoted } })
            }
            Event::SequenceStart(style, anchor, tag) => {
                let (items, last) = self.items()?;
                place.end = end_of(style, place, last);
                (anchor, tag, Value::Seq(items))
            }
            Event::MappingStart(style, anchor, tag) => {
                let (entries, last) = self.entries()?;
                place.end = end_of(style, place, last);
                (anchor, tag, Value::Map(entries))
            }
            Event::Alias(anchor) => return self.repeat(anchor, place),
            _ => {
                let message = "invalid YAML: a value was expected";
                return Err(Diagnostic::error("yaml-syntax", message).at(place));
            }
        };
        let node = Node { place, tag: tag.as_deref().and_then(local), value };
        if anchor != 0 {
            let weight = weight(&node);
            self.anchored += weight;
            if self.anchored > MAX_ALIASED {
                return Err(bomb(place, &format!("anchors hold more than {MAX_ALIASED} values")));
            }
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        Ok(node)
    }

    /// The items of a list, and the place of its end.
    fn items(&mut self) -> Result<(Vec<Node<'t>>, Place), Diagnostic> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => return Ok((items, self.place(&span))),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    /// The entries of a mapping, and the place of its end.
    fn entries(&mut self) -> Result<(Vec<Entry<'t>>, Place), Diagnostic> {
        let mut entries: Vec<Entry<'t>> = Vec::with_capacity(self.expected_entries);
        let mut seen = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                // A roster has a mapping for each member: spare capacity would be a third of the
                // memory.
                entries.shrink_to_fit();
                self.expected_entries = entries.len().min(FEW);
                return Ok((entries, self.place(&span)));
            }
            let key = self.key(event, &span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, &span)?;
            let first = if entries.len() < FEW {
                entries.iter().find(|(known, _)| known.text == key.text).map(|(k, _)| k.place)
            } else {
                if seen.is_empty() {
                    seen.extend(entries.iter().map(|(key, _)| (key.text.clone(), key.place)));
                }
                seen.insert(key.text.clone(), key.place)
            };
            if let Some(first) = first
                && self.duplicates < MAX_PER_KIND
            {
                self.duplicates += 1;
                self.out.push(duplicate(&key, first));
            }
            entries.push((key, value));
        }
    }

    fn key(&mut self, event: Event<'t>, span: &Span) -> Result<Key<'t>, Diagnostic> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, ..) => Ok(Key { text, place }),
            _ => Err(Diagnostic::error("bad-key", "a key must be plain text")
                .marked(place, "not plain text")
                .hint("quote text that begins with `[`, `{`, `*` or `?`")),
        }
    }

    fn repeat(&mut self, anchor: usize, place: Place) -> Result<Node<'t>, Diagnostic> {
        let Some((node, weight)) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error("bad-alias", "an alias inside its own anchor")
                .marked(place, "recursive alias")
                .hint("write the value out"));
        };
        let (node, weight) = (Node { place, ..node.clone() }, *weight);
        // The alias itself is counted.
        self.take(weight.saturating_sub(1), place)?;
        self.aliased += weight;
        if self.aliased > MAX_ALIASED {
            return Err(bomb(place, &format!("aliases repeat more than {MAX_ALIASED} values")));
        }
        Ok(node)
    }

    /// Counts values.
    fn take(&mut self, values: usize, place: Place) -> Result<(), Diagnostic> {
        let left = self.left.checked_sub(values);
        *self.left = left.unwrap_or_default();
        let too_many = || {
            let message = format!("more than {MAX_VALUES} values, all files together");
            Diagnostic::error("too-many-values", message)
                .marked(place, "limit exceeded here")
                .hint("is this the right file?")
        };
        left.map(|_| ()).ok_or_else(too_many)
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let mut place = self.place(&Span::empty(*error.marker()));
        // To the end of the first character, if there is one.
        let next = usize::try_from(place.start).unwrap_or_default() + 1;
        place.end = u32::try_from(self.text.ceil_char_boundary(next)).unwrap_or(u32::MAX);
        if error.info().contains("recursion limit") {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Diagnostic::error("too-deep", message)
                .marked(place, "limit exceeded here")
                .hint("is this the right file?");
        }
        Diagnostic::error("yaml-syntax", format!("invalid YAML: {}", error.info()))
            .at(place)
            .hint(self.syntax_hint(place.start))
    }

    /// Addresses and globs may begin with a character that is special in YAML.
    fn syntax_hint(&self, at: u32) -> String {
        let rest = usize::try_from(at).ok().and_then(|at| self.text.get(at..)).unwrap_or_default();
        match rest.chars().next() {
            Some(sign @ ('*' | '&' | '@' | '`' | '%')) => {
                format!("quote text that begins with `{sign}`")
            }
            _ => "check the indentation, quotes and colons around this place".to_owned(),
        }
    }

    fn place(&self, span: &Span) -> Place {
        let (from, to) = (span.start, span.end);
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let start = number(from.byte_offset().unwrap_or_default());
        // The parser does not count byte order marks as characters of the first line.
        let bom_count = if from.line() <= 1 { self.bom_count } else { 0 };
        Place {
            file: self.file,
            line: number(from.line()).max(1),
            column: number(from.col()) + 1 + bom_count,
            start,
            end: number(to.byte_offset().unwrap_or_default()).max(start),
        }
    }
}

fn bomb(place: Place, message: &str) -> Diagnostic {
    Diagnostic::error("alias-bomb", message)
        .marked(place, "limit exceeded here")
        .hint("write the values out")
}

fn duplicate(key: &Key<'_>, first: Place) -> Diagnostic {
    Diagnostic::error("duplicate-key", format!("duplicate key `{}`", escape(&key.text)))
        .marked(key.place, "again here")
        .related(first, "first here")
        .hint("remove one of them")
}

/// The name of a local tag such as `!raw`. Ignores the tags of YAML itself.
fn local(tag: &Tag) -> Option<Box<str>> {
    if tag.core_suffix().is_some() {
        None
    } else if tag.handle() == "!" {
        Some(tag.suffix().into())
    } else {
        Some(format!("{}{}", tag.handle(), tag.suffix()).into())
    }
}

/// The end of a collection's place: its closing bracket, or, without brackets, its first character.
fn end_of(style: StructureStyle, begin: Place, last: Place) -> u32 {
    if style == StructureStyle::Flow { last.end.max(begin.end) } else { begin.end }
}

/// The cost of a copy, in values. 256 bytes of text count as one value.
fn weight(node: &Node<'_>) -> usize {
    const BYTES: usize = 256;
    1 + match &node.value {
        Value::Null => 0,
        Value::Scalar { text, .. } => text.len() / BYTES,
        Value::Seq(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => {
            entries.iter().map(|(key, node)| key.text.len() / BYTES + weight(node)).sum()
        }
    }
}
