//! Logs.
use crate::diagnostic::{Diagnostic, Sources};
pub fn log_diagnostics(_workspace: Option<&str>, _sources: &Sources, _diagnostics: &[Diagnostic]) {}
