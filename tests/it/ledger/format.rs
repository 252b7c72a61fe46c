//! A ledger that an earlier version wrote still opens, verifies, and folds to the same memory.
//!
//! `tests/fixtures/ledger/1.db` holds every kind of entry, every status of an attempt, and an
//! anchor; `1.json` is the memory that the version that wrote it had of each workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rosterd::ledger::{Ledger, Location};
use rosterd::memory::Memory;

const SCOPES: [&str; 2] = ["https://api.example.com|acme", "https://api.example.com|other"];

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger").join(name)
}

#[test]
fn a_ledger_of_an_earlier_version_opens_verifies_and_folds_to_the_same_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::copy(fixture("1.db"), &path).unwrap();
    let ledger = Ledger::at(Location::File(path));
    let verified = ledger.verify(None).unwrap();
    assert!(verified.dropped > 0 && verified.rows > 30, "{verified:?}");

    let text = std::fs::read_to_string(fixture("1.json")).unwrap();
    let expected: BTreeMap<String, Memory> = serde_json::from_str(&text).unwrap();
    for scope in SCOPES {
        let memory = ledger.read_state(scope).unwrap();
        let (found, wanted) = (comparable(&memory), comparable(&expected[scope]));
        assert!(found == wanted, "{scope}: {found:#}\nis not\n{wanted:#}");
        // What is written is what was read: the names on disk have not changed either.
        let again = serde_json::to_value(&memory).unwrap();
        let again: Memory = serde_json::from_value(again).unwrap();
        assert!(again == memory);
    }
    let before: serde_json::Value = serde_json::from_str(&text).unwrap();
    let after = serde_json::to_value(&expected).unwrap();
    let missing: Vec<String> = keys(&before).difference(&keys(&after)).cloned().collect();
    assert!(missing.is_empty(), "names under which an anchor keeps a memory: {missing:?}");

    let kinds: BTreeSet<&str> =
        ledger.entries().unwrap().iter().map(|(_, noted)| noted.entry.kind()).collect();
    let all = [
        "anchor",
        "approval_gone",
        "approval_used",
        "begun",
        "ends",
        "held",
        "intent",
        "outcome",
        "released",
        "roster",
        "run",
        "seen",
        "shown",
    ];
    assert_eq!(kinds, BTreeSet::from(all));
    ledger.open(SCOPES[0], "2026-11-29T12:00:00Z".parse().unwrap()).unwrap();
}

/// A memory without what the earlier version did not keep: when an end of access was first seen.
fn comparable(memory: &Memory) -> serde_json::Value {
    fn sorted(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Array(list) => {
                list.iter_mut().for_each(sorted);
                list.sort_by_key(ToString::to_string);
            }
            serde_json::Value::Object(map) => map.values_mut().for_each(sorted),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(memory).unwrap();
    for end in value["ends"].as_array_mut().unwrap() {
        *end = end[0].take();
    }
    sorted(&mut value);
    value
}

/// Every key of every object, wherever it stands, but for those that are no longer read.
fn keys(value: &serde_json::Value) -> BTreeSet<String> {
    match value {
        serde_json::Value::Object(map) => {
            let read = || map.iter().filter(|(key, _)| *key != "first");
            read().map(|(key, _)| key.clone()).chain(read().flat_map(|(_, it)| keys(it))).collect()
        }
        serde_json::Value::Array(list) => list.iter().flat_map(keys).collect(),
        _ => BTreeSet::new(),
    }
}
