//! Escapes untrusted text for terminals, logs and web pages.

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_width::UnicodeWidthChar as _;

/// Maximum number of characters shown of an untrusted text.
pub const MAX_SHOWN: usize = 300;
/// Maximum number of combining marks shown on one character. No language needs more; hundreds cover
/// the lines around them.
const MAX_MARKS: usize = 4;

/// Escapes hostile characters ([`is_hostile`]) and excess combining marks, in the form `\u{1b}`.
/// Text longer than [`MAX_SHOWN`] characters is truncated, with an ellipsis.
pub fn escape(text: &str) -> Cow<'_, str> {
    let long = text.len() > MAX_SHOWN && text.chars().nth(MAX_SHOWN).is_some();
    if !long && !characters(text).any(|(_, is_hostile)| is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len().min(MAX_SHOWN * 2));
    for (character, is_hostile) in characters(text).take(MAX_SHOWN) {
        if is_hostile {
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

/// The characters of a text, and whether each must be escaped where it is.
pub fn characters(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut marks = 0;
    text.chars().map(move |character| {
        let is_mark = !character.is_ascii() && character.width() == Some(0);
        marks = if is_mark { marks + 1 } else { 0 };
        (character, marks > MAX_MARKS || is_hostile(character))
    })
}

/// Whether a reader would be deceived by this character: it controls the terminal, reorders text,
/// or is not drawn, or every font draws it in its own way. These are control and format characters,
/// blanks other than the space, everything that is `Default_Ignorable`, private and unassigned
/// characters, and a few that are drawn blank.
#[inline]
pub fn is_hostile(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let is_blank = matches!(
        character,
        // Braille without dots, fillers, joiners and a note head that are not drawn, and the
        // replacement of an object.
        '\u{2800}' | '\u{fffc}' | '\u{1107f}' | '\u{16fe4}' | '\u{1d159}'
    );
    is_blank
        || matches!(
            CodePointMapData::<GeneralCategory>::new().get(character),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::SpaceSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned
        )
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
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

    /// Every character of Unicode: what is not escaped is drawn, and as itself.
    #[test]
    fn no_character_is_invisible() {
        let (mut escaped, mut shown) = (0, 0);
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let is_ignorable = !c.is_ascii() && {
                let mut buffer = [0; 4];
                let skeleton = unicode_security::confusable_detection::skeleton;
                skeleton(c.encode_utf8(&mut buffer)).next().is_none()
            };
            let is_private = matches!(u32::from(c), 0xe000..=0xf8ff | 0xf_0000..);
            let is_no_character =
                u32::from(c) & 0xfffe == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}');
            let is_blank = c.is_whitespace() && c != ' ';
            if is_ignorable || is_private || is_no_character || is_blank || c.is_control() {
                assert!(is_hostile(c), "{c:?}");
                assert_eq!(escape(&c.to_string()), c.escape_unicode().to_string());
            }
            // What has no width is a mark on the character before it, or is escaped.
            if c.is_alphanumeric() && c.width() != Some(0) && !is_ignorable {
                let is_drawn_blank = matches!(c, '\u{2800}');
                assert!(!is_hostile(c) || is_drawn_blank, "{c:?}");
                shown += 1;
            }
            escaped += usize::from(is_hostile(c));
        }
        assert!(shown > 100_000 && escaped > 900_000, "{shown} {escaped}");
    }

    #[test]
    fn combining_marks_are_limited() {
        let few = format!("e{}", "\u{301}".repeat(MAX_MARKS));
        assert_eq!(escape(&few), few);
        let many = escape(&format!("e{}x", "\u{301}".repeat(100))).into_owned();
        assert_eq!(many.matches('\u{301}').count(), MAX_MARKS);
        assert_eq!(many.matches("\\u{301}").count(), 100 - MAX_MARKS);
    }

    #[test]
    fn long_text_is_truncated() {
        assert_eq!(escape(&"é".repeat(MAX_SHOWN)).chars().count(), MAX_SHOWN);
        let cut = escape(&"é".repeat(MAX_SHOWN + 1)).into_owned();
        assert_eq!(cut.chars().count(), MAX_SHOWN + 1);
        assert!(cut.ends_with('…'));
    }
}
