//! Signals as events of the daemon.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::events::Event;

/// Turns SIGTERM, SIGINT and SIGHUP into events; they no longer end the process.
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
