//! The shape of the roster's YAML, with the place of every value.

use crate::diagnostic::{Diagnostic, Sources};

/// What was written, before anything about it is decided.
#[derive(Debug, Default)]
pub struct RawRoster;

/// Reads every file; what cannot be read is told and left out.
pub fn read(_sources: &Sources) -> (RawRoster, Vec<Diagnostic>) {
    (RawRoster, Vec::new())
}
