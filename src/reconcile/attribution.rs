//! Which commit asked for a change, and which approved it: the one since which the roster says what
//! it says now.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{Loaded, WorkspaceSpec};
use crate::action::ApprovalItem;
use crate::email::Email;
use crate::memory::entry::Key;
use crate::plan::change::Change;
use crate::revision::Revision;
use crate::role::Role;
use crate::roster::{Digest, Member, Period, Roster, checks, raw};

/// The commit behind each change, if the history of the files has it. It may block.
pub fn attribute<'c>(
    spec: &WorkspaceSpec,
    loaded: &Loaded,
    changes: &'c [Change],
    now: Timestamp,
) -> HashMap<Key, Revision> {
    if changes.is_empty() || loaded.revision.is_none() {
        return HashMap::new();
    }
    let wanted = index(&loaded.roster);
    let changed = |roster: &Roster, open: &mut Vec<&'c Change>| {
        let before = index(roster);
        let differs = |it: &Change| says(&before, it.addresses()) != says(&wanted, it.addresses());
        open.extract_if(.., |change| differs(change)).collect()
    };
    let found = walk(rosters(spec, loaded, now), changes.iter().collect(), changed).into_iter();
    found.map(|(change, by)| (Key::of(&change.action, &change.email), by)).collect()
}

/// The commit of each member's line, if the history of the files has it: since when the roster says
/// of the member what it says now. It may block.
pub fn lines<'m>(
    spec: &WorkspaceSpec,
    loaded: &Loaded,
    members: &'m [Member],
    now: Timestamp,
) -> HashMap<Email, Revision> {
    if loaded.revision.is_none() {
        return HashMap::new();
    }
    let wanted = index(&loaded.roster);
    let changed = |roster: &Roster, open: &mut Vec<&'m Member>| {
        let before = index(roster);
        let differs = |it: &Member| says(&before, it.addresses()) != says(&wanted, it.addresses());
        open.extract_if(.., |member| differs(member)).collect()
    };
    let found = walk(rosters(spec, loaded, now), members.iter().collect(), changed).into_iter();
    found.map(|(member, by)| (member.email.clone(), by)).collect()
}

/// The commit that added each approval, if the history of the files has it. It may block.
pub fn approvals<'c>(
    spec: &WorkspaceSpec,
    loaded: &Loaded,
    items: &'c [ApprovalItem],
    now: Timestamp,
) -> HashMap<ApprovalItem, Revision> {
    if loaded.revision.is_none() {
        return HashMap::new();
    }
    let added = |roster: &Roster, open: &mut Vec<&'c ApprovalItem>| {
        let before: HashSet<_> = roster.approvals().iter().map(|it| &it.item).collect();
        open.extract_if(.., |item| !before.contains(item)).collect()
    };
    let found = walk(rosters(spec, loaded, now), items.iter().collect(), added).into_iter();
    found.map(|(item, by)| (item.clone(), by)).collect()
}

/// The earlier rosters, the newest first, each with the commit that replaced it. One that was not
/// valid, or cannot be read, is None.
fn rosters(
    spec: &WorkspaceSpec,
    loaded: &Loaded,
    now: Timestamp,
) -> impl Iterator<Item = (Revision, Option<Roster>)> {
    spec.source.versions(&loaded.sources).map(move |(revision, sources)| {
        let Some(sources) = sources else { return (revision, None) };
        let raw = raw::read(&sources);
        let (roster, _) = checks::validate(raw, &sources, &spec.zone, now);
        // Before the first commit the roster was empty. An invalid version asked for nothing new.
        let empty = || Roster::new(vec![], vec![], vec![], Digest::default()).ok();
        let roster = roster.or_else(|| sources.is_empty().then(empty).flatten());
        (revision, roster)
    })
}

/// Goes back through the versions until `differing` has taken all of `open`, each with the commit
/// since which the roster says what it says now.
fn walk<'a, T>(
    versions: impl Iterator<Item = (Revision, Option<Roster>)>,
    mut open: Vec<&'a T>,
    differing: impl Fn(&Roster, &mut Vec<&'a T>) -> Vec<&'a T>,
) -> Vec<(&'a T, Revision)> {
    let mut found = Vec::new();
    // The newest of the commits since the last valid version: it is the one that made it valid.
    let mut since: Option<Revision> = None;
    for (revision, roster) in versions {
        let replaced_by = since.take().unwrap_or(revision);
        let Some(roster) = roster else {
            since = Some(replaced_by);
            continue;
        };
        let differing = differing(&roster, &mut open).into_iter();
        found.extend(differing.map(|it| (it, replaced_by.clone())));
        if open.is_empty() {
            break;
        }
    }
    found
}

/// What a roster says of each address: role and dates.
type Index<'a> = HashMap<&'a Email, (&'a Role, Option<&'a Period>)>;

fn says<'a, 'e>(
    index: &Index<'a>,
    mut addresses: impl Iterator<Item = &'e Email>,
) -> Option<(&'a Role, Option<&'a Period>)> {
    addresses.find_map(|address| index.get(address).copied())
}

fn index(roster: &Roster) -> Index<'_> {
    let mut index = HashMap::new();
    for member in roster.members() {
        let says = (&member.role, member.time.as_deref());
        index.extend(member.addresses().map(|address| (address, says)));
    }
    index
}
