//! Carries over what earlier chains of a workspace hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::store::{NewRow, Store};
use super::{Ledger, LedgerError, LedgerWriter, Result, new_row, verify};
use crate::memory::Memory;
use crate::memory::entry::{Entry, Record};
use crate::memory::place::{OtherChain, WorkspacePlace};
use crate::memory::scope::Scope;

/// Chains by their keys.
pub type Chains = BTreeMap<String, Memory>;

impl Ledger {
    /// Opens the chain of a workspace for one run. What earlier chains of it hold is carried over,
    /// once. Blocks.
    pub fn open_workspace(&self, scope: &Scope, now: Timestamp) -> Result<LedgerWriter> {
        let mut writer = self.open(&scope.key, now)?;
        let earlier = earlier(&*writer.store.lock(), scope, &writer.memory)?;
        let Some(earlier) = earlier else { return Ok(writer) };
        // A run of the old name would lose its memory.
        let locks = earlier.keys().map(|key| self.lock(key, "a run that renames the workspace"));
        let locks: Vec<_> = locks.collect::<Result<_, _>>()?;
        if locks.iter().any(Result::is_err) {
            return Err(LedgerError::Busy);
        }
        let from: Vec<String> = earlier.keys().cloned().collect();
        let close = |key| new_row(key, &Entry::Closed { by: scope.key.clone() }, now);
        let mut rows: Vec<NewRow> = from.iter().map(|key| close(key)).collect::<Result<_>>()?;
        let memory = joined(scope, earlier, Memory::clone(&writer.memory));
        let newest = memory.newest();
        let entry = Entry::Continued { from, memory: Box::new(memory) };
        rows.push(new_row(&scope.key, &entry, now)?);
        let rows = writer.store.lock().append(&rows, None)?;
        let memory = Arc::make_mut(&mut writer.memory);
        for row in rows.iter().filter(|row| row.scope == scope.key) {
            memory.fold(&row.read()?);
        }
        memory.keep_newest(newest);
        writer.written = Some(now);
        writer.advance(&rows);
        Ok(writer)
    }

    /// What [`Self::open_workspace`] would remember; without a ledger, [`Memory::empty`]. Writes
    /// nothing. Blocks.
    pub fn read_workspace(&self, scope: &Scope) -> Result<Memory> {
        let memory = self.read_state(&scope.key)?;
        if !memory.is_known() {
            return Ok(memory);
        }
        let store = self.read_only()?;
        let earlier = earlier(&*store.lock(), scope, &memory)?;
        Ok(earlier.map_or(memory.clone(), |earlier| joined(scope, earlier, memory)))
    }

    /// The open chains of other workspaces that may be of this place, if the chain of `memory` does
    /// not have one yet. Blocks.
    pub fn others(&self, scope: &Scope, memory: &Memory) -> Result<Vec<OtherChain>> {
        let place = scope.place.as_ref().filter(|_| memory.is_known() && memory.place().is_none());
        let Some(place) = place else { return Ok(Vec::new()) };
        let store = self.read_only()?;
        let store = store.lock();
        let mut places = places(&*store)?;
        places.retain(|key, it| it.matches(place) && *key != scope.key);
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let chains = open_chains(&*store, &|key| places.contains_key(key))?;
        let others = chains.into_iter().filter_map(|(key, memory)| {
            let name = Some(memory.workspace()).filter(|name| !name.is_empty()).unwrap_or(&key);
            let accounts = memory.present().map(|(uid, _)| uid.clone()).collect();
            Some(OtherChain { name: name.to_owned(), place: memory.place()?.clone(), accounts })
        });
        Ok(others.collect())
    }
}

/// The earlier chains that this workspace continues and has not carried over; None if there is
/// nothing to carry over.
fn earlier(store: &dyn Store, scope: &Scope, memory: &Memory) -> Result<Option<Chains>> {
    let is_renamed = scope.formerly.as_ref().is_some_and(|name| !memory.has_former_name(name));
    if memory.through() > 0 && !is_renamed {
        return Ok(None);
    }
    let mut chains = open_chains(store, &|key| scope.may_continue(key))?;
    chains.retain(|key, memory| scope.continues(key, memory.workspace()));
    Ok((is_renamed || !chains.is_empty()).then_some(chains))
}

fn joined(scope: &Scope, earlier: Chains, memory: Memory) -> Memory {
    let mut memory = Memory::joined(earlier.into_values().chain([memory]));
    if let Some(name) = &scope.formerly {
        memory.add_former_name(name);
    }
    memory
}

/// The chains that have not been closed, of the keys that are wanted.
fn open_chains(store: &dyn Store, wanted: &dyn Fn(&str) -> bool) -> Result<Chains> {
    let anchor = verify::anchor(store)?;
    let through = anchor.as_ref().map_or(0, |anchor| anchor.through);
    let mut chains = anchor.map(|anchor| anchor.kept).unwrap_or_default();
    chains.retain(|key, _| wanted(key));
    // Rows of old chains do not name their place.
    store.rows(through, &mut |row| {
        if wanted(&row.scope) {
            fold(&mut chains, &row.scope, &row.read()?);
        }
        Ok(())
    })?;
    for (key, memory) in &mut chains {
        memory.set_place_of_key(key);
    }
    Ok(chains)
}

/// The places of all chains. Rows without a place are not parsed.
fn places(store: &dyn Store) -> Result<BTreeMap<String, WorkspacePlace>> {
    let anchor = verify::anchor(store)?;
    let through = anchor.as_ref().map_or(0, |anchor| anchor.through);
    let mut places = BTreeMap::new();
    for (key, memory) in anchor.iter().flat_map(|anchor| &anchor.kept) {
        places.extend(memory.place().map(|place| (key.clone(), place.clone())));
    }
    store.rows(through, &mut |row| {
        if !places.contains_key(&row.scope)
            && let Some(place) = WorkspacePlace::of_key(&row.scope)
        {
            places.insert(row.scope.clone(), place);
        }
        let has_place = ["place", "accepted", "continued"].contains(&&*row.kind);
        if has_place {
            let mut memory = Memory::of_ledger();
            memory.fold(&row.read()?);
            places.extend(memory.place().map(|place| (row.scope, place.clone())));
        }
        Ok(())
    })?;
    Ok(places)
}

/// Folds a record into its chain. A closed chain is kept by the one that continues it.
pub fn fold(chains: &mut Chains, key: &str, record: &Record) {
    match record.entry {
        Entry::Closed { .. } => drop(chains.remove(key)),
        _ if key.is_empty() => {}
        _ => chains.entry(key.to_owned()).or_insert_with(Memory::of_ledger).fold(record),
    }
}
