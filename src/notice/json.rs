//! A notice as the JSON body of a generic webhook.

use serde::Serialize;

use super::Notice;

/// The version of the format; it increases when a field is removed or changes its meaning.
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Message<'a> {
    version: u8,
    #[serde(flatten)]
    notice: &'a Notice,
}

pub fn body(notice: &Notice) -> String {
    serde_json::to_string(&Message { version: VERSION, notice }).unwrap_or_default()
}
