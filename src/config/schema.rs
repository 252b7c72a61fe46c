//! The JSON Schema of `rosterd.yaml`: for editors, and the one list of the known keys.

use serde_json::{Value, json};

use crate::client;
use crate::guard::{BudgetName, Limits};
use crate::notice::Kind;
use crate::{reconcile, size, source};

const ONLY_THESE: &str = "Only these; default: all.";

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
            "schedule": schedule(),
            "watch": watch(),
            "store": not_shown(
                text("The ledger: sqlite:///PATH.", "sqlite:///var/lib/rosterd/ledger.db"),
            ),
            "listen": text(
                "Address of the web UI, API and metrics; not set, there are none.",
                "127.0.0.1:9464",
            ),
            "web": web(),
            "hooks": hooks(),
            "public_url": not_shown(
                described("URL of the web UI, for links in notifications."),
            ),
            "notify": { "type": "array", "items": notify_target() },
            "safe_directories": list(
                &json!({ "type": "string" }),
                "Git work trees of other users whose commits count for approvals.",
            ),
            "retention": duration("How long the ledger keeps entries.", "400d"),
            "defaults": defaults(),
            "workspaces": { "type": "array", "minItems": 1, "items": workspace() },
        },
        "anyOf": [
            { "required": ["defaults"] },
            { "properties": { "workspaces": { "items": complete() } } },
        ],
    })
}

/// A workspace that has every required key itself.
fn complete() -> Value {
    json!({
        "required": ["endpoint", "credentials", "users"],
        "properties": { "credentials": { "required": ["api_secret"] } },
    })
}

/// The keys of a section.
pub(super) fn keys(section: &Value) -> Vec<&str> {
    let properties = section["properties"].as_object();
    properties.into_iter().flat_map(serde_json::Map::keys).map(String::as_str).collect()
}

pub(super) fn schedule() -> Value {
    Section("When scheduled runs start.").of(json!({
        "cron": text("Five fields, Unix weekdays, or @daily and the like.", "*/15 * * * *"),
        "timezone": text("Time zone of the schedule.", "UTC"),
        "jitter": duration("Maximum random delay of a run.", "30s"),
    }))
}

pub(super) fn watch() -> Value {
    Section("How changes of the files are detected.").of(json!({
        "debounce": duration("How long files must be unchanged before a run.", "1s"),
        "poll": duration("How often contents are compared, in case events are missing.", "30s"),
        "in_place": duration(
            "How long a roster that was written in place must be unchanged. 0s is off.",
            "5s",
        ),
    }))
}

pub(super) fn web() -> Value {
    Section("Access to the web UI and the API.").of(json!({
        "token": secret("Grants reading everything and requesting runs."),
        "anonymous": {
            "type": "boolean",
            "description": "Reading needs no token. Not set, only loopback needs none.",
        },
    }))
}

pub(super) fn workspace() -> Value {
    let mut schema = defaults();
    schema["description"] = json!("One workspace and its roster.");
    schema["properties"]["name"] =
        described("Name of the workspace: letters, digits, dots, dashes, underscores.");
    schema["properties"]["formerly"] =
        described("Its former name, whose history the ledger carries over.");
    schema["required"] = json!(["name"]);
    schema
}

pub(super) fn defaults() -> Value {
    Section("Settings of all workspaces. A workspace overrides them key by key.").of(json!({
        "endpoint": not_shown(described(
            "The https URL of the API; ${NAME} is a variable of the environment.",
        )),
        "credentials": credentials(),
        "workspace_uid": nullable("Required with a company token."),
        "users": {
            "description": "The roster: a file, a folder, or a list of them with globs; or \
                files on a git server.",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "minItems": 1, "items": { "type": "string" } },
                git(),
            ],
        },
        "repo_url": not_shown(described(
            "Template of the page of a line of the roster, with {commit}, {file} and {line}.",
        )),
        "timezone": text("Time zone of dates in the roster.", "UTC"),
        "on_removed": {
            "enum": ["disable", "report"],
            "default": "disable",
            "description": "What happens to accounts that are not in the roster.",
        },
        "suspend": {
            "type": "boolean", "default": false, "description": "Hold every change.",
        },
        "guard": guard(),
        "policy": policy(),
        "http": http(),
        "limits": limits(),
    }))
}

pub(super) fn git() -> Value {
    let mut schema = Section("Files of a git repository, fetched over HTTPS.").of(json!({
        "git": not_shown(described("The https URL of the repository; file:///PATH is local.")),
        "ref": text("HEAD, a branch, a tag, or a name that begins with refs/.", "HEAD"),
        "path": {
            "description": "A file or folder in the repository, or a list of them with globs.",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "minItems": 1, "items": { "type": "string" } },
            ],
        },
        "username": described("Needed only where the token does not say whose it is."),
        "token": secret("A token or password that may read the repository."),
        "ca_file": nullable("PEM file of a private certificate authority."),
        "poll": duration("How often the repository is fetched without a reason.", "1m"),
        "webhook_secret": secret("The secret of the webhook, or GitLab's token."),
        "verify": verify(),
    }));
    schema["required"] = json!(["git", "path"]);
    schema
}

pub(super) fn verify() -> Value {
    let mut schema = Section("Who must have signed a change of the roster.").of(json!({
        "ssh_signers": described("File of allowed signers, as ssh-keygen reads it."),
    }));
    schema["required"] = json!(["ssh_signers"]);
    schema
}

pub(super) fn hooks() -> Value {
    Section("Webhooks of git servers, at /hooks/git/WORKSPACE.").of(json!({
        "listen": described("Their address, such as 0.0.0.0:9465."),
    }))
}

pub(super) fn credentials() -> Value {
    Section("Where the secrets are; never the secrets themselves.").of(json!({
        "api_key": secret("Not needed with a token."),
        "api_secret": secret("A value that begins with prdm_ is a bearer token."),
    }))
}

pub(super) fn notify_target() -> Value {
    let mut schema = Section("A webhook that receives notifications.").of(json!({
        "url": not_shown(json!({
            "description": "The https URL of the webhook, or where it is, if it is secret.",
            "oneOf": [{ "type": "string" }, secret("Where the URL is.")],
        })),
        "format": { "enum": ["json", "slack"], "default": "json" },
        "secret": secret("Key that signs notifications."),
        "events": list(&json!({ "enum": Kind::ALL.map(Kind::as_str) }), ONLY_THESE),
        "workspaces": list(&json!({ "type": "string" }), ONLY_THESE),
        "expiring": duration("How long before access ends a notification is sent.", "14d"),
    }));
    schema["required"] = json!(["url"]);
    schema
}

pub(super) fn guard() -> Value {
    let limits = Limits::default();
    let mut budgets = serde_json::Map::new();
    for name in BudgetName::ALL {
        let Some(budget) = limits.budgets.get(&name) else { continue };
        let window = format!("{}h", budget.window.as_hours());
        let about =
            "At most the larger of floor and percent of the accounts, and never more than max.";
        let budget = Section(about).of(json!({
            "percent": {
                "type": "integer", "minimum": 0, "maximum": 100, "default": budget.percent,
            },
            "floor": { "type": "integer", "minimum": 0, "default": budget.floor },
            "max": { "type": "integer", "minimum": 0, "default": budget.max },
            "window": duration("Time window of the budget.", &window),
        }));
        budgets.insert(name.key().into(), budget);
    }
    Section("The safety rules.").of(json!({
        "min_admins": {
            "type": "integer", "minimum": 0, "default": limits.min_admins,
            "description": "Minimum number of admins.",
        },
        "required_admins": list(
            &json!({ "type": "string" }),
            "Email addresses that stay ADMIN whatever the roster says.",
        ),
        "approvals": {
            "enum": ["git", "file"],
            "default": "git",
            "description": "Outside a git work tree, `file` lets approvals count as the file \
                has them. In one, they count once they are committed.",
        },
        "budgets": Section("Maximum number of changes of a kind.").of(budgets.into()),
    }))
}

pub(super) fn policy() -> Value {
    let domains = |description| list(&json!({ "type": "string", "minLength": 1 }), description);
    Section("Which addresses the roster may have, aliases included.").of(json!({
        "domains": domains(
            "acme.io, or *.acme.io for its subdomains. Empty allows every domain.",
        ),
        "guests": domains("Other domains, whose members need `expires`."),
    }))
}

pub(super) fn http() -> Value {
    Section("Connection to the API.").of(json!({
        "timeout": duration("Timeout of one request.", "60s"),
        "concurrency": {
            "type": "integer", "minimum": 1, "maximum": 64, "default": 4,
            "description": "Maximum number of requests in flight.",
        },
        "batch": {
            "type": "integer", "minimum": 1, "maximum": 1000, "default": 25,
            "description": "Maximum number of changes in one request.",
        },
        "rate": text("Maximum request rate: 10/s, 600/m, or off.", "10/s"),
        "ca_file": nullable("PEM file of a private certificate authority."),
    }))
}

pub(super) fn limits() -> Value {
    Section("Maximum sizes of what is read and planned.").of(json!({
        "changes": {
            "type": "integer", "minimum": 1, "maximum": 1_000_000,
            "default": reconcile::MAX_CHANGES,
            "description": "Changes and findings of a plan.",
        },
        "roster": bytes("All files of the roster together.", source::MAX_BYTES),
        "response": bytes("A response of the API, decompressed.", client::MAX_RESPONSE),
    }))
}

/// An object of settings, by its description.
struct Section<'a>(&'a str);

impl Section<'_> {
    /// With these keys and no others.
    fn of(self, properties: Value) -> Value {
        let mut schema =
            json!({ "description": self.0, "type": "object", "additionalProperties": false });
        schema["properties"] = properties;
        schema
    }
}

fn nullable(description: &str) -> Value {
    json!({ "type": ["string", "null"], "description": description })
}

fn list(items: &Value, description: &str) -> Value {
    json!({ "type": "array", "items": items, "description": description })
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

fn bytes(description: &str, default: usize) -> Value {
    json!({
        "type": "string",
        "pattern": "^\\d+(KiB|MiB|GiB)$",
        "description": description,
        "default": size::shown(default),
    })
}

/// A value that is never shown: a secret by mistake, or a URL that may contain one.
fn not_shown(mut schema: Value) -> Value {
    schema["writeOnly"] = json!(true);
    schema
}

fn secret(description: &str) -> Value {
    let source = |key: &str, description: &str| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": [key],
            "properties": { key: described(description) },
        })
    };
    not_shown(json!({
        "description": description,
        "oneOf": [
            source("env", "Name of an environment variable."),
            source("file", "Path of a file, read at every run."),
        ],
    }))
}
