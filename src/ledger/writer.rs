//! Writes the entries of one run.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::chain::{ChainHead, Row};
use super::store::{NewRow, Store};
use super::succession::{self, Chains};
use super::{Ledger, LedgerError, Open, Result, new_row, verify};
use crate::blocking::run_blocking;
use crate::memory::Memory;
use crate::memory::entry::{Anchor, Entry, Record, Seq};

/// Writes the entries of one workspace, and keeps its memory up to date.
#[derive(Debug)]
pub struct LedgerWriter {
    pub(super) ledger: Ledger,
    pub(super) store: Open,
    pub(super) scope: String,
    /// The last row in the memory.
    pub(super) head: ChainHead,
    /// Shared with readers between runs, and copied on write.
    pub(super) memory: Arc<Memory>,
    /// The time of the newest row that this run has written.
    pub(super) written: Option<Timestamp>,
}

impl LedgerWriter {
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The current memory, for readers.
    pub fn shared_memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// The last row that this run knows of.
    pub fn head(&self) -> &ChainHead {
        &self.head
    }

    /// Writes entries, all or none, and adds them to the memory. They are on disk when this
    /// returns. Returns their numbers.
    pub async fn write(&mut self, entries: Vec<Entry>, at: Timestamp) -> Result<Vec<Seq>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let new_rows = entries.iter().map(|entry| new_row(&self.scope, entry, at));
        let new_rows: Vec<NewRow> = new_rows.collect::<Result<_, _>>()?;
        let (store, after) = (Arc::clone(&self.store), self.head.seq);
        let (between, rows) = run_blocking(move || {
            let mut store = store.lock();
            let rows = store.append(&new_rows, None)?;
            let first = rows.first().map_or(after + 1, |row| row.seq);
            // Rows that others wrote since: other workspaces, or a cancelled run of this one.
            let mut between = Vec::new();
            if first > after + 1 {
                store.rows(after, &mut |row| {
                    between.extend((row.seq < first).then_some(row));
                    Ok(())
                })?;
            }
            Ok::<_, LedgerError>((between, rows))
        })
        .await?;
        let numbers: Vec<Seq> = rows.iter().map(|row| row.seq).collect();
        let memory = Arc::make_mut(&mut self.memory);
        for row in between.iter().filter(|row| row.scope == self.scope) {
            memory.fold(&row.read()?);
        }
        // The guard `clock` compares with entries from before the run.
        let newest = memory.newest();
        for (row, entry) in rows.iter().zip(entries) {
            memory.fold(&Record { seq: row.seq, at, entry });
        }
        memory.keep_newest(newest);
        self.written = self.written.max(Some(at));
        self.advance(&rows);
        Ok(numbers)
    }

    pub(super) fn advance(&mut self, rows: &[Row]) {
        if let Some(last) = rows.last() {
            self.head = ChainHead { seq: last.seq, hash: last.hash.clone() };
            self.ledger.note(&self.head);
        }
    }

    /// Drops entries older than `retention`, as soon as they span a day. An anchor keeps what is
    /// still needed of them: attempts up to the age `needed`, and everything without an end.
    pub async fn prune(
        &mut self,
        now: Timestamp,
        retention: SignedDuration,
        needed: SignedDuration,
    ) -> Result<()> {
        let before = |age: SignedDuration| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let (cut, spare) = (before(retention), before(retention + DAY));
        let needed = before(needed);
        let store = Arc::clone(&self.store);
        let rows = run_blocking(move || prune(&mut *store.lock(), cut, spare, needed, now)).await?;
        self.advance(&rows);
        Arc::make_mut(&mut self.memory).prune(needed);
        Ok(())
    }

    /// Keeps the memory for the next run, and returns it.
    pub fn close(mut self) -> Arc<Memory> {
        let newest = self.memory.newest().max(self.written);
        Arc::make_mut(&mut self.memory).keep_newest(newest);
        self.ledger.keep(&self.scope, self.head, Arc::clone(&self.memory));
        self.memory
    }
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn prune(
    store: &mut dyn Store,
    cut: Timestamp,
    spare: Timestamp,
    needed: Timestamp,
    now: Timestamp,
) -> Result<Vec<Row>> {
    // Of the old rows the last one stays: it shows how old those before it are.
    let first = store.first()?;
    let second = first.map(|row| store.row(row.seq + 1)).transpose()?.flatten();
    let second = second.map(|row| row.at.parse::<Timestamp>());
    if second.is_none_or(|at| at.is_ok_and(|at| at >= spare)) {
        return Ok(Vec::new());
    }
    let earlier = verify::anchor(store)?;
    let mut head = earlier.as_ref().map_or_else(ChainHead::root, ChainHead::after);
    let mut kept: Chains = earlier.map(|anchor| anchor.kept).unwrap_or_default();
    let (mut is_old, mut last_old, begins) = (true, None::<Row>, head.seq);
    store.rows(begins, &mut |row| {
        is_old &= row.read()?.at < cut;
        if is_old && let Some(row) = last_old.replace(row) {
            head.follow(&row)?;
            succession::fold(&mut kept, &row.scope, &row.read()?);
        }
        Ok(())
    })?;
    let through = head.seq;
    if through == begins {
        return Ok(Vec::new());
    }
    for memory in kept.values_mut() {
        memory.prune(needed);
    }
    let entry = Entry::Anchor(Box::new(Anchor { through, hash: head.hash, kept }));
    match store.append(&[new_row("", &entry, now)?], Some(through)) {
        Err(error @ LedgerError::TooLarge) => {
            tracing::warn!("old entries are kept: {error}");
            Ok(Vec::new())
        }
        appended => appended,
    }
}
