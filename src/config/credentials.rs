//! `credentials:` of a workspace: where its secrets are.

use super::checks::Validator;
use super::literal::secret_in_file;
use super::{CredentialSource, SecretSource, schema};
use crate::diagnostic::Diagnostic;
use crate::yaml::{Fields, Node, Value};

impl Validator<'_> {
    pub(super) fn credentials(&mut self, node: &Node<'_>) -> Option<CredentialSource> {
        let fields = self.mapping(node, "`credentials`", &schema::credentials())?;
        let api_key = fields.get("api_key").map(|node| self.secret(node, "api_key"));
        let api_secret = fields.require("api_secret", &mut self.found);
        let api_secret = api_secret.and_then(|node| self.secret(node, "api_secret"));
        let api_key = api_key.map_or(Some(None), |key| key.map(Some))?;
        Some(CredentialSource { api_key, api_secret: api_secret? })
    }

    /// A reference to a secret. A literal secret is an error, and is not shown.
    pub(super) fn secret(&mut self, node: &Node<'_>, key: &str) -> Option<SecretSource> {
        let literal = |node: &Node<'_>, key: &str| {
            secret_in_file(node.place, format!("`{key}` seems to contain the secret itself"))
        };
        if let Value::Scalar { .. } = node.value {
            self.found.push(literal(node, key));
            return None;
        }
        let fields = Fields::of(node, &format!("`{key}`"), &["env", "file"], &mut self.found)?;
        match (fields.get("env"), fields.get("file")) {
            (Some(node), None) => {
                let name = node.text("`env`", &mut self.found)?;
                if !is_variable(name) {
                    self.found.push(literal(node, "env"));
                    return None;
                }
                Some(SecretSource::Env(name.to_owned()))
            }
            (None, Some(node)) => {
                let written = node.text("`file`", &mut self.found)?;
                if written.contains(char::is_control) {
                    self.found.push(literal(node, "file"));
                    return None;
                }
                let path = match self.expanded(node, "`file`") {
                    Some(path) => path,
                    None if self.request.offline => written.to_owned(),
                    None => return None,
                };
                Some(SecretSource::File(self.base().join(path)))
            }
            _ => {
                Diagnostic::error("bad-secret", format!("`{key}` needs exactly one source"))
                    .at(node.place)
                    .hint("write { env: NAME } or { file: PATH }")
                    .redacted()
                    .emit(&mut self.found);
                None
            }
        }
    }
}

/// Whether this looks like the name of a variable. A lower-case name with digits is more likely a
/// key.
fn is_variable(name: &str) -> bool {
    let every = |good: fn(&u8) -> bool| name.bytes().all(|byte| good(&byte) || byte == b'_');
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && (every(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            || every(u8::is_ascii_lowercase))
}
