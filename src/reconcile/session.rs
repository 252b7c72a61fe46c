//! The place at which a run is made: the lock that keeps others away, and the open ledger.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::{Loaded, WorkspaceSpec, record};
use crate::apply::journal;
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::failure::FailureKind;
use crate::guard::{self, Limits};
use crate::ledger::lock::Lock;
use crate::ledger::{Ledger, LedgerWriter};
use crate::memory::Memory;
use crate::plan::Plan;
use crate::report::{End, Failure, RunReport};

/// How often a lock that somebody else holds is tried.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Where the record of one workspace is kept, and how.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    pub ledger: Ledger,
    /// The endpoint, and the workspace or the key.
    pub scope: String,
    /// What is over is kept for so long.
    pub retention: SignedDuration,
    /// Another run of the same workspace is waited for so long.
    pub lock_timeout: Duration,
}

/// The right to make one run.
#[derive(Debug)]
pub struct RunSession {
    pub writer: LedgerWriter,
    pub lock: Lock,
    /// Another process had to be waited for: what was read before is old.
    pub waited: bool,
    pub(super) retention: SignedDuration,
}

/// Waits for the lock and opens the ledger. Nothing is read of the directory before.
pub async fn acquire(
    records: &LedgerConfig,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<RunSession, Failure> {
    let (lock, waited) = lock(records, clock, cancel).await?;
    let (ledger, scope, now) = (records.ledger.clone(), records.scope.clone(), clock.now());
    let opened = run_blocking(move || ledger.open(&scope, now)).await;
    let writer = opened.map_err(|error| journal::failure(&records.ledger, &error))?;
    Ok(RunSession { writer, lock, waited, retention: records.retention })
}

async fn lock(
    records: &LedgerConfig,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<(Lock, bool), Failure> {
    let holder = holder(clock);
    let mut waited = Duration::ZERO;
    loop {
        match records.ledger.lock(&records.scope, &holder) {
            Ok(Ok(lock)) => return Ok((lock, waited > Duration::ZERO)),
            Ok(Err(by)) if waited >= records.lock_timeout => {
                let message = format!(
                    "another run of this workspace is under way, by {by}; waited {} s \
                     (--lock-timeout)",
                    waited.as_secs()
                );
                return Err(Failure { kind: FailureKind::Locked, message });
            }
            Ok(Err(by)) if waited.is_zero() => {
                tracing::info!(by, "waiting for another run of this workspace to end");
            }
            Ok(Err(_)) => {}
            Err(error) => return Err(journal::failure(&records.ledger, &error)),
        }
        let pause = LOCK_POLL_INTERVAL
            .min(records.lock_timeout.saturating_sub(waited))
            .max(LOCK_POLL_INTERVAL / 10);
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => waited += pause,
            () = cancel.cancelled() => {
                let message = "ended while it waited for another run".to_owned();
                return Err(Failure { kind: FailureKind::Cancelled, message });
            }
        }
    }
}

fn holder(clock: &dyn Clock) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => String::new(),
        host => format!(" on {host}"),
    };
    let since = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("process {}{host}, since {since}", std::process::id())
}

/// Writes how the run ended, drops what is too old, and tells what is remembered now. A run that
/// cannot be written down has not ended well.
pub(super) async fn finish(
    mut report: RunReport,
    loaded: &Loaded,
    target: &WorkspaceSpec,
    session: (LedgerWriter, SignedDuration),
    clock: &dyn Clock,
) -> (RunReport, Arc<Memory>) {
    let (mut writer, retention) = session;
    let run = record::run(&report, loaded);
    // To a clock that leapt ahead everything is old; what is dropped would be missed once it is
    // right again.
    let now = report.applied().map(|applied| &applied.plan);
    let now = now.filter(|plan| guard::clock_is_trusted(plan)).map(Plan::now);
    let written = match (writer.write(vec![run], clock.now()).await, now) {
        (Ok(_), Some(now)) => writer.prune(now, retention, longest_window(&target.limits)).await,
        (written, _) => written.map(|_| ()),
    };
    report.ledger = Some(writer.head().hash.clone());
    let memory = match written {
        Ok(()) => writer.close(),
        Err(error) => {
            if let End::Applied(applied) = &mut report.end {
                let failure = || journal::failure(writer.ledger(), &error);
                applied.stopped.get_or_insert_with(failure);
            }
            writer.shared_memory()
        }
    };
    (report, memory)
}

/// Effects are counted for so long.
fn longest_window(limits: &Limits) -> SignedDuration {
    limits.budgets.values().map(|budget| budget.window).max().unwrap_or_default()
}
