//! Renders plans, runs and history as text, Markdown, JSON and other formats. Pure: every function
//! returns a `String`.
//!
//! [`rows`] decides the texts, symbols and order of the rows once for all formats.

pub mod access;
pub mod approve;
pub mod diagnostics;
pub mod findings;
pub mod github;
pub mod history;
pub mod json;
pub mod markdown;
pub mod plot;
pub mod rows;
pub mod saved;
pub mod table;
pub mod text;
pub mod time;
pub mod unified;
pub mod why;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::{Place, Sources};
use crate::directory::Snapshot;
use crate::email::Email;
use crate::escape::escape;
use crate::guard::Verdict;
use crate::plan::Plan;
use crate::revision::Revision;
use crate::role::Role;
use crate::roster::Roster;
use approve::ApproveBy;
use rows::{Kind, Row};

/// The note of a plan without a ledger.
const NO_LEDGER: &str = "no ledger yet: used budgets and backoff times are unknown";

/// The input of every view of one plan.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The workspace's name in the configuration.
    pub workspace: &'a str,
    pub sources: &'a Sources,
    pub roster: &'a Roster,
    pub snapshot: &'a Snapshot,
    pub plan: &'a Plan,
    pub verdict: &'a Verdict,
    /// The commit of the roster.
    pub revision: Option<&'a Revision>,
    pub approve_by: ApproveBy,
}

/// The number of rows of each kind, and the number of members without a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub invite: usize,
    pub reinvite: usize,
    pub role: usize,
    pub disable: usize,
    pub held: usize,
    pub propagating: usize,
    pub pending: usize,
    pub needs_action: usize,
    pub drift: usize,
    pub info: usize,
    pub in_sync: usize,
}

impl Summary {
    /// Counts `rows`, all rows of `plan`.
    pub fn of(plan: &Plan, rows: &[Row]) -> Self {
        let count = |kind| rows.iter().filter(|row| row.kind == kind).count();
        Self {
            invite: count(Kind::Invite),
            reinvite: count(Kind::Reinvite),
            role: count(Kind::Role),
            disable: count(Kind::Disable),
            held: count(Kind::Held),
            propagating: count(Kind::Propagating),
            pending: count(Kind::Pending),
            needs_action: count(Kind::NeedsAction),
            drift: count(Kind::Drift),
            info: count(Kind::Info),
            in_sync: plan.facts.in_sync,
        }
    }

    /// Whether the plan has no changes, held ones included.
    pub fn is_in_sync(&self) -> bool {
        self.invite + self.reinvite + self.role + self.disable + self.held == 0
    }
}

impl fmt::Display for Summary {
    /// `1 to invite, 1 role to change, 9 held, 29 in sync`: without the parts that are zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invite, reinvite, role, disable, held, .. } = self;
        let Self { propagating, pending, needs_action, drift, info, in_sync, .. } = self;
        let parts = [
            (invite, "to invite"),
            (reinvite, "to invite again"),
            (role, if *role == 1 { "role to change" } else { "roles to change" }),
            (disable, "to disable"),
            (held, "held"),
            (propagating, "propagating"),
            (pending, "pending"),
            (needs_action, "needs action"),
            (drift, "drift"),
            (info, "info"),
            (in_sync, "in sync"),
        ];
        f.write_str(&counts(parts.map(|(count, label)| (*count, label))))
    }
}

/// The parts that are not zero, or `no changes`.
pub(crate) fn counts<const N: usize>(parts: [(usize, &str); N]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, label)| format!("{count} {label}"))
        .collect();
    if parts.is_empty() { "no changes".to_owned() } else { parts.join(", ") }
}

/// `DEVELOPER`, or `ADMIN → BUSINESS`.
pub(crate) fn role_change(from: Option<&str>, to: Option<&str>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (from, to) => from.or(to).unwrap_or_default().to_owned(),
    }
}

/// `users.yaml:14`.
pub fn at(sources: &Sources, place: Place) -> String {
    format!("{}:{}", escape(sources.name(place.file)), place.line)
}

/// The names of the roster files: up to three, and the number of the others.
fn files(sources: &Sources) -> String {
    listed(sources.iter().map(|(_, file)| &*file.name), 3)
}

/// The first `shown` names, escaped, and the number of the others.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>, shown: usize) -> String {
    let names: Vec<_> = names.map(escape).collect();
    match names.len().saturating_sub(shown) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..shown].join(", ")),
    }
}

/// `1 member`, or `39 members`.
pub(crate) fn members(count: usize) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

/// `1 person`, or `150 people`.
pub(crate) fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// `41 accounts (3 ADMIN, 38 DEVELOPER), 2 invitations (2 ADMIN), 1 unmanaged`, escaped.
/// Unmanaged people are counted apart, and so are expired invitations.
pub fn users(view: &View<'_>) -> String {
    let is_managed = |email: &Email| !view.roster.is_unmanaged(email);
    let accounts = view.snapshot.accounts().iter();
    let accounts: Vec<&Role> =
        accounts.filter(|it| is_managed(&it.email)).map(|it| &it.role).collect();
    let invited = |pending: bool| -> Vec<&Role> {
        let all = view.snapshot.invitations().iter();
        let wanted = all.filter(|it| it.status.is_pending() == pending && is_managed(&it.email));
        wanted.map(|it| &it.role).collect()
    };
    let (pending, expired) = (invited(true), invited(false));
    let all = view.snapshot.accounts().len() + view.snapshot.invitations().len();
    let unmanaged = match all - accounts.len() - pending.len() - expired.len() {
        0 => String::new(),
        count => format!("{count} unmanaged"),
    };
    let parts = [
        in_roles("account", &accounts),
        in_roles("invitation", &pending),
        in_roles("expired invitation", &expired),
        unmanaged,
    ];
    let parts = joined(&parts, ", ");
    if parts.is_empty() { "no users".to_owned() } else { escape(&parts).into_owned() }
}

/// `3 accounts (1 ADMIN, 2 DEVELOPER)`; empty if there is none.
fn in_roles(what: &str, roles: &[&Role]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for role in roles {
        *counts.entry(role.as_str()).or_default() += 1;
    }
    let s = if roles.len() == 1 { "" } else { "s" };
    let counts: Vec<String> =
        counts.iter().map(|(role, count)| format!("{count} {role}")).collect();
    match roles.len() {
        0 => String::new(),
        total => format!("{total} {what}{s} ({})", counts.join(", ")),
    }
}

/// Joins the parts that are not empty.
pub(crate) fn joined<S: AsRef<str>>(parts: &[S], separator: &str) -> String {
    let parts = parts.iter().map(AsRef::as_ref).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_shows_the_counts_that_are_not_zero() {
        let mut summary = Summary { role: 1, in_sync: 29, ..Summary::default() };
        assert_eq!(summary.to_string(), "1 role to change, 29 in sync");
        summary = Summary { invite: 1, role: 2, disable: 1, held: 9, ..summary };
        let expected = "1 to invite, 2 roles to change, 1 to disable, 9 held, 29 in sync";
        assert_eq!(summary.to_string(), expected);
        assert_eq!(Summary::default().to_string(), "no changes");
        assert!(Summary { pending: 3, ..Summary::default() }.is_in_sync());
        assert!(!Summary { held: 1, ..Summary::default() }.is_in_sync());
    }

    #[test]
    fn more_than_three_files_are_counted() {
        let mut sources = Sources::default();
        for name in ["a.yaml", "b\u{1b}.yaml", "c.yaml"] {
            sources.add(name, "");
        }
        assert_eq!(files(&sources), "a.yaml, b\\u{1b}.yaml, c.yaml");
        sources.add("d.yaml", "");
        assert_eq!(files(&sources), "a.yaml, b\\u{1b}.yaml, c.yaml and 1 more");
    }
}
