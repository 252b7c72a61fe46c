//! The ledger: an append-only, hash-chained list of entries.
//!
//! [`Ledger`] is a handle on it. A [`LedgerWriter`] writes the entries of one run, and holds the
//! memory of its workspace. [`store`] is the interface of a database, [`sqlite`] implements it.
//! `memory` defines the entries.

mod backup;
pub mod chain;
mod error;
pub mod lock;
mod schema;
pub mod sqlite;
pub mod store;
mod succession;
mod verify;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::email::Email;
use crate::files;
use crate::memory::Memory;
use crate::memory::entry::{Entry, LedgerCreated, Record, Seq};
use chain::{ChainHead, Row};
use lock::{Holders, Lock};
use sqlite::Sqlite;
use store::{NewRow, Store};

pub use error::{LedgerError, Result};
pub use verify::{Verified, verify};
pub use writer::LedgerWriter;

/// An open store, shared by the runs of several workspaces.
type Open = Arc<Mutex<dyn Store>>;

/// Location of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// In memory: lost when the process ends.
    Memory,
    File(PathBuf),
}

/// A handle on a ledger, which may not exist yet. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    location: Location,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The store of a ledger in memory.
    in_memory: Mutex<Option<Open>>,
    holders: Holders,
    /// The last state that this process knows, to detect that the ledger was replaced.
    last: Mutex<Option<Last>>,
    /// The memory of each scope, as of the end of its last run.
    memories: Mutex<HashMap<String, (ChainHead, Arc<Memory>)>>,
}

#[derive(Clone, Debug)]
struct Last {
    identity: String,
    tail: ChainHead,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("a ledger in memory"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Ledger {
    pub fn at(location: Location) -> Self {
        Self { location, shared: Arc::default() }
    }

    /// A ledger in an open store.
    pub fn on(store: impl Store + 'static) -> Self {
        let ledger = Self::at(Location::Memory);
        *ledger.shared.in_memory.lock() = Some(Arc::new(Mutex::new(store)));
        ledger
    }

    /// The same ledger without the state of this process, as another process would open it.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let shared = Shared {
            in_memory: Mutex::new(self.shared.in_memory.lock().clone()),
            holders: Arc::clone(&self.shared.holders),
            ..Shared::default()
        };
        Self { location: self.location.clone(), shared: Arc::new(shared) }
    }

    pub fn place(&self) -> &Location {
        &self.location
    }

    /// Takes the lock of a workspace, or returns the holder.
    pub fn lock(&self, scope: &str, holder: &str) -> Result<Result<Lock, String>> {
        match &self.location {
            Location::Memory => Ok(lock::in_process(&self.shared.holders, scope, holder)),
            Location::File(path) => {
                lock::of_file(path, scope, holder).map_err(|error| named(path, error))
            }
        }
    }

    /// Opens the ledger for one run. Creates it, unless this process has seen it before. Blocks.
    pub fn open(&self, scope: &str, now: Timestamp) -> Result<LedgerWriter> {
        let store = self.store(now)?;
        let (head, memory) = self.memory(&*store.lock(), scope)?;
        let (ledger, scope) = (self.clone(), scope.to_owned());
        Ok(LedgerWriter { ledger, store, scope, head, memory, written: None })
    }

    /// The memory of a workspace; without a ledger, [`Memory::empty`]. Creates nothing. Blocks.
    pub fn read_state(&self, scope: &str) -> Result<Memory> {
        match self.read_only() {
            Ok(store) => Ok(Arc::unwrap_or_clone(self.memory(&*store.lock(), scope)?.1)),
            Err(LedgerError::None) => Ok(Memory::empty()),
            Err(error) => Err(error),
        }
    }

    /// A value that [`Ledger::remember`] has set. Blocks.
    pub fn remembered(&self, name: &str) -> Result<Option<String>> {
        match self.read_only() {
            Err(LedgerError::None) => Ok(None),
            opened => opened?.lock().remembered(name),
        }
    }

    /// Keeps a value beside the chain, which records nothing that was done. Blocks.
    pub fn remember(&self, name: &str, value: &str) -> Result<()> {
        self.open_with(Sqlite::open)?.lock().remember(name, value)
    }

    /// Verifies the chain, and returns all entries with their scopes.
    pub fn entries(&self) -> Result<Vec<(String, Record)>> {
        let store = match self.read_only() {
            Err(LedgerError::None) => return Ok(Vec::new()),
            opened => opened?,
        };
        let store = store.lock();
        let mut entries = Vec::new();
        store.read_transaction(&mut || {
            let mut head = verify::beginning(&*store)?;
            store.rows(head.seq, &mut |row| {
                head.follow(&row)?;
                entries.push((row.scope.clone(), row.read()?));
                Ok(())
            })
        })?;
        Ok(entries)
    }

    /// Verifies the chain, and whether it contains the row with the hash `head`.
    pub fn verify(&self, head: Option<&str>) -> Result<Verified> {
        let store = self.read_only()?;
        let store = store.lock();
        let mut verified = Err(LedgerError::None);
        store.read_transaction(&mut || {
            verified = verify(&*store, head);
            Ok(())
        })?;
        verified
    }

    /// Creates a new ledger for an operator. An existing one is an error.
    pub fn init(&self, now: Timestamp) -> Result<()> {
        if let Location::File(path) = &self.location
            && path.exists()
        {
            return Err(LedgerError::Exists);
        }
        let store = self.open_with(Sqlite::create)?;
        begin(&mut *store.lock(), true, now)
    }

    /// The store for a run: the existing one, or a new one if this process has seen none.
    fn store(&self, now: Timestamp) -> Result<Open> {
        let known = self.shared.last.lock().clone();
        let store = match self.open_with(Sqlite::open) {
            Err(LedgerError::None) if known.is_some() => return Err(LedgerError::Gone),
            Err(LedgerError::None) => self.open_with(Sqlite::create)?,
            opened => opened?,
        };
        let mut open = store.lock();
        if open.tail()?.is_none() {
            begin(&mut *open, false, now)?;
        }
        let identity = open.identity()?;
        match known {
            Some(last) if last.identity != identity => self.adopt(&*open)?,
            Some(last) => check_continuity(&*open, &last)?,
            None => {}
        }
        verify::check_age(&*open, now)?;
        if let Some(tail) = open.tail()? {
            *self.shared.last.lock() = Some(Last { identity, tail });
        }
        drop(open);
        Ok(store)
    }

    fn read_only(&self) -> Result<Open> {
        self.open_with(Sqlite::open_read_only)
    }

    /// Opens the file, or the store in memory, which is created if there is none.
    fn open_with(&self, open: fn(&Path) -> Result<Sqlite>) -> Result<Open> {
        if let Location::File(path) = &self.location {
            let opened = open(path).map_err(|error| named(path, error))?;
            return Ok(Arc::new(Mutex::new(opened)));
        }
        let mut kept = self.shared.in_memory.lock();
        if let Some(store) = &*kept {
            return Ok(Arc::clone(store));
        }
        let store: Open = Arc::new(Mutex::new(Sqlite::in_memory()?));
        *kept = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Accepts another ledger, if an operator created it.
    fn adopt(&self, store: &dyn Store) -> Result<()> {
        let first = store.row(1)?.map(|row| row.read()).transpose()?;
        match first.map(|record| record.entry) {
            Some(Entry::LedgerCreated(LedgerCreated { by_operator: true, .. })) => {
                self.shared.memories.lock().clear();
                Ok(())
            }
            _ => Err(LedgerError::Replaced("it is a different ledger".into())),
        }
    }

    /// The memory of a workspace, built from the end of its last run or from the beginning.
    /// Verifies every row that it reads.
    fn memory(&self, store: &dyn Store, scope: &str) -> Result<(ChainHead, Arc<Memory>)> {
        let mut kept = self.shared.memories.lock().remove(scope);
        let mut found = None;
        store.read_transaction(&mut || {
            let (mut head, mut memory) = match kept.take() {
                Some((head, memory)) if is_unchanged(store, &head)? => (head, memory),
                _ => beginning_of(store, scope).map(|(head, memory)| (head, Arc::new(memory)))?,
            };
            store.rows(head.seq, &mut |row: Row| {
                head.follow(&row)?;
                if row.scope == scope {
                    Arc::make_mut(&mut memory).fold(&row.read()?);
                }
                Ok(())
            })?;
            found = Some((head, memory));
            Ok(())
        })?;
        found.ok_or(LedgerError::None)
    }

    fn keep(&self, scope: &str, head: ChainHead, memory: Arc<Memory>) {
        self.shared.memories.lock().insert(scope.to_owned(), (head, memory));
    }

    /// Notes the last row that this process has written, to detect its loss.
    fn note(&self, tail: &ChainHead) {
        if let Some(last) = &mut *self.shared.last.lock()
            && last.tail.seq < tail.seq
        {
            last.tail.clone_from(tail);
        }
    }
}

/// The error with what the user of this process may not use, if that may be the cause.
fn named(path: &Path, error: LedgerError) -> LedgerError {
    match error {
        LedgerError::ReadOnly | LedgerError::Io(_) => {
            files::denied(path, true).map_or(error, LedgerError::Io)
        }
        error => error,
    }
}

/// The memory before the first row.
fn beginning_of(store: &dyn Store, scope: &str) -> Result<(ChainHead, Memory)> {
    let Some(mut anchor) = verify::anchor(store)? else {
        return Ok((ChainHead::root(), Memory::of_ledger()));
    };
    let memory = anchor.kept.remove(scope).unwrap_or_else(Memory::of_ledger);
    Ok((ChainHead::after(&anchor), memory))
}

/// Whether the row of this head is unchanged.
fn is_unchanged(store: &dyn Store, head: &ChainHead) -> Result<bool> {
    Ok(store.row(head.seq)?.is_some_and(|row| row.hash == head.hash))
}

/// Fails if the ledger is an older copy, without the last row that this process knows.
fn check_continuity(store: &dyn Store, last: &Last) -> Result<()> {
    let seq: Seq = last.tail.seq;
    match store.row(seq)? {
        Some(row) if row.hash == last.tail.hash => Ok(()),
        Some(_) => Err(LedgerError::Broken(chain::ChainError::Changed(seq))),
        None if verify::anchor(store)?.is_some_and(|anchor| anchor.through >= seq) => Ok(()),
        None => Err(LedgerError::Replaced(format!("row {seq} is missing"))),
    }
}

fn begin(store: &mut dyn Store, by_operator: bool, now: Timestamp) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let entry = Entry::LedgerCreated(LedgerCreated { by_operator, version });
    store.append(&[new_row("", &entry, now)?], None)?;
    Ok(())
}

/// The row of a new entry.
fn new_row(scope: &str, entry: &Entry, at: Timestamp) -> Result<NewRow> {
    let body = serde_json::to_string(entry).map_err(|error| LedgerError::Io(error.to_string()))?;
    Ok(NewRow {
        at: at.to_string(),
        scope: scope.to_owned(),
        kind: entry.kind(),
        subject: entry.subject().map(Email::folded),
        body,
    })
}
