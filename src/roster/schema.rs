//! The JSON Schema of the roster, for editors.

use serde_json::{Value, json};

use crate::action::BudgetName;
use crate::role::Role;

/// JSON Schema, draft 2020-12. It describes the structure. `rosterd check` also finds problems
/// across entries, such as duplicates and dates in the wrong order.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rosterd roster",
        "description": "Who has access to a workspace, and with which role.",
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "users"],
        "properties": {
            "version": { "const": 1, "description": "The version of this format." },
            "roles": {
                "description": "Aliases for account types.",
                "type": "object",
                "additionalProperties": role(),
            },
            "users": {
                "description": "The members. May be empty.",
                "type": "array",
                "items": member(),
            },
            "unmanaged": {
                "description": "Addresses that rosterd ignores: exact, or globs with * and ?.",
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
            },
            "approvals": {
                "description": "Approves held changes, by action and address.",
                "type": "array",
                "items": approval(),
            },
        },
    })
}

fn member() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["email", "role"],
        "properties": {
            "email": address("The address of the member, in ASCII. Case does not matter."),
            "role": role(),
            "name": {
                "type": "string",
                "description": "For readers. Never written to the workspace.",
            },
            "aliases": {
                "description": "Other addresses of the same person.",
                "type": "array",
                "items": address("An address."),
            },
            "starts": date("The first day of access, or the time at which it starts."),
            "expires": date("The last day of access, or the time at which it ends."),
            "elevate": {
                "description": "A temporary higher role.",
                "type": "object",
                "additionalProperties": false,
                "required": ["role", "until"],
                "properties": {
                    "role": role(),
                    "until": date("The last day of the elevation, or the time at which it ends."),
                    "reason": { "type": "string", "description": "For readers." },
                },
            },
        },
    })
}

fn approval() -> Value {
    let actions = BudgetName::ACTIONS.map(BudgetName::key);
    let mut properties = serde_json::Map::new();
    for action in actions {
        // An address from the workspace, which may be non-ASCII.
        let address = json!({ "type": "string", "description": "An address.", "pattern": "@" });
        let list = json!({ "type": "array", "items": address, "minItems": 1 });
        properties.insert(action.into(), list);
    }
    properties.insert(
        "reason".into(),
        json!({
            "type": "string", "description": "Why. Without one, the approval does not count.",
        }),
    );
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "oneOf": actions.map(|action| json!({ "required": [action] })),
    })
}

fn role() -> Value {
    let known = Role::KNOWN.each_ref().map(Role::as_str);
    json!({
        "description": "An account type, an alias from `roles`, or `!raw NEW_ROLE`.",
        "anyOf": [{ "enum": known }, { "type": "string", "minLength": 1 }],
    })
}

/// An address of a member: printable ASCII with one `@`, and a domain with a dot.
fn address(description: &str) -> Value {
    let pattern = r"^\s*[!-?A-~]+@[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)+\s*$";
    json!({ "type": "string", "description": description, "pattern": pattern })
}

fn date(description: &str) -> Value {
    json!({
        "type": "string",
        "description": description,
        "pattern": "^\\d{4}-\\d{2}-\\d{2}([Tt ].+)?$",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::raw::{APPROVAL, ELEVATION, FILE, MEMBER};

    #[test]
    fn the_schema_has_exactly_the_known_keys() {
        let schema = schema();
        let member = &schema["properties"]["users"]["items"];
        for (node, known) in [
            (&schema, &FILE[..]),
            (member, &MEMBER),
            (&member["properties"]["elevate"], &ELEVATION),
            (&schema["properties"]["approvals"]["items"], &APPROVAL),
        ] {
            let mut keys: Vec<&str> =
                node["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            let mut known = known.to_vec();
            keys.sort_unstable();
            known.sort_unstable();
            assert_eq!(keys, known);
        }
    }
}
