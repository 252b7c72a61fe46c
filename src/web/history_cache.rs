//! The history of a workspace, read from its ledger on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::queries::RunsQuery;
use super::status::WorkspaceStatus;
use crate::blocking::run_blocking;
use crate::email::Email;
use crate::memory::entry::{Record, RunRecord};
use crate::memory::events::{Event, events, of_workspace};
use crate::memory::runs::{Run, runs};
use crate::memory::timeline::{Timeline, timeline};

/// Number of recent runs in the cache.
const CACHED_RUNS: usize = 50;

#[derive(Debug, Default)]
pub(super) struct History {
    pub timeline: Timeline,
    /// The newest first.
    pub runs: Vec<Run>,
}

/// The history of each workspace up to its last run. The lock makes ledger reads sequential, which
/// bounds the memory that they take.
#[derive(Debug, Default)]
pub(super) struct HistoryCache(tokio::sync::Mutex<BTreeMap<String, Cached>>);

/// The end of the last run when the history was read, and the history.
type Cached = (Option<Timestamp>, Arc<History>);

impl HistoryCache {
    /// Timeline and recent runs. An error says why the ledger cannot be read.
    pub async fn get(&self, workspace: &WorkspaceStatus) -> Result<Arc<History>, String> {
        let last = workspace.last_run.as_ref().map(|run| run.finished);
        let mut cache = self.0.lock().await;
        if let Some((at, history)) = cache.get(&workspace.name)
            && *at == last
        {
            return Ok(Arc::clone(history));
        }
        let history = read(workspace, |entries| History {
            timeline: timeline(&entries),
            runs: runs(&entries, None, CACHED_RUNS, |_| true),
        });
        let history = Arc::new(history.await?);
        cache.insert(workspace.name.clone(), (last, Arc::clone(&history)));
        Ok(history)
    }

    /// The last runs that the query selects, the newest first.
    pub async fn runs(
        &self,
        workspace: &WorkspaceStatus,
        RunsQuery { before, changed, run: one, .. }: RunsQuery,
        limit: usize,
    ) -> Result<Vec<Run>, String> {
        let _sequential = self.0.lock().await;
        let before = one.map_or(before, |seq| seq.checked_add(1));
        let limit = if one.is_some() { 1 } else { limit };
        let wanted = move |run: &RunRecord| !changed || run.has_changed();
        let found = read(workspace, move |entries| runs(&entries, before, limit, wanted)).await?;
        Ok(found.into_iter().filter(|run| one.is_none_or(|seq| run.seq == seq)).collect())
    }

    /// All events, or those of the person with these addresses; the oldest first.
    pub async fn events(
        &self,
        workspace: &WorkspaceStatus,
        addresses: Option<Vec<Email>>,
    ) -> Result<Vec<Event>, String> {
        let _sequential = self.0.lock().await;
        read(workspace, move |entries| events(&entries, addresses.as_deref())).await
    }
}

async fn read<T: Send + 'static>(
    workspace: &WorkspaceStatus,
    fold: impl FnOnce(Vec<Record>) -> T + Send + 'static,
) -> Result<T, String> {
    let Some((ledger, scope)) = workspace.chain.clone() else { return Ok(fold(Vec::new())) };
    run_blocking(move || {
        let entries = ledger.entries().map_err(|error| format!("{}: {error}", ledger.place()))?;
        Ok(fold(of_workspace(entries, &scope)))
    })
    .await
}
