//! What others ask of the daemon's loop: whether it goes round, and a run. Nothing beats by
//! itself: who wants to know asks.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::events::Event;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the daemon's loop.
#[derive(Clone, Debug)]
pub struct DaemonHandle(pub(super) mpsc::Sender<Event>);

impl DaemonHandle {
    /// Whether the loop answers within five seconds.
    pub async fn is_alive(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        let asked =
            async { self.0.send(Event::Ping(answer)).await.is_ok() && answered.await.is_ok() };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(false)
    }

    /// Asks for a run of a workspace; runs that are asked for while one is under way are one. The
    /// answer says whether there is such a workspace; None where the loop does not answer within
    /// five seconds.
    pub async fn reconcile(&self, workspace: &str) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        let wanted = Event::RunRequested { workspace: workspace.to_owned(), answer };
        let asked = async {
            self.0.send(wanted).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(None)
    }
}
