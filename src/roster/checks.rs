//! Turns what was written into a roster, or into every problem at once.

mod members;
mod roles;
mod whole;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::raw::{FILE, FIRST_ONLY, RawRoster};
use super::{Approval, Digest, Member, Pattern, Roster, Unmanaged};
use crate::diagnostic::{Diagnostic, FileId, Place, Sources, any_error};
use crate::email::{Email, EmailError};
use crate::escape::escape;
use crate::yaml::{Fields, Node};

use roles::Words;
pub(super) use roles::is_raw_role;

/// So many problems are told of a roster; the rest of one with more is not looked at.
pub const MAX_PROBLEMS: usize = 1_000;

/// A roster only where there is no error; every problem, warnings included, in any case, in the
/// order of the places. A date is that day in `zone`.
pub fn validate(
    raw: RawRoster<'_>,
    sources: &Sources,
    zone: &TimeZone,
    now: Timestamp,
) -> (Option<Roster>, Vec<Diagnostic>) {
    let RawRoster { documents, problems } = raw;
    let mut reader = Reader {
        zone,
        now,
        words: Words::default(),
        members: Vec::new(),
        addresses: Vec::new(),
        unmanaged: Vec::new(),
        approvals: Vec::new(),
        found: problems,
    };
    let is_first = |file: FileId| file == FileId(0);
    if !documents.iter().any(|(file, _)| is_first(*file)) {
        reader.words.are_lost();
    }
    for (file, document) in documents {
        reader.file(&document, is_first(file));
    }
    reader.duplicates();
    reader.declared_and_unmanaged();
    let Reader { members, unmanaged, approvals, mut found, .. } = reader;
    found.sort_by_key(|problem| problem.place.map(|place| (place.file, place.start)));
    // What an alias repeats is told once.
    found.dedup();
    if found.len() >= MAX_PROBLEMS {
        found.truncate(MAX_PROBLEMS);
        found.push(too_many());
    }
    if any_error(&found) {
        return (None, found);
    }
    let digest = Digest::of(sources.iter().map(|(_, file)| file.text.as_str()));
    // Both kinds of clash have been told above; the gate stays shut if one was overlooked.
    (Roster::new(members, unmanaged, approvals, digest).ok(), found)
}

fn too_many() -> Diagnostic {
    Diagnostic::error(
        "too-many-problems",
        format!("only the first {MAX_PROBLEMS} problems are told, and there may be more"),
    )
    .hint("is this the right file?")
}

struct Reader<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
    words: Words,
    members: Vec<Member>,
    /// Every address of a member that could be read, aliases included, with its place.
    addresses: Vec<(Email, Place)>,
    unmanaged: Vec<Pattern>,
    approvals: Vec<Approval>,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn file(&mut self, document: &Node<'_>, is_first: bool) {
        if document.is_null() {
            self.found.push(
                Diagnostic::error("empty-file", "the file is empty")
                    .at(document.place)
                    .label("nothing is written here")
                    .hint("begin with `version: 1` and `users:`"),
            );
            return;
        }
        let Some(fields) = Fields::of(document, "the roster", &FILE, &mut self.found) else {
            return;
        };
        self.version(&fields);
        if is_first {
            self.own_words(&fields);
            self.patterns(&fields);
            self.approvals(&fields);
        } else {
            self.belongs_to_the_first(&fields);
        }
        self.users(&fields);
    }

    fn version(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.require("version", &mut self.found) else { return };
        let Some(text) = node.text("`version`", &mut self.found) else { return };
        if text != "1" {
            self.found.push(
                Diagnostic::error(
                    "bad-version",
                    format!("no version `{}` of the format is known", escape(text)),
                )
                .at(node.place)
                .label("known is 1")
                .hint("write `version: 1`, or use a newer rosterd"),
            );
        }
    }

    fn belongs_to_the_first(&mut self, fields: &Fields<'_, '_>) {
        for key in FIRST_ONLY {
            let Some(place) = fields.place_of(key) else { continue };
            self.found.push(
                Diagnostic::error("not-the-first-file", format!("`{key}` in a later file"))
                    .at(place)
                    .label("only the first file may have this")
                    .hint("move it to the first file of the roster"),
            );
        }
    }

    fn users(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.raw("users") else {
            fields.require("users", &mut self.found);
            return;
        };
        if node.is_null() {
            self.found.push(
                Diagnostic::error("users-without-value", "`users` has no value")
                    .at(fields.place_of("users").unwrap_or(node.place))
                    .label("nothing is listed")
                    .hint("list the members, or write `users: []` for a roster without any"),
            );
            return;
        }
        for item in node.items("`users`", &mut self.found).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            self.member(item);
        }
    }

    /// Whether enough problems are known.
    fn is_full(&self) -> bool {
        self.found.len() >= MAX_PROBLEMS
    }

    fn email(&mut self, node: &Node<'_>, what: &str) -> Option<Email> {
        let text = node.text(what, &mut self.found)?;
        Email::parse(text).map_err(|error| self.found.push(bad_address(node, text, error))).ok()
    }

    fn duplicates(&mut self) {
        let mut seen = HashMap::with_capacity(self.addresses.len());
        for (email, place) in &self.addresses {
            let first = match seen.entry(email) {
                Entry::Occupied(first) => *first.get(),
                Entry::Vacant(free) => {
                    free.insert(*place);
                    continue;
                }
            };
            if self.found.len() >= MAX_PROBLEMS {
                break;
            }
            let problem =
                Diagnostic::error("duplicate-address", format!("{email} is listed twice"))
                    .at(*place);
            self.found.push(if first == *place {
                problem.label("repeated by a YAML alias").hint("write each member once")
            } else {
                problem
                    .label("listed again here")
                    .related(first, "first listed here")
                    .hint("upper and lower case do not matter; keep one of them")
            });
        }
    }

    fn declared_and_unmanaged(&mut self) {
        let unmanaged = Unmanaged::new(std::mem::take(&mut self.unmanaged));
        for (email, place) in &self.addresses {
            let Some(pattern) = unmanaged.find(email) else { continue };
            if self.found.len() >= MAX_PROBLEMS {
                break;
            }
            self.found.push(
                Diagnostic::error(
                    "declared-and-unmanaged",
                    format!("{email} is a member and unmanaged"),
                )
                .at(*place)
                .label("declared here")
                .related(pattern.place, "unmanaged here")
                .hint("remove one of them: what is unmanaged is never touched"),
            );
        }
        self.unmanaged = unmanaged.into_patterns();
    }
}

fn bad_address(node: &Node<'_>, text: &str, error: EmailError) -> Diagnostic {
    let hint = match error {
        EmailError::NotAscii => "write it in ASCII; any other account can only be `unmanaged`",
        _ => "write it as in matt@acme.io",
    };
    let label = match text.chars().find(|character| !character.is_ascii()) {
        Some(character) if error == EmailError::NotAscii => {
            let shown = character.to_string();
            format!("`{}` is U+{:04X}", escape(&shown), u32::from(character))
        }
        _ => "not an address".to_owned(),
    };
    Diagnostic::error("bad-address", error.to_string()).at(node.place).label(label).hint(hint)
}
