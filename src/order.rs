//! The order in which people read names.

use std::cmp::Ordering;
use std::iter;

/// Compares names as people sort them: numbers by their value, so `user2` is before `user10`, and
/// letters without regard to case. Different names are never equal.
pub fn natural(a: &str, b: &str) -> Ordering {
    tokens(a).cmp(tokens(b)).then_with(|| a.cmp(b))
}

/// Each character in lower case; of a number, `0`, its length and its digits.
fn tokens(mut text: &str) -> impl Iterator<Item = (char, usize, &str)> {
    iter::from_fn(move || {
        let first = text.chars().next()?;
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        if number.is_empty() {
            text = &text[first.len_utf8()..];
            return Some((first.to_ascii_lowercase(), 0, ""));
        }
        text = rest;
        let digits = number.trim_start_matches('0');
        Some(('0', digits.len(), digits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_by_their_value() {
        let sorted = ["A@acme.io", "b1", "user2@acme.io", "user010@acme.io", "user10@acme.io"];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, sorted);
        let large = ["x99999999999999999999999998", "x99999999999999999999999999", "xé"];
        assert!(large.is_sorted_by(|a, b| natural(a, b).is_lt()));
        assert_eq!(natural("x1", "x1"), Ordering::Equal);
    }
}
