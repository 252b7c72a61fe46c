//! SIGTERM and SIGINT for the commands that run once.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, exit, output};
use crate::daemon::GRACE;

/// The message of a command that makes a run.
pub const AT_A_BOUNDARY: &str =
    "stopping at the next batch boundary; a second signal exits at once";

/// A token that the first signal cancels, so that a run ends at its next batch boundary. A second
/// signal exits at once, as does the end of [`GRACE`]. The first signal prints `message`.
pub fn on_signal(message: &'static str) -> Result<CancellationToken, CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::Failed(format!("signals: {error}")));
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let cancel = CancellationToken::new();
    let on_signal = cancel.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        output::note(message);
        on_signal.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(GRACE) => {
                output::note("shutdown grace period expired with a request in flight; exiting");
            }
        }
        std::process::exit(i32::from(exit::FAILED));
    });
    Ok(cancel)
}

/// Resolves when a signal arrives before anything is `planned`, so that nothing can be in flight.
pub async fn before(cancel: &CancellationToken, planned: &AtomicBool) {
    cancel.cancelled().await;
    if planned.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
