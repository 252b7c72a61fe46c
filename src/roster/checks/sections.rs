//! Validates the sections of the first file: `unmanaged` and `approvals`.

use super::super::raw::APPROVAL;
use super::super::{Approval, Pattern, PatternError};
use super::{Validator, invalid_address};
use crate::action::BudgetName;
use crate::diagnostic::{Diagnostic, Place};
use crate::email::{Email, EmailError};
use crate::escape::escape;
use crate::yaml::{Fields, Node};

impl Validator<'_> {
    pub(super) fn patterns(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.optional("unmanaged", &mut self.found) else { return };
        for item in node.items("`unmanaged`", &mut self.found).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            let Some(text) = item.text("a pattern", &mut self.found) else { continue };
            match Pattern::parse(text, item.place) {
                Ok(pattern) => self.unmanaged.push(pattern),
                Err(error) => self.found.push(invalid_pattern(item, text, &error)),
            }
        }
    }

    pub(super) fn approvals(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.optional("approvals", &mut self.found) else { return };
        for item in node.items("`approvals`", &mut self.found).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            let approval = self.approval(item);
            self.approvals.extend(approval);
        }
    }

    fn approval(&mut self, node: &Node<'_>) -> Option<Approval> {
        let fields = Fields::of(node, "an approval", &APPROVAL, &mut self.found)?;
        let reason = self.optional_text(&fields, "reason").map(str::to_owned);
        let actions: Vec<(BudgetName, Place)> = BudgetName::ALL
            .into_iter()
            .filter_map(|action| fields.place_of(action.key()).map(|place| (action, place)))
            .collect();
        let [(action, _)] = actions[..] else {
            let (count, place) = match actions.get(1) {
                Some((_, second)) => ("more than one", *second),
                None => ("no", fields.head()),
            };
            self.found.push(
                Diagnostic::error("bad-approval", format!("the approval has {count} action"))
                    .at(place)
                    .label("expected exactly one action")
                    .hint("write one of disable, demote, grant_admin or invite, with addresses"),
            );
            return None;
        };
        let list = fields.optional(action.key(), &mut self.found)?;
        let items = list.items(&format!("`{}`", action.key()), &mut self.found)?;
        if items.is_empty() {
            self.found.push(
                Diagnostic::error("bad-approval", "the approval has no addresses")
                    .at(list.place)
                    .label("empty list")
                    .hint("list the addresses, or remove the approval"),
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

    /// An address of an approval, verbatim: it spells one from the workspace, which may not be
    /// valid in a roster.
    fn person(&mut self, node: &Node<'_>) -> Option<Email> {
        let text = node.text("an address", &mut self.found)?;
        match Email::parse(text) {
            Err(error) if !text.contains('@') => {
                self.found.push(invalid_address(node, text, error));
                None
            }
            _ => Some(Email::remote(text)),
        }
    }
}

fn invalid_pattern(node: &Node<'_>, text: &str, error: &PatternError) -> Diagnostic {
    let domain = text.trim_ascii().trim_start_matches('@');
    let of_domain = format!("*@{domain}");
    let hint = match error {
        PatternError::Invisible(_) => "remove the invisible character, or write `?` for it".into(),
        PatternError::Address(EmailError::NoAt | EmailError::NoLocalPart)
            if Pattern::parse(&of_domain, node.place).is_ok() =>
        {
            format!("write `{}` for every address of the domain", escape(&of_domain))
        }
        _ => "write an address, or a glob such as *@paradime.io".into(),
    };
    Diagnostic::error("bad-pattern", format!("`{}` is not a valid pattern: {error}", escape(text)))
        .at(node.place)
        .label("can match no account")
        .hint(hint)
}
