//! Notices: what a notification says, as plain data.
//!
//! [`tracker`] derives new notices from a run; [`json`] and [`slack`] format them. The notifier
//! delivers them.

pub mod json;
pub mod slack;
pub mod tracker;

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;
use strum::IntoStaticStr;

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, JsonSchema, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// A run sent changes.
    Applied,
    /// Guards newly hold changes.
    Held,
    /// Runs began to fail, or the roster became invalid.
    Failing,
    /// A failure ended.
    Recovered,
    /// The access of members expires soon.
    Expiring,
    /// People need an action that rosterd cannot take.
    NeedsPerson,
}

/// One notice. Fields that do not apply are absent; all text is escaped.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Notice {
    pub event: Kind,
    pub workspace: String,
    /// The end of the run: RFC 3339, UTC.
    pub at: String,
    /// One sentence.
    pub summary: String,
    /// The fingerprint of the plan.
    pub plan: Option<String>,
    /// The commit of the roster in use.
    pub commit: Option<Commit>,
    /// The people concerned, at most [`MAX_PEOPLE`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// Number of further people.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
    /// The lines for the roster that approve the held changes: with the key `approvals:`, or, if
    /// the roster has it, only the new items.
    pub approvals: Option<String>,
    /// Number of people whom `approvals` names.
    #[serde(skip)]
    pub approvable: usize,
    /// When the failure began: RFC 3339, UTC.
    pub since: Option<String>,
}

/// Maximum number of people in one notice.
pub const MAX_PEOPLE: usize = 50;

/// A commit of the roster.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Commit {
    pub id: String,
    pub author: Option<String>,
    pub subject: Option<String>,
}

/// One person of a notice.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Person {
    pub email: String,
    /// `invite`, `reinvite`, `role`, `disable`, or the kind of finding.
    pub what: String,
    /// The role, or its change.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The outcome, the reason of a hold, or the end of access.
    pub why: String,
    /// File and line of the roster.
    pub place: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires a reference")]
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

    /// The name in the configuration, in messages and in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
