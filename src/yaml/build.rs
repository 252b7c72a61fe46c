//! From the parser's events to nodes, within limits.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Key, MAX_ALIASED, MAX_DEPTH, Node, Value};
use crate::diagnostic::{Diagnostic, FileId, Place};

/// One document, or all that is wrong with it.
pub(super) fn document(text: &str, file: FileId) -> Result<Node<'_>, Vec<Diagnostic>> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        file,
        anchors: HashMap::new(),
        aliased: 0,
        found: Vec::new(),
    };
    match builder.document() {
        Ok(node) if builder.found.is_empty() => Ok(node),
        Ok(_) => Err(builder.found),
        Err(last) => {
            builder.found.push(last);
            Err(builder.found)
        }
    }
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    file: FileId,
    /// The nodes that an alias may repeat, with how many values each holds.
    anchors: HashMap<usize, (Node<'t>, usize)>,
    aliased: usize,
    found: Vec<Diagnostic>,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Result<Node<'t>, Diagnostic> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if document.is_some() => {
                    return Err(Diagnostic::error("several-documents", "a second document begins")
                        .at(self.place(&span))
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

    fn next(&mut self) -> Result<(Event<'t>, Span), Diagnostic> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node<'t>, Diagnostic> {
        let place = self.place(span);
        let (anchor, tag, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain;
                let null = !quoted
                    && tag.is_none()
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (anchor, tag, if null { Value::Null } else { Value::Scalar { text, quoted } })
            }
            Event::SequenceStart(_, anchor, tag) => (anchor, tag, self.items()?),
            Event::MappingStart(_, anchor, tag) => (anchor, tag, self.entries()?),
            Event::Alias(anchor) => return self.repeat(anchor, place),
            _ => return Err(unexpected(place)),
        };
        let node = Node { place, tag: tag.as_deref().and_then(local), value };
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn items(&mut self) -> Result<Value<'t>, Diagnostic> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Seq(items)),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    fn entries(&mut self) -> Result<Value<'t>, Diagnostic> {
        let mut entries: Vec<(Key<'t>, Node<'t>)> = Vec::new();
        let mut seen = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(entries));
            }
            let key = self.key(event, &span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, &span)?;
            let first = if entries.len() < 16 {
                entries.iter().find(|(known, _)| known.text == key.text).map(|(k, _)| k.place)
            } else {
                if seen.is_empty() {
                    seen.extend(entries.iter().map(|(key, _)| (key.text.clone(), key.place)));
                }
                seen.insert(key.text.clone(), key.place)
            };
            match first {
                Some(first) => self.found.push(twice(&key, first)),
                None => entries.push((key, value)),
            }
        }
    }

    fn key(&mut self, event: Event<'t>, span: &Span) -> Result<Key<'t>, Diagnostic> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, ..) => Ok(Key { text, place }),
            _ => Err(Diagnostic::error("bad-key", "a key must be plain text").at(place)),
        }
    }

    fn repeat(&mut self, anchor: usize, place: Place) -> Result<Node<'t>, Diagnostic> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error("bad-alias", "an alias within what it names").at(place));
        };
        self.aliased += size;
        if self.aliased > MAX_ALIASED {
            return Err(Diagnostic::error(
                "alias-bomb",
                format!("aliases repeat more than {MAX_ALIASED} values"),
            )
            .at(place)
            .hint("write the values out"));
        }
        Ok(node.clone())
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let place = self.between(*error.marker(), *error.marker());
        Diagnostic::error("yaml-syntax", format!("this is not YAML: {}", error.info()))
            .at(Place { end: place.start + 1, ..place })
            .hint("look at the indentation, the quotes and the colons around this place")
    }

    fn place(&self, span: &Span) -> Place {
        self.between(span.start, span.end)
    }

    fn between(&self, from: Marker, to: Marker) -> Place {
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let start = number(from.byte_offset().unwrap_or_default());
        Place {
            file: self.file,
            line: number(from.line()).max(1),
            column: number(from.col()) + 1,
            start,
            end: number(to.byte_offset().unwrap_or_default()).max(start),
        }
    }
}

fn unexpected(place: Place) -> Diagnostic {
    Diagnostic::error("yaml-syntax", "this is not YAML: a value was expected").at(place)
}

fn twice(key: &Key<'_>, first: Place) -> Diagnostic {
    Diagnostic::error("duplicate-key", format!("the key `{}` stands here twice", key.text))
        .at(key.place)
        .label("again here")
        .related(first, "first here")
        .hint("keep one of them")
}

/// The name of a tag of ours: `!raw` is `raw`; tags of YAML itself say nothing new.
fn local(tag: &Tag) -> Option<Box<str>> {
    (tag.handle() == "!").then(|| tag.suffix().into())
}

fn size(node: &Node<'_>) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar { .. } => 0,
        Value::Seq(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| size(node)).sum(),
    }
}
