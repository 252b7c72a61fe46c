//! Escapes untrusted text for terminals, logs and web pages.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_security::confusable_detection::skeleton;

/// Maximum number of characters shown of an untrusted text.
pub const MAX_SHOWN: usize = 300;

/// Escapes control characters (ANSI sequences start with one) and characters that are invisible or
/// reorder text, in the form `\u{1b}`. Text longer than [`MAX_SHOWN`] characters is truncated, with
/// an ellipsis.
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

/// Control characters, blanks other than the space, and invisible characters: everything that is
/// `Default_Ignorable`, among it the bidirectional controls, and what is drawn blank.
#[inline]
pub fn is_hostile(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control()
        || character.is_whitespace()
        || matches!(character, '\u{2800}' | '\u{1d159}' | '\u{fff9}'..='\u{fffb}')
        // Only of a Default_Ignorable character, the skeleton is empty.
        || skeleton(character.encode_utf8(&mut [0; 4])).next().is_none()
}

/// The text without blanks and invisible characters at both ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_hostile(c))
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
    fn every_invisible_character_is_escaped() {
        let old =
            "\u{ad}\u{61c}\u{115f}\u{1160}\u{180e}\u{200b}\u{200f}\u{2028}\u{202e}\u{2060}\u{206f}";
        let more = "\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{fffb}\u{e0000}\u{e007f}";
        let new = "\u{a0}\u{2800}\u{34f}\u{180b}\u{2007}\u{202f}\u{3000}\u{fe0f}\u{e01ef}\u{1d159}";
        for c in [old, more, new].concat().chars() {
            assert_eq!(escape(&c.to_string()), c.escape_unicode().to_string(), "{c:?}");
            assert_eq!(trim(&format!(" {c}a {c}b{c} ")), format!("a {c}b"));
        }
        for c in "é\u{301}е山ⅷ🎈".chars() {
            assert!(!is_hostile(c), "{c:?}");
        }
    }

    #[test]
    fn long_text_is_truncated() {
        assert_eq!(escape(&"é".repeat(MAX_SHOWN)).chars().count(), MAX_SHOWN);
        let cut = escape(&"é".repeat(MAX_SHOWN + 1)).into_owned();
        assert_eq!(cut.chars().count(), MAX_SHOWN + 1);
        assert!(cut.ends_with('…'));
    }
}
