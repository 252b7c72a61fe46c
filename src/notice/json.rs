//! A notice for programs.

use serde::Serialize;

use super::Notice;

/// The version of the format; it changes when a field leaves or changes its meaning.
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Message<'a> {
    version: u8,
    #[serde(flatten)]
    notice: &'a Notice,
}

/// The body of a generic webhook: a JSON object.
pub fn body(notice: &Notice) -> String {
    serde_json::to_string(&Message { version: VERSION, notice }).unwrap_or_default()
}
