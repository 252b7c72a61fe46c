//! Rows for programs and spreadsheets, and columns for people.

use unicode_width::UnicodeWidthStr as _;

use crate::escape::escape;

/// A table as CSV (RFC 4180): a head, then the rows. What a spreadsheet could take for a formula
/// is made text by a `'` before it, and control characters are escaped.
pub fn csv(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(head);
    for row in rows {
        let _ = writer.write_record(row.iter().map(|cell| cell_of(cell)));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn cell_of(text: &str) -> String {
    let text = escape(text);
    let formula = text.starts_with(['=', '+', '-', '@']);
    format!("{}{text}", if formula { "'" } else { "" })
}

/// Lines with aligned columns, two spaces apart. Cells are escaped here; the last one is as wide
/// as it is.
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
    fn a_formula_is_text_and_a_comma_is_quoted() {
        let rows = vec![vec!["=1+1".to_owned(), "a, b".to_owned(), "\u{1b}[2J".to_owned()]];
        assert_eq!(csv(&["a", "b", "c"], rows), "a,b,c\n'=1+1,\"a, b\",\\u{1b}[2J\n");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(aligned(&[row("a", "1"), row("ähm", "22")]), "  a    1\n  ähm  22\n");
    }
}
