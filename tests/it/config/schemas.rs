//! The committed schemas and the examples beside them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rosterd::config::{Request, load, schema};
use rosterd::reconcile;
use serde_json::Value;

use super::{drawn, env};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

#[test]
fn the_committed_schemas_are_the_ones_that_are_printed() {
    assert_eq!(read("rosterd.schema.json"), format!("{:#}\n", schema()));
    assert_eq!(read("openapi.json"), rosterd::web::openapi::document());
    assert_eq!(read("users.schema.json"), format!("{:#}\n", rosterd::roster::schema::schema()));
}

#[test]
fn the_examples_load_without_warnings() {
    let loaded = load(&Request::default(), &env, Path::new(env!("CARGO_MANIFEST_DIR")));
    let loaded = loaded.unwrap_or_else(|invalid| panic!("{}", drawn(&invalid)));
    assert_eq!(loaded.config.path.as_deref(), Some(Path::new("./config/rosterd.yaml")));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let now: Timestamp = "2026-11-25T10:00:00Z".parse().unwrap();
    let roster = reconcile::load(&loaded.config.workspaces[0].target, now).unwrap();
    assert!(roster.warnings.is_empty(), "{:?}", roster.warnings);
}

#[test]
fn the_examples_satisfy_the_schemas() {
    for (example, schema) in
        [("rosterd.yaml", "rosterd.schema.json"), ("users.yaml", "users.schema.json")]
    {
        let schema: Value = serde_json::from_str(&read(schema)).unwrap();
        let example: Value = serde_yaml::from_str(&read(example)).unwrap();
        let mut wrong = Vec::new();
        check(&example, &schema, "", &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");

        let mut broken = example.clone();
        broken["no_such_key"] = true.into();
        broken.as_object_mut().unwrap().remove("version");
        check(&broken, &schema, "", &mut wrong);
        assert_eq!(wrong.len(), 2, "the check itself finds what is wrong: {wrong:?}");
    }
}

/// The part of JSON Schema that ours use, patterns left out.
fn check(value: &Value, schema: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(kinds) = schema.get("type") {
        let kinds = kinds.as_array().cloned().unwrap_or_else(|| vec![kinds.clone()]);
        if !kinds.iter().any(|kind| is_of(value, kind.as_str().unwrap())) {
            wrong.push(format!("{at}: not {kinds:?}"));
        }
    }
    if schema.get("const").is_some_and(|only| only != value) {
        wrong.push(format!("{at}: another value"));
    }
    if let Some(Value::Array(known)) = schema.get("enum")
        && !known.contains(value)
    {
        wrong.push(format!("{at}: none of {known:?}"));
    }
    let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
    if let Some(number) = value.as_i64()
        && (bound("minimum").is_some_and(|least| number < least)
            || bound("maximum").is_some_and(|most| number > most))
    {
        wrong.push(format!("{at}: out of bounds"));
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(Value::Array(forms)) = schema.get(choice) {
            let fits = |form: &&Value| {
                let mut found = Vec::new();
                check(value, form, at, &mut found);
                found.is_empty()
            };
            if !forms.iter().any(|form| fits(&form)) {
                wrong.push(format!("{at}: no form fits"));
            }
        }
    }
    check_inside(value, schema, at, wrong);
}

fn check_inside(value: &Value, schema: &Value, at: &str, wrong: &mut Vec<String>) {
    if let (Value::Array(items), Some(each)) = (value, schema.get("items")) {
        for item in items {
            check(item, each, &format!("{at}[]"), wrong);
        }
    }
    let Value::Object(fields) = value else { return };
    for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !fields.contains_key(key.as_str().unwrap()) {
            wrong.push(format!("{at}: {key} is missing"));
        }
    }
    for (key, field) in fields {
        let inside = format!("{at}.{key}");
        match schema.get("properties").and_then(|known| known.get(key)) {
            Some(known) => check(field, known, &inside, wrong),
            None => match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => wrong.push(format!("{inside}: unknown")),
                Some(rest) => check(field, rest, &inside, wrong),
                None => {}
            },
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schemas do not use {other}"),
    }
}
