//! The simulated machine of the daemon: its disk and its threads.

use std::time::Duration;

use futures_util::future::BoxFuture;
use rosterd::blocking::{BlockingExecutor, Task};
use rosterd::ledger::LedgerError;
use rosterd::ledger::chain::{ChainHead, Row};
use rosterd::ledger::sqlite::Sqlite;
use rosterd::ledger::store::{NewRow, RowVisitor, Store};

use super::scenario;
use super::second_workspace::SECOND_WORKSPACE;
use super::sim_state::{Shared, SimState};

/// Runs blocking work on a disk that may be slow, on a machine whose power may fail.
pub struct SimulatedExecutor(pub Shared);

impl BlockingExecutor for SimulatedExecutor {
    fn execute(&self, work: Task) -> BoxFuture<'static, ()> {
        let shared = self.0.clone();
        Box::pin(async move {
            let (epoch, before, after) = {
                let mut state = shared.state();
                let slow = state.is_slow();
                if slow {
                    state.count("fault SlowDisk");
                }
                (state.epoch, disk_delay(&mut state, slow), disk_delay(&mut state, slow))
            };
            tokio::time::sleep(before).await;
            shared.crash_point(epoch, "before the disk").await;
            work();
            shared.state().check_fetched();
            tokio::time::sleep(after).await;
            shared.crash_point(epoch, "after the disk").await;
        })
    }
}

fn disk_delay(state: &mut SimState, slow: bool) -> Duration {
    Duration::from_micros(state.random.u64(..if slow { 20_000_000 } else { 2_000 }))
}

/// The real store of the ledger, on a disk that may be full or unreadable.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Sqlite,
    shared: Shared,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl FaultyStore {
    pub fn new(shared: Shared) -> Self {
        Self { inner: Sqlite::in_memory().unwrap(), shared }
    }

    fn check_disk(&self) -> Result<(), LedgerError> {
        if self.shared.state().disk != scenario::Disk::Unreadable {
            return Ok(());
        }
        self.shared.state().count("disk unreadable");
        Err(LedgerError::Io("input/output error".into()))
    }
}

impl Store for FaultyStore {
    fn read_transaction(
        &self,
        read: &mut dyn FnMut() -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.inner.read_transaction(read)
    }

    fn identity(&self) -> Result<String, LedgerError> {
        self.check_disk()?;
        self.inner.identity()
    }

    fn remembered(&self, name: &str) -> Result<Option<String>, LedgerError> {
        self.inner.remembered(name)
    }

    fn remember(&mut self, name: &str, value: &str) -> Result<(), LedgerError> {
        self.inner.remember(name, value)
    }

    fn tail(&self) -> Result<Option<ChainHead>, LedgerError> {
        self.check_disk()?;
        self.inner.tail()
    }

    fn first(&self) -> Result<Option<Row>, LedgerError> {
        self.inner.first()
    }

    fn anchor(&self) -> Result<Option<(u64, Row)>, LedgerError> {
        self.inner.anchor()
    }

    fn latest(&self) -> Result<Option<Row>, LedgerError> {
        self.inner.latest()
    }

    fn row(&self, seq: u64) -> Result<Option<Row>, LedgerError> {
        self.inner.row(seq)
    }

    fn rows(&self, after: u64, take: &mut RowVisitor<'_>) -> Result<(), LedgerError> {
        self.check_disk()?;
        self.inner.rows(after, take)
    }

    fn append(&mut self, drafts: &[NewRow], through: Option<u64>) -> Result<Vec<Row>, LedgerError> {
        self.check_disk()?;
        if self.shared.state().disk_is_full() {
            return Err(LedgerError::Full);
        }
        let rows = self.inner.append(drafts, through)?;
        let mut state = self.shared.state();
        for row in &rows {
            let record = row.read()?;
            if row.scope == SECOND_WORKSPACE {
                state.second_workspace_written(&record.entry);
            } else {
                state.written(&record);
            }
        }
        Ok(rows)
    }
}
