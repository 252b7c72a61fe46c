//! The loop of one workspace: waits for a reason, makes one run, decides when the next is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::queue::{Assignment, CommandQueue, PendingCommands};
use super::retry_policy;
use super::timers::Timers;
use super::{Connected, Environment, RunCompleted, digest};
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::config::{ScheduleSettings, WorkspaceConfig};
use crate::diagnostic::Sources;
use crate::failure::FailureKind;
use crate::guard::Override;
use crate::reconcile::{self, InputError, Loaded, Pass, RunSession, Setting, WorkspaceState};
use crate::report::{End, Failure, RunReport, Trigger};
use crate::roster::Digest;
use crate::{retry, schedule};

/// A run is so much heavier than a request that it backs off so many times more slowly: by
/// seconds at first, by minutes in the end.
const RUN_BACKOFF_FACTOR: u32 = 10;

/// A key that is refused backs off as if it had been so many times: to about two minutes.
const DENIED_BACKOFF_STEP: u32 = 6;

/// Runs that follow at once because the one before released something it had held.
const FOLLOW_UPS: u8 = 3;

/// What one workspace needs to know of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub workspace: WorkspaceConfig,
    pub schedule: ScheduleSettings,
}

pub(super) struct WorkspaceWorker<H> {
    environment: Arc<H>,
    clock: Arc<dyn Clock>,
    queue: Arc<CommandQueue>,
    settings: Option<Arc<Settings>>,
    /// What has been taken in and not been acted on yet.
    commands: PendingCommands,
    timers: Timers,
    carry: WorkspaceState,
    /// The contents that were read last, good or bad.
    contents: Option<Digest>,
    /// The files cannot be used as they are.
    outage: bool,
    /// Runs in a row that are worth another try.
    failures: u32,
    follow_ups: u8,
}

impl<H: Environment> WorkspaceWorker<H> {
    pub(super) fn new(
        environment: Arc<H>,
        clock: Arc<dyn Clock>,
        queue: Arc<CommandQueue>,
    ) -> Self {
        Self {
            environment,
            clock,
            queue,
            settings: None,
            commands: PendingCommands::default(),
            timers: Timers::default(),
            carry: WorkspaceState::default(),
            contents: None,
            outage: false,
            failures: 0,
            follow_ups: 0,
        }
    }

    /// Makes runs until it is told to stop.
    pub(super) async fn keep(mut self) {
        while let Some((settings, trigger)) = self.next_run().await {
            let now = self.clock.now();
            let (report, sources) = self.run(&settings, trigger, now).await;
            self.after(&report);
            let roster = self.carry.last_good.as_ref().map(|loaded| &loaded.roster);
            self.timers.boundary = roster.and_then(|roster| roster.next_boundary(now));
            // What waits, settles or is held for a time is looked at when its time has come.
            self.timers.retry = self.timers.retry.into_iter().chain(report.next()).min();
            let sources = self.carry.last_good.as_ref().map_or(&sources, |loaded| &loaded.sources);
            let observation = self.carry.observation.take();
            let next = self.timers.next();
            self.environment.finished(&RunCompleted {
                report: &report,
                sources,
                next,
                observation,
            });
        }
    }

    /// Waits for a reason to run.
    async fn next_run(&mut self) -> Option<(Arc<Settings>, Trigger)> {
        loop {
            self.commands.join(self.queue.take_now());
            if self.commands.stop {
                return None;
            }
            if let Some(assignment) = self.commands.assignment.take() {
                self.apply_settings(assignment);
            }
            let now = self.clock.now();
            self.update_timers(now);
            if let Some(settings) = self.settings.clone() {
                if std::mem::take(&mut self.commands.moved) && self.has_changed(&settings).await {
                    self.commands.want(Trigger::File);
                }
                if let Some(due) = self.timers.due(now) {
                    self.commands.want(due);
                    // What falls due during the run is answered after it.
                    self.update_timers(now);
                }
                if let Some(trigger) = self.commands.trigger.take() {
                    return Some((settings, trigger));
                }
            }
            tokio::select! {
                biased;
                commands = self.queue.take() => self.commands.join(commands),
                () = sleep_until(self.timers.sleep(now)) => {}
            }
        }
    }

    /// Takes new settings. What was learnt of other files or another directory does not count.
    fn apply_settings(&mut self, assignment: Assignment) {
        let settings = match assignment {
            Assignment::Active(settings) => Some(settings),
            Assignment::Idle => None,
        };
        let same = match (&self.settings, &settings) {
            (Some(old), Some(new)) => old.keeps_memory_of(new),
            _ => false,
        };
        if !same {
            self.carry = WorkspaceState::default();
            self.contents = None;
            self.outage = false;
        }
        self.failures = 0;
        self.timers = Timers::default();
        if settings.is_none() {
            self.commands.trigger = None;
        }
        self.settings = settings;
    }

    /// Sets the timers that depend on what time it is.
    fn update_timers(&mut self, now: Timestamp) {
        let Some(settings) = &self.settings else { return };
        if self.timers.note(now) {
            tracing::warn!(workspace = settings.name(), "the clock has been put back");
            let roster = self.carry.last_good.as_ref().map(|loaded| &loaded.roster);
            self.timers.boundary = roster.and_then(|roster| roster.next_boundary(now));
        }
        if self.timers.schedule.is_none() {
            let ScheduleSettings { cron, zone, jitter } = &settings.schedule;
            let put_off = |at| schedule::jittered(at, *jitter, fastrand::f64());
            self.timers.schedule = cron.next_after(zone, now).map(put_off);
        }
    }

    /// Whether the files differ from what was read last; the first reading is due anyway.
    async fn has_changed(&self, settings: &Arc<Settings>) -> bool {
        let Some(read) = self.contents else { return false };
        contents(Arc::clone(&self.environment), Arc::clone(settings)).await != read
    }

    /// One run, whatever it comes to, and the text of files that could not be used.
    async fn run(
        &mut self,
        settings: &Arc<Settings>,
        trigger: Trigger,
        now: Timestamp,
    ) -> (RunReport, Sources) {
        let (environment, read) = (Arc::clone(&self.environment), Arc::clone(settings));
        let connected = run_blocking(move || environment.connect(&read.workspace)).await;
        let directory = self.acquire(connected).await;
        // The lock is waited for first, so that the roster is not an old one.
        let (environment, read) = (Arc::clone(&self.environment), Arc::clone(settings));
        let roster = run_blocking(move || environment.load(&read.workspace.target, now)).await;
        let unusable = self.accept_roster(settings, roster);
        let loaded = self.carry.last_good.clone();
        let (clock, stale) = (Arc::clone(&self.clock), self.outage);
        let failed = |failure: Failure| RunReport {
            workspace: settings.name().to_owned(),
            trigger,
            started: now,
            finished: clock.now(),
            stale,
            ledger: None,
            end: End::Failed(failure),
        };
        let report = match (&loaded, directory) {
            (None, _) => failed(no_roster()),
            (Some(_), Err(failure)) => failed(failure),
            (Some(loaded), Ok((directory, session))) => {
                let run = self.reconcile(settings, trigger, loaded, &directory, session);
                run.await.unwrap_or_else(failed)
            }
        };
        (report, unusable.unwrap_or_default())
    }

    /// Waits for the lock of the workspace, unless orders come that end the run first.
    async fn acquire(
        &mut self,
        connected: Result<Connected<H::Directory>, Failure>,
    ) -> Result<(H::Directory, RunSession), Failure> {
        let Connected { directory, records } = connected?;
        let (cancel, clock) = (CancellationToken::new(), Arc::clone(&self.clock));
        let sitting = reconcile::acquire(&records, &*clock, &cancel);
        tokio::pin!(sitting);
        loop {
            tokio::select! {
                biased;
                commands = self.queue.take() => self.commands.join(commands),
                session = &mut sitting => return Ok((directory, session?)),
            }
            if self.commands.interrupts() {
                cancel.cancel();
            }
        }
    }

    /// Keeps a good roster; a bad one leaves the last good one in force. Every change of state is
    /// told once. The answer is the text of files that cannot be used.
    fn accept_roster(
        &mut self,
        settings: &Settings,
        roster: Result<Loaded, InputError>,
    ) -> Option<Sources> {
        let name = Some(settings.name());
        match roster {
            Ok(loaded) => {
                let found = Some(digest(&loaded.sources, &[]));
                if std::mem::take(&mut self.outage) {
                    tracing::info!(workspace = name, "the roster can be used again");
                }
                if self.contents != found {
                    self.environment.problems(name, &loaded.sources, &loaded.warnings);
                }
                self.contents = found;
                self.carry.last_good = Some(Arc::new(loaded));
                None
            }
            Err(outage) => {
                let found = Some(digest(&outage.sources, &outage.diagnostics));
                if !self.outage || self.contents != found {
                    let kept = self.carry.last_good.is_some();
                    tracing::error!(workspace = name, kept, "{}", outage_words(kept));
                    self.environment.problems(name, &outage.sources, &outage.diagnostics);
                }
                self.outage = true;
                self.contents = found;
                Some(outage.sources)
            }
        }
    }

    /// The run proper. Orders are taken in meanwhile; a new roster, new settings or the end of
    /// the process end it at its next batch boundary.
    async fn reconcile(
        &mut self,
        settings: &Arc<Settings>,
        trigger: Trigger,
        loaded: &Arc<Loaded>,
        directory: &H::Directory,
        session: RunSession,
    ) -> Result<RunReport, Failure> {
        let (environment, clock) = (Arc::clone(&self.environment), Arc::clone(&self.clock));
        let (cancel, name, stale) = (CancellationToken::new(), settings.name(), self.outage);
        let sending = AtomicBool::new(false);
        let setting = Setting {
            clock: &*clock,
            cancel: &cancel,
            overrides: Override::None,
            on_plan: &|evaluation| {
                sending.store(true, Ordering::Relaxed);
                environment.on_plan(name, loaded, evaluation);
                Ok(())
            },
            progress: &|done, of| environment.progress(name, done, of),
        };
        let mut carry = std::mem::take(&mut self.carry);
        let target = &settings.workspace.target;
        let ended = {
            let pass = Pass { trigger, stale };
            let run = reconcile::reconcile(
                directory, target, loaded, pass, &mut carry, session, &setting,
            );
            tokio::pin!(run);
            let mut comparing = None;
            let ended = loop {
                tokio::select! {
                    biased;
                    commands = self.queue.take() => self.commands.join(commands),
                    report = &mut run => break Ok(report),
                    found = done(&mut comparing) => {
                        if found != self.contents {
                            self.commands.want(Trigger::File);
                            cancel.cancel();
                        }
                    }
                }
                if self.commands.interrupts() {
                    cancel.cancel();
                }
                if cancel.is_cancelled() && !sending.load(Ordering::Relaxed) {
                    let message = "ended before the plan".into();
                    break Err(Failure { kind: FailureKind::Cancelled, message });
                }
                if comparing.is_none() && std::mem::take(&mut self.commands.moved) {
                    let compare = contents(Arc::clone(&self.environment), Arc::clone(settings));
                    comparing = Some(tokio::spawn(compare));
                }
            };
            // A comparison that was not finished is made again.
            self.commands.moved |= comparing.is_some();
            ended
        };
        self.carry = carry;
        ended
    }

    /// Decides what follows from how a run ended.
    fn after(&mut self, report: &RunReport) {
        if report.is_early() {
            return;
        }
        self.failures = if retry_policy::is_worth_another_try(report) {
            self.failures.saturating_add(1)
        } else {
            0
        };
        if retry_policy::is_denied(report) {
            self.failures = self.failures.max(DENIED_BACKOFF_STEP);
        }
        self.timers.retry = (self.failures > 0).then(|| {
            let wait = retry::delay(self.failures, None, fastrand::f64()) * RUN_BACKOFF_FACTOR;
            report.finished.saturating_add(wait).unwrap_or(report.finished)
        });
        if self.failures == 0 && retry_policy::has_released(report) && self.follow_ups < FOLLOW_UPS
        {
            self.follow_ups += 1;
            self.commands.want(report.trigger);
        } else {
            self.follow_ups = 0;
        }
    }
}

impl Settings {
    fn name(&self) -> &str {
        &self.workspace.target.workspace
    }

    /// Whether both mean the same directory and the same files.
    fn keeps_memory_of(&self, other: &Self) -> bool {
        let key = |settings: &Self| {
            let WorkspaceConfig { target, connection, .. } = &settings.workspace;
            let files = (target.users.clone(), target.base.clone(), target.zone.clone());
            (files, connection.endpoint.clone(), connection.workspace_uid.clone())
        };
        key(self) == key(other)
    }
}

async fn contents<H: Environment>(environment: Arc<H>, settings: Arc<Settings>) -> Digest {
    run_blocking(move || environment.contents(&settings.workspace.target)).await
}

/// The result of the comparison under way; never, where there is none.
async fn done(comparing: &mut Option<JoinHandle<Digest>>) -> Option<Digest> {
    let Some(handle) = comparing else { return std::future::pending().await };
    let found = handle.await.ok();
    *comparing = None;
    found
}

async fn sleep_until(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn no_roster() -> Failure {
    Failure {
        kind: FailureKind::Roster,
        message: "there is no roster that can be used; nothing is changed until there is".into(),
    }
}

fn outage_words(kept: bool) -> &'static str {
    if kept {
        "the roster cannot be used as it is; the last good one stays in force, dates included"
    } else {
        "the roster cannot be used; nothing is done until its files change"
    }
}
