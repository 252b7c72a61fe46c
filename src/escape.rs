//! Escapes untrusted text for terminals, logs and web pages.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Maximum number of characters shown of an untrusted text.
pub const MAX_SHOWN: usize = 300;

/// Escapes control characters (ANSI sequences start with one) and characters that reorder or hide
/// text, in the form `\u{1b}`. Text longer than [`MAX_SHOWN`] characters is truncated, with an
/// ellipsis.
pub fn escape(text: &str) -> Cow<'_, str> {
    let long = text.len() > MAX_SHOWN && text.chars().nth(MAX_SHOWN).is_some();
    if !long && !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len().min(MAX_SHOWN * 2));
    for character in text.chars().take(MAX_SHOWN) {
        if is_hostile(character) {
            let _ = write!(safe, "{}", character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    if long {
        safe.push('…');
    }
    Cow::Owned(safe)
}

/// Control characters, bidirectional controls and isolates, line separators, invisible and
/// zero-width characters, tags.
#[inline]
pub fn is_hostile(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_unchanged() {
        assert!(matches!(escape("Zoë Ångström 山田"), Cow::Borrowed("Zoë Ångström 山田")));
    }

    #[test]
    fn control_and_bidirectional_characters_are_escaped() {
        assert_eq!(escape("a\u{1b}[31mb\r\nc"), "a\\u{1b}[31mb\\u{d}\\u{a}c");
        assert_eq!(escape("x\u{202e}y\u{200b}z"), "x\\u{202e}y\\u{200b}z");
        assert_eq!(escape("\u{9b}1m"), "\\u{9b}1m");
    }

    #[test]
    fn long_text_is_truncated() {
        assert_eq!(escape(&"é".repeat(MAX_SHOWN)).chars().count(), MAX_SHOWN);
        let cut = escape(&"é".repeat(MAX_SHOWN + 1)).into_owned();
        assert_eq!(cut.chars().count(), MAX_SHOWN + 1);
        assert!(cut.ends_with('…'));
    }
}
