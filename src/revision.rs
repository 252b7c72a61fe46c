//! Where a roster comes from: the commit, and who made it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One commit, as its repository or an outside source tells it. Other people wrote its text:
/// escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The full id in hexadecimal, or the text that an outside source gave.
    pub commit: String,
    /// `Name <address>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The files differ from what is committed.
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
    /// The first characters of the commit, as people write them.
    pub fn short(&self) -> String {
        self.commit.chars().take(7).collect()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.short(), if self.dirty { "+" } else { "" })
    }
}
