//! A real run of a world.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::client::{ReadDirectory, WriteDirectory};
use rosterd::clock::Clock;
use rosterd::diagnostic::Sources;
use rosterd::failure::FailureKind;
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::scope::Scope;
use rosterd::reconcile::{
    self, Evaluation, LedgerConfig, Loaded, RunOptions, RunResult, RunSession, WorkspaceSpec,
};
use rosterd::report::{Failure, RunReport, Trigger};
use rosterd::source::RosterSource;
use tokio_util::sync::CancellationToken;

use super::directory::{Fake, FrozenClock};
use super::world::World;

/// One run about to start.
#[must_use]
pub struct Run<'a> {
    target: WorkspaceSpec,
    loaded: Arc<Loaded>,
    pub ledger: Ledger,
    scope: Scope,
    pub cancel: CancellationToken,
    clock: &'a dyn Clock,
    options: RunOptions,
    on_plan: &'a (dyn Fn(&Evaluation) + Sync),
}

/// The scope of every run.
pub const SCOPE: &str = "acme";

/// The ledger configuration of a run.
pub fn records(ledger: &Ledger) -> LedgerConfig {
    LedgerConfig {
        ledger: ledger.clone(),
        scope: Scope::of_name(SCOPE),
        retention: SignedDuration::from_hours(400 * 24),
        lock_timeout: Duration::from_secs(1),
    }
}

impl<'a> Run<'a> {
    /// Two concurrent batches of two.
    pub fn of(world: &World) -> Self {
        let target = WorkspaceSpec {
            workspace: "acme".into(),
            source: RosterSource::new(Vec::new(), std::path::PathBuf::new()),
            max_changes: rosterd::reconcile::MAX_CHANGES,
            zone: TimeZone::UTC,
            on_removed: world.on_removed,
            approvals_in_file: true,
            limits: world.limits.clone(),
            policy: world.policy.clone(),
            sending: Sending { concurrency: 2, batch: 2 },
        };
        let roster = world.roster();
        let sources = Sources::default();
        let loaded = Loaded {
            roster,
            sources,
            warnings: Vec::new(),
            revision: None,
            takes_approvals: true,
            outage: None,
        };
        let loaded = Arc::new(loaded);
        let cancel = CancellationToken::new();
        let ledger = Ledger::at(Location::Memory);
        let (options, scope) = (RunOptions::new(Trigger::Start), Scope::of_name(SCOPE));
        Self {
            target,
            loaded,
            ledger,
            scope,
            cancel,
            clock: &FrozenClock,
            options,
            on_plan: &|_| {},
        }
    }

    /// Uses this ledger, which outlives the run.
    pub fn ledger(mut self, ledger: &Ledger) -> Self {
        self.ledger = ledger.clone();
        self
    }

    pub fn scope(mut self, scope: &Scope) -> Self {
        self.scope = scope.clone();
        self.target.workspace.clone_from(&scope.name);
        self
    }

    pub fn sending(mut self, concurrency: usize, batch: usize) -> Self {
        self.target.sending = Sending { concurrency, batch };
        self
    }

    pub fn max_changes(mut self, max: usize) -> Self {
        self.target.max_changes = max;
        self
    }

    pub fn seen(mut self, seen: &'a (dyn Fn(&Evaluation) + Sync)) -> Self {
        self.on_plan = seen;
        self
    }

    pub fn clock(mut self, clock: &'a dyn Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The number of changes that the server is known to accept in one request.
    pub fn max_batch(mut self, size: usize) -> Self {
        self.options.max_batch = Some(size);
        self
    }

    pub async fn go(&self, fake: &Fake) -> RunReport {
        self.attempt(fake).await.unwrap().report
    }

    /// Like `go`, but the ledger may be unusable.
    pub async fn attempt<D: ReadDirectory + WriteDirectory>(
        &self,
        directory: &D,
    ) -> Result<RunResult, Failure> {
        let config = LedgerConfig { scope: self.scope.clone(), ..records(&self.ledger) };
        let session = RunSession::acquire(&config, self.clock, &CancellationToken::new()).await?;
        let run = reconcile::Run {
            directory,
            spec: &self.target,
            loaded: &self.loaded,
            session,
            options: self.options.clone(),
            clock: self.clock,
            cancel: &self.cancel,
            on_plan: &|evaluation| {
                (self.on_plan)(evaluation);
                Ok(())
            },
            on_progress: &|_, _| {},
        };
        Ok(run.execute().await)
    }

    /// Like `go`, without a runtime.
    pub fn blocking(&self, fake: &Fake) -> RunReport {
        self.attempt_blocking(fake).unwrap()
    }

    pub fn attempt_blocking(&self, fake: &Fake) -> Result<RunReport, Failure> {
        let attempt = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap()
                .block_on(self.attempt(fake))
                .map(|result| result.report)
        };
        // A child process of another test holds our locks between fork and exec, and a paused clock
        // does not wait for it.
        let is_locked = |report: &Result<RunReport, Failure>| {
            report.as_ref().is_err_and(|failure| failure.kind == FailureKind::Locked)
        };
        let attempts = std::iter::repeat_with(|| {
            std::thread::sleep(Duration::from_millis(20));
            attempt()
        });
        let mut attempts = std::iter::once(attempt()).chain(attempts.take(20));
        let last = attempts.find(|report| !is_locked(report));
        last.unwrap_or_else(attempt)
    }
}
