//! One run's writing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::chain::{ChainHead, Row};
use super::store::{NewRow, Store};
use super::{Ledger, LedgerError, Open, new_row, verify};
use crate::blocking::run_blocking;
use crate::memory::Memory;
use crate::memory::entry::{Anchor, Entry, Record, Seq};

/// The right to write what happens to one workspace, and what is remembered of it.
#[derive(Debug)]
pub struct LedgerWriter {
    ledger: Ledger,
    store: Open,
    scope: String,
    /// How far the memory goes.
    link: ChainHead,
    /// Whoever looks at it between two runs keeps what it was.
    memory: Arc<Memory>,
    /// The time of the newest row that this run has written.
    written: Option<Timestamp>,
}

impl LedgerWriter {
    pub(super) fn new(
        ledger: Ledger,
        store: Open,
        scope: String,
        link: ChainHead,
        memory: Arc<Memory>,
    ) -> Self {
        Self { ledger, store, scope, link, memory, written: None }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The memory as it is now, to keep.
    pub fn shared_memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// The hash of the last row that this run knows of.
    pub fn head(&self) -> &ChainHead {
        &self.link
    }

    /// Writes entries, all or none, and remembers them; they are on disk when this returns. The
    /// answer is their numbers.
    pub async fn write(
        &mut self,
        entries: Vec<Entry>,
        at: Timestamp,
    ) -> Result<Vec<Seq>, LedgerError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let new_rows: Vec<NewRow> = entries
            .iter()
            .map(|entry| new_row(&self.scope, entry, at))
            .collect::<Result<_, _>>()?;
        let (store, after) = (Arc::clone(&self.store), self.link.seq);
        let (between, rows) = run_blocking(move || {
            let mut store = store.lock();
            let rows = store.append(&new_rows, None)?;
            let first = rows.first().map_or(after + 1, |row| row.seq);
            Ok::<_, LedgerError>((between(&*store, after, first)?, rows))
        })
        .await?;
        let numbers: Vec<Seq> = rows.iter().map(|row| row.seq).collect();
        let memory = Arc::make_mut(&mut self.memory);
        for row in between.iter().filter(|row| row.scope == self.scope) {
            memory.fold(&row.read()?);
        }
        // A clock is compared with what was there before the run.
        let newest = memory.newest();
        for (row, entry) in rows.iter().zip(entries) {
            memory.fold(&Record { seq: row.seq, at, entry });
        }
        memory.keep_newest(newest);
        self.written = self.written.max(Some(at));
        self.advance(&rows);
        Ok(numbers)
    }

    fn advance(&mut self, rows: &[Row]) {
        if let Some(last) = rows.last() {
            self.link = ChainHead { seq: last.seq, hash: last.hash.clone() };
            self.ledger.note(&self.link);
        }
    }

    /// Drops what is older than `retention`, once there is a day of it. What any rule still needs
    /// stays, within an anchor: effects as old as `needed`, and everything that has no end.
    pub async fn prune(
        &mut self,
        now: Timestamp,
        retention: SignedDuration,
        needed: SignedDuration,
    ) -> Result<(), LedgerError> {
        let before = |age: SignedDuration| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let (cut, spare) = (before(retention), before(retention + DAY));
        let needed = before(needed);
        let store = Arc::clone(&self.store);
        let rows = run_blocking(move || prune(&mut *store.lock(), cut, spare, needed, now)).await?;
        self.advance(&rows);
        Arc::make_mut(&mut self.memory).prune(needed);
        Ok(())
    }

    /// Gives the memory back for the next run, and to whoever wants to look at it.
    pub fn close(mut self) -> Arc<Memory> {
        let newest = self.memory.newest().max(self.written);
        Arc::make_mut(&mut self.memory).keep_newest(newest);
        self.ledger.keep(&self.scope, self.link, Arc::clone(&self.memory));
        self.memory
    }
}

/// What others wrote meanwhile: other workspaces, or an earlier run of this one that was dropped
/// while it wrote.
fn between(store: &dyn Store, after: Seq, first: Seq) -> Result<Vec<Row>, LedgerError> {
    let mut rows = Vec::new();
    if first > after + 1 {
        store.rows(after, &mut |row| {
            if row.seq < first {
                rows.push(row);
            }
            Ok(())
        })?;
    }
    Ok(rows)
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn prune(
    store: &mut dyn Store,
    cut: Timestamp,
    spare: Timestamp,
    needed: Timestamp,
    now: Timestamp,
) -> Result<Vec<Row>, LedgerError> {
    let first = store.first()?.map(|row| row.at.parse::<Timestamp>());
    if first.is_none_or(|at| at.is_ok_and(|at| at >= spare)) {
        return Ok(Vec::new());
    }
    let earlier = verify::anchor(store)?;
    let mut link = earlier.as_ref().map_or_else(ChainHead::root, ChainHead::after);
    let mut kept: BTreeMap<String, Memory> = earlier.map(|it| it.kept).unwrap_or_default();
    let mut is_old = true;
    store.rows(link.seq, &mut |row| {
        let noted = row.read()?;
        is_old &= noted.at < cut;
        if is_old {
            link.follow(&row)?;
            if !row.scope.is_empty() {
                kept.entry(row.scope).or_insert_with(Memory::of_ledger).fold(&noted);
            }
        }
        Ok(())
    })?;
    for memory in kept.values_mut() {
        memory.prune(needed);
    }
    let anchor = Anchor { through: link.seq, hash: link.hash, kept };
    let through = anchor.through;
    let entry = Entry::Anchor(Box::new(anchor));
    store.append(&[new_row("", &entry, now)?], Some(through))
}
