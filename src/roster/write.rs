//! Writes a canonical roster from a snapshot of the directory, and items of `approvals:`.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::edit::Items;
use super::{Pattern, Unmanaged, compile};
use crate::action::BudgetName;
use crate::directory::Snapshot;
use crate::email::Email;
use crate::escape::escape;
use crate::role::Role;
use crate::yaml::scalar;

/// The first line of the file, with the location of the schema for editors.
const SCHEMA: &str = "# yaml-language-server: $schema=users.schema.json\n";

/// Maximum number of people on one line; more get a line each, so that a review shows each.
pub(super) const ON_ONE_LINE: usize = 3;

/// A roster that describes the current state of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub text: String,
    /// The number of members.
    pub members: usize,
    /// Notes about users that are not members, one sentence each.
    pub notes: Vec<String>,
}

struct Entry<'a> {
    email: &'a Email,
    role: &'a Role,
    name: Option<&'a str>,
}

/// Writes the roster for which the plan against `snapshot` is empty. Accounts and pending
/// invitations become members. The `unmanaged` patterns are kept, and users that match them are
/// left out. A user that a roster cannot represent becomes unmanaged.
pub fn import(snapshot: &Snapshot, unmanaged: &[Pattern]) -> Imported {
    let covered = Unmanaged::new(unmanaged.to_vec());
    let (entries, invalid): (Vec<Entry<'_>>, Vec<Entry<'_>>) =
        users(snapshot, &covered).into_iter().partition(is_valid);
    let mut patterns: Vec<String> =
        unmanaged.iter().map(|pattern| pattern.written.clone()).collect();
    patterns.extend(invalid.iter().map(|entry| pattern(entry.email.as_str())));
    let listed: HashSet<&Email> = entries.iter().chain(&invalid).map(|entry| entry.email).collect();
    let expired = snapshot
        .invitations()
        .iter()
        .filter(|invitation| !invitation.status.is_pending())
        .map(|invitation| &invitation.email)
        .filter(|email| !listed.contains(email) && covered.find(email).is_none());
    let note = |email: &Email, text| format!("{}: {text}", escape(email.as_str()));
    let notes = invalid
        .iter()
        .map(|entry| note(entry.email, "not valid in a roster, added to `unmanaged`"))
        .chain(expired.map(|email| note(email, "invitation expired, not imported")))
        .collect();
    Imported { text: text(&entries, &patterns), members: entries.len(), notes }
}

/// The users that are not covered, one entry for each address. An account takes precedence over
/// invitations.
fn users<'a>(snapshot: &'a Snapshot, covered: &Unmanaged) -> Vec<Entry<'a>> {
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

/// A pattern for an address: as it is if that can be one, else with a class for every character,
/// which no mistyped entry has.
fn pattern(address: &str) -> String {
    let escaped = glob::Pattern::escape(address);
    if compile(&escaped).is_ok() {
        return escaped;
    }
    // `[!]` is no class, and no member's address has a space.
    let class = |c| if c == '!' { "[ !]".to_owned() } else { format!("[{c}]") };
    address.chars().map(class).collect()
}

/// Whether a roster can hold this entry.
fn is_valid(entry: &Entry<'_>) -> bool {
    let unknown = matches!(entry.role, Role::Other(name) if !super::checks::is_raw_role(name));
    !unknown && Email::parse(entry.email.as_str()).is_ok()
}

/// An item of `approvals:` in block style, its dash after `indent` spaces. `reason` is YAML.
fn approval(action: BudgetName, people: &[&Email], reason: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let people: Vec<String> = people.iter().map(|email| scalar(email.as_str())).collect();
    let people = if people.len() > ON_ONE_LINE {
        people.iter().map(|email| format!("\n{pad}    - {email}")).collect()
    } else {
        format!(" [{}]", people.join(", "))
    };
    format!("{pad}- {}:{people}\n{pad}  reason: {reason}\n", action.key())
}

/// The reason of items that a person completes.
pub const REASON: &str = "\"\" # write why";

/// The items of `approvals:`: with `indent`, to stand below others that are indented like this;
/// else with the key.
pub fn approvals(items: &Items<'_>, reason: &str, indent: Option<usize>) -> String {
    let key = if indent.is_none() { "approvals:\n" } else { "" };
    let indent = indent.unwrap_or(2);
    let items = items.iter().map(|(action, people)| approval(*action, people, reason, indent));
    key.to_owned() + &items.collect::<String>()
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
