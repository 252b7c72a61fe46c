//! Reports secrets that were written into the file.

use std::collections::HashSet;

use crate::diagnostic::{Diagnostic, Place};
use crate::yaml::redact::TOKEN_PREFIX;
use crate::yaml::{Node, Value};

/// Reports every token in the document. A path may contain the name of one.
pub(super) fn tokens(node: &Node<'_>, out: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => {
            if is_token(text) {
                out.push(secret_in_file(node.place, "the file contains a token"));
            }
        }
        Value::Seq(items) => items.iter().for_each(|item| tokens(item, out)),
        Value::Map(entries) => {
            for (key, node) in entries {
                if is_token(&key.text) {
                    out.push(secret_in_file(key.place, "the file contains a token"));
                }
                let is_path = matches!(&node.value, Value::Scalar { text, .. }
                    if key.text == "file" && text.contains('/'));
                if !is_path {
                    tokens(node, out);
                }
            }
        }
    }
}

fn is_token(text: &str) -> bool {
    let kinds = ["prdm_wsp_", "prdm_cmp_"];
    text.trim_start().starts_with(TOKEN_PREFIX) || kinds.iter().any(|kind| text.contains(kind))
}

/// The error for a literal secret.
pub(super) fn secret_in_file(place: Place, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("secret-in-file", message)
        .at(place)
        .hint("write { env: NAME } or { file: PATH }; replace the secret if it has been committed")
        .redacted()
}

/// Keeps one diagnostic for each literal secret, and drops the others at its place.
pub(super) fn only_the_secret(found: &mut Vec<Diagnostic>) {
    let is_secret = |problem: &Diagnostic| problem.code == "secret-in-file";
    let secrets: HashSet<Option<Place>> =
        found.iter().filter(|problem| is_secret(problem)).map(|problem| problem.place).collect();
    let mut reported = HashSet::new();
    found.retain(|problem| match problem.code {
        "secret-in-file" => reported.insert(problem.place),
        "missing-key" => true,
        _ => !secrets.contains(&problem.place),
    });
}
