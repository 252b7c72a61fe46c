//! The machine that the daemon runs on, without the hardware: its disk and its threads.

use std::time::Duration;

use futures_util::future::BoxFuture;
use rosterd::blocking::{BlockingExecutor, Task};
use rosterd::ledger::LedgerError;
use rosterd::ledger::chain::{ChainHead, Row};
use rosterd::ledger::sqlite::Sqlite;
use rosterd::ledger::store::{NewRow, RowVisitor, Store};

use super::scenario;
use super::second_workspace::NEIGHBOUR;
use super::sim_state::{Shared, Site};

/// Work that blocks, on a disk that may be slow, on a machine that may lose its power.
pub struct Threads(pub Shared);

impl BlockingExecutor for Threads {
    fn execute(&self, work: Task) -> BoxFuture<'static, ()> {
        let shared = self.0.clone();
        Box::pin(async move {
            let (epoch, before, after) = {
                let mut site = shared.site();
                let slow = site.is_slow();
                if slow {
                    site.count("fault SlowDisk");
                }
                (site.epoch, pause(&mut site, slow), pause(&mut site, slow))
            };
            tokio::time::sleep(before).await;
            shared.moment(epoch, "before the disk").await;
            work();
            tokio::time::sleep(after).await;
            shared.moment(epoch, "after the disk").await;
        })
    }
}

fn pause(site: &mut Site, slow: bool) -> Duration {
    Duration::from_micros(site.random.u64(..if slow { 20_000_000 } else { 2_000 }))
}

/// The ledger's store: the real one, on a disk that may be full or broken.
#[derive(Debug)]
pub struct Kept {
    inner: Sqlite,
    shared: Shared,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Kept {
    pub fn new(shared: Shared) -> Self {
        Self { inner: Sqlite::in_memory().unwrap(), shared }
    }

    fn works(&self) -> Result<(), LedgerError> {
        if self.shared.site().disk != scenario::Disk::Unreadable {
            return Ok(());
        }
        self.shared.site().count("disk unreadable");
        Err(LedgerError::Io("input/output error".into()))
    }
}

impl Store for Kept {
    fn read_transaction(
        &self,
        read: &mut dyn FnMut() -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.inner.read_transaction(read)
    }

    fn identity(&self) -> Result<String, LedgerError> {
        self.works()?;
        self.inner.identity()
    }

    fn tail(&self) -> Result<Option<ChainHead>, LedgerError> {
        self.works()?;
        self.inner.tail()
    }

    fn first(&self) -> Result<Option<Row>, LedgerError> {
        self.inner.first()
    }

    fn row(&self, seq: u64) -> Result<Option<Row>, LedgerError> {
        self.inner.row(seq)
    }

    fn newest(&self, kind: &str) -> Result<Option<Row>, LedgerError> {
        self.inner.newest(kind)
    }

    fn rows(&self, after: u64, take: &mut RowVisitor<'_>) -> Result<(), LedgerError> {
        self.works()?;
        self.inner.rows(after, take)
    }

    fn append(&mut self, drafts: &[NewRow], through: Option<u64>) -> Result<Vec<Row>, LedgerError> {
        self.works()?;
        if self.shared.site().disk_is_full() {
            return Err(LedgerError::Full);
        }
        let rows = self.inner.append(drafts, through)?;
        let mut site = self.shared.site();
        for row in &rows {
            let noted = row.read()?;
            if row.scope == NEIGHBOUR {
                site.written_next_door(&noted.entry);
            } else {
                site.written(&noted);
            }
        }
        Ok(rows)
    }
}
