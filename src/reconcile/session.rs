//! The right to make one run: the workspace's lock and its open ledger.

use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::apply::journal;
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::escape::escape;
use crate::failure::FailureKind;
use crate::ledger::lock::Lock;
use crate::ledger::{Ledger, LedgerWriter};
use crate::memory::place::OtherChain;
use crate::memory::scope::Scope;
use crate::report::Failure;

/// How often a lock that another run holds is tried again.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Where a workspace's ledger is, and how it is used.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    pub ledger: Ledger,
    pub scope: Scope,
    /// How long rows are kept.
    pub retention: SignedDuration,
    /// How long to wait for another run of the same workspace.
    pub lock_timeout: Duration,
}

/// The lock of one workspace and its open ledger. A run needs one.
#[derive(Debug)]
pub struct RunSession {
    pub(super) writer: LedgerWriter,
    pub(super) lock: Lock,
    pub(super) retention: SignedDuration,
    pub(super) scope: Scope,
    /// Other chains that may be of the same place.
    pub(super) others: Vec<OtherChain>,
    /// Another run held the lock at first, so what was read before may be outdated.
    pub waited: bool,
}

impl RunSession {
    /// Waits for the lock, then opens the ledger.
    pub async fn acquire(
        config: &LedgerConfig,
        clock: &dyn Clock,
        cancel: &CancellationToken,
    ) -> Result<Self, Failure> {
        let (lock, waited) = lock(config, clock, cancel).await?;
        let (ledger, scope, now) = (config.ledger.clone(), config.scope.clone(), clock.now());
        let opened = run_blocking(move || {
            let writer = ledger.open_workspace(&scope, now)?;
            let others = ledger.others(&scope, writer.memory())?;
            Ok((writer, scope, others))
        });
        let opened = opened.await;
        let (writer, scope, others) =
            opened.map_err(|error| journal::failure(&config.ledger, &error))?;
        Ok(Self { writer, lock, retention: config.retention, scope, others, waited })
    }
}

async fn lock(
    config: &LedgerConfig,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<(Lock, bool), Failure> {
    let holder = holder(clock);
    let mut waited = Duration::ZERO;
    loop {
        match config.ledger.lock(&config.scope.key, &holder) {
            Ok(Ok(lock)) => return Ok((lock, waited > Duration::ZERO)),
            Ok(Err(by)) if waited >= config.lock_timeout => {
                let message = format!(
                    "another run of this workspace is in progress, by {by}; waited {} s \
                     (--lock-timeout)",
                    waited.as_secs()
                );
                return Err(Failure::new(FailureKind::Locked, message));
            }
            Ok(Err(by)) if waited.is_zero() => {
                tracing::info!(by = &*escape(&by), "waiting for another run of this workspace");
            }
            Ok(Err(_)) => {}
            Err(error) => return Err(journal::failure(&config.ledger, &error)),
        }
        let remaining = config.lock_timeout.saturating_sub(waited);
        let pause = LOCK_POLL_INTERVAL.min(remaining).max(LOCK_POLL_INTERVAL / 10);
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => waited += pause,
            () = cancel.cancelled() => {
                let message = "interrupted while waiting for another run";
                return Err(Failure::new(FailureKind::Cancelled, message));
            }
        }
    }
}

/// Names this process as the holder of the lock, for processes that wait for it.
fn holder(clock: &dyn Clock) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => String::new(),
        host => format!(" on {host}"),
    };
    let since = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("process {}{host}, since {since}", std::process::id())
}
