//! The durable record: an append-only, hash-chained list of facts.
//!
//! [`Ledger`] is where it is; a [`Book`] is one run's right to write into it, together with the
//! memory of its workspace. [`store`] is what a database has to do, [`sqlite`] the one that does.
//! What a fact is and what follows from it is `memory`'s business.

mod book;
pub mod chain;
mod error;
pub mod lock;
pub mod sqlite;
pub mod store;
mod verify;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::email::Email;
use crate::memory::Memory;
use crate::memory::entry::{Begun, Entry, Noted, Seq};
use chain::{Link, Row};
use lock::{Holders, Lock};
use sqlite::Sqlite;
use store::{Draft, Store};

pub use book::Book;
pub use error::LedgerError;
pub use verify::{Verified, verify};

/// An open store, shared by the runs of several workspaces.
type Open = Arc<Mutex<dyn Store>>;

/// Where a ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nowhere: it is forgotten with the process.
    Memory,
    File(PathBuf),
}

/// A ledger, whether or not it is open or even there. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Ledger {
    place: Place,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// A ledger in memory lives as long as this.
    in_memory: Mutex<Option<Open>>,
    holders: Holders,
    /// What this process has seen of the ledger: another one in its place is noticed.
    last: Mutex<Option<Last>>,
    /// Memories as of the end of each workspace's last run.
    memories: Mutex<HashMap<String, (Link, Arc<Memory>)>>,
}

#[derive(Clone, Debug)]
struct Last {
    identity: String,
    tail: Link,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("a ledger in memory"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Ledger {
    pub fn at(place: Place) -> Self {
        Self { place, shared: Arc::default() }
    }

    /// A ledger in a store that somebody else keeps open.
    pub fn on(store: impl Store + 'static) -> Self {
        let ledger = Self::at(Place::Memory);
        *lock_of(&ledger.shared.in_memory) = Some(Arc::new(Mutex::new(store)));
        ledger
    }

    /// The same ledger as another process has it that knows nothing of it yet.
    #[must_use]
    pub fn afresh(&self) -> Self {
        let shared = Shared {
            in_memory: Mutex::new(lock_of(&self.shared.in_memory).clone()),
            holders: Arc::clone(&self.shared.holders),
            ..Shared::default()
        };
        Self { place: self.place.clone(), shared: Arc::new(shared) }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Takes the right to make a run on a workspace, or tells who has it.
    pub fn lock(&self, scope: &str, holder: &str) -> Result<Result<Lock, String>, LedgerError> {
        match &self.place {
            Place::Memory => Ok(lock::within(&self.shared.holders, scope, holder)),
            Place::File(path) => lock::beside_file(path, scope, holder),
        }
    }

    /// Opens the ledger for one run, and begins one where this process has never seen any. It may
    /// block.
    pub fn open(&self, scope: &str, now: Timestamp) -> Result<Book, LedgerError> {
        let store = self.store(now)?;
        let (link, memory) = self.memory(&*guard(&store), scope)?;
        Ok(Book::new(self.clone(), store, scope.to_owned(), link, memory))
    }

    /// What is remembered of a workspace; nothing is created. Without a ledger the memory says so.
    /// It may block.
    pub fn look(&self, scope: &str) -> Result<Memory, LedgerError> {
        match self.read_only() {
            Ok(store) => Ok(Arc::unwrap_or_clone(self.memory(&*guard(&store), scope)?.1)),
            Err(LedgerError::None) => Ok(Memory::empty()),
            Err(error) => Err(error),
        }
    }

    /// Every entry that is there, each with its scope, once the chain has been checked.
    pub fn entries(&self) -> Result<Vec<(String, Noted)>, LedgerError> {
        let store = match self.read_only() {
            Ok(store) => store,
            Err(LedgerError::None) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let store = guard(&store);
        let mut entries = Vec::new();
        store.at_once(&mut || {
            let mut link = verify::beginning(&*store)?;
            store.rows(link.seq, &mut |row| {
                link.follow(&row)?;
                entries.push((row.scope.clone(), row.read()?));
                Ok(())
            })
        })?;
        Ok(entries)
    }

    /// Checks the whole chain; with `head`, also that it leads over the row of that hash.
    pub fn verify(&self, head: Option<&str>) -> Result<Verified, LedgerError> {
        let store = self.read_only()?;
        let store = guard(&store);
        let mut verified = Err(LedgerError::None);
        store.at_once(&mut || {
            verified = verify(&*store, head);
            Ok(())
        })?;
        verified
    }

    /// Begins a new ledger because an operator says so. One that is there is left alone.
    pub fn init(&self, now: Timestamp) -> Result<(), LedgerError> {
        if let Place::File(path) = &self.place
            && path.exists()
        {
            return Err(LedgerError::Exists);
        }
        let store = self.create()?;
        begin(&mut *guard(&store), true, now)
    }

    /// The store for a run: the one this process knows, or a new one where it knows none.
    fn store(&self, now: Timestamp) -> Result<Open, LedgerError> {
        let known = lock_of(&self.shared.last).clone();
        let store = match self.existing() {
            Err(LedgerError::None) if known.is_some() => return Err(LedgerError::Gone),
            Err(LedgerError::None) => self.create()?,
            opened => opened?,
        };
        let mut open = guard(&store);
        if open.tail()?.is_none() {
            begin(&mut *open, false, now)?;
        }
        let identity = open.identity()?;
        match known {
            Some(last) if last.identity != identity => self.adopt(&*open)?,
            Some(last) => follows(&*open, &last)?,
            None => {}
        }
        if let Some(tail) = open.tail()? {
            *lock_of(&self.shared.last) = Some(Last { identity, tail });
        }
        drop(open);
        Ok(store)
    }

    fn existing(&self) -> Result<Open, LedgerError> {
        match &self.place {
            Place::Memory => self.in_memory(),
            Place::File(path) => Ok(Arc::new(Mutex::new(Sqlite::open(path)?))),
        }
    }

    fn create(&self) -> Result<Open, LedgerError> {
        match &self.place {
            Place::Memory => self.in_memory(),
            Place::File(path) => Ok(Arc::new(Mutex::new(Sqlite::create(path)?))),
        }
    }

    fn read_only(&self) -> Result<Open, LedgerError> {
        match &self.place {
            Place::Memory => self.in_memory(),
            Place::File(path) => Ok(Arc::new(Mutex::new(Sqlite::open_read_only(path)?))),
        }
    }

    fn in_memory(&self) -> Result<Open, LedgerError> {
        let mut kept = lock_of(&self.shared.in_memory);
        if let Some(store) = &*kept {
            return Ok(Arc::clone(store));
        }
        let store: Open = Arc::new(Mutex::new(Sqlite::in_memory()?));
        *kept = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Goes on with another ledger, if an operator began it.
    fn adopt(&self, store: &dyn Store) -> Result<(), LedgerError> {
        let first = store.row(1)?.map(|row| row.read()).transpose()?;
        match first.map(|noted| noted.entry) {
            Some(Entry::Begun(Begun { by_operator: true, .. })) => {
                lock_of(&self.shared.memories).clear();
                Ok(())
            }
            _ => Err(LedgerError::Replaced("it is another ledger".into())),
        }
    }

    /// The memory of a workspace, from the end of its last run or from the beginning. Every row on
    /// the way is checked.
    fn memory(&self, store: &dyn Store, scope: &str) -> Result<(Link, Arc<Memory>), LedgerError> {
        let mut kept = lock_of(&self.shared.memories).remove(scope);
        let mut found = None;
        store.at_once(&mut || {
            let (mut link, mut memory) = match kept.take() {
                Some((link, memory)) if stands(store, &link)? => (link, memory),
                _ => beginning_of(store, scope).map(|(link, it)| (link, Arc::new(it)))?,
            };
            store.rows(link.seq, &mut |row: Row| {
                link.follow(&row)?;
                if row.scope == scope {
                    Arc::make_mut(&mut memory).fold(&row.read()?);
                }
                Ok(())
            })?;
            found = Some((link, memory));
            Ok(())
        })?;
        found.ok_or(LedgerError::None)
    }

    fn keep(&self, scope: &str, link: Link, memory: Arc<Memory>) {
        lock_of(&self.shared.memories).insert(scope.to_owned(), (link, memory));
    }

    /// Notes what this process has written, so that a loss of it is noticed.
    fn note(&self, tail: &Link) {
        if let Some(last) = &mut *lock_of(&self.shared.last)
            && last.tail.seq < tail.seq
        {
            last.tail.clone_from(tail);
        }
    }
}

/// The memory before the first row that is still there.
fn beginning_of(store: &dyn Store, scope: &str) -> Result<(Link, Memory), LedgerError> {
    let Some(mut anchor) = verify::anchor(store)? else {
        return Ok((Link::root(), Memory::of_ledger()));
    };
    let memory = anchor.kept.remove(scope).unwrap_or_else(Memory::of_ledger);
    Ok((Link::after(&anchor), memory))
}

/// Whether a row is still what it was.
fn stands(store: &dyn Store, link: &Link) -> Result<bool, LedgerError> {
    Ok(store.row(link.seq)?.is_some_and(|row| row.hash == link.hash))
}

/// A copy from before this process last wrote is not the same ledger.
fn follows(store: &dyn Store, last: &Last) -> Result<(), LedgerError> {
    let seq: Seq = last.tail.seq;
    match store.row(seq)? {
        Some(row) if row.hash == last.tail.hash => Ok(()),
        Some(_) => Err(LedgerError::Broken(chain::Break::Changed(seq))),
        None if verify::anchor(store)?.is_some_and(|anchor| anchor.through >= seq) => Ok(()),
        None => Err(LedgerError::Replaced(format!("row {seq} is missing in it"))),
    }
}

fn begin(store: &mut dyn Store, by_operator: bool, now: Timestamp) -> Result<(), LedgerError> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let entry = Entry::Begun(Begun { by_operator, version });
    store.append(&[draft("", &entry, now)?], None)?;
    Ok(())
}

/// An entry as a row to be.
fn draft(scope: &str, entry: &Entry, at: Timestamp) -> Result<Draft, LedgerError> {
    let body = serde_json::to_string(entry).map_err(|error| LedgerError::Io(error.to_string()))?;
    Ok(Draft {
        at: at.to_string(),
        scope: scope.to_owned(),
        kind: entry.kind(),
        subject: entry.subject().map(Email::folded),
        body,
    })
}

fn guard<T: ?Sized>(store: &Mutex<T>) -> MutexGuard<'_, T> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock_of<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
