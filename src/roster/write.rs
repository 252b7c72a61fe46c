//! Writes a canonical roster.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{Pattern, Unmanaged};
use crate::directory::Snapshot;
use crate::email::Email;
use crate::escape::{escape, is_hostile};
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
    let (entries, refused): (Vec<Entry<'_>>, Vec<Entry<'_>>) =
        shown(snapshot, &covered).into_iter().partition(can_be_written);
    let mut patterns: Vec<String> = unmanaged.iter().map(|it| it.written.clone()).collect();
    patterns.extend(refused.iter().map(|entry| glob::Pattern::escape(entry.email.as_str())));
    let told: HashSet<&Email> = entries.iter().chain(&refused).map(|entry| entry.email).collect();
    let expired = snapshot.invitations().iter().filter(|it| !it.status.is_pending());
    let expired = expired
        .map(|it| &it.email)
        .filter(|email| !told.contains(email) && covered.find(email).is_none());
    let note = |email: &Email, words| format!("{}: {words}", escape(email.as_str()));
    let notes = refused
        .iter()
        .map(|entry| note(entry.email, "no roster can hold this, so it is written as unmanaged"))
        .chain(expired.map(|email| note(email, "the invitation has expired, so it is left out")))
        .collect();
    Imported { text: text(&entries, &patterns), members: entries.len(), notes }
}

/// Who is there and not covered, each once and by address: of several rows, an account counts.
fn shown<'a>(snapshot: &'a Snapshot, covered: &Unmanaged) -> Vec<Entry<'a>> {
    let accounts = snapshot.accounts().iter().map(|account| Entry {
        email: &account.email,
        role: &account.role,
        name: account.name.as_deref().filter(|name| !name.trim().is_empty()),
    });
    let pending = snapshot.invitations().iter().filter(|it| it.status.is_pending());
    let invited = pending.map(|it| Entry { email: &it.email, role: &it.role, name: None });
    let mut entries: Vec<Entry<'_>> =
        accounts.chain(invited).filter(|entry| covered.find(entry.email).is_none()).collect();
    entries.sort_by(|a, b| a.email.cmp(b.email));
    entries.dedup_by(|later, first| later.email == first.email);
    entries
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
    let mut text = format!("{SCHEMA}version: 1\n");
    text.push_str(if entries.is_empty() { "users: []\n" } else { "users:\n" });
    for Entry { email, role, name } in entries {
        let tag = if matches!(role, Role::Other(_)) { "!raw " } else { "" };
        let _ = writeln!(text, "- email: {}", scalar(email.as_str()));
        let _ = writeln!(text, "  role: {tag}{}", scalar(role.as_str()));
        if let Some(name) = name {
            let _ = writeln!(text, "  name: {}", scalar(name));
        }
    }
    if !patterns.is_empty() {
        text.push_str("unmanaged:\n");
        for pattern in patterns {
            let _ = writeln!(text, "- {}", scalar(pattern));
        }
    }
    text
}

/// A text as the writer of YAML puts it, quoted where it must be. That writer takes U+2028 and its
/// like for line breaks, as readers of today do not: what holds any such character, or one that
/// nobody can see, is written in double quotes with those characters escaped.
fn scalar(text: &str) -> String {
    if !text.chars().any(is_hostile) {
        // Text always has a YAML form.
        return serde_yaml::to_string(text).unwrap_or_default().trim_end_matches('\n').to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            hostile if is_hostile(hostile) => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(hostile));
            }
            plain => quoted.push(plain),
        }
    }
    quoted + "\""
}
