//! SIGTERM and SIGINT for the commands that run once.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{CliError, FAILED};
use super::output;
use crate::daemon::GRACE;

/// What a run answers.
pub const AT_A_BOUNDARY: &str = "leaving at the next batch boundary; once more leaves at once";

/// A token that the first signal cancels, so that a run ends at its next batch boundary. A second
/// signal, or [`GRACE`] after the first, ends the process where it stands. The first is answered
/// with `words`.
pub fn on_signal(words: &'static str) -> Result<CancellationToken, CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::Failed(format!("signals: {error}")));
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let cancel = CancellationToken::new();
    let told = cancel.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        output::note(words);
        told.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(GRACE) => {
                output::note("a request has no answer yet; leaving all the same");
            }
        }
        std::process::exit(i32::from(FAILED));
    });
    Ok(cancel)
}

/// Resolves when the process is asked to leave while nothing has been `planned`, so that nothing
/// can be under way.
pub async fn before(cancel: &CancellationToken, planned: &AtomicBool) {
    cancel.cancelled().await;
    if planned.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
