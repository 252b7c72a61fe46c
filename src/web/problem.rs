//! What is said where there is nothing to show.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Why there is no answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// What is wrong, and what to do.
    pub error: String,
}

pub(super) fn problem(status: StatusCode, words: impl Into<String>) -> Response {
    (status, Json(Problem { error: words.into() })).into_response()
}
