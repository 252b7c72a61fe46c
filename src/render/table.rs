//! CSV, and text with aligned columns.

use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use crate::escape::escape;

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

/// Lines with aligned columns, two spaces apart. Escapes the cells.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escape(cell).into_owned()).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|it| it.width()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
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
}
