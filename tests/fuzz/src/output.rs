//! Properties of every diagnostic and of all output.

use rosterd::diagnostic::{Diagnostic, Place, Sources};
use rosterd::escape::is_hostile;
use rosterd::render;
use serde_json::Value;

/// Every rendering of these diagnostics, checked for hostile characters and tokens.
pub fn renderings(found: &[Diagnostic], sources: &Sources) -> [String; 3] {
    let shown = [
        render::diagnostics::text(found, sources, false),
        render::diagnostics::json([(found, sources)]),
        render::github::diagnostics(found, sources),
    ];
    for text in &shown {
        is_harmless(text);
        for token in ["prdm_wsp_", "prdm_cmp_"] {
            let mut tails = text.split(token).skip(1);
            let is_shown = tails.any(|tail| tail.starts_with(|c: char| c.is_ascii_alphanumeric()));
            assert!(!is_shown, "a token in {text}");
        }
    }
    let rows: Vec<Value> = serde_json::from_str(&shown[1]).expect("JSON");
    assert_eq!(rows.len(), found.len());
    for (row, problem) in rows.iter().zip(found) {
        assert_eq!(row["message"], problem.message, "JSON has the message");
    }
    assert_eq!(shown[2].lines().count(), found.len(), "an annotation is one line");
    assert!(shown[2].lines().all(|line| line.starts_with("::")));
    shown
}

/// No control character but the line feed, and no other hostile character.
pub fn is_harmless(text: &str) {
    let bad = text.chars().find(|c| *c != '\n' && is_hostile(*c));
    assert_eq!(bad, None, "a hostile character in {text:?}");
}

/// Every position of a diagnostic is inside its file.
pub fn is_placed(problem: &Diagnostic, sources: &Sources) {
    let related = problem.related.iter().map(|(place, _)| place);
    for place in problem.place.iter().chain(related) {
        is_inside(*place, sources);
    }
    assert!(!problem.message.is_empty() && !problem.code.is_empty());
}

fn is_inside(place: Place, sources: &Sources) {
    let Place { file, line, column, start, end } = place;
    let text = &sources.get(file).expect("a file that was read").text;
    let (start, end) = (start as usize, end as usize);
    let marked = text.get(start..end);
    assert!(marked.is_some(), "{place:?} is outside the {} bytes of its file", text.len());
    let before = &text[..start];
    assert_eq!(line as usize, lines(before) + 1, "the line of the start: {place:?}");
    let head = before.rfind(['\n', '\r']).map_or(before, |at| &before[at + 1..]);
    let columns = head.chars().count() + 1;
    // The parser does not count a byte order mark before the content of a later line.
    let marks = if line > 1 { head.matches('\u{feff}').count() } else { 0 };
    let near = columns - marks..=columns;
    assert!(near.contains(&(column as usize)), "the column is {columns}: {place:?}");
}

/// Number of line ends in the text; YAML has three kinds.
fn lines(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |at: &usize| {
        bytes[*at] == b'\n' || bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n')
    };
    (0..bytes.len()).filter(ends).count()
}
