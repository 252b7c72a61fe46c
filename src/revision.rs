//! The commit that a roster comes from.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// One commit, from the repository or from an external source such as `ROSTERD_REVISION`. Its text
/// is untrusted: escape it before showing it.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The full commit id in hexadecimal, or the text of an external source.
    pub commit: String,
    /// `Name <address>`.
    pub author: Option<String>,
    pub subject: Option<String>,
    /// The commit time.
    pub at: Option<Timestamp>,
    /// The files have uncommitted changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
}

/// Maximum length of each text of a revision, in characters.
pub const MAX_CHARS: usize = 200;

/// Trims a text of a revision, and cuts it to [`MAX_CHARS`].
pub fn shortened(text: &str) -> String {
    text.trim().chars().take(MAX_CHARS).collect()
}

impl Revision {
    /// The full commit id, followed by `+` if the files have uncommitted changes.
    pub fn full(&self) -> String {
        format!("{}{}", self.commit, if self.dirty { "+" } else { "" })
    }
}

impl fmt::Display for Revision {
    /// The abbreviated form of [`Revision::full`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&abbreviate(&self.full()))
    }
}

/// Shortens the commit id of [`Revision::full`] to seven characters and keeps the `+`.
pub fn abbreviate(full: &str) -> String {
    let short = full.chars().take(7).collect::<String>();
    if full.ends_with('+') && !short.ends_with('+') { short + "+" } else { short }
}
