//! Sizes with a unit, as the configuration writes them.

/// The units, largest first.
const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Parses `512KiB`, `16MiB` or `1GiB` into bytes.
pub fn parse(text: &str) -> Option<usize> {
    let mut units = UNITS.iter();
    let (number, each) = units.find_map(|(unit, each)| Some((text.strip_suffix(unit)?, each)))?;
    let number = number.trim_end();
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<usize>().ok().filter(|_| is_number)?.checked_mul(*each)
}

/// Formats a size in the largest unit that is exact.
pub fn shown(bytes: usize) -> String {
    let exact = UNITS.iter().find(|(_, each)| bytes.is_multiple_of(*each));
    exact.map_or_else(|| format!("{bytes} bytes"), |(unit, each)| format!("{}{unit}", bytes / each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_binary_unit() {
        for (text, bytes) in [("512KiB", 512 << 10), ("16MiB", 16 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(parse(text), Some(bytes));
            assert_eq!(shown(bytes), text);
        }
        assert_eq!((parse("2 MiB"), parse("2048KiB")), (Some(2 << 20), Some(2 << 20)));
        assert_eq!([shown(2048 << 10), shown(1000)], ["2MiB", "1000 bytes"]);
        for text in ["", "16", "MiB", "16MB", "16mib", "-1MiB", "+1MiB", "1.5MiB"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("99999999999999999999GiB"), None);
        assert_eq!(parse("18446744073709551615KiB"), None);
    }
}
