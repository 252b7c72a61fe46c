//! The order in which people read names.

use std::cmp::Ordering;

/// Compares names as people sort them: numbers by their value, so `user2` is before `user10`, and
/// ASCII letters without regard to case. Different names are never equal.
pub fn natural(a: &str, b: &str) -> Ordering {
    // What both begin with decides nothing, except the digits of a number that goes on.
    let common = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let digits = a.bytes().take(common).rev().take_while(u8::is_ascii_digit).count();
    let [mut a_rest, mut b_rest] = [a, b].map(|it| &it.as_bytes()[common - digits..]);
    while let (Some(one), Some(other)) = (a_rest.first(), b_rest.first()) {
        let order = if one.is_ascii_digit() && other.is_ascii_digit() {
            let (a_number, b_number);
            ((a_number, a_rest), (b_number, b_rest)) = (number(a_rest), number(b_rest));
            a_number.len().cmp(&b_number.len()).then_with(|| a_number.cmp(b_number))
        } else {
            (a_rest, b_rest) = (&a_rest[1..], &b_rest[1..]);
            one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
    a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b))
}

/// The digits at the beginning without leading zeros, and what follows them.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|it| !it.is_ascii_digit()).unwrap_or(text.len());
    let zeros = text[..end].iter().take_while(|it| **it == b'0').count();
    (&text[zeros..end], &text[end..])
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
