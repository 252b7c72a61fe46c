//! Carries over what earlier chains of a workspace hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::store::{NewRow, Store};
use super::{Ledger, LedgerError, LedgerWriter, new_row, verify};
use crate::memory::Memory;
use crate::memory::entry::{Entry, Record};
use crate::memory::scope::Scope;

/// Chains by their keys.
pub type Chains = BTreeMap<String, Memory>;

impl Ledger {
    /// Opens the chain of a workspace for one run. What earlier chains of it hold is carried over,
    /// once. Blocks.
    pub fn open_workspace(
        &self,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<LedgerWriter, LedgerError> {
        let mut writer = self.open(&scope.key, now)?;
        let earlier = earlier(&*writer.store.lock(), scope, &writer.memory)?;
        let Some(earlier) = earlier else { return Ok(writer) };
        // A run of the old name would lose its memory.
        let locks = earlier.keys().map(|key| self.lock(key, "a run that renames the workspace"));
        let locks: Vec<_> = locks.collect::<Result<_, _>>()?;
        if locks.iter().any(Result::is_err) {
            return Err(LedgerError::Busy);
        }
        writer.continue_chains(scope, earlier, now)?;
        Ok(writer)
    }

    /// What [`Self::open_workspace`] would remember; without a ledger, [`Memory::empty`]. Writes
    /// nothing. Blocks.
    pub fn read_workspace(&self, scope: &Scope) -> Result<Memory, LedgerError> {
        let memory = self.read_state(&scope.key)?;
        if !memory.is_known() {
            return Ok(memory);
        }
        let store = self.read_only()?;
        let earlier = earlier(&*store.lock(), scope, &memory)?;
        Ok(earlier.map_or(memory.clone(), |earlier| joined(scope, earlier, memory)))
    }
}

impl LedgerWriter {
    fn continue_chains(
        &mut self,
        scope: &Scope,
        earlier: Chains,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let from: Vec<String> = earlier.keys().cloned().collect();
        let close = |key| new_row(key, &Entry::Closed { by: scope.key.clone() }, now);
        let mut rows: Vec<NewRow> = from.iter().map(|key| close(key)).collect::<Result<_, _>>()?;
        let memory = joined(scope, earlier, Memory::clone(&self.memory));
        let newest = memory.newest();
        let entry = Entry::Continued { from, memory: Box::new(memory) };
        rows.push(new_row(&scope.key, &entry, now)?);
        let rows = self.store.lock().append(&rows, None)?;
        let memory = Arc::make_mut(&mut self.memory);
        for row in rows.iter().filter(|row| row.scope == scope.key) {
            memory.fold(&row.read()?);
        }
        memory.keep_newest(newest);
        self.written = Some(now);
        self.advance(&rows);
        Ok(())
    }
}

/// The earlier chains that this workspace continues and has not carried over; None if there is
/// nothing to carry over.
fn earlier(
    store: &dyn Store,
    scope: &Scope,
    memory: &Memory,
) -> Result<Option<Chains>, LedgerError> {
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
fn open_chains(store: &dyn Store, wanted: &dyn Fn(&str) -> bool) -> Result<Chains, LedgerError> {
    let anchor = verify::anchor(store)?;
    let through = anchor.as_ref().map_or(0, |anchor| anchor.through);
    let mut chains = anchor.map(|anchor| anchor.kept).unwrap_or_default();
    chains.retain(|key, _| wanted(key));
    store.rows(through, &mut |row| {
        if wanted(&row.scope) {
            fold(&mut chains, &row.scope, &row.read()?);
        }
        Ok(())
    })?;
    Ok(chains)
}

/// Folds a record into its chain. A closed chain is kept by the one that continues it.
pub fn fold(chains: &mut Chains, key: &str, record: &Record) {
    match record.entry {
        Entry::Closed { .. } => drop(chains.remove(key)),
        _ if key.is_empty() => {}
        _ => chains.entry(key.to_owned()).or_insert_with(Memory::of_ledger).fold(record),
    }
}
