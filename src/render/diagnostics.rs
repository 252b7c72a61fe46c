//! Problems with the source line drawn.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet,
};
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Place, Severity, Sources};
use crate::escape::{escape, is_hostile};

/// So many characters of a source line are shown on each side of the place.
const AROUND: usize = 80;
/// A place of many lines is drawn up to so many characters.
const SPAN: usize = 60;
/// A longer line is cut, in characters.
const WIDTH: usize = 2 * AROUND + SPAN;
/// Places further apart than so many bytes get a frame each.
const REGION: usize = 1 << 18;

/// Draws every problem, one after the other with an empty line between them.
pub fn text(diagnostics: &[Diagnostic], sources: &Sources, styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Unicode).term_width(WIDTH + 20);
    let drawn = diagnostics.iter().map(|diagnostic| draw(diagnostic, sources, &renderer) + "\n");
    drawn.collect::<Vec<_>>().join("\n")
}

/// The same as JSON, for any number of sets of files: an array of objects, each member always
/// present.
pub fn json<'a>(sets: impl IntoIterator<Item = (&'a [Diagnostic], &'a Sources)>) -> String {
    let rows: Vec<JsonDiagnostic> = sets
        .into_iter()
        .flat_map(|(found, sources)| found.iter().map(|one| JsonDiagnostic::of(one, sources)))
        .collect();
    super::json::pretty(&rows)
}

fn draw(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(escape(&diagnostic.message)).id(diagnostic.code);
    let mut group = Group::with_title(title).elements(places(diagnostic, sources));
    let Some(hint) = diagnostic.hint.as_deref().map(escape) else {
        return renderer.render(&[group]);
    };
    if diagnostic.place.is_none() && diagnostic.related.is_empty() {
        // Without a place there is no frame to hang the hint on.
        return format!("{}\n  help: {hint}", renderer.render(&[group]));
    }
    group = group.element(Level::HELP.message(hint));
    renderer.render(&[group])
}

/// A place to be drawn, with the words beside it.
#[derive(Clone, Copy)]
struct Mark<'a> {
    place: Place,
    words: &'a str,
    kind: AnnotationKind,
}

/// All places in one frame where they stand in one file, else one frame for each.
fn places<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Element<'a>> {
    let label = diagnostic.label.as_deref().unwrap_or_default();
    let primary = diagnostic.place.map(|place| (place, label, AnnotationKind::Primary));
    let related = &diagnostic.related;
    let related = related.iter().map(|(place, words)| (*place, &**words, AnnotationKind::Context));
    let marks: Vec<Mark<'_>> = primary
        .into_iter()
        .chain(related)
        .map(|(place, words, kind)| Mark { place, words, kind })
        .collect();
    if diagnostic.conceal {
        return marks.iter().flat_map(|mark| origin(mark, sources, true)).collect();
    }
    if let Some(frame) = frame(&marks, sources) {
        return vec![frame];
    }
    let alone = marks.iter().flat_map(|mark| match frame(&[*mark], sources) {
        Some(frame) => vec![frame],
        None => origin(mark, sources, false),
    });
    alone.collect()
}

/// The lines of the marks as they stand in the file. None where they are not near each other in
/// one file, or where a marked line has to be cut or escaped: the columns would not be the file's.
fn frame<'a>(marks: &[Mark<'a>], sources: &'a Sources) -> Option<Element<'a>> {
    let first = marks.iter().map(|mark| mark.place).min_by_key(|place| place.start)?;
    let last = marks.iter().map(|mark| mark.place).max_by_key(|place| place.start)?;
    let file =
        sources.get(first.file).filter(|_| marks.iter().all(|m| m.place.file == first.file))?;
    let from = lines_of(&file.text, first)?.start;
    let region = file.text.get(from..lines_of(&file.text, last)?.end)?;
    if region.len() > REGION {
        return None;
    }
    let (mut drawn, mut at, mut annotations) = (String::new(), from, Vec::new());
    for line in region.split('\n') {
        for mark in marks {
            if let Some(inside) = inside(mark.place, at, line) {
                let span = as_drawn(line, inside)?;
                let span = drawn.len() + span.start..drawn.len() + span.end;
                annotations.push(annotation(mark, span));
            }
        }
        drawn.push_str(&first_of(line, WIDTH));
        drawn.push('\n');
        at += line.len() + 1;
    }
    let snippet = Snippet::source(drawn).line_start(usize::try_from(first.line).ok()?);
    Some(snippet.path(escape(&file.name)).annotations(annotations).into())
}

fn annotation<'a>(mark: &Mark<'a>, span: Range<usize>) -> Annotation<'a> {
    let annotation = mark.kind.span(span);
    if mark.words.is_empty() { annotation } else { annotation.label(escape(mark.words)) }
}

/// The bytes of the line on which the place begins, without its line break. None where bytes and
/// column contradict each other: the place is of another text, and nothing of this one is drawn.
fn lines_of(text: &str, place: Place) -> Option<Range<usize>> {
    let start = usize::try_from(place.start).ok()?;
    let from = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let to = text.get(start..)?.find('\n').map_or(text.len(), |at| start + at);
    let column = text.get(from..start)?.chars().count() + 1;
    let agrees = u32::try_from(column) == Ok(place.column) && place.line <= place.start + 1;
    agrees.then_some(from..to)
}

/// The part of the place on this line, if it begins on it; `at` is where the line begins.
fn inside(place: Place, at: usize, line: &str) -> Option<Range<usize>> {
    let start = usize::try_from(place.start).ok()?.checked_sub(at)?;
    let end =
        usize::try_from(place.end).ok()?.saturating_sub(at).clamp(start, line.len().max(start));
    (start <= line.len()).then_some(start..end)
}

/// The same part of the line as it is drawn. None if the line cannot be drawn as it is.
fn as_drawn(line: &str, part: Range<usize>) -> Option<Range<usize>> {
    let hostile = |c: char| is_hostile(c) && c != '\t';
    if line.trim_end_matches('\r').contains(hostile) || line.chars().nth(WIDTH).is_some() {
        return None;
    }
    let begin = shown(line.get(..part.start)?).len();
    Some(begin..begin + shown(line.get(part)?.trim_end_matches('\r')).len())
}

/// Where the place is, told apart from the drawn line: what is drawn is cut and escaped, and the
/// column is that of the file. A concealed line is not drawn.
fn origin<'a>(mark: &Mark<'a>, sources: &'a Sources, conceal: bool) -> Vec<Element<'a>> {
    let Mark { place, words, .. } = *mark;
    let origin = Origin::path(escape(sources.name(place.file)))
        .line(usize::try_from(place.line).unwrap_or(usize::MAX))
        .char_column(usize::try_from(place.column).unwrap_or(usize::MAX));
    let mut elements: Vec<Element<'a>> = vec![origin.into()];
    let drawn = sources.get(place.file).filter(|_| !conceal);
    if let Some((line, span)) = drawn.and_then(|file| window(&file.text, place)) {
        let snippet = Snippet::source(line).line_start(usize::try_from(place.line).unwrap_or(1));
        elements.push(snippet.annotation(annotation(mark, span)).into());
    } else if !words.is_empty() {
        elements.push(Level::NOTE.message(escape(words)).into());
    }
    elements
}

/// The line of the place as it may be shown, and the place in it: cut around the place where it is
/// long, hostile characters spelled out. None for a place that is not of this text.
fn window(text: &str, place: Place) -> Option<(String, Range<usize>)> {
    let whole = lines_of(text, place)?;
    let line = text.get(whole.clone())?.trim_end_matches('\r');
    let part = inside(place, whole.start, line)?;
    // An end inside a character takes the whole of it.
    let end = (part.end..=line.len()).find(|at| line.is_char_boundary(*at))?;
    let (head, marked, tail) = (line.get(..part.start)?, line.get(part.start..end)?, &line[end..]);
    let (cut, head) = last_of(head, AROUND);
    let mut drawn = if cut { "…".to_owned() } else { String::new() };
    drawn.push_str(&shown(head));
    let begin = drawn.len();
    drawn.push_str(&first_of(marked, SPAN));
    let finish = drawn.len();
    if marked.chars().nth(SPAN).is_none() {
        drawn.push_str(&first_of(tail, AROUND));
    }
    Some((drawn, begin..finish))
}

/// The last characters of a text, and whether there are more before them.
fn last_of(text: &str, characters: usize) -> (bool, &str) {
    match text.char_indices().rev().nth(characters) {
        Some((at, cut)) => (true, &text[at + cut.len_utf8()..]),
        None => (false, text),
    }
}

/// The first characters of a text, shown, with an ellipsis where there are more.
fn first_of(text: &str, characters: usize) -> String {
    let text = text.trim_end_matches('\r');
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
