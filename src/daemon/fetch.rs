//! Fetches the repositories of rosters: each at its own pace, and at once when a webhook says that
//! something was pushed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::events::Event;
use crate::blocking::run_blocking;
use crate::config::Config;
use crate::source::remote::GitRemote;

/// Minimum time between two fetches because of webhooks: a flood of them is one fetch.
const PAUSE: Duration = Duration::from_secs(5);

/// One for each repository and way to fetch it; they end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Fetchers(Vec<Fetcher>);

#[derive(Debug)]
struct Fetcher {
    remote: GitRemote,
    /// Whose rosters it has.
    workspaces: Vec<String>,
    pushed: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Fetchers {
    /// Fetches the repositories of this configuration from now on.
    pub fn set(&mut self, config: &Config, events: &mpsc::Sender<Event>) {
        let mut before = std::mem::take(&mut self.0);
        for workspace in &config.workspaces {
            let Some(remote) = &workspace.target.source.git else { continue };
            let name = workspace.target.workspace.clone();
            if let Some(same) = self.0.iter_mut().find(|it| it.remote == *remote) {
                same.workspaces.push(name);
            } else if let Some(at) = before.iter().position(|it| it.remote == *remote) {
                let kept = before.swap_remove(at);
                self.0.push(Fetcher { workspaces: vec![name], ..kept });
            } else {
                let pushed = Arc::new(Notify::new());
                let fetching = keep_fetching(remote.clone(), events.clone(), Arc::clone(&pushed));
                let task = AbortOnDropHandle::new(tokio::spawn(fetching));
                let (remote, workspaces) = (remote.clone(), vec![name]);
                self.0.push(Fetcher { remote, workspaces, pushed, _task: task });
            }
        }
    }

    /// Something was pushed that may concern the roster of a workspace.
    pub fn pushed(&self, workspace: &str) {
        let fetcher = self.0.iter().find(|it| it.workspaces.iter().any(|it| it == workspace));
        fetcher.inspect(|fetcher| fetcher.pushed.notify_one());
    }
}

/// Logs every change of the problem once. After each fetch the contents are compared: they also
/// become unusable if the server is away for too long.
async fn keep_fetching(remote: GitRemote, events: mpsc::Sender<Event>, pushed: Arc<Notify>) {
    let (remote, mut problem) = (Arc::new(remote), None);
    loop {
        let fetched = Arc::clone(&remote);
        let found = run_blocking(move || fetched.fetch()).await.err();
        let ended = Instant::now();
        match (&problem, &found) {
            (_, Some(found)) if problem.as_ref() != Some(found) => {
                tracing::warn!("{}", found.with_hint());
            }
            (Some(_), None) => tracing::info!(url = remote.url.as_str(), "fetched again"),
            _ => {}
        }
        problem = found;
        if events.send(Event::FilesChanged).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(remote.poll) => {}
            () = pushed.notified() => tokio::time::sleep_until(ended + PAUSE).await,
        }
    }
}
