//! Roles, and the words that a roster has for them.

use std::collections::BTreeMap;

use super::Reader;
use crate::diagnostic::Diagnostic;
use crate::escape::escape;
use crate::role::Role;
use crate::yaml::{Fields, Node, Value, closest};

/// What a roster calls the roles.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// None where the meaning of a word is wrong, which has been told.
    known: BTreeMap<String, Option<Role>>,
    /// The first file could not be read, so there may be words that nobody knows.
    lost: bool,
}

impl Words {
    pub fn are_lost(&mut self) {
        self.lost = true;
    }
}

impl Reader<'_> {
    pub(super) fn own_words(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.optional("roles", &mut self.found) else { return };
        let Value::Map(entries) = &node.value else {
            self.found.push(node.expected("`roles`", "a mapping"));
            self.words.are_lost();
            return;
        };
        node.refuse_tag(&mut self.found);
        for (word, node) in entries {
            if self.is_full() {
                break;
            }
            if Role::known(&word.text).is_some() {
                self.found.push(
                    Diagnostic::error(
                        "role-shadowed",
                        format!("`{}` is an account type already", word.text),
                    )
                    .at(word.place)
                    .label("cannot mean something else")
                    .hint("choose another word"),
                );
                continue;
            }
            let role = self.account_type(node);
            self.words.known.insert(word.text.to_string(), role);
        }
    }

    /// What a word stands for: never another word, so that the order of the words says nothing.
    fn account_type(&mut self, node: &Node<'_>) -> Option<Role> {
        if node.is_null() {
            self.found.push(node.expected("the meaning of a word", "an account type"));
            return None;
        }
        match self.plain_or_raw(node)? {
            Ok(role) => Some(role),
            Err(text) => {
                let hint = match closest(text, names()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("a word stands for one of {}", names().join(", ")),
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
        if let Some(meaning) = self.words.known.get(text) {
            return meaning.clone();
        }
        if !self.words.lost {
            let hint = self.meant(text);
            self.found.push(unknown(node, text, hint));
        }
        None
    }

    /// A role by its own name or as `!raw`, or the text that is neither.
    fn plain_or_raw<'n>(&mut self, node: &'n Node<'_>) -> Option<Result<Role, &'n str>> {
        let raw = node.tag.as_deref() == Some("raw");
        let Value::Scalar { text, .. } = &node.value else {
            self.found.push(node.expected("`role`", "text"));
            return None;
        };
        if !raw {
            node.refuse_tag(&mut self.found);
            return Some(Role::known(text).ok_or(text));
        }
        if is_raw_role(text) {
            return Some(Ok(Role::from_api(text)));
        }
        self.found.push(
            Diagnostic::error(
                "bad-raw-role",
                format!("no account type is spelled `{}`", escape(text)),
            )
            .at(node.place)
            .label("not as the API spells them")
            .hint("after `!raw` stand capitals, digits and underscores, as in NEW_ROLE"),
        );
        None
    }

    fn meant(&self, text: &str) -> String {
        let words = self.words.known.keys().map(String::as_str);
        if let Some(meant) = closest(text, names().into_iter().chain(words.clone())) {
            return format!("did you mean `{meant}`?");
        }
        let known: Vec<&str> = names().into_iter().chain(words.take(10)).collect();
        let newer = if is_raw_role(text) { text } else { "NEW_ROLE" };
        format!("known are {}; a newer one is written `!raw {newer}`", known.join(", "))
    }
}

/// A role as the API spells names: a GraphQL enum value in capitals.
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
        .at(node.place)
        .label("unknown role")
        .hint(hint)
}
