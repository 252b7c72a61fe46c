//! The tables of the documents: keys, variables, guards, metrics, events, alerts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rosterd::guard::{Budget, BudgetName, Guard, Limits};
use rosterd::metrics::Metrics;
use rosterd::notice::{Kind, Notice, json};
use serde_json::Value;

use super::{document, root, rows, stdout};

fn schema(name: &str) -> Value {
    serde_json::from_str(&document(&format!("config/{name}.schema.json"))).unwrap()
}

/// The keys below a schema with dots between them; a list, a secret, the budgets and the defaults
/// are one key.
fn keys(schema: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, schema) in properties {
        let key = format!("{prefix}{name}");
        if schema["properties"].is_object() && !["budgets", "defaults"].contains(&&**name) {
            keys(schema, &format!("{key}."), found);
        } else {
            found.insert(key);
        }
    }
}

fn keys_of(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    keys(schema, "", &mut found);
    found
}

/// The first cells of the table below a heading, up to the next heading.
fn table(page: &str, heading: &str) -> BTreeSet<String> {
    let text = document(page);
    let section = text.split(&format!("{heading}\n")).nth(1).unwrap();
    let section = section.split("\n#").next().unwrap();
    rows(section).map(str::to_owned).collect()
}

#[test]
fn the_configuration_page_has_every_key() {
    let schema = schema("rosterd");
    let page = "docs/configuration.md";
    assert_eq!(table(page, "## Top-level keys"), keys_of(&schema));
    let workspace = &schema["properties"]["workspaces"]["items"];
    assert_eq!(table(page, "## A workspace"), keys_of(workspace));
    let git = &workspace["properties"]["users"]["anyOf"][2];
    assert_eq!(table(page, "## A roster on a git server"), keys_of(git));
    let receiver = keys_of(&schema["properties"]["notify"]["items"]);
    let events = Kind::ALL.map(|kind| kind.as_str().to_owned());
    let all: BTreeSet<String> = receiver.into_iter().chain(events).collect();
    assert_eq!(table("docs/monitoring.md", "## Notifications"), all);
}

#[test]
fn the_roster_page_has_every_key() {
    let schema = schema("users");
    let mut all = keys_of(&schema);
    let text = schema.to_string();
    for key in ["email", "role", "name", "aliases", "starts", "expires", "elevate"] {
        assert!(text.contains(&format!("\"{key}\"")), "the schema has no {key}");
        all.insert(key.to_owned());
    }
    assert_eq!(table("docs/roster.md", "## Keys"), all);
}

#[test]
fn the_configuration_page_has_every_environment_variable() {
    let documented = table("docs/configuration.md", "## Environment variables");
    let mut source = String::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                source += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    for word in source.split('"').filter(|word| word.chars().all(is_name)) {
        let ours = word.starts_with("ROSTERD_") || word.starts_with("PARADIME_");
        assert!(!ours || documented.contains(word), "{word} is not documented");
    }
    let page = stdout(&["man"]);
    for name in &documented {
        assert!(source.contains(name.as_str()), "{name} is not in src");
        assert!(page.contains(&format!("\\fB{name}\\fR")), "{name} is not in the manual page");
    }
    for section in ["EXIT STATUS", "FILES", "EXAMPLES"] {
        assert!(
            page.contains(&format!(".SH \"{section}\""))
                || page.contains(&format!(".SH {section}"))
        );
    }
}

#[test]
fn the_guards_page_has_every_guard_and_the_default_budgets() {
    let mut guards: BTreeSet<String> = [
        Guard::Suspend,
        Guard::EmptyRoster,
        Guard::MinAdmins,
        Guard::RequiredAdmins,
        Guard::Rename,
        Guard::Lookalike,
        Guard::Policy,
        Guard::Vanished,
        Guard::Clock,
    ]
    .map(|guard| guard.to_string())
    .into();
    guards.extend(BudgetName::ALL.map(|name| Guard::Budget(name).to_string()));
    assert_eq!(table("docs/guards.md", "## Guards"), guards);
    let text = document("docs/guards.md");
    for (name, budget) in Limits::default().budgets {
        let Budget { percent, floor, max, window } = budget;
        let (key, hours) = (name.key(), window.as_hours());
        let row = format!("| `{key}` | {percent} | {floor} | {max} | {hours}h |");
        assert!(text.contains(&row), "docs/guards.md lacks {row}");
    }
}

#[test]
fn the_monitoring_page_has_every_metric_with_its_type() {
    let metrics = Metrics::new(Timestamp::UNIX_EPOCH);
    metrics.set_workspaces(["acme"], Timestamp::UNIX_EPOCH);
    let exposed = metrics.text(Timestamp::UNIX_EPOCH);
    let types = exposed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<&str, &str> = types.collect();
    assert!(types.len() >= 10, "{exposed}");
    let documented = table("docs/monitoring.md", "## Metrics");
    let text = document("docs/monitoring.md");
    for (name, kind) in types {
        let row = format!("| `{name}` | {kind} |");
        assert!(documented.contains(name) && text.contains(&row), "no row {row}");
    }
}

#[test]
fn the_monitoring_page_has_every_field_of_a_notification() {
    let schema = schemars::schema_for!(Notice).to_value();
    let mut fields = BTreeSet::from(["version".to_owned()]);
    for (name, of) in [
        ("", &schema),
        ("commit.", &schema["$defs"]["Commit"]),
        ("people.", &schema["$defs"]["Person"]),
    ] {
        let keys = of["properties"].as_object().unwrap().keys();
        fields.extend(keys.map(|key| format!("{name}{key}")));
    }
    assert_eq!(table("docs/monitoring.md", "### The JSON of a notification"), fields);
    let test = json::body(&Notice::test(Timestamp::UNIX_EPOCH));
    let test: Value = serde_json::from_str(&test).unwrap();
    assert_eq!((&test["version"], &test["event"]), (&1.into(), &"test".into()));
    assert!(test.as_object().unwrap().keys().all(|key| fields.contains(key)), "{test}");
}

#[test]
fn the_monitoring_page_has_every_alert() {
    let rules = document("deploy/prometheus/alerts.yaml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<String> = alerts.map(str::to_owned).collect();
    assert_eq!(table("docs/monitoring.md", "## Alerts"), alerts);
}
