//! From the parser's events to nodes, within limits.

use std::collections::HashMap;

use granit_parser::{
    Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, Tag,
};

use super::{Entry, Key, MAX_ALIASED, MAX_DEPTH, MAX_LINES, MAX_VALUES, Node, Value};
use crate::diagnostic::{Diagnostic, FileId, Place};
use crate::escape::escape;

/// The keys of a mapping with fewer entries are compared one by one.
const FEW: usize = 16;

/// One document, or why it is none. A key that stands twice is told, and its first value taken.
pub(super) fn document<'t>(
    text: &'t str,
    file: FileId,
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
        marks: (0..).zip(text.chars()).take_while(|(_, c)| *c == '\u{feff}').fold(0, |n, _| n + 1),
        anchors: HashMap::new(),
        anchored: 0,
        aliased: 0,
        values: 0,
        usual: 0,
        twice: 0,
        out,
    };
    builder.document()
}

struct Builder<'t, 'o> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    file: FileId,
    /// So many byte order marks begin the text.
    marks: u32,
    /// The nodes that an alias may repeat, with the weight of each.
    anchors: HashMap<usize, (Node<'t>, usize)>,
    /// So much do the anchors keep: one within another keeps its values once more.
    anchored: usize,
    aliased: usize,
    values: usize,
    /// The last mapping had so many entries; the next one probably has as many.
    usual: usize,
    /// So many keys have been told to stand twice.
    twice: usize,
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
                    return Err(Diagnostic::error("several-documents", "a second document begins")
                        .at(self.place(&span))
                        .label("ends the first one")
                        .hint(
                            "one file is one document: remove the `---` line, or split the file",
                        ));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => document = Some(self.node(event, &span)?),
            }
        }
        let nowhere = Place { file: self.file, line: 1, column: 1, start: 0, end: 0 };
        Ok(document.unwrap_or(Node { place: nowhere, tag: None, value: Value::Null }))
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
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(too_many(place));
        }
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
            _ => return Err(unexpected(place)),
        };
        let node = Node { place, tag: tag.as_deref().and_then(local), value };
        if anchor != 0 {
            self.keep(anchor, &node)?;
        }
        Ok(node)
    }

    /// Keeps what an alias may repeat.
    fn keep(&mut self, anchor: usize, node: &Node<'t>) -> Result<(), Diagnostic> {
        let weight = weight(node);
        self.anchored += weight;
        if self.anchored > MAX_VALUES {
            return Err(bomb(node.place, &format!("anchors keep more than {MAX_VALUES} values")));
        }
        self.anchors.insert(anchor, (node.clone(), weight));
        Ok(())
    }

    /// The items of a list, and where it ends.
    fn items(&mut self) -> Result<(Vec<Node<'t>>, Place), Diagnostic> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => return Ok((items, self.place(&span))),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    /// The entries of a mapping, and where it ends.
    fn entries(&mut self) -> Result<(Vec<Entry<'t>>, Place), Diagnostic> {
        let mut entries: Vec<Entry<'t>> = Vec::with_capacity(self.usual);
        let mut seen = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                // Every member of a roster is a mapping: room to grow would be a third of the tree.
                entries.shrink_to_fit();
                self.usual = entries.len().min(FEW);
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
            match first {
                Some(first) if self.twice < MAX_LINES => {
                    self.twice += 1;
                    self.out.push(twice(&key, first));
                }
                Some(_) => {}
                None => entries.push((key, value)),
            }
        }
    }

    fn key(&mut self, event: Event<'t>, span: &Span) -> Result<Key<'t>, Diagnostic> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, ..) => Ok(Key { text, place }),
            _ => Err(Diagnostic::error("bad-key", "a key must be plain text")
                .at(place)
                .label("not plain text")
                .hint("text that begins with `[`, `{`, `*` or `?` needs quotes")),
        }
    }

    fn repeat(&mut self, anchor: usize, place: Place) -> Result<Node<'t>, Diagnostic> {
        let Some((node, weight)) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error("bad-alias", "an alias within what it names")
                .at(place)
                .label("repeats itself without end")
                .hint("write the value out"));
        };
        self.aliased += weight;
        if self.aliased > MAX_ALIASED {
            return Err(bomb(place, &format!("aliases repeat more than {MAX_ALIASED} values")));
        }
        Ok(Node { place, ..node.clone() })
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let place = self.first_character(self.between(*error.marker(), *error.marker()));
        if error.info().contains("recursion limit") {
            return Diagnostic::error("too-deep", format!("nested more than {MAX_DEPTH} deep"))
                .at(place)
                .label("one too many")
                .hint("is this the right file?");
        }
        Diagnostic::error("yaml-syntax", format!("this is not YAML: {}", error.info()))
            .at(place)
            .hint(self.syntax_hint(place.start))
    }

    /// The place with the whole of its first character, if the text has one there.
    fn first_character(&self, place: Place) -> Place {
        let next = usize::try_from(place.start).unwrap_or_default() + 1;
        let end = self.text.ceil_char_boundary(next);
        Place { end: u32::try_from(end).unwrap_or(u32::MAX), ..place }
    }

    /// Addresses and globs often begin with a character that means something else in YAML.
    fn syntax_hint(&self, at: u32) -> String {
        let rest = usize::try_from(at).ok().and_then(|at| self.text.get(at..)).unwrap_or_default();
        match rest.chars().next() {
            Some(sign @ ('*' | '&' | '@' | '`' | '%')) => {
                format!("text that begins with `{sign}` needs quotes")
            }
            _ => "look at the indentation, the quotes and the colons around this place".to_owned(),
        }
    }

    fn place(&self, span: &Span) -> Place {
        self.between(span.start, span.end)
    }

    fn between(&self, from: Marker, to: Marker) -> Place {
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let start = number(from.byte_offset().unwrap_or_default());
        // The parser does not count byte order marks as characters of the first line.
        let marks = if from.line() <= 1 { self.marks } else { 0 };
        Place {
            file: self.file,
            line: number(from.line()).max(1),
            column: number(from.col()) + 1 + marks,
            start,
            end: number(to.byte_offset().unwrap_or_default()).max(start),
        }
    }
}

fn too_many(place: Place) -> Diagnostic {
    Diagnostic::error("too-many-values", format!("the file has more than {MAX_VALUES} values"))
        .at(place)
        .label("one too many")
        .hint("split it over several files")
}

fn bomb(place: Place, message: &str) -> Diagnostic {
    Diagnostic::error("alias-bomb", message)
        .at(place)
        .label("one too many")
        .hint("write the values out")
}

fn unexpected(place: Place) -> Diagnostic {
    Diagnostic::error("yaml-syntax", "this is not YAML: a value was expected").at(place)
}

fn twice(key: &Key<'_>, first: Place) -> Diagnostic {
    Diagnostic::error("duplicate-key", format!("the key `{}` stands here twice", escape(&key.text)))
        .at(key.place)
        .label("again here")
        .related(first, "first here")
        .hint("keep one of them")
}

/// The name of a tag of ours: `!raw` is `raw`; tags of YAML itself say nothing new.
fn local(tag: &Tag) -> Option<Box<str>> {
    if tag.core_suffix().is_some() {
        None
    } else if tag.handle() == "!" {
        Some(tag.suffix().into())
    } else {
        Some(format!("{}{}", tag.handle(), tag.suffix()).into())
    }
}

/// Where a collection ends: with its bracket, or, where it has none, with its first character.
fn end_of(style: StructureStyle, begin: Place, last: Place) -> u32 {
    if style == StructureStyle::Flow { last.end.max(begin.end) } else { begin.end }
}

/// How many values a copy is worth; long text counts for what it takes.
fn weight(node: &Node<'_>) -> usize {
    const TEXT: usize = 256;
    1 + match &node.value {
        Value::Null => 0,
        Value::Scalar { text, .. } => text.len() / TEXT,
        Value::Seq(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => {
            entries.iter().map(|(key, node)| key.text.len() / TEXT + weight(node)).sum()
        }
    }
}
