//! Validates roles and role aliases.

use std::collections::BTreeMap;

use super::Validator;
use crate::diagnostic::Diagnostic;
use crate::escape::escape;
use crate::role::Role;
use crate::yaml::{Fields, Node, Value, closest};

/// The aliases that `roles` defines.
#[derive(Debug, Default)]
pub(super) struct RoleAliases {
    /// None if the role of an alias is invalid, which has been reported.
    known: BTreeMap<String, Option<Role>>,
    /// `roles` could not be parsed, so unknown roles may be aliases.
    pub incomplete: bool,
}

impl Validator<'_> {
    pub(super) fn role_aliases(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.optional("roles", &mut self.found) else { return };
        let Value::Map(entries) = &node.value else {
            self.found.push(node.expected("`roles`", "a mapping"));
            self.role_aliases.incomplete = true;
            return;
        };
        node.reject_tag(&mut self.found);
        for (alias, node) in entries {
            if self.is_full() {
                break;
            }
            if Role::known(&alias.text).is_some() {
                Diagnostic::error(
                    "role-shadowed",
                    format!("`{}` is already an account type", alias.text),
                )
                .marked(alias.place, "cannot be an alias")
                .hint("choose another alias")
                .emit(&mut self.found);
                continue;
            }
            let role = self.account_type(node);
            self.role_aliases.known.insert(alias.text.to_string(), role);
        }
    }

    /// The role of an alias. Never another alias, so that their order does not matter.
    fn account_type(&mut self, node: &Node<'_>) -> Option<Role> {
        if node.is_null() {
            self.found.push(node.expected("the role of an alias", "an account type"));
            return None;
        }
        match self.plain_or_raw(node)? {
            Ok(role) => Some(role),
            Err(text) => {
                let hint = match closest(text, names()) {
                    Some(closest) => format!("did you mean `{closest}`?"),
                    None => format!("an alias stands for one of {}", names().join(", ")),
                };
                self.found.push(unknown(node, text, hint));
                None
            }
        }
    }

    pub(super) fn role(&mut self, node: &Node<'_>) -> Option<Role> {
        let text = match self.plain_or_raw(node)? {
            Ok(role) => return Some(role),
            Err(text) => text,
        };
        if let Some(role) = self.role_aliases.known.get(text) {
            return role.clone();
        }
        if !self.role_aliases.incomplete {
            let hint = self.suggestion(text);
            self.found.push(unknown(node, text, hint));
        }
        None
    }

    /// A known role or a `!raw` role. `Err` holds any other text.
    fn plain_or_raw<'n>(&mut self, node: &'n Node<'_>) -> Option<Result<Role, &'n str>> {
        let raw = node.tag.as_deref() == Some("raw");
        let Value::Scalar { text, .. } = &node.value else {
            self.found.push(node.expected("`role`", "text"));
            return None;
        };
        if !raw {
            node.reject_tag(&mut self.found);
            return Some(Role::known(text).ok_or(text));
        }
        if is_raw_role(text) {
            return Some(Ok(Role::from_api(text)));
        }
        Diagnostic::error(
            "bad-raw-role",
            format!("`{}` is not a valid account type", escape(text)),
        )
        .marked(node.place, "not a valid account type")
        .hint("after `!raw`, use capitals, digits and underscores, as in NEW_ROLE")
        .emit(&mut self.found);
        None
    }

    fn suggestion(&self, text: &str) -> String {
        let aliases = self.role_aliases.known.keys().map(String::as_str);
        // The file's own words first. The hint says what a word grants.
        if let Some(alias) = closest(text, aliases.clone()) {
            let role = self.role_aliases.known.get(alias).and_then(Option::as_ref);
            let grants = role.map(|role| format!(" ({})", escape(role.as_str())));
            return format!("did you mean `{}`{}?", escape(alias), grants.unwrap_or_default());
        }
        if let Some(closest) = closest(text, names()) {
            return format!("did you mean `{closest}`?");
        }
        let known: Vec<&str> = names().into_iter().chain(aliases.take(10)).collect();
        let newer = if is_raw_role(text) { text } else { "NEW_ROLE" };
        format!("known roles: {}; write a newer one as `!raw {newer}`", known.join(", "))
    }
}

/// Whether the text can be an account type: a GraphQL enum value in capitals.
pub(in crate::roster) fn is_raw_role(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn names() -> [&'static str; Role::KNOWN.len()] {
    static KNOWN: [Role; Role::KNOWN.len()] = Role::KNOWN;
    KNOWN.each_ref().map(Role::as_str)
}

fn unknown(node: &Node<'_>, text: &str, hint: String) -> Diagnostic {
    Diagnostic::error("unknown-role", format!("unknown role `{}`", escape(text)))
        .marked(node.place, "unknown role")
        .hint(hint)
}
