//! Validates the sections of the first file: `unmanaged` and `approvals`.

use super::super::raw::APPROVAL;
use super::super::{Approval, ApprovalState, Pattern, PatternError};
use super::{Validator, invalid_address};
use crate::action::{ApprovalItem, BudgetName};
use crate::diagnostic::{Diagnostic, Place};
use crate::email::{Email, EmailError};
use crate::escape::escape;
use crate::yaml::{Fields, Node};

/// Maximum number of patterns that are compared with every address.
pub const MAX_PATTERNS: usize = 1_000;

impl Validator<'_> {
    pub(super) fn patterns(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.optional("unmanaged", &mut self.found) else { return };
        let mut globs = 0;
        for item in node.items("`unmanaged`", &mut self.found).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            let Some(text) = item.text("a pattern", &mut self.found) else { continue };
            match Pattern::parse(text, item.place) {
                Ok(pattern) => {
                    globs += usize::from(pattern.is_slow());
                    if globs > MAX_PATTERNS {
                        self.found.push(too_many_patterns(item));
                        break;
                    }
                    self.unmanaged.push(pattern);
                }
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
            self.approval(item);
        }
    }

    fn approval(&mut self, node: &Node<'_>) -> Option<()> {
        let fields = Fields::of(node, "an approval", &APPROVAL, &mut self.found)?;
        let reason = self.text(&fields, "reason").unwrap_or_default().trim().to_owned();
        let actions: Vec<(BudgetName, Place)> = BudgetName::ACTIONS
            .into_iter()
            .filter_map(|action| fields.place_of(action.key()).map(|place| (action, place)))
            .collect();
        let [(action, _)] = actions[..] else {
            let (count, place) = match actions.get(1) {
                Some((_, second)) => ("more than one", *second),
                None => ("no", fields.head()),
            };
            Diagnostic::error("bad-approval", format!("the approval has {count} action"))
                .marked(place, "expected exactly one action")
                .hint("write one of disable, demote, grant_admin or invite, with addresses")
                .emit(&mut self.found);
            return None;
        };
        let list = fields.optional(action.key(), &mut self.found)?;
        let items = list.items(&format!("`{}`", action.key()), &mut self.found)?;
        if items.is_empty() {
            Diagnostic::error("bad-approval", "the approval has no addresses")
                .marked(list.place, "empty list")
                .hint("list the addresses, or remove the approval")
                .emit(&mut self.found);
        }
        for item in items {
            if self.is_full() {
                break;
            }
            let Some(email) = self.person(item) else { continue };
            let (place, state) = (item.place, ApprovalState::default());
            let item = ApprovalItem { action, email, reason: reason.clone() };
            self.approvals.push(Approval { item, place, state });
        }
        Some(())
    }

    /// An address of an approval, verbatim: it may be one from the workspace that is not valid in
    /// a roster, and spells it exactly.
    fn person(&mut self, node: &Node<'_>) -> Option<Email> {
        let text = node.text("an address", &mut self.found)?;
        match Email::parse(text) {
            Err(error) if !text.contains('@') || error == EmailError::TooLong => {
                self.found.push(invalid_address(node, text, error));
                None
            }
            Ok(_) | Err(_) => Some(Email::remote(text)),
        }
    }
}

fn too_many_patterns(node: &Node<'_>) -> Diagnostic {
    let message = format!("more than {MAX_PATTERNS} patterns that are not `*@` and a domain");
    Diagnostic::error("too-many-patterns", message)
        .marked(node.place, "limit exceeded here")
        .hint("write addresses, or whole domains such as *@paradime.io: they have no limit")
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
        .marked(node.place, "can match no account")
        .hint(hint)
}
