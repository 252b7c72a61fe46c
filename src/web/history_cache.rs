//! The past of a workspace, read from its ledger when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::status::WorkspaceStatus;
use crate::blocking::run_blocking;
use crate::email::Email;
use crate::memory::entry::{Record, Seq};
use crate::memory::events::{Event, events, of_workspace};
use crate::memory::runs::{Run, runs};
use crate::memory::timeline::{Timeline, timeline};

/// So many runs are at hand without reading the ledger again.
const RUNS: usize = 50;

/// What is shown of the past.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub timeline: Timeline,
    /// The last ones, the newest first.
    pub runs: Vec<Run>,
}

/// The past of each workspace as of the end of its last run. One reading at a time.
#[derive(Debug, Default)]
pub(super) struct HistoryCache(tokio::sync::Mutex<BTreeMap<String, Known>>);

/// The past, and the end of the run that it goes to.
type Known = (Option<Timestamp>, Arc<Past>);

impl HistoryCache {
    /// The past of a workspace; an error says why it cannot be read.
    pub async fn of(&self, place: &WorkspaceStatus) -> Result<Arc<Past>, String> {
        let asof = place.last.as_ref().map(|last| last.finished);
        let mut known = self.0.lock().await;
        if let Some((at, past)) = known.get(&place.name)
            && *at == asof
        {
            return Ok(Arc::clone(past));
        }
        let read = |entries: Vec<Record>| Past {
            timeline: timeline(&entries),
            runs: runs(&entries, None, RUNS),
        };
        let past = Arc::new(entries(place, read).await?);
        known.insert(place.name.clone(), (asof, Arc::clone(&past)));
        Ok(past)
    }

    /// Runs before a row, the newest first.
    pub async fn before(
        &self,
        place: &WorkspaceStatus,
        row: Seq,
        most: usize,
    ) -> Result<Vec<Run>, String> {
        let _one_at_a_time = self.0.lock().await;
        entries(place, move |entries| runs(&entries, Some(row), most)).await
    }

    /// What happened to one person.
    pub async fn story(
        &self,
        place: &WorkspaceStatus,
        of: Vec<Email>,
    ) -> Result<Vec<Event>, String> {
        let _one_at_a_time = self.0.lock().await;
        entries(place, move |entries| events(&entries, Some(&of))).await
    }

    /// What happened, to everybody.
    pub async fn events(&self, place: &WorkspaceStatus) -> Result<Vec<Event>, String> {
        let _one_at_a_time = self.0.lock().await;
        entries(place, |entries| events(&entries, None)).await
    }
}

async fn entries<T: Send + 'static>(
    place: &WorkspaceStatus,
    read: impl FnOnce(Vec<Record>) -> T + Send + 'static,
) -> Result<T, String> {
    let Some(ledger) = place.ledger.clone() else { return Ok(read(Vec::new())) };
    let name = place.name.clone();
    let found = run_blocking(move || {
        let all = ledger.entries().map_err(|error| format!("{}: {error}", ledger.place()))?;
        Ok(read(of_workspace(all, &name)))
    });
    found.await
}
