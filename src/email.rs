//! E-mail addresses: spelled as written, compared in ASCII lower case.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest address the roster accepts, in bytes (RFC 5321, path limit less the brackets).
pub const MAX_LEN: usize = 254;

/// An address. Equality, order and hash ignore ASCII case and nothing else; the spelling that
/// was written is the one sent and shown.
/// A clone shares the text.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Email(Arc<str>);

/// Why a written address is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("the address is empty")]
    Empty,
    #[error("the address has no `@`")]
    NoAt,
    #[error("the address has more than one `@`")]
    ManyAts,
    #[error("nothing stands before the `@`")]
    NoLocalPart,
    #[error("the domain after the `@` is not a domain name")]
    BadDomain,
    #[error("the address has a character that is not ASCII")]
    NotAscii,
    #[error("the address has a space or another character that no address may have")]
    BadCharacter,
    #[error("the address is longer than {MAX_LEN} characters")]
    TooLong,
}

impl Email {
    /// Reads an address that a person wrote in a roster: trimmed, ASCII, `local@domain`.
    pub fn parse(written: &str) -> Result<Self, EmailError> {
        let text = written.trim_ascii();
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Takes an address as the directory shows it: trimmed, otherwise verbatim.
    pub fn remote(shown: &str) -> Self {
        Self(shown.trim_ascii().into())
    }

    /// The spelling that was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address in ASCII lower case, for display beside other folded text and for patterns.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    fn folded_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

fn check(text: &str) -> Result<(), EmailError> {
    if text.is_empty() {
        return Err(EmailError::Empty);
    }
    if !text.is_ascii() {
        return Err(EmailError::NotAscii);
    }
    if text.len() > MAX_LEN {
        return Err(EmailError::TooLong);
    }
    if text.bytes().any(is_out_of_place) {
        return Err(EmailError::BadCharacter);
    }
    let (local, domain) = text.split_once('@').ok_or(EmailError::NoAt)?;
    if domain.contains('@') {
        return Err(EmailError::ManyAts);
    }
    if local.is_empty() {
        return Err(EmailError::NoLocalPart);
    }
    if domain.split('.').all(is_label) && domain.contains('.') {
        Ok(())
    } else {
        Err(EmailError::BadDomain)
    }
}

/// In no address at all: a control character, a space, or `"(),:;<>[\]`.
fn is_out_of_place(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'"' | b'(' | b')' | b',' | b':'..=b'<' | b'>' | b'['..=b']' | 0x7f)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl<'de> Deserialize<'de> for Email {
    /// Takes what was written by [`Serialize`]: verbatim.
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Arc::<str>::deserialize(from).map(Self)
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Email {}

impl Ord for Email {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded_bytes().cmp(other.folded_bytes())
    }
}

impl PartialOrd for Email {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A piece at a time: one is enough for the usual address, and none needs memory.
        let mut room = [0_u8; 64];
        for bytes in self.0.as_bytes().chunks(room.len()) {
            let piece = &mut room[..bytes.len()];
            piece.copy_from_slice(bytes);
            piece.make_ascii_lowercase();
            state.write(piece);
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn case_is_ignored_and_spelling_kept() {
        let written = Email::parse("  Matt@Acme.IO ").unwrap();
        assert_eq!(written, Email::remote("matt@acme.io"));
        assert_eq!(written.as_str(), "Matt@Acme.IO");
        assert!(HashSet::from([written]).contains(&Email::remote("mATT@acme.io")));
    }

    #[test]
    fn a_remote_address_that_is_not_ascii_matches_byte_for_byte() {
        assert_ne!(Email::remote("MÜLLER@acme.io"), Email::remote("müller@acme.io"));
        assert_eq!(Email::remote("MÜller@acme.io"), Email::remote("mÜLLER@ACME.io"));
    }

    #[test]
    fn what_is_not_an_address_says_why() {
        use EmailError::*;
        for (text, why) in [
            ("", Empty),
            ("matt", NoAt),
            ("a@b@acme.io", ManyAts),
            ("@acme.io", NoLocalPart),
            ("matt@acme", BadDomain),
            ("matt@acme..io", BadDomain),
            ("matt@-acme.io", BadDomain),
            ("mätt@acme.io", NotAscii),
            ("ma tt@acme.io", BadCharacter),
            ("Matt <matt@acme.io>", BadCharacter),
            ("ma\u{7}tt@acme.io", BadCharacter),
        ] {
            assert_eq!(Email::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(Email::parse(&format!("{}@acme.io", "a".repeat(250))), Err(TooLong));
    }

    #[test]
    fn a_very_long_remote_address_still_hashes_by_its_folded_form() {
        let long = "A".repeat(400);
        assert!(
            HashSet::from([Email::remote(&long)]).contains(&Email::remote(&long.to_lowercase()))
        );
    }
}
