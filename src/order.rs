//! The order in which people read names.

/// Sorts names as people do: numbers by their value, so `user2` is before `user10`, and ASCII
/// letters without regard to case. Different names have different keys.
pub fn natural_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 * name.len() + 8);
    let mut rest = name.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        if first.is_ascii_digit() {
            let end = rest.iter().position(|it| !it.is_ascii_digit()).unwrap_or(rest.len());
            let zeros = rest[..end].iter().take_while(|it| **it == b'0').count();
            let number = &rest[zeros..end];
            // A longer number is greater.
            key.push(b'0');
            key.extend(number.len().to_be_bytes());
            key.extend(number);
            rest = &rest[end..];
        } else {
            key.push(first.to_ascii_lowercase());
            rest = others;
        }
    }
    key.push(0);
    key.extend(name.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_by_their_value() {
        let sorted =
            ["A@acme.io", "b1", "user2@acme.io", "user010@acme.io", "user10@acme.io", "user10b"];
        let mut names = sorted;
        names.reverse();
        names.sort_by_cached_key(|name| natural_key(name));
        assert_eq!(names, sorted);
        let large = ["x99999999999999999999999998", "x99999999999999999999999999", "xé"];
        assert!(large.map(natural_key).is_sorted_by(|a, b| a < b));
        assert_ne!(natural_key("A"), natural_key("a"));
    }
}
