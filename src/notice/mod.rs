//! Notices: what a notification says, as plain data.
//!
//! [`tracker`] derives new notices from a run; [`json`] and [`slack`] format them. The notifier
//! delivers them.

pub mod json;
pub mod slack;
pub mod tracker;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;
use strum::IntoStaticStr;

use crate::render::time;

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
    /// `rosterd doctor --notify` tries the receiver.
    Test,
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
    /// The page of the workspace in the web UI.
    pub page: Option<String>,
    /// The page of the line that makes the roster invalid, at the git forge.
    pub url: Option<String>,
    /// The people concerned, at most 50.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// Number of further people.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
    /// What to do about what is held.
    pub hint: Option<String>,
    /// The lines for the roster that approve the held changes: with the key `approvals:`, or, if
    /// the roster has it, only the new items. Absent if they are longer than 128 KiB: then run
    /// `rosterd approve`.
    pub approvals: Option<String>,
    /// Number of people whom `approvals` names.
    #[serde(skip)]
    pub approvable: usize,
    /// When the failure began: RFC 3339, UTC.
    pub since: Option<String>,
}

/// Maximum number of people in one notice.
pub const MAX_PEOPLE: usize = 50;
/// Maximum size of these people together, in bytes of JSON; the others are counted.
const MAX_PEOPLE_BYTES: usize = 64 * 1024;
/// Maximum length of a message in characters.
const MAX_MESSAGE: usize = 2_000;
/// Maximum length of `approvals` in bytes.
const MAX_APPROVALS: usize = 128 * 1024;

/// A commit of the roster.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Commit {
    pub id: String,
    pub author: Option<String>,
    pub subject: Option<String>,
    /// Its page at the git forge.
    pub url: Option<String>,
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
    /// Why it changes, with the outcome or the guards that hold it; or the end of access.
    pub why: String,
    /// File and line of the roster.
    pub place: Option<String>,
    /// The page of that line at the git forge.
    pub url: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Cuts a text between two words.
fn shortened(text: String, max: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(max) else { return text };
    let end = text[..end].rfind(char::is_whitespace).unwrap_or(end);
    format!("{} …", text[..end].trim_end())
}

impl Notice {
    /// A notice of no person.
    fn new(event: Kind, workspace: &str, at: Timestamp, summary: String) -> Self {
        Self {
            event,
            workspace: workspace.to_owned(),
            at: time::exact(at),
            summary: shortened(summary, MAX_MESSAGE),
            plan: None,
            commit: None,
            page: None,
            url: None,
            people: Vec::new(),
            more: 0,
            hint: None,
            approvals: None,
            approvable: 0,
            since: None,
        }
    }

    /// For a receiver to try: it concerns no workspace.
    pub fn test(at: Timestamp) -> Self {
        let summary = "this is a test of rosterd's notifications; nothing has happened".to_owned();
        Self::new(Kind::Test, "test", at, summary)
    }
}

impl Kind {
    /// Those that a receiver can choose.
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
