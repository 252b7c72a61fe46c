//! Email addresses: kept as written, compared ignoring ASCII case.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Maximum length of an address in a roster, in bytes (RFC 5321: path limit minus the brackets).
pub const MAX_LEN: usize = 254;

/// An email address. Equality, order and hash ignore ASCII case and nothing else. The original
/// spelling is sent and shown. Clones share the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(Arc<str>);

/// Why a text is not a valid address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("the address is empty")]
    Empty,
    #[error("the address has no `@`")]
    NoAt,
    #[error("the address has more than one `@`")]
    ManyAts,
    #[error("the address has no local part before the `@`")]
    NoLocalPart,
    #[error("the part after the `@` is not a valid domain name")]
    BadDomain,
    #[error("the address has a non-ASCII character")]
    NotAscii,
    #[error("the address has a space or another character that is not allowed")]
    BadCharacter,
    #[error("the address is longer than {MAX_LEN} characters")]
    TooLong,
}

impl Email {
    /// Parses an address of a roster: ASCII `local@domain`, trimmed.
    pub fn parse(written: &str) -> Result<Self, EmailError> {
        let text = written.trim_ascii();
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        if !text.is_ascii() {
            return Err(EmailError::NotAscii);
        }
        if text.len() > MAX_LEN {
            return Err(EmailError::TooLong);
        }
        if text.bytes().any(is_forbidden) {
            return Err(EmailError::BadCharacter);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::NoAt)?;
        if domain.contains('@') {
            return Err(EmailError::ManyAts);
        }
        if local.is_empty() {
            return Err(EmailError::NoLocalPart);
        }
        if is_domain(domain) { Ok(Self(text.into())) } else { Err(EmailError::BadDomain) }
    }

    /// Takes an address from the API without validation: trimmed, otherwise verbatim.
    pub fn remote(text: &str) -> Self {
        Self(text.trim_ascii().into())
    }

    /// The address as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address in ASCII lower case.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The address with an escape for every character that is not plain ASCII.
    pub fn in_ascii(&self) -> String {
        self.0.escape_default().to_string()
    }

    fn folded_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

/// Never allowed in an address: a control character, a space, or `"(),:;<>[\]`.
fn is_forbidden(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'"' | b'(' | b')' | b',' | b':'..=b'<' | b'>' | b'['..=b']' | 0x7f)
}

/// Whether the text is a domain name of at least two labels.
pub fn is_domain(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_label)
}

/// Whether the text is one label of a domain name.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
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
        // In chunks on the stack, to avoid an allocation. Most addresses fit in one.
        let mut buffer = [0_u8; 64];
        for bytes in self.0.as_bytes().chunks(buffer.len()) {
            let chunk = &mut buffer[..bytes.len()];
            chunk.copy_from_slice(bytes);
            chunk.make_ascii_lowercase();
            state.write(chunk);
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
    fn non_ascii_characters_are_compared_byte_for_byte() {
        assert_ne!(Email::remote("MÜLLER@acme.io"), Email::remote("müller@acme.io"));
        assert_eq!(Email::remote("MÜller@acme.io"), Email::remote("mÜLLER@ACME.io"));
    }

    #[test]
    fn invalid_addresses_report_the_reason() {
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
    fn a_long_address_hashes_ignoring_case() {
        let long = "A".repeat(400);
        assert!(
            HashSet::from([Email::remote(&long)]).contains(&Email::remote(&long.to_lowercase()))
        );
    }
}
