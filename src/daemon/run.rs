//! One run of a worker, while commands keep arriving.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::files::FileCheck;
use super::settings::WorkspaceSettings;
use super::worker::{WorkspaceWorker, until};
use super::{Connected, Environment, digest};
use crate::blocking::run_blocking;
use crate::diagnostic::Sources;
use crate::failure::FailureKind;
use crate::reconcile::{InputError, Loaded, Observation, Run, RunOptions, RunResult, RunSession};
use crate::report::{End, Failure, RunReport, Stale, Trigger};
use crate::roster::Digest;

impl<E: Environment> WorkspaceWorker<E> {
    /// Makes one run. The sources are those of a roster that cannot be used. None if there is no
    /// roster yet and its files are not complete.
    pub(super) async fn reconcile(
        &mut self,
        settings: &Arc<WorkspaceSettings>,
        trigger: Trigger,
        now: Timestamp,
    ) -> Option<(RunReport, Option<Arc<Observation>>, Sources)> {
        let (environment, read) = (Arc::clone(&self.environment), Arc::clone(settings));
        let connected = run_blocking(move || environment.connect(&read.workspace)).await;
        let session = self.acquire(connected).await;
        // Read after the lock was acquired, so that the roster is not outdated.
        let (environment, read) = (Arc::clone(&self.environment), Arc::clone(settings));
        let files = Arc::clone(&self.known.files);
        let roster = run_blocking(move || {
            let loaded = environment.load(&read.workspace.target, now);
            files.complete(&*environment, &read, loaded, |loaded| &loaded.sources)
        });
        let unusable = match self.complete(settings, roster.await) {
            Some(mut roster) => {
                // After a restart, the last accepted commit is in force.
                let outage = roster.as_mut().ok().and_then(|loaded| loaded.outage.take());
                if let Some(outage) = outage {
                    self.known.last_good = roster.ok().map(Arc::new);
                    roster = Err(outage);
                }
                self.accept_roster(settings, roster).unwrap_or_default()
            }
            None if self.known.last_good.is_none() => return None,
            None => Sources::default(),
        };
        let (stale, max_batch) = (self.known.input_failed.clone(), self.known.max_batch);
        let options = RunOptions { stale: stale.clone(), max_batch, ..RunOptions::new(trigger) };
        let result = match (self.known.last_good.clone(), session) {
            (None, _) => {
                let why = stale.as_ref().map(|it| format!(": {}", it.why)).unwrap_or_default();
                let message = format!("no valid roster yet; runs begin when there is one{why}");
                Err(Failure::new(FailureKind::Roster, message))
            }
            (Some(_), Err(failure)) => Err(failure),
            (Some(loaded), Ok((directory, session))) => {
                self.execute(settings, options, &loaded, &directory, session).await
            }
        };
        Some(match result {
            Ok(RunResult { report, observation, max_batch }) => {
                self.known.max_batch = max_batch;
                (report, observation, unusable)
            }
            Err(failure) => {
                let report = RunReport {
                    workspace: settings.name().to_owned(),
                    trigger,
                    started: now,
                    finished: self.clock.now(),
                    stale,
                    key: None,
                    ledger: None,
                    end: End::Failed(failure),
                };
                (report, None, unusable)
            }
        })
    }

    /// Waits for the workspace's lock, unless a command ends the run first.
    async fn acquire(
        &mut self,
        connected: Result<Connected<E::Directory>, Failure>,
    ) -> Result<(E::Directory, RunSession), Failure> {
        let Connected { directory, ledger } = connected?;
        let (cancel, clock) = (CancellationToken::new(), Arc::clone(&self.clock));
        let acquired = RunSession::acquire(&ledger, &*clock, &cancel);
        tokio::pin!(acquired);
        loop {
            tokio::select! {
                biased;
                commands = self.queue.take() => self.commands.join(commands),
                session = &mut acquired => return Ok((directory, session?)),
            }
            if self.commands.interrupts() {
                cancel.cancel();
            }
        }
    }

    /// Keeps a valid roster; an invalid one leaves the last valid one in force. Every change of
    /// state is logged once. Returns the text of files that cannot be used.
    fn accept_roster(
        &mut self,
        settings: &WorkspaceSettings,
        roster: Result<Loaded, InputError>,
    ) -> Option<Sources> {
        let name = Some(settings.name());
        self.environment.roster_read(settings.name(), &roster);
        match roster {
            Ok(loaded) => {
                let found = Some(digest(&loaded.sources, &[]));
                if self.known.input_failed.take().is_some() {
                    tracing::info!(workspace = name, "the roster is valid again");
                }
                if self.known.contents != found {
                    self.environment.problems(name, &loaded.sources, &loaded.warnings);
                }
                self.known.contents = found;
                self.known.last_good = Some(Arc::new(loaded));
                None
            }
            Err(error) => {
                let found = Some(digest(&error.sources, &error.diagnostics));
                if self.known.input_failed.is_none() || self.known.contents != found {
                    let kept = self.known.last_good.is_some();
                    let message = if kept {
                        "the roster cannot be used; the last valid one stays in force"
                    } else {
                        "the roster cannot be used; no run until it is valid"
                    };
                    tracing::error!(workspace = name, kept, "{message}");
                    self.environment.problems(name, &error.sources, &error.diagnostics);
                }
                self.known.input_failed = Some(Stale::from(&error));
                self.known.contents = found;
                Some(error.sources)
            }
        }
    }

    /// Executes the run. A new roster, new settings or the stop command end it at its next batch
    /// boundary, and before the plan at once.
    async fn execute(
        &mut self,
        settings: &Arc<WorkspaceSettings>,
        options: RunOptions,
        loaded: &Arc<Loaded>,
        directory: &E::Directory,
        session: RunSession,
    ) -> Result<RunResult, Failure> {
        let (environment, clock) = (Arc::clone(&self.environment), Arc::clone(&self.clock));
        let (cancel, name) = (CancellationToken::new(), settings.name());
        let planned = AtomicBool::new(false);
        let run = Run {
            directory,
            spec: &settings.workspace.target,
            loaded,
            session,
            options,
            clock: &*clock,
            cancel: &cancel,
            on_plan: &|evaluation| {
                planned.store(true, Ordering::Relaxed);
                environment.on_plan(name, loaded, evaluation);
                Ok(())
            },
            on_progress: &|done, of| environment.progress(name, done, of),
        };
        let run = run.execute();
        tokio::pin!(run);
        let mut comparing = None;
        let result = loop {
            tokio::select! {
                biased;
                commands = self.queue.take() => self.commands.join(commands),
                result = &mut run => break Ok(result),
                found = compared(&mut comparing) => {
                    let found = found.and_then(|found| self.complete(settings, found));
                    if found.is_some() && found != self.known.contents {
                        self.commands.request(Trigger::File);
                        cancel.cancel();
                    }
                }
                () = until(self.known.waiting), if comparing.is_none() => {
                    self.commands.files_changed = true;
                }
            }
            if self.commands.interrupts() {
                cancel.cancel();
            }
            if cancel.is_cancelled() && !planned.load(Ordering::Relaxed) {
                let message = "interrupted before the plan";
                break Err(Failure::new(FailureKind::Cancelled, message));
            }
            if comparing.is_none() && std::mem::take(&mut self.commands.files_changed) {
                comparing = Some(tokio::spawn(self.contents(settings)));
            }
        };
        // A comparison that has not ended is made again.
        self.commands.files_changed |= comparing.is_some();
        result
    }
}

/// The result of the comparison in progress. Without one it never resolves.
async fn compared(
    comparing: &mut Option<JoinHandle<FileCheck<Digest>>>,
) -> Option<FileCheck<Digest>> {
    let Some(handle) = comparing else { return std::future::pending().await };
    let found = handle.await.ok();
    *comparing = None;
    found
}
