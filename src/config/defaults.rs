//! `defaults:`: settings of all workspaces. A workspace overrides them key by key.

use std::time::Duration;

use super::checks::Validator;
use super::schema;
use crate::yaml::{Entry, Fields, Node, Value};

/// Problems that a workspace may have but its defaults alone may not: it adds the rest.
const ONLY_OF_A_WORKSPACE: [&str; 2] = ["missing-key", "floor-above-max"];

impl Validator<'_> {
    /// The known keys of `defaults`. Its problems are reported here, because every workspace may
    /// override the value, and a second time where it is used: equal problems are shown once.
    pub(super) fn defaults<'t>(
        &mut self,
        fields: &Fields<'_, 't>,
        retention: Duration,
    ) -> Option<Node<'t>> {
        let mut defaults = fields.get("defaults")?.clone();
        let schema = schema::defaults();
        self.mapping(&defaults, "`defaults`", &schema)?;
        if let Value::Map(entries) = &mut defaults.value {
            entries.retain(|(key, _)| schema::keys(&schema).contains(&&*key.text));
        }
        let mut found = std::mem::take(&mut self.found);
        self.workspace(&defaults, None, retention);
        self.found.retain(|problem| !ONLY_OF_A_WORKSPACE.contains(&problem.code));
        found.append(&mut self.found);
        self.found = found;
        Some(defaults)
    }
}

/// A value and its defaults: mappings are merged, anything else replaces the default. A mapping
/// without a value, such as an empty `guard:`, keeps its defaults.
pub(super) fn merged<'t>(node: &Node<'t>, defaults: &Node<'t>) -> Node<'t> {
    let Value::Map(default_entries) = &defaults.value else { return node.clone() };
    let entries = match &node.value {
        Value::Null => return defaults.clone(),
        Value::Map(entries) if !is_secret(entries) => entries,
        _ => return node.clone(),
    };
    let default = |name: &str| default_entries.iter().find(|(key, _)| key.text == name);
    let own = entries.iter().map(|(key, value)| {
        let value = default(&key.text).map_or_else(|| value.clone(), |it| merged(value, &it.1));
        (key.clone(), value)
    });
    let is_missing = |name: &str| entries.iter().all(|(key, _)| key.text != name);
    let added = default_entries.iter().filter(|(key, _)| is_missing(&key.text)).cloned();
    Node { value: Value::Map(own.chain(added).collect()), ..node.clone() }
}

/// Whether this names a secret, which is one value: `{ env: NAME }` replaces `{ file: PATH }`.
fn is_secret(entries: &[Entry<'_>]) -> bool {
    !entries.is_empty() && entries.iter().all(|(key, _)| ["env", "file"].contains(&&*key.text))
}
