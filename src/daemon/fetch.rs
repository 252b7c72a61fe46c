//! Fetches the repositories of rosters, each at its own pace. The watched clone shows what is new.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::blocking::run_blocking;
use crate::source::RosterSource;
use crate::source::remote::GitRemote;

/// The tasks that fetch; they end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Fetchers(Vec<(GitRemote, AbortOnDropHandle<()>)>);

impl Fetchers {
    /// Fetches the repositories of these rosters from now on, each once.
    pub fn set(&mut self, rosters: &[RosterSource]) {
        let wanted: Vec<&GitRemote> = rosters.iter().filter_map(|it| it.git.as_ref()).collect();
        self.0.retain(|(remote, _)| wanted.contains(&remote));
        for remote in wanted {
            if !self.0.iter().any(|(it, _)| it.clone == remote.clone) {
                let task = tokio::spawn(keep_fetching(Arc::new(remote.clone())));
                self.0.push((remote.clone(), AbortOnDropHandle::new(task)));
            }
        }
    }
}

/// Logs every change of the problem once.
async fn keep_fetching(remote: Arc<GitRemote>) {
    let mut problem = None;
    loop {
        let fetched = Arc::clone(&remote);
        let found = run_blocking(move || fetched.fetch()).await.err();
        let found = found.map(|problem| problem.with_hint());
        if found != problem {
            if let Some(message) = &found {
                tracing::warn!("{message}");
            } else {
                tracing::info!(url = remote.url.as_str(), "fetched again");
            }
        }
        problem = found;
        tokio::time::sleep(remote.poll).await;
    }
}
