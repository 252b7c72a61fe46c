//! What can happen to the daemon, and the handle through which others ask it.

use std::time::Duration;

use strum::VariantArray as _;
use tokio::sync::{mpsc, oneshot};

use super::renames::Renames;
use crate::config::Config;
use crate::reconcile::InputError;
use crate::report::Trigger;

/// Maximum number of events in the queue. A source that is faster waits.
pub const QUEUE: usize = 16;

/// Timeout of a request to the daemon's loop.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The complete list: sources of events only send one of these.
#[derive(Debug)]
pub enum Event {
    /// Something changed in a watched folder. The contents decide whether it matters.
    FilesChanged,
    /// SIGHUP: read the configuration again and reconcile.
    Reload,
    /// SIGTERM or SIGINT: exit at the next batch boundary; the second one exits at once.
    Stop,
    /// A liveness check.
    Ping(oneshot::Sender<()>),
    /// A request for a run. The answer says whether the workspace exists.
    RunRequested { workspace: String, answer: oneshot::Sender<bool> },
    /// A webhook says that something was pushed to the repository of a workspace's roster.
    Pushed { workspace: String },
    /// The configuration was read again, because of `trigger`.
    Reloaded { trigger: Trigger, result: Result<Box<Config>, InputError> },
}

/// Handle for liveness checks and run requests.
#[derive(Clone, Debug)]
pub struct DaemonHandle(mpsc::Sender<Event>);

/// The queue of events. The sender is for the daemon's own answers.
#[derive(Debug)]
pub struct Inbox {
    pub sender: mpsc::Sender<Event>,
    pub events: mpsc::Receiver<Event>,
    /// What the watcher of the files saw.
    pub renames: Renames,
}

impl DaemonHandle {
    /// Whether the loop answers within five seconds.
    pub async fn is_alive(&self) -> bool {
        self.ask(Event::Ping).await.is_some()
    }

    /// Requests a run of a workspace; requests during a run merge into one later run. The answer
    /// says whether the workspace exists; None if the loop does not answer within five seconds.
    pub async fn request_run(&self, workspace: &str) -> Option<bool> {
        let workspace = workspace.to_owned();
        self.ask(|answer| Event::RunRequested { workspace, answer }).await
    }

    /// Fetches the roster of a workspace soon. Whether the queue of events took it within five
    /// seconds.
    pub async fn pushed(&self, workspace: &str) -> bool {
        let event = Event::Pushed { workspace: workspace.to_owned() };
        matches!(tokio::time::timeout(TIMEOUT, self.0.send(event)).await, Ok(Ok(())))
    }

    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(event(answer)).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(TIMEOUT, asked).await.ok().flatten()
    }
}

impl Inbox {
    pub fn open() -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        Self { sender, events, renames: Renames::default() }
    }

    /// A handle to the loop that reads these events.
    pub fn handle(&self) -> DaemonHandle {
        DaemonHandle(self.sender.clone())
    }
}

/// Of two triggers that one run answers, the more specific one.
pub(super) fn merge(pending: Option<Trigger>, trigger: Trigger) -> Trigger {
    use Trigger::{Date, File, Http, Retry, Schedule, Signal, Start};
    const ASCENDING: [Trigger; Trigger::VARIANTS.len()] =
        [Retry, Schedule, Start, Date, Http, Signal, File];
    let is_pending = |other: &Trigger| *other == trigger || Some(*other) == pending;
    ASCENDING.into_iter().rfind(is_pending).unwrap_or(trigger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_specific_of_two_triggers_wins() {
        assert_eq!(merge(None, Trigger::Retry), Trigger::Retry);
        assert_eq!(merge(Some(Trigger::File), Trigger::Schedule), Trigger::File);
        assert_eq!(merge(Some(Trigger::Schedule), Trigger::File), Trigger::File);
        assert_eq!(merge(Some(Trigger::Retry), Trigger::Date), Trigger::Date);
    }
}
