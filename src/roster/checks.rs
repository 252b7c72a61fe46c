//! Validates the parsed files: returns a roster, or all problems.

mod members;
mod roles;
mod sections;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::raw::{FILE, FIRST_ONLY, RawRoster};
use super::schema::schema;
use super::{Approval, Digest, Member, Pattern, Roster, Unmanaged};
use crate::diagnostic::{Diagnostic, FileId, Place, SourceFile, Sources, any_error};
use crate::email::{Email, EmailError};
use crate::escape::{escape, is_hostile, trim};
use crate::yaml::redact::{Redaction, redact};
use crate::yaml::{Fields, Node};

use roles::RoleAliases;
pub(super) use roles::is_raw_role;

/// Maximum number of problems reported. Validation stops there.
pub const MAX_PROBLEMS: usize = 1_000;

/// Returns the roster, if there is no error, and all problems, sorted by place. A date is that day
/// in `zone`.
pub fn validate<'s>(
    raw: RawRoster<'_>,
    sources: &'s Sources,
    zone: &TimeZone,
    now: Timestamp,
) -> (Option<Roster>, Vec<Diagnostic>) {
    let RawRoster { documents, problems } = raw;
    let mut validator = Validator {
        zone,
        now,
        role_aliases: RoleAliases::default(),
        members: Vec::new(),
        addresses: Vec::new(),
        unmanaged: Vec::new(),
        approvals: Vec::new(),
        found: problems,
    };
    validator.role_aliases.incomplete = !documents.iter().any(|(file, _)| *file == FileId(0));
    for (file, document) in &documents {
        validator.file(document, *file == FileId(0));
    }
    validator.duplicates();
    validator.declared_and_unmanaged();
    let Validator { members, unmanaged, approvals, mut found, .. } = validator;
    found.sort_by_key(|problem| problem.place.map(|place| (place.file, place.start)));
    // Values repeated by a YAML alias would be reported several times.
    found.dedup();
    if !found.is_empty() {
        let schema = schema();
        let of = |(id, file): (FileId, &'s SourceFile)| {
            let document = documents.iter().find(|(file, _)| *file == id);
            Redaction::of(id, &file.text, document.map(|(_, document)| document), &schema)
        };
        let redactions: Vec<Redaction<'_>> = sources.iter().map(of).collect();
        redact(&mut found, &redactions);
    }
    if found.len() >= MAX_PROBLEMS {
        found.truncate(MAX_PROBLEMS);
        let message = format!("more than {MAX_PROBLEMS} problems; only the first ones are shown");
        found.push(Diagnostic::error("too-many-problems", message).hint("is this the right file?"));
    }
    if any_error(&found) {
        return (None, found);
    }
    let digest = Digest::of(sources.iter().map(|(_, file)| file.text.as_str()));
    // All conflicts have been reported above, so this succeeds.
    (Roster::new(members, unmanaged, approvals, digest).ok(), found)
}

struct Validator<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
    role_aliases: RoleAliases,
    members: Vec<Member>,
    /// Every valid address and alias of the members, with its place.
    addresses: Vec<(Email, Place)>,
    unmanaged: Vec<Pattern>,
    approvals: Vec<Approval>,
    found: Vec<Diagnostic>,
}

impl Validator<'_> {
    fn file(&mut self, document: &Node<'_>, is_first: bool) {
        if document.is_null() {
            Diagnostic::error("empty-file", "the file is empty")
                .marked(document.place, "no content")
                .hint("start with `version: 1` and `users:`")
                .emit(&mut self.found);
            return;
        }
        let Some(fields) = Fields::of(document, "the roster", &FILE, &mut self.found) else {
            return;
        };
        self.version(&fields);
        if is_first {
            self.role_aliases(&fields);
            self.patterns(&fields);
            self.approvals(&fields);
        } else {
            for key in FIRST_ONLY {
                let Some(place) = fields.place_of(key) else { continue };
                Diagnostic::error("not-the-first-file", format!("`{key}` in another file"))
                    .marked(place, "allowed only in the first file")
                    .hint("move it to the first file of the roster")
                    .emit(&mut self.found);
            }
        }
        self.users(&fields);
    }

    fn version(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.require("version", &mut self.found) else { return };
        let Some(text) = node.text("`version`", &mut self.found) else { return };
        if text != "1" {
            Diagnostic::error("bad-version", format!("unsupported version `{}`", escape(text)))
                .marked(node.place, "supported: 1")
                .hint("write `version: 1`, or upgrade rosterd")
                .emit(&mut self.found);
        }
    }

    fn users(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.raw("users") else {
            fields.require("users", &mut self.found);
            return;
        };
        if node.is_null() {
            Diagnostic::error("users-without-value", "`users` has no value")
                .marked(fields.place_of("users").unwrap_or(node.place), "no members")
                .hint("list the members, or write `users: []` for an empty roster")
                .emit(&mut self.found);
            return;
        }
        for item in node.items("`users`", &mut self.found).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            self.member(item);
        }
    }

    /// Whether the maximum number of problems is reached.
    fn is_full(&self) -> bool {
        self.found.len() >= MAX_PROBLEMS
    }

    fn email(&mut self, node: &Node<'_>, what: &str) -> Option<Email> {
        let text = trim(node.text(what, &mut self.found)?);
        Email::parse(text).map_err(|error| self.found.push(invalid_address(node, text, error))).ok()
    }

    fn duplicates(&mut self) {
        let mut seen = HashMap::with_capacity(self.addresses.len());
        for (email, place) in &self.addresses {
            let Some(&first) = seen.get(email) else {
                seen.insert(email, *place);
                continue;
            };
            if self.found.len() >= MAX_PROBLEMS {
                break;
            }
            let problem =
                Diagnostic::error("duplicate-address", format!("{email} is listed twice"))
                    .at(*place);
            self.found.push(if first == *place {
                problem.label("repeated by a YAML alias").hint("list each member once")
            } else {
                problem
                    .label("listed again here")
                    .related(first, "first listed here")
                    .hint("remove one of them; case does not matter")
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
            Diagnostic::error(
                "declared-and-unmanaged",
                format!("{email} is both a member and unmanaged"),
            )
            .marked(*place, "member here")
            .related(pattern.place, "unmanaged here")
            .hint("remove one of them; rosterd ignores unmanaged addresses")
            .emit(&mut self.found);
        }
        self.unmanaged = unmanaged.patterns;
    }
}

/// An address that is not valid.
pub fn invalid_address(node: &Node<'_>, text: &str, error: EmailError) -> Diagnostic {
    let other = text.chars().find(|character| !character.is_ascii());
    let hint = match error {
        EmailError::NotAscii if other.is_some_and(is_hostile) => "remove the invisible character",
        EmailError::NotAscii => "write it in ASCII; other accounts can only be `unmanaged`",
        _ => "write an address such as matt@acme.io",
    };
    let label = match other {
        Some(character) if error == EmailError::NotAscii => {
            let shown = character.to_string();
            format!("`{}` is U+{:04X}", escape(&shown), u32::from(character))
        }
        _ => "not a valid email address".to_owned(),
    };
    Diagnostic::error("bad-address", error.to_string()).marked(node.place, label).hint(hint)
}
