//! Whether the daemon's loop goes round. Nothing beats by itself: who wants to know asks.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::events::Event;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the daemon's loop.
#[derive(Clone, Debug)]
pub struct Pulse(pub(super) mpsc::Sender<Event>);

impl Pulse {
    /// Whether the loop answers within five seconds.
    pub async fn beats(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        let asked =
            async { self.0.send(Event::Ping(answer)).await.is_ok() && answered.await.is_ok() };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(false)
    }
}
