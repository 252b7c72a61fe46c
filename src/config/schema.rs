//! The JSON Schema of `rosterd.yaml`, for editors.

use serde_json::{Value, json};

use crate::guard::{BudgetName, Limits};
use crate::notice::Kind;

/// JSON Schema, draft 2020-12, with the defaults.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rosterd configuration",
        "description": "Which workspaces are kept equal to which rosters, when, and within \
            which limits.",
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "workspaces"],
        "properties": {
            "version": { "const": 1, "description": "The version of this format." },
            "schedule": section("When runs start by themselves.", &json!({
                "cron": text("Five fields, Unix weekdays, or @daily and the like.", "*/15 * * * *"),
                "timezone": text("The time zone of the schedule.", "UTC"),
                "jitter": duration("A run starts up to so much later.", "30s"),
            })),
            "watch": section("How changes of the files are noticed.", &json!({
                "debounce": duration(
                    "A change is acted on once the files are quiet for so long.",
                    "1s",
                ),
                "poll": duration("How often contents are compared where no events arrive.", "30s"),
            })),
            "store": text("The ledger: sqlite:///PATH.", "sqlite:///var/lib/rosterd/ledger.db"),
            "listen": text("Where the daemon shows itself, if it does.", "127.0.0.1:9464"),
            "web": section("Who may look at what is shown.", &json!({
                "token": secret("Whoever has it may read everything, and ask for runs."),
                "anonymous": {
                    "type": "boolean",
                    "description": "Reading needs no token; else it does, but on this machine.",
                },
            })),
            "notify": { "type": "array", "items": receiver() },
            "retention": duration("How long the ledger keeps what is over.", "400d"),
            "workspaces": { "type": "array", "minItems": 1, "items": workspace() },
        },
    })
}

fn workspace() -> Value {
    let mut schema = section(
        "One workspace and its roster.",
        &json!({
            "name": described("A name for people; letters, digits, dots, dashes, underscores."),
            "endpoint": described(
                "The https address of the API; ${NAME} refers to the environment.",
            ),
            "credentials": {
                "description": "Where the secrets are; never the secrets themselves.",
                "type": "object",
                "additionalProperties": false,
                "required": ["api_secret"],
                "properties": {
                    "api_key": secret("Not needed with a token."),
                    "api_secret": secret("A value that begins with prdm_ is a bearer token."),
                },
            },
            "workspace_uid": {
                "type": ["string", "null"],
                "description": "Needed with a company token.",
            },
            "users": {
                "description": "The roster: a file, a folder, or a list of them with globs.",
                "anyOf": [
                    { "type": "string" },
                    { "type": "array", "minItems": 1, "items": { "type": "string" } },
                ],
            },
            "timezone": text("A date in the roster is that day here.", "UTC"),
            "on_removed": {
                "enum": ["disable", "report"],
                "default": "disable",
                "description": "What happens to an account that no line of the roster names.",
            },
            "suspend": {
                "type": "boolean",
                "default": false,
                "description": "Hold every change.",
            },
            "guard": guard(),
            "http": http(),
        }),
    );
    schema["required"] = json!(["name", "endpoint", "credentials", "users"]);
    schema
}

fn receiver() -> Value {
    let mut schema = section(
        "Somebody who is told what happens.",
        &json!({
            "url": {
                "description": "The https address of a webhook; or where it is, if it is secret.",
                "oneOf": [{ "type": "string" }, secret("Where the address is.")],
            },
            "format": { "enum": ["json", "slack"], "default": "json" },
            "secret": secret("Signs what is sent."),
            "events": {
                "type": "array",
                "items": { "enum": Kind::ALL.map(Kind::as_str) },
                "description": "Only these; all where nothing is said.",
            },
            "workspaces": {
                "type": "array",
                "items": { "type": "string" },
                "description": "Only these; all where nothing is said.",
            },
            "expiring": duration("Ends of access are told so long before.", "14d"),
        }),
    );
    schema["required"] = json!(["url"]);
    schema
}

fn guard() -> Value {
    let limits = Limits::default();
    let mut budgets = serde_json::Map::new();
    for name in BudgetName::ALL {
        let Some(budget) = limits.budgets.get(&name) else { continue };
        let window = format!("{}h", budget.window.as_hours());
        budgets.insert(
            name.key().into(),
            section(
                "max(floor, percent of accounts).",
                &json!({
                    "percent": {
                        "type": "integer", "minimum": 0, "maximum": 100, "default": budget.percent,
                    },
                    "floor": { "type": "integer", "minimum": 0, "default": budget.floor },
                    "window": duration("Within so long.", &window),
                }),
            ),
        );
    }
    section(
        "The safety rules.",
        &json!({
            "min_admins": {
                "type": "integer", "minimum": 0, "default": limits.min_admins,
                "description": "At least so many admins stay.",
            },
            "required_admins": {
                "type": "array", "items": { "type": "string" },
                "description": "These stay ADMIN whatever the roster says.",
            },
            "budgets": section("How much of one kind may happen.", &Value::Object(budgets)),
        }),
    )
}

fn http() -> Value {
    section(
        "How the API is spoken to.",
        &json!({
            "timeout": duration("The deadline of one request.", "60s"),
            "concurrency": {
                "type": "integer", "minimum": 1, "maximum": 64, "default": 4,
                "description": "Requests in flight at once.",
            },
            "batch": {
                "type": "integer", "minimum": 1, "maximum": 1000, "default": 25,
                "description": "Changes in one request.",
            },
            "rate": text("Requests a second at most: 10/s, 600/m, or off.", "10/s"),
            "ca_file": {
                "type": ["string", "null"],
                "description": "A private certificate authority, PEM.",
            },
        }),
    )
}

fn section(description: &str, properties: &Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn described(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn text(description: &str, default: &str) -> Value {
    json!({ "type": "string", "description": description, "default": default })
}

fn duration(description: &str, default: &str) -> Value {
    json!({
        "type": "string",
        "pattern": "^\\d+(ms|s|m|h|d)$",
        "description": description,
        "default": default,
    })
}

fn secret(description: &str) -> Value {
    let place = |key: &str, description: &str| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": [key],
            "properties": { key: described(description) },
        })
    };
    json!({
        "description": description,
        "oneOf": [
            place("env", "The name of an environment variable."),
            place("file", "A file, read again at every run."),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;

    fn keys_of(node: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> =
            node["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_schema_has_exactly_the_keys_that_are_read() {
        let schema = schema();
        let top = &schema["properties"];
        let workspace = &top["workspaces"]["items"];
        let guard = &workspace["properties"]["guard"];
        let budgets = &guard["properties"]["budgets"];
        let credentials = &workspace["properties"]["credentials"];
        for (node, known) in [
            (&schema, &keys::FILE[..]),
            (&top["schedule"], &keys::SCHEDULE),
            (&top["watch"], &keys::WATCH),
            (&top["web"], &keys::WEB),
            (&top["notify"]["items"], &keys::NOTIFY),
            (workspace, &keys::WORKSPACE),
            (credentials, &keys::CREDENTIALS),
            (guard, &keys::GUARD),
            (budgets, &keys::BUDGETS),
            (&budgets["properties"]["disable"], &keys::BUDGET),
            (&workspace["properties"]["http"], &keys::HTTP),
        ] {
            let mut known = known.to_vec();
            known.sort_unstable();
            assert_eq!(keys_of(node), known);
        }
        let places = credentials["properties"]["api_secret"]["oneOf"].as_array().unwrap();
        assert_eq!([keys_of(&places[0]), keys_of(&places[1])].concat(), keys::SECRET);
    }
}
