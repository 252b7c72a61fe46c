//! Which commit asked for a change: the one since which the roster says of the member what it says
//! now.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Loaded, WorkspaceSpec};
use crate::email::Email;
use crate::memory::entry::Key;
use crate::plan::change::Change;
use crate::revision::Revision;
use crate::role::Role;
use crate::roster::{Digest, Period, Roster, checks, raw};
use crate::source;

/// The commit behind each change, if the history of the files has it. It may block.
pub fn attribute(
    spec: &WorkspaceSpec,
    loaded: &Loaded,
    changes: &[Change],
    now: Timestamp,
) -> HashMap<Key, Revision> {
    if changes.is_empty() || loaded.revision.is_none() {
        return HashMap::new();
    }
    let versions = source::revision::versions(&spec.users, &spec.base, &loaded.sources).into_iter();
    let rosters = versions.map(|(revision, sources)| {
        let raw = raw::read(&sources);
        let (roster, _) = checks::validate(raw, &sources, &spec.zone, now);
        // Before the first commit the roster was empty. An invalid version asked for nothing new.
        let empty = || Roster::new(vec![], vec![], vec![], Digest::default()).ok();
        let roster = roster.or_else(|| sources.is_empty().then(empty).flatten());
        (revision, roster)
    });
    walk(&loaded.roster, rosters, changes)
}

/// `versions` are the earlier rosters, the newest first, each with the commit that replaced it.
fn walk(
    present: &Roster,
    versions: impl Iterator<Item = (Revision, Option<Roster>)>,
    changes: &[Change],
) -> HashMap<Key, Revision> {
    let wanted = index(present);
    let mut open: Vec<&Change> = changes.iter().collect();
    let mut found = HashMap::new();
    // The newest of the commits since the last valid version: it is the one that made it valid.
    let mut since: Option<Revision> = None;
    for (revision, roster) in versions {
        let replaced_by = since.take().unwrap_or(revision);
        let Some(roster) = roster else {
            since = Some(replaced_by);
            continue;
        };
        let before = index(&roster);
        open.retain(|change| {
            let same = says(&before, change) == says(&wanted, change);
            if !same {
                found.insert(Key::of(&change.action, &change.email), replaced_by.clone());
            }
            same
        });
        if open.is_empty() {
            break;
        }
    }
    found
}

/// What a roster says of each address: role and dates.
type Index<'a> = HashMap<&'a Email, (&'a Role, Option<&'a Period>)>;

fn says<'a>(index: &Index<'a>, change: &Change) -> Option<(&'a Role, Option<&'a Period>)> {
    change.addresses().find_map(|address| index.get(address).copied())
}

fn index(roster: &Roster) -> Index<'_> {
    let mut index = HashMap::new();
    for member in roster.members() {
        let says = (&member.role, member.time.as_deref());
        index.extend(member.addresses().map(|address| (address, says)));
    }
    index
}
