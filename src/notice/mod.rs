//! What is worth telling somebody who does not look on: decided from a run, as plain data.
//!
//! [`watch`] says what is new, [`json`] and [`slack`] how it is written. Nothing here is sent.

pub mod json;
pub mod slack;
pub mod tracker;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The kinds of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run has sent changes.
    Applied,
    /// Guards hold changes that they did not hold before.
    Held,
    /// Runs have begun to fail, or the roster cannot be used.
    Failing,
    /// What was failing works again.
    Recovered,
    /// The access of members ends soon.
    Expiring,
    /// There is something that rosterd cannot do.
    NeedsPerson,
}

/// One notice, as a program reads it. Fields that do not apply are absent, and every text is
/// escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Notice {
    pub event: Kind,
    pub workspace: String,
    /// When the run that shows it ended: RFC 3339, UTC.
    pub at: String,
    /// One sentence.
    pub summary: String,
    /// What the run wanted to do, by its fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The commit of the roster in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Whom it concerns: at most [`MOST`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// How many more it concerns.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
    /// The lines of the roster that would release what is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<String>,
    /// Since when it had been failing: RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// So many people are named in one notice.
pub const MOST: usize = 50;

/// A commit of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Commit {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// One person, and what of them is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Person {
    pub email: String,
    /// `invite`, `reinvite`, `role`, `disable`, or what kind of trouble there is.
    pub what: String,
    /// The role, or how it changes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// What became of it, why it is held, when it ends.
    pub why: String,
    /// The line of the roster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Applied,
        Self::Held,
        Self::Failing,
        Self::Recovered,
        Self::Expiring,
        Self::NeedsPerson,
    ];

    /// The word in the configuration, in messages and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Held => "held",
            Self::Failing => "failing",
            Self::Recovered => "recovered",
            Self::Expiring => "expiring",
            Self::NeedsPerson => "needs_person",
        }
    }
}

impl Notice {
    fn new(event: Kind, workspace: &str, at: Timestamp, summary: String) -> Self {
        Self {
            event,
            workspace: workspace.to_owned(),
            at: crate::render::time::exact(at),
            summary,
            plan: None,
            commit: None,
            people: Vec::new(),
            more: 0,
            approvals: None,
            since: None,
        }
    }

    fn about(mut self, mut people: Vec<Person>) -> Self {
        self.more = people.len().saturating_sub(MOST);
        people.truncate(MOST);
        Self { people, ..self }
    }
}
