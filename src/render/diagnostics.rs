//! Problems with the source line drawn.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Place, Severity, Sources};
use crate::escape::{escape, is_hostile};

/// So many characters of a source line are shown on each side of the place.
const AROUND: usize = 80;
/// A place of many lines is drawn up to so many characters.
const SPAN: usize = 60;

/// Draws every problem, one after the other with an empty line between them.
pub fn text(diagnostics: &[Diagnostic], sources: &Sources, styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Unicode).term_width(2 * AROUND + SPAN + 20);
    let drawn = diagnostics.iter().map(|diagnostic| draw(diagnostic, sources, &renderer) + "\n");
    drawn.collect::<Vec<_>>().join("\n")
}

/// The same as JSON: an array of objects, each member always present.
pub fn json(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let rows: Vec<JsonDiagnostic> =
        diagnostics.iter().map(|diagnostic| JsonDiagnostic::of(diagnostic, sources)).collect();
    super::json::pretty(&rows)
}

fn draw(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(escape(&diagnostic.message)).id(diagnostic.code);
    let mut group = Group::with_title(title);
    let label = diagnostic.label.as_deref().unwrap_or_default();
    if let Some(place) = diagnostic.place {
        let kind = AnnotationKind::Primary;
        group = group.elements(at(place, label, kind, diagnostic.conceal, sources));
    }
    for (place, words) in &diagnostic.related {
        let kind = AnnotationKind::Context;
        group = group.elements(at(*place, words, kind, diagnostic.conceal, sources));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(escape(hint)));
    }
    renderer.render(&[group])
}

/// Where the place is, told apart from the drawn line: what is drawn may be cut and escaped, and
/// the column is that of the file.
fn at<'a>(
    place: Place,
    words: &'a str,
    kind: AnnotationKind,
    conceal: bool,
    sources: &'a Sources,
) -> Vec<Element<'a>> {
    let origin = Origin::path(escape(sources.name(place.file)))
        .line(usize::try_from(place.line).unwrap_or(usize::MAX))
        .char_column(usize::try_from(place.column).unwrap_or(usize::MAX));
    let mut elements: Vec<Element<'a>> = vec![origin.into()];
    let drawn = sources.get(place.file).filter(|_| !conceal);
    if let Some((line, span)) = drawn.and_then(|file| window(&file.text, place)) {
        let annotation = kind.span(span).label(escape(words));
        let snippet = Snippet::source(line).line_start(usize::try_from(place.line).unwrap_or(1));
        elements.push(snippet.annotation(annotation).into());
    } else if !words.is_empty() {
        elements.push(Level::NOTE.message(escape(words)).into());
    }
    elements
}

/// The line of the place as it may be shown, and the place in it: cut around the place where it is
/// long, hostile characters spelled out. None for a place that is not of this text.
fn window(text: &str, place: Place) -> Option<(String, Range<usize>)> {
    let (start, end) = (usize::try_from(place.start).ok()?, usize::try_from(place.end).ok()?);
    let before = text.get(..start)?;
    let from = before.rfind('\n').map_or(0, |at| at + 1);
    let (head, rest) = (text.get(from..start)?, text.get(start..)?);
    let rest = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let inside = end.saturating_sub(start).min(rest.len());
    // An end inside a character takes the whole of it.
    let inside = (inside..=rest.len()).find(|at| rest.is_char_boundary(*at))?;
    let (head, marked, tail) = (last(head, AROUND), &rest[..inside], &rest[inside..]);
    let mut line = shown(head.1);
    if head.0 {
        line.insert(0, '…');
    }
    let begin = line.len();
    line.push_str(&first(marked, SPAN));
    let finish = line.len();
    if marked.chars().nth(SPAN).is_none() {
        line.push_str(&first(tail, AROUND));
    }
    Some((line, begin..finish))
}

/// The last characters of a text, and whether there are more before them.
fn last(text: &str, characters: usize) -> (bool, &str) {
    match text.char_indices().rev().nth(characters) {
        Some((at, cut)) => (true, &text[at + cut.len_utf8()..]),
        None => (false, text),
    }
}

/// The first characters of a text, shown, with an ellipsis where there are more.
fn first(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((at, _)) => shown(&text[..at]) + "…",
        None => shown(text),
    }
}

/// Hostile characters spelled out; a tab is a hostile one and a common one, so it stays visible.
fn shown(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => line.push('→'),
            hostile if is_hostile(hostile) => line.extend(hostile.escape_unicode()),
            plain => line.push(plain),
        }
    }
    line
}

/// A problem as JSON.
#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    code: &'a str,
    severity: &'static str,
    message: &'a str,
    file: Option<&'a str>,
    /// From 1, as the column, which counts characters.
    line: Option<u32>,
    column: Option<u32>,
    /// The bytes of the file that it is about: the first, and the first after it.
    start: Option<u32>,
    end: Option<u32>,
    label: Option<&'a str>,
    hint: Option<&'a str>,
    related: Vec<JsonRelated<'a>>,
}

#[derive(Serialize)]
struct JsonRelated<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
}

impl<'a> JsonDiagnostic<'a> {
    fn of(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Self {
        // In full, so that a new field must be decided on here.
        let Diagnostic { code, severity, message, place, label, related, hint, conceal: _ } =
            diagnostic;
        Self {
            code,
            severity: match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message,
            file: place.map(|place| sources.name(place.file)),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            start: place.map(|place| place.start),
            end: place.map(|place| place.end),
            label: label.as_deref(),
            hint: hint.as_deref(),
            related: related
                .iter()
                .map(|(place, words)| related_of(*place, words, sources))
                .collect(),
        }
    }
}

fn related_of<'a>(place: Place, words: &'a str, sources: &'a Sources) -> JsonRelated<'a> {
    let Place { file, line, column, .. } = place;
    JsonRelated { file: sources.name(file), line, column, message: words }
}
