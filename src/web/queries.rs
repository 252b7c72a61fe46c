//! Query parameters of the API and of the page.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::render::access;

const MAX_LIMIT: usize = 1000;
const DEFAULT_LIMIT: usize = 100;

/// Filters the people of a workspace.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct PeopleQuery {
    /// A part of the email address or of the name.
    pub q: String,
    /// Only this role.
    pub role: String,
    /// Only this status, as in `rosterd access`.
    pub status: String,
    /// Only people whose access ends within 14 days.
    #[serde(deserialize_with = "flag")]
    pub expiring: bool,
    /// Number of items to skip.
    pub offset: usize,
    /// Maximum number of items, 1 to 1000; 100 by default.
    pub limit: Option<usize>,
}

/// Pages through the runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunsQuery {
    /// Only runs before this one.
    pub before: Option<u64>,
    /// Only runs that changed the workspace.
    #[serde(deserialize_with = "flag")]
    pub changed: bool,
    /// Only this run.
    pub run: Option<u64>,
    /// Maximum number of items, 1 to 1000; 100 by default.
    pub limit: Option<usize>,
}

/// Filters the history.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EventsQuery {
    /// Only events of this person.
    pub email: Option<String>,
    /// Only events at or after this instant: RFC 3339.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Number of items to skip; the newest come first.
    pub offset: usize,
    /// Maximum number of items, 1 to 1000; 100 by default.
    pub limit: Option<usize>,
}

impl PeopleQuery {
    /// All matches.
    pub fn matches<'a>(&self, rows: &'a [access::Row]) -> Vec<&'a access::Row> {
        let text = self.q.trim().to_lowercase();
        let contains = |field: &str| field.to_lowercase().contains(&text);
        let matches = |row: &&access::Row| {
            (text.is_empty() || contains(&row.email) || row.name.as_deref().is_some_and(contains))
                && (self.role.is_empty() || row.role == self.role)
                && (self.status.is_empty() || row.status == self.status)
                && (!self.expiring || row.expiring)
        };
        rows.iter().filter(matches).collect()
    }
}

pub fn limit(requested: Option<usize>) -> usize {
    requested.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

/// A boolean parameter; an HTML form sends `on` for a checkbox.
fn flag<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    let text = String::deserialize(value)?;
    match text.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" | "" => Ok(false),
        _ => Err(serde::de::Error::custom("expected true or false")),
    }
}
