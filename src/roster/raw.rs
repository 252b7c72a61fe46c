//! Parses the roster files and lists the known keys.

use crate::diagnostic::{Diagnostic, FileId, Sources};
use crate::yaml::{self, Node};

/// Keys of a file.
pub const FILE: [&str; 5] = ["version", "users", "roles", "unmanaged", "approvals"];
/// Keys that are allowed only in the first file.
pub const FIRST_ONLY: [&str; 3] = ["roles", "unmanaged", "approvals"];
/// Keys of a member.
pub const MEMBER: [&str; 7] = ["email", "role", "name", "aliases", "starts", "expires", "elevate"];
/// Keys of an elevation.
pub const ELEVATION: [&str; 3] = ["role", "until", "reason"];
/// Keys of an approval: one action and a reason.
pub const APPROVAL: [&str; 5] = ["disable", "demote", "grant_admin", "invite", "reason"];

/// The parsed files, not validated yet.
#[derive(Debug, Default)]
pub struct RawRoster<'t> {
    /// The document of each file that could be parsed, in order.
    pub(super) documents: Vec<(FileId, Node<'t>)>,
    /// The YAML errors.
    pub(super) problems: Vec<Diagnostic>,
}

/// Parses every file. A file with a syntax error has no document.
pub fn read(sources: &Sources) -> RawRoster<'_> {
    let mut raw = RawRoster::default();
    let mut left = yaml::max_values(sources.iter().map(|(_, file)| file.text.len()).sum());
    for (id, file) in sources.iter() {
        match yaml::parse_part(&file.text, id, &mut left, &mut raw.problems) {
            Some(document) => raw.documents.push((id, document)),
            None if left == 0 => break,
            None => {}
        }
    }
    raw
}
