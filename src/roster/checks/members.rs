//! Validates the members of a file.

use super::super::dates::{self, DayBoundary};
use super::super::raw::{ELEVATION, MEMBER};
use super::super::{Elevation, Member, Period};
use super::Validator;
use crate::diagnostic::{Diagnostic, Place};
use crate::email::Email;
use crate::role::Role;
use crate::yaml::{Fields, Node};
use jiff::Timestamp;

impl Validator<'_> {
    pub(super) fn member(&mut self, node: &Node<'_>) {
        let Some(fields) = Fields::of(node, "a member", &MEMBER, &mut self.found) else { return };
        let email = fields.require("email", &mut self.found);
        let email = email.and_then(|node| Some((self.address(node, "`email`")?, node.place)));
        let role = fields.require("role", &mut self.found).and_then(|node| self.role(node));
        let name = self.text(&fields, "name");
        let aliases = self.aliases(&fields);
        let time = self.period(&fields, role.as_ref());
        if let (Some((email, place)), Some(role)) = (email, role) {
            let name = name.filter(|name| !name.trim().is_empty()).map(Into::into);
            self.members.push(Member { email, role, name, aliases, time, place });
        }
    }

    pub(super) fn text<'n>(&mut self, fields: &Fields<'n, '_>, key: &str) -> Option<&'n str> {
        let node = fields.optional(key, &mut self.found)?;
        node.text(format_args!("`{key}`"), &mut self.found)
    }

    fn aliases(&mut self, fields: &Fields<'_, '_>) -> Box<[Email]> {
        let Some(node) = fields.optional("aliases", &mut self.found) else {
            return Box::default();
        };
        let items = node.items("`aliases`", &mut self.found).unwrap_or_default();
        let mut aliases = Vec::with_capacity(items.len());
        for item in items {
            if self.is_full() {
                break;
            }
            aliases.extend(self.address(item, "an alias"));
        }
        aliases.into()
    }

    /// Parses an address of a member, and keeps it for the search for duplicates.
    fn address(&mut self, node: &Node<'_>, what: &str) -> Option<Email> {
        let email = self.email(node, what)?;
        self.addresses.push((email.clone(), node.place));
        Some(email)
    }

    fn date(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        boundary: DayBoundary,
    ) -> Option<(Timestamp, Place)> {
        let node = fields.optional(key, &mut self.found)?;
        let what = format!("`{key}`");
        let instant = dates::parse(node, &what, boundary, self.zone, &mut self.found)?;
        Some((instant, node.place))
    }

    fn period(&mut self, fields: &Fields<'_, '_>, role: Option<&Role>) -> Option<Box<Period>> {
        let starts = self.date(fields, "starts", DayBoundary::Start);
        let ends = self.date(fields, "expires", DayBoundary::End);
        if let (Some((start, from)), Some((end, to))) = (starts, ends)
            && start >= end
        {
            Diagnostic::error("starts-after-expires", "`expires` is not after `starts`")
                .marked(to, "access ends")
                .related(from, "access starts")
                .hint("`expires` is the last day of access")
                .emit(&mut self.found);
        }
        if let Some((end, place)) = ends
            && end <= self.now
        {
            Diagnostic::warning("already-expired", "access has already ended")
                .marked(place, "in the past")
                .hint("remove the member, or set a later date")
                .emit(&mut self.found);
        }
        let elevate = fields.optional("elevate", &mut self.found);
        let elevate = elevate.and_then(|node| self.elevation(node, role));
        let (starts, ends) = (starts.map(|(start, _)| start), ends.map(|(end, _)| end));
        let period = Period { starts, ends, elevate };
        (period != Period::default()).then(|| Box::new(period))
    }

    fn elevation(&mut self, node: &Node<'_>, from: Option<&Role>) -> Option<Elevation> {
        let fields = Fields::of(node, "an elevation", &ELEVATION, &mut self.found)?;
        let role_node = fields.require("role", &mut self.found);
        let role = role_node.and_then(|node| self.role(node));
        let until = fields.require("until", &mut self.found);
        let until = until.and_then(|_| self.date(&fields, "until", DayBoundary::End));
        let reason = self.text(&fields, "reason").map(str::to_owned);
        let (role, (until, place)) = (role?, until?);
        if let (Some(from), Some(node)) = (from, role_node)
            && !from.grows_to(&role)
        {
            Diagnostic::warning(
                "elevation-grants-nothing",
                format!("{role} is not a higher role than {from}"),
            )
            .marked(node.place, "not a higher role")
            .hint("an elevation is a temporary higher role")
            .emit(&mut self.found);
        }
        if until <= self.now {
            Diagnostic::warning("elevation-over", "the elevation has already ended")
                .marked(place, "in the past")
                .hint("remove `elevate`, or set a later date")
                .emit(&mut self.found);
        }
        Some(Elevation { role, until, reason })
    }
}
