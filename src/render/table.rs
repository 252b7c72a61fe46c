//! Tables for people, and CSV.

use std::fmt::Write as _;

use anstream::adapter::strip_str;
use anstyle::Style;
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::joined;
use crate::escape::escape;

/// A detail beside its row has at least this width; all widths are in columns of the terminal.
const NARROWEST: usize = 20;
/// Wider cells do not widen their column. On a terminal they are wrapped at [`WRAPPED`], or at the
/// width that other cells need.
const WIDEST: usize = 44;
const WRAPPED: usize = 24;
/// This many rows say once what all of them have.
pub const MANY: usize = 3;

/// Where a text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Width of the terminal; None in a pipe or a file, where nothing is wrapped.
    pub width: Option<usize>,
    /// Show every row of every list.
    pub all: bool,
}

/// One row: cells that are aligned, and details beside or below them. Everything is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The style of the first cell.
    pub style: Style,
    /// With fewer cells than the table has columns, the details begin after the last one.
    pub cells: Vec<String>,
    pub details: Vec<String>,
}

impl Line {
    /// Escapes the texts.
    pub fn new<S: AsRef<str>>(cells: &[S], details: &[S]) -> Self {
        let escaped =
            |texts: &[S]| texts.iter().map(|it| escape(it.as_ref()).into_owned()).collect();
        Self { style: Style::new(), cells: escaped(cells), details: escaped(details) }
    }
}

/// Removes the details that all of many rows have, and returns them.
pub fn said_once(lines: &mut [Line]) -> Vec<String> {
    let [first, others @ ..] = &*lines else { return Vec::new() };
    if lines.len() < MANY {
        return Vec::new();
    }
    let is_common =
        |it: &&String| !it.is_empty() && others.iter().all(|other| other.details.contains(it));
    let common: Vec<String> = first.details.iter().filter(is_common).cloned().collect();
    for line in lines {
        line.details.retain(|it| !common.contains(it));
    }
    common
}

/// A table without the columns that are empty. Below it is what many rows have in common: columns
/// but for the first, and the details that are `said` for all of them.
pub fn condensed(
    header: &[&str],
    mut lines: Vec<Line>,
    said: Vec<String>,
    screen: Screen,
) -> String {
    let (mut header, mut common) = (header.to_vec(), Vec::new());
    for column in (1..header.len() - 1).rev() {
        let cells: Vec<&String> = lines.iter().filter_map(|line| line.cells.get(column)).collect();
        let Some(first) = cells.first() else { continue };
        if !cells.iter().all(|cell| cell == first) || cells.len() < MANY && !first.is_empty() {
            continue;
        }
        if !first.is_empty() {
            common.insert(0, format!("{} {first}", header[column].to_lowercase()));
        }
        header.remove(column);
        for line in lines.iter_mut().filter(|line| line.cells.len() > column) {
            line.cells.remove(column);
        }
    }
    common.extend(said);
    let text = table(&header, lines, screen);
    if common.is_empty() {
        return text;
    }
    let common = format!("in every row: {}", common.join(", "));
    text + &paragraph(["  ", "    "], &common, screen)
}

/// A table with a header: the names of the columns, and the name of the details. On a narrow screen
/// cells are wrapped, and details may be below their rows.
pub fn table(header: &[&str], mut lines: Vec<Line>, screen: Screen) -> String {
    let Some((name, columns)) = header.split_last() else { return String::new() };
    let is_named = lines.iter().any(|line| !line.details.is_empty());
    lines.insert(0, Line::new(columns, if is_named { std::slice::from_ref(name) } else { &[] }));
    layout(&lines, screen)
}

/// Lines with aligned columns, two spaces apart. Escapes the cells.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let lines: Vec<Line> = rows.iter().map(|row| Line::new(row, &[])).collect();
    layout(&lines, Screen::default())
}

/// The lines without a header.
pub fn layout(lines: &[Line], screen: Screen) -> String {
    let columns = lines.iter().map(|line| line.cells.len()).max().unwrap_or_default();
    let widest = |column: usize| {
        let cells = lines.iter().filter_map(|line| Some(line.cells.get(column)?.width()));
        match screen.width {
            Some(_) => cells.map(|width| if width > WIDEST { WRAPPED } else { width }).max(),
            None => cells.filter(|width| *width <= WIDEST).max(),
        }
    };
    let mut widths: Vec<usize> = (0..columns).map(|it| widest(it).unwrap_or_default()).collect();
    if let Some(screen) = screen.width {
        while widths.iter().map(|width| width + 2).sum::<usize>() > screen {
            match widths.iter_mut().max() {
                Some(widest) if *widest > 1 => *widest -= 1,
                _ => break,
            }
        }
    }
    lines.iter().map(|line| line.laid_out(&widths, screen)).collect()
}

impl Line {
    fn laid_out(&self, widths: &[usize], screen: Screen) -> String {
        let wrapped = |text: &str, width| match screen.width {
            Some(_) => wrap(text, width),
            None => vec![text.to_owned()],
        };
        let cells = self.cells.iter().zip(widths);
        let cells: Vec<Vec<String>> = cells.map(|(cell, width)| wrapped(cell, *width)).collect();
        let details = joined(&self.details, "   ");
        let offset = widths.iter().take(cells.len()).map(|width| width + 2).sum::<usize>() + 2;
        let room = screen.width.map_or(usize::MAX, |width| width.saturating_sub(offset));
        let is_beside = details.width() <= room || room >= NARROWEST;
        let beside = if is_beside { wrapped(&details, room) } else { Vec::new() };
        let mut text = String::new();
        let height = cells.iter().chain([&beside]).map(Vec::len).max().unwrap_or_default();
        for at in 0..height {
            let mut row = String::from("  ");
            for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
                let part = cell.get(at).map(String::as_str).unwrap_or_default();
                let style = if column == 0 { self.style } else { Style::new() };
                let gap = " ".repeat(width.saturating_sub(part.width()) + 2);
                let _ = write!(row, "{style}{part}{style:#}{gap}");
            }
            row.push_str(beside.get(at).map(String::as_str).unwrap_or_default());
            text.push_str(row.trim_end());
            text.push('\n');
        }
        if !is_beside {
            text.push_str(&paragraph(["      ", "      "], &details, screen));
        }
        text
    }
}

/// Text with an indent for its first line and one for the others, wrapped on a terminal.
pub fn paragraph([first, others]: [&str; 2], text: &str, screen: Screen) -> String {
    let Some(width) = screen.width else { return format!("{first}{text}\n") };
    let lines = wrap(text, width.saturating_sub(first.len().max(others.len())));
    format!("{first}{}\n", lines.join(&format!("\n{others}")))
}

/// Lines of at most this width. A longer word is cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let columns = |text: &str| strip_str(text).to_string().width();
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let begins = line.trim().is_empty();
        if !begins && columns(&line) + 1 + columns(word) > width {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        } else if !begins {
            line.push(' ');
        }
        if columns(word) <= width {
            line.push_str(word);
            continue;
        }
        for character in word.chars() {
            line.push(character);
            if line.width() > width && line.chars().nth(1).is_some() {
                line.pop();
                lines.push(std::mem::replace(&mut line, character.to_string()));
            }
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// A table as CSV (RFC 4180), every field in quotes: the header, then the fields that it names of
/// each row. A `'` prevents a spreadsheet from reading a formula; control characters are escaped.
pub fn csv(header: &str, rows: &[impl Serialize]) -> String {
    let columns = header.split(',');
    let mut writer =
        csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(columns.clone());
    for row in rows {
        let row = serde_json::to_value(row).unwrap_or_default();
        let _ = writer.write_record(columns.clone().map(|column| cell(&row[column])));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text).into_owned(),
        other => other.to_string(),
    };
    without_formula(&text)
}

/// Puts a `'` before each sign that may begin a formula: the first of the cell, and the first after
/// what separates cells somewhere. In many countries that is a semicolon, and then quotes that
/// begin within a cell do not count.
fn without_formula(text: &str) -> String {
    let (mut safe, mut begins) = (String::with_capacity(text.len()), true);
    for character in text.chars() {
        // The signs, small and full-width ones, and the minus sign.
        if begins && "=+-@﹢﹣﹦﹫＋－＝＠−".contains(character) {
            safe.push('\'');
        }
        begins = ";,|\"'".contains(character) || begins && character == ' ';
        safe.push(character);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let rows = [serde_json::json!({ "d": true, "a": "=1+1", "b": "a, b", "c": "\u{1b}[2J" })];
        let header = "\"a\",\"b\",\"c\",\"d\",\"e\"\n";
        let expected = r#""'=1+1","a, b","\u{1b}[2J","true","""#;
        assert_eq!(csv("a,b,c,d,e", &rows), format!("{header}{expected}\n"));
    }

    /// However the line is split, by whatever separates cells somewhere, and with quotes or
    /// without.
    #[test]
    fn no_part_of_a_cell_is_a_formula() {
        for sign in "=+-@＝＋－＠".chars() {
            let formula = format!("{sign}HYPERLINK(A1)");
            for before in
                ["", " ", "x;", "x; ", "x,", "x\t", "x\r", "x\n", "x|", "x\"", "\";", "x;\""]
            {
                let row = serde_json::json!({ "a": "first", "b": format!("{before}{formula};y") });
                let text = csv("a,b", &[row]);
                for part in text.split([';', ',', '|', '\t', '\r', '\n', '"']) {
                    assert!(!part.trim_start().starts_with(sign), "{part:?} in {text}");
                }
            }
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(aligned(&[row("a", "1"), row("ähm", "22")]), "  a    1\n  ähm  22\n");
    }

    #[test]
    fn what_many_rows_have_in_common_is_below_the_table() {
        let row = |who: &str, role: &str| Line::new(&[who, role, ""], &["users.yaml"]);
        let header = ["WHO", "ROLE", "UNTIL", "WHY"];
        let mut same = vec![row("田", "ADMIN"), row("ab", "ADMIN"), row("c", "ADMIN")];
        let said = said_once(&mut same);
        let shown = condensed(&header, same, said, Screen::default());
        let below = "  in every row: role ADMIN, users.yaml\n";
        assert_eq!(shown, format!("  WHO\n  田\n  ab\n  c\n{below}"));
        let two = vec![row("a", "ADMIN"), row("b", "ADMIN")];
        let rows = "  a    ADMIN  users.yaml\n  b    ADMIN  users.yaml\n";
        let shown = condensed(&header, two, vec![], Screen::default());
        assert_eq!(shown, format!("  WHO  ROLE   WHY\n{rows}"));
    }

    #[test]
    fn text_is_wrapped_at_words_and_a_long_word_is_cut() {
        assert_eq!(wrap("one two   three", 7), ["one two", "three"]);
        assert_eq!(wrap("a 田田田 b", 4), ["a", "田田", "田 b"]);
        assert_eq!(wrap("e\u{301}e\u{301}e", 2), ["e\u{301}e\u{301}", "e"]);
        assert_eq!(wrap("\u{1b}[1mone\u{1b}[0m two", 7), ["\u{1b}[1mone\u{1b}[0m two"]);
        assert_eq!(wrap("", 0), [""]);
    }
}
