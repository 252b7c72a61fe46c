//! The shape of the roster's YAML: which keys stand where, with the place of every value.

use crate::diagnostic::{Diagnostic, FileId, Sources};
use crate::yaml::{self, Node};

/// Keys of a file; those after the first two may stand in the first file only.
pub const FILE: [&str; 5] = ["version", "users", "roles", "unmanaged", "approvals"];
/// The keys that belong to the whole roster.
pub const FIRST_ONLY: [&str; 3] = ["roles", "unmanaged", "approvals"];
/// Keys of a member.
pub const MEMBER: [&str; 7] = ["email", "role", "name", "aliases", "starts", "expires", "elevate"];
/// Keys of an elevation.
pub const ELEVATION: [&str; 3] = ["role", "until", "reason"];
/// Keys of an approval: one action and a reason.
pub const APPROVAL: [&str; 5] = ["disable", "demote", "grant_admin", "invite", "reason"];

/// What was written, before anything about it is decided.
#[derive(Debug, Default)]
pub struct RawRoster<'t> {
    /// The document of each file that is YAML, in the order of the files.
    pub(super) documents: Vec<(FileId, Node<'t>)>,
    /// What is wrong with the files as YAML.
    pub(super) problems: Vec<Diagnostic>,
}

/// Reads every file; one that is not YAML is left out, and `checks` tells why.
pub fn read(sources: &Sources) -> RawRoster<'_> {
    let mut raw = RawRoster::default();
    for (id, file) in sources.iter() {
        if let Some(document) = yaml::parse(&file.text, id, &mut raw.problems) {
            raw.documents.push((id, document));
        }
    }
    raw
}
