//! Turns what was written into a roster, or into every problem at once.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::dates::{self, Edge};
use super::raw::{APPROVAL, ELEVATION, FILE, FIRST_ONLY, MEMBER, RawRoster};
use super::{
    Approval, ApprovalAction, Digest, Elevation, Member, Pattern, Period, Roster, Unmanaged,
};
use crate::diagnostic::{Diagnostic, Place, Sources, any_error};
use crate::email::Email;
use crate::role::Role;
use crate::yaml::{Fields, Node, Value, closest};

/// A roster only where there is no error; every problem, warnings included, in any case.
/// A date is that day in `zone`.
pub fn validate(
    raw: &RawRoster<'_>,
    sources: &Sources,
    zone: &TimeZone,
    now: Timestamp,
) -> (Option<Roster>, Vec<Diagnostic>) {
    let mut reader = Reader { zone, now, ..Reader::new(zone, now) };
    for (file, document) in &raw.documents {
        reader.file(document, file.0 == 0);
    }
    reader.duplicates();
    reader.declared_and_unmanaged();
    let Reader { members, unmanaged, approvals, mut found, .. } = reader;
    found.sort_by_key(|problem| problem.place.map(|place| (place.file, place.start)));
    if any_error(&found) {
        return (None, found);
    }
    let digest = Digest::of(sources.iter().map(|(_, file)| file.text.as_str()));
    // Both kinds of clash have been told above; the gate stays shut if one was overlooked.
    (Roster::new(members, unmanaged, approvals, digest).ok(), found)
}

struct Reader<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
    /// The roster's own words for roles.
    words: HashMap<String, Role>,
    members: Vec<Member>,
    /// Every address of a member that could be read, aliases included, with its place.
    addresses: Vec<(Email, Place)>,
    unmanaged: Vec<Pattern>,
    approvals: Vec<Approval>,
    found: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn new(zone: &'a TimeZone, now: Timestamp) -> Self {
        Self {
            zone,
            now,
            words: HashMap::new(),
            members: Vec::new(),
            addresses: Vec::new(),
            unmanaged: Vec::new(),
            approvals: Vec::new(),
            found: Vec::new(),
        }
    }

    fn file(&mut self, document: &Node<'_>, is_first: bool) {
        if document.is_null() {
            self.found.push(
                Diagnostic::error("empty-file", "the file is empty")
                    .at(document.place)
                    .hint("begin with `version: 1` and `users:`"),
            );
            return;
        }
        let Some(fields) = Fields::of(document, "the roster", &FILE, &mut self.found) else {
            return;
        };
        self.version(&fields);
        if is_first {
            self.roles(&fields);
            self.patterns(&fields);
            self.approvals(&fields);
        } else {
            self.belongs_to_the_first(document);
        }
        self.users(&fields);
    }

    fn version(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.require("version", &mut self.found) else { return };
        if node.text("`version`", &mut self.found).is_some_and(|text| text != "1") {
            self.found.push(
                Diagnostic::error("bad-version", "this version of the format is not known")
                    .at(node.place)
                    .label("known is 1")
                    .hint("write `version: 1`, or use a newer rosterd"),
            );
        }
    }

    fn belongs_to_the_first(&mut self, document: &Node<'_>) {
        let Value::Map(entries) = &document.value else { return };
        for (key, _) in entries.iter().filter(|(key, _)| FIRST_ONLY.contains(&&*key.text)) {
            self.found.push(
                Diagnostic::error("not-the-first-file", format!("`{}` in a later file", key.text))
                    .at(key.place)
                    .label("only the first file may have this")
                    .hint("move it to the first file of the roster"),
            );
        }
    }

    fn roles(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.get("roles") else { return };
        let Value::Map(entries) = &node.value else {
            self.found.push(node.expected("`roles`", "a mapping"));
            return;
        };
        for (word, node) in entries {
            if Role::known(&word.text).is_some() {
                self.found.push(
                    Diagnostic::error(
                        "role-shadowed",
                        format!("`{}` is a role of its own", word.text),
                    )
                    .at(word.place)
                    .label("cannot mean something else")
                    .hint("choose another word"),
                );
            } else if let Some(role) = self.role(node) {
                self.words.insert(word.text.to_string(), role);
            }
        }
    }

    fn users(&mut self, fields: &Fields<'_, '_>) {
        match fields.raw("users") {
            None => {
                fields.require("users", &mut self.found);
            }
            Some(node) if node.is_null() => self.found.push(
                Diagnostic::error("users-without-value", "`users` has no value")
                    .at(Place { end: node.place.end.max(node.place.start), ..fields.head() })
                    .label("nothing is listed")
                    .hint("list the members, or write `users: []` for a roster without any"),
            ),
            Some(node) => {
                let mut found = std::mem::take(&mut self.found);
                for item in node.items("`users`", &mut found).unwrap_or_default() {
                    self.member(item);
                }
                found.append(&mut self.found);
                self.found = found;
            }
        }
    }

    fn member(&mut self, node: &Node<'_>) {
        let Some(fields) = Fields::of(node, "a member", &MEMBER, &mut self.found) else { return };
        let email = fields.require("email", &mut self.found);
        let email = email.and_then(|node| Some((self.address(node, "`email`")?, node.place)));
        let role = fields.require("role", &mut self.found).and_then(|node| self.role(node));
        let name = fields.get("name").and_then(|node| node.text("`name`", &mut self.found));
        let aliases = self.aliases(&fields);
        let time = self.period(&fields, role.as_ref());
        if let (Some((email, place)), Some(role)) = (email, role) {
            let name = name.filter(|name| !name.trim().is_empty()).map(Into::into);
            self.members.push(Member { email, role, name, aliases, time, place });
        }
    }

    fn aliases(&mut self, fields: &Fields<'_, '_>) -> Box<[Email]> {
        let Some(node) = fields.get("aliases") else { return Box::default() };
        let items = node.items("`aliases`", &mut self.found).unwrap_or_default();
        items.iter().filter_map(|item| self.address(item, "an alias")).collect()
    }

    /// An address of a member, kept for the search for duplicates.
    fn address(&mut self, node: &Node<'_>, what: &str) -> Option<Email> {
        let email = self.email(node, what)?;
        self.addresses.push((email.clone(), node.place));
        Some(email)
    }

    fn email(&mut self, node: &Node<'_>, what: &str) -> Option<Email> {
        match Email::parse(node.text(what, &mut self.found)?) {
            Ok(email) => Some(email),
            Err(error) => {
                self.found.push(
                    Diagnostic::error("bad-address", error.to_string())
                        .at(node.place)
                        .label("not an address")
                        .hint("write it as in matt@acme.io"),
                );
                None
            }
        }
    }

    fn role(&mut self, node: &Node<'_>) -> Option<Role> {
        let text = node.text("`role`", &mut self.found)?;
        if let Some(role) = Role::known(text).or_else(|| self.words.get(text).cloned()) {
            return Some(role);
        }
        if node.tag.as_deref() == Some("raw") && is_raw_role(text) {
            return Some(Role::from_api(text));
        }
        let words = self.words.keys().map(String::as_str);
        let names = Role::KNOWN.each_ref().map(Role::as_str);
        let hint = match closest(text, names.into_iter().chain(words)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}; a newer one is written `!raw {text}`", names.join(", ")),
        };
        self.found.push(
            Diagnostic::error("unknown-role", format!("unknown role `{text}`"))
                .at(node.place)
                .label("unknown role")
                .hint(hint),
        );
        None
    }

    fn period(&mut self, fields: &Fields<'_, '_>, role: Option<&Role>) -> Option<Box<Period>> {
        let mut date = |key: &str, edge| {
            let node = fields.get(key)?;
            let instant = dates::read(node, &format!("`{key}`"), edge, self.zone, &mut self.found)?;
            Some((instant, node.place))
        };
        let starts = date("starts", Edge::Start);
        let ends = date("expires", Edge::End);
        if let (Some((start, from)), Some((end, to))) = (starts, ends)
            && start >= end
        {
            self.found.push(
                Diagnostic::error("starts-after-expires", "access would end before it begins")
                    .at(to)
                    .label("the end")
                    .related(from, "the beginning")
                    .hint("`expires` is the last day of access"),
            );
        }
        if let Some((end, place)) = ends
            && end <= self.now
        {
            self.found.push(
                Diagnostic::warning("already-expired", "access has already ended")
                    .at(place)
                    .label("in the past")
                    .hint("remove the member, or write a later date"),
            );
        }
        let elevate = fields.get("elevate").and_then(|node| self.elevation(node, role));
        let period = Period { starts: starts.map(|it| it.0), ends: ends.map(|it| it.0), elevate };
        (period != Period::default()).then(|| Box::new(period))
    }

    fn elevation(&mut self, node: &Node<'_>, from: Option<&Role>) -> Option<Elevation> {
        let fields = Fields::of(node, "an elevation", &ELEVATION, &mut self.found)?;
        let role_node = fields.require("role", &mut self.found);
        let role = role_node.and_then(|node| self.role(node));
        let until_node = fields.require("until", &mut self.found);
        let until = until_node
            .and_then(|node| dates::read(node, "`until`", Edge::End, self.zone, &mut self.found));
        let reason = fields.get("reason").and_then(|node| node.text("`reason`", &mut self.found));
        let (role, until, reason) = (role?, until?, reason.map(str::to_owned));
        if let (Some(from), Some(node)) = (from, role_node)
            && !from.grows_to(&role)
        {
            self.found.push(
                Diagnostic::warning(
                    "elevation-grants-nothing",
                    format!("{role} is not above {from}"),
                )
                .at(node.place)
                .label("not a higher role")
                .hint("an elevation gives a higher role for a while"),
            );
        }
        if let Some(node) = until_node.filter(|_| until <= self.now) {
            self.found.push(
                Diagnostic::warning("elevation-over", "the elevation has already ended")
                    .at(node.place)
                    .label("in the past")
                    .hint("remove `elevate`, or write a later date"),
            );
        }
        Some(Elevation { role, until, reason })
    }
}

/// A role as the API spells names: a GraphQL enum value in capitals.
pub(super) fn is_raw_role(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// What belongs to the whole roster.
impl Reader<'_> {
    fn patterns(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.get("unmanaged") else { return };
        let mut found = Vec::new();
        for item in node.items("`unmanaged`", &mut found).unwrap_or_default() {
            let Some(text) = item.text("a pattern", &mut found) else { continue };
            match Pattern::parse(text, item.place) {
                Ok(pattern) if !text.trim().is_empty() => self.unmanaged.push(pattern),
                _ => found.push(
                    Diagnostic::error("bad-pattern", format!("`{text}` is not a pattern"))
                        .at(item.place)
                        .label("not a pattern")
                        .hint("write an address, or a glob such as *@paradime.io"),
                ),
            }
        }
        self.found.append(&mut found);
    }

    fn approvals(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.get("approvals") else { return };
        let mut found = Vec::new();
        let items = node.items("`approvals`", &mut found).unwrap_or_default();
        self.found.append(&mut found);
        for item in items {
            if let Some(approval) = self.approval(item) {
                self.approvals.push(approval);
            }
        }
    }

    fn approval(&mut self, node: &Node<'_>) -> Option<Approval> {
        let fields = Fields::of(node, "an approval", &APPROVAL, &mut self.found)?;
        let mut actions =
            ApprovalAction::ALL.into_iter().filter_map(|it| Some((it, fields.get(it.key())?)));
        let (Some((action, list)), None) = (actions.next(), actions.next()) else {
            self.found.push(
                Diagnostic::error("bad-approval", "an approval names exactly one action")
                    .at(fields.head())
                    .hint("write one of disable, demote, grant_admin or invite, with a list"),
            );
            return None;
        };
        let mut found = Vec::new();
        let items = list.items("the list of an approval", &mut found).unwrap_or_default();
        self.found.append(&mut found);
        let people = items
            .iter()
            .filter_map(|item| Some((self.email(item, "an address")?, item.place)))
            .collect();
        let reason = fields.get("reason").and_then(|node| node.text("`reason`", &mut self.found));
        Some(Approval { action, people, reason: reason.map(str::to_owned) })
    }

    fn duplicates(&mut self) {
        let mut seen = HashMap::with_capacity(self.addresses.len());
        for (email, place) in &self.addresses {
            let first = *seen.entry(email).or_insert(*place);
            if first != *place {
                self.found.push(
                    Diagnostic::error("duplicate-address", format!("{email} is listed twice"))
                        .at(*place)
                        .label("listed again here")
                        .related(first, "first listed here")
                        .hint("upper and lower case do not matter; keep one of them"),
                );
            }
        }
    }

    fn declared_and_unmanaged(&mut self) {
        let unmanaged = Unmanaged::new(std::mem::take(&mut self.unmanaged));
        for (email, place) in &self.addresses {
            if let Some(pattern) = unmanaged.find(email) {
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
        }
        self.unmanaged = unmanaged.into_patterns();
    }
}
