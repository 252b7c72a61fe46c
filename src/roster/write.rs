//! Writes a canonical roster.

use serde_yaml::value::{Tag, TaggedValue};
use serde_yaml::{Mapping, Value};

use super::{Pattern, Unmanaged};
use crate::directory::Snapshot;
use crate::email::Email;
use crate::escape::escape;
use crate::role::Role;

/// The first line: editors find the schema by it.
const SCHEMA: &str = "# yaml-language-server: $schema=users.schema.json\n";

/// A roster that says what a workspace already is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub text: String,
    /// How many members it has.
    pub members: usize,
    /// What a person should know about it, a sentence each.
    pub notes: Vec<String>,
}

struct Entry<'a> {
    email: &'a Email,
    role: &'a Role,
    name: Option<&'a str>,
}

/// The roster from which a plan against this reading is empty. Accounts and pending invitations
/// become members; what `unmanaged` covers stays out, and the patterns stay in; an address that no
/// roster can hold becomes unmanaged.
pub fn import(snapshot: &Snapshot, unmanaged: &[Pattern]) -> Imported {
    let covered = Unmanaged::new(unmanaged.to_vec());
    let mut patterns: Vec<String> = unmanaged.iter().map(|it| it.written.clone()).collect();
    let mut notes = Vec::new();
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let accounts = snapshot.accounts().iter().map(|account| Entry {
        email: &account.email,
        role: &account.role,
        name: account.name.as_deref().filter(|name| !name.trim().is_empty()),
    });
    let pending = snapshot.invitations().iter().filter(|it| it.status.is_pending());
    let invited = pending.map(|it| Entry { email: &it.email, role: &it.role, name: None });
    for entry in accounts.chain(invited) {
        let twice = entries.iter().rev().take(1).any(|last| last.email == entry.email);
        if twice || covered.find(entry.email).is_some() {
            continue;
        }
        if !can_be_written(&entry) {
            let shown = escape(entry.email.as_str()).into_owned();
            notes.push(format!("{shown}: no roster can hold this, so it is written as unmanaged"));
            patterns.push(glob::Pattern::escape(entry.email.as_str()));
            continue;
        }
        entries.push(entry);
    }
    entries.sort_by(|a, b| a.email.cmp(b.email));
    entries.dedup_by(|later, first| later.email == first.email);
    for expired in snapshot.invitations().iter().filter(|it| !it.status.is_pending()) {
        let shown = escape(expired.email.as_str());
        notes.push(format!("{shown}: the invitation has expired, so it is left out"));
    }
    Imported { text: text(&entries, &patterns), members: entries.len(), notes }
}

/// Whether a roster that says this would be read back as this.
fn can_be_written(entry: &Entry<'_>) -> bool {
    let role = match entry.role {
        Role::Other(name) => super::checks::is_raw_role(name),
        _ => true,
    };
    role && Email::parse(entry.email.as_str()).is_ok()
}

fn text(entries: &[Entry<'_>], patterns: &[String]) -> String {
    let mut root = Mapping::new();
    root.insert("version".into(), 1.into());
    root.insert("users".into(), Value::Sequence(entries.iter().map(member).collect()));
    if !patterns.is_empty() {
        let patterns = patterns.iter().map(|pattern| pattern.as_str().into()).collect();
        root.insert("unmanaged".into(), Value::Sequence(patterns));
    }
    // Text, lists and mappings always have a YAML form.
    let body = serde_yaml::to_string(&Value::Mapping(root)).unwrap_or_default();
    format!("{SCHEMA}{body}")
}

fn member(entry: &Entry<'_>) -> Value {
    let mut member = Mapping::new();
    member.insert("email".into(), entry.email.as_str().into());
    member.insert("role".into(), role(entry.role));
    if let Some(name) = entry.name {
        member.insert("name".into(), name.into());
    }
    Value::Mapping(member)
}

fn role(role: &Role) -> Value {
    match role {
        Role::Other(name) => Value::Tagged(Box::new(TaggedValue {
            tag: Tag::new("raw"),
            value: name.to_string().into(),
        })),
        known => known.as_str().into(),
    }
}
