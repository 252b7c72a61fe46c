//! Renders diagnostics with their source lines.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet,
};
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Place, Severity, Sources};
use crate::escape::{characters, escape};

/// Maximum number of characters shown on each side of the place, in a long line.
const AROUND: usize = 80;
/// Maximum number of characters shown of the place itself.
const SPAN: usize = 60;
/// Longer lines are cut, in characters.
const WIDTH: usize = 2 * AROUND + SPAN;
/// Maximum distance of places in one frame, in bytes.
const REGION: usize = 1 << 18;

/// All diagnostics as text, separated by empty lines: the errors first.
pub fn text(diagnostics: &[Diagnostic], sources: &Sources, styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Unicode).term_width(WIDTH + 20);
    let (errors, warnings): (Vec<_>, Vec<_>) = diagnostics.iter().partition(|it| it.is_error());
    let all = errors.into_iter().chain(warnings);
    let drawn = all.map(|diagnostic| draw(diagnostic, sources, &renderer) + "\n");
    drawn.collect::<Vec<_>>().join("\n")
}

/// All diagnostics as a JSON array, for any number of sets of files. All fields are present.
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
    match diagnostic.hint.as_deref().map(escape) {
        // Without a place there is no frame for the hint.
        Some(hint) if diagnostic.place.is_none() && diagnostic.related.is_empty() => {
            return format!("{}\n  help: {hint}", renderer.render(&[group]));
        }
        Some(hint) => group = group.element(Level::HELP.message(hint)),
        None => {}
    }
    renderer.render(&[group])
}

/// A place to mark, with its label.
#[derive(Clone, Copy)]
struct Mark<'a> {
    place: Place,
    label: &'a str,
    kind: AnnotationKind,
}

/// All places in one frame if possible, else one frame for each.
fn places<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Element<'a>> {
    let label = diagnostic.label.as_deref().unwrap_or_default();
    let primary =
        diagnostic.place.map(|place| Mark { place, label, kind: AnnotationKind::Primary });
    let kind = AnnotationKind::Context;
    let related =
        diagnostic.related.iter().map(|(place, label)| Mark { place: *place, label, kind });
    let marks: Vec<Mark<'_>> = primary.into_iter().chain(related).collect();
    if diagnostic.redacted {
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

/// The lines of the marks. None if they are not near each other in one file, or if a marked line
/// must be cut or escaped, because the columns would differ from the file.
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
        let before = annotations.len();
        for mark in marks {
            if let Some(inside) = inside(mark.place, at, line) {
                let span = as_drawn(line, inside)?;
                let span = drawn.len() + span.start..drawn.len() + span.end;
                annotations.push(annotation(mark, span));
            }
        }
        // Another line may contain a secret.
        let is_marked = annotations.len() > before;
        drawn.push_str(&if is_marked { first_of(line, WIDTH) } else { "…".to_owned() });
        drawn.push('\n');
        at += line.len() + 1;
    }
    let snippet = Snippet::source(drawn).line_start(usize::try_from(first.line).ok()?);
    Some(snippet.path(escape(&file.name)).annotations(annotations).into())
}

fn annotation<'a>(mark: &Mark<'a>, span: Range<usize>) -> Annotation<'a> {
    let annotation = mark.kind.span(span);
    if mark.label.is_empty() { annotation } else { annotation.label(escape(mark.label)) }
}

/// The byte range of the line on which the place begins, without its line break. None if bytes and
/// column do not agree: the place belongs to another text.
fn lines_of(text: &str, place: Place) -> Option<Range<usize>> {
    let start = usize::try_from(place.start).ok()?;
    let from = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let to = text.get(start..)?.find('\n').map_or(text.len(), |at| start + at);
    let column = text.get(from..start)?.chars().count() + 1;
    let agrees = u32::try_from(column) == Ok(place.column) && place.line <= place.start + 1;
    agrees.then_some(from..to)
}

/// The part of the place on this line, if it begins there. `at` is the start of the line.
fn inside(place: Place, at: usize, line: &str) -> Option<Range<usize>> {
    let start = usize::try_from(place.start).ok()?.checked_sub(at)?;
    let end =
        usize::try_from(place.end).ok()?.saturating_sub(at).clamp(start, line.len().max(start));
    (start <= line.len()).then_some(start..end)
}

/// The same part of the drawn line. None if the line must be cut or escaped.
fn as_drawn(line: &str, part: Range<usize>) -> Option<Range<usize>> {
    let mut characters = characters(line.trim_end_matches('\r'));
    if characters.any(|(c, is_hostile)| is_hostile && c != '\t')
        || line.chars().nth(WIDTH).is_some()
    {
        return None;
    }
    let begin = shown(line.get(..part.start)?).len();
    Some(begin..begin + shown(line.get(part)?.trim_end_matches('\r')).len())
}

/// The position of the place, and its line, cut and escaped. The position has the column of the
/// file, which may differ from that of the drawn line. A redacted line is not drawn.
fn origin<'a>(mark: &Mark<'a>, sources: &'a Sources, redacted: bool) -> Vec<Element<'a>> {
    let Mark { place, label, .. } = *mark;
    let origin = Origin::path(escape(sources.name(place.file)))
        .line(usize::try_from(place.line).unwrap_or(usize::MAX))
        .char_column(usize::try_from(place.column).unwrap_or(usize::MAX));
    let mut elements: Vec<Element<'a>> = vec![origin.into()];
    let drawn = sources.get(place.file).filter(|_| !redacted);
    if let Some((line, span)) = drawn.and_then(|file| window(&file.text, place)) {
        let snippet = Snippet::source(line).line_start(usize::try_from(place.line).unwrap_or(1));
        elements.push(snippet.annotation(annotation(mark, span)).into());
    } else if !label.is_empty() {
        elements.push(Level::NOTE.message(escape(label)).into());
    }
    elements
}

/// The line of the place, cut around the place and escaped, and the range of the place in it. None
/// if the place belongs to another text.
fn window(text: &str, place: Place) -> Option<(String, Range<usize>)> {
    let whole = lines_of(text, place)?;
    let line = text.get(whole.clone())?.trim_end_matches('\r');
    let part = inside(place, whole.start, line)?;
    // Extends an end inside a character to the end of the character.
    let end = (part.end..=line.len()).find(|at| line.is_char_boundary(*at))?;
    let (head, marked, tail) = (line.get(..part.start)?, line.get(part.start..end)?, &line[end..]);
    let mut drawn = match head.char_indices().rev().nth(AROUND) {
        Some((at, cut)) => "…".to_owned() + &shown(&head[at + cut.len_utf8()..]),
        None => shown(head),
    };
    let begin = drawn.len();
    drawn.push_str(&first_of(marked, SPAN));
    let finish = drawn.len();
    if marked.chars().nth(SPAN).is_none() {
        drawn.push_str(&first_of(tail, AROUND));
    }
    Some((drawn, begin..finish))
}

/// The first characters of a text, escaped, with an ellipsis if there are more.
fn first_of(text: &str, characters: usize) -> String {
    let text = text.trim_end_matches('\r');
    match text.char_indices().nth(characters) {
        Some((at, _)) => shown(&text[..at]) + "…",
        None => shown(text),
    }
}

/// Escapes hostile characters. A tab becomes an arrow.
fn shown(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in characters(text) {
        match character {
            ('\t', _) => line.push('→'),
            (hostile, true) => line.extend(hostile.escape_unicode()),
            (plain, false) => line.push(plain),
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
    /// From 1.
    line: Option<u32>,
    /// From 1, in characters.
    column: Option<u32>,
    /// The byte range in the file; the end is exclusive.
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
        // Destructured, so that a new field does not compile until this function is adapted.
        let Diagnostic { code, severity, message, place, label, related, hint, redacted: _ } =
            diagnostic;
        let related = related.iter().map(|(place, message)| {
            let Place { file, line, column, .. } = *place;
            JsonRelated { file: sources.name(file), line, column, message }
        });
        Self {
            code,
            severity: severity.into(),
            message,
            file: place.map(|place| sources.name(place.file)),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            start: place.map(|place| place.start),
            end: place.map(|place| place.end),
            label: label.as_deref(),
            hint: hint.as_deref(),
            related: related.collect(),
        }
    }
}
