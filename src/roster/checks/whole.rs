//! What belongs to the whole roster, and so to its first file.

use super::super::raw::APPROVAL;
use super::super::{Approval, Pattern};
use super::{Reader, bad_address};
use crate::action::BudgetName;
use crate::diagnostic::{Diagnostic, Place};
use crate::email::{Email, EmailError};
use crate::escape::escape;
use crate::yaml::{Fields, Node};

impl Reader<'_> {
    pub(super) fn patterns(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.optional("unmanaged", &mut self.found) else { return };
        for item in node.items("`unmanaged`", &mut self.found).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            let Some(text) = item.text("a pattern", &mut self.found) else { continue };
            let why = match Pattern::parse(text, item.place) {
                Ok(pattern) if !pattern.written.is_empty() => {
                    self.unmanaged.push(pattern);
                    continue;
                }
                Ok(_) => "it is empty",
                Err(error) => error.msg,
            };
            self.found.push(
                Diagnostic::error(
                    "bad-pattern",
                    format!("`{}` is not a pattern: {why}", escape(text)),
                )
                .at(item.place)
                .label("not a pattern")
                .hint("write an address, or a glob such as *@paradime.io"),
            );
        }
    }

    pub(super) fn approvals(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.optional("approvals", &mut self.found) else { return };
        for item in node.items("`approvals`", &mut self.found).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            if let Some(approval) = self.approval(item) {
                self.approvals.push(approval);
            }
        }
    }

    fn approval(&mut self, node: &Node<'_>) -> Option<Approval> {
        let fields = Fields::of(node, "an approval", &APPROVAL, &mut self.found)?;
        let reason = self.words_of(&fields, "reason").map(str::to_owned);
        let mut actions = BudgetName::ALL
            .into_iter()
            .filter_map(|action| fields.place_of(action.key()).map(|place| (action, place)));
        let Some((action, _)) = actions.next() else {
            self.found.push(no_one_action("an approval names no action", fields.head()));
            return None;
        };
        if let Some((_, second)) = actions.next() {
            self.found.push(no_one_action("an approval names more than one action", second));
            return None;
        }
        let list = fields.optional(action.key(), &mut self.found)?;
        let items = list.items(&format!("`{}`", action.key()), &mut self.found)?;
        if items.is_empty() {
            self.found.push(
                Diagnostic::error("bad-approval", "an approval names nobody")
                    .at(list.place)
                    .label("nobody is listed")
                    .hint("list the people, or remove the approval"),
            );
        }
        let mut people = Vec::with_capacity(items.len());
        for item in items {
            if self.is_full() {
                break;
            }
            people.extend(self.person(item).map(|email| (email, item.place)));
        }
        Some(Approval { budget: action, people, reason })
    }

    /// An address that an approval names. It is one that the workspace shows, so it need not be
    /// ASCII.
    fn person(&mut self, node: &Node<'_>) -> Option<Email> {
        let text = node.text("an address", &mut self.found)?;
        match Email::parse(text) {
            Ok(email) => Some(email),
            Err(EmailError::NotAscii) if text.contains('@') => Some(Email::remote(text)),
            Err(error) => {
                self.found.push(bad_address(node, text, error));
                None
            }
        }
    }
}

fn no_one_action(message: &str, place: Place) -> Diagnostic {
    Diagnostic::error("bad-approval", message)
        .at(place)
        .label("one action each")
        .hint("write one of disable, demote, grant_admin or invite, with a list of people")
}
