//! The signals that the daemon obeys.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::events::Event;

/// From its return on, SIGTERM, SIGINT and SIGHUP are events, and no longer end the process.
pub fn listen(events: mpsc::Sender<Event>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let (name, event) = tokio::select! {
                Some(()) = terminate.recv() => ("SIGTERM", Event::Stop),
                Some(()) = interrupt.recv() => ("SIGINT", Event::Stop),
                Some(()) = hangup.recv() => ("SIGHUP", Event::Reload),
                else => return,
            };
            tracing::info!(signal = name, "signal received");
            if events.send(event).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}
