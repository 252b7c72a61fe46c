//! The loop of one workspace: waits for a trigger, makes one run, decides when the next is due.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::queue::{Assignment, CommandQueue, PendingCommands};
use super::settings::WorkspaceSettings;
use super::timers::Timers;
use super::{Environment, RunCompleted};
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::config::ScheduleSettings;
use crate::reconcile::Loaded;
use crate::report::{RunReport, Trigger};
use crate::roster::Digest;
use crate::{retry, schedule};

/// Runs back off 10 times slower than requests.
const RUN_BACKOFF_FACTOR: u32 = 10;

/// A key that is denied backs off from this step on: about two minutes.
const DENIED_BACKOFF_STEP: u32 = 6;

/// Maximum number of runs that follow at once because the one before released held changes.
const FOLLOW_UPS: u8 = 3;

pub(super) struct WorkspaceWorker<E> {
    pub environment: Arc<E>,
    pub clock: Arc<dyn Clock>,
    pub queue: Arc<CommandQueue>,
    pub settings: Option<Arc<WorkspaceSettings>>,
    /// Commands that were taken from the queue and are still to be executed.
    pub commands: PendingCommands,
    pub timers: Timers,
    pub known: Known,
    /// Number of consecutive runs that are to be retried.
    pub failures: u32,
    pub follow_ups: u8,
}

/// What earlier runs found out about the files and the workspace of the settings.
#[derive(Default)]
pub(super) struct Known {
    /// The last valid roster.
    pub last_good: Option<Arc<Loaded>>,
    /// The contents that were read last, valid or not.
    pub contents: Option<Digest>,
    /// The files cannot be used.
    pub input_failed: bool,
    /// The server takes changes only one at a time.
    pub batching_unsupported: bool,
}

impl<E: Environment> WorkspaceWorker<E> {
    pub fn new(environment: Arc<E>, clock: Arc<dyn Clock>, queue: Arc<CommandQueue>) -> Self {
        Self {
            environment,
            clock,
            queue,
            settings: None,
            commands: PendingCommands::default(),
            timers: Timers::default(),
            known: Known::default(),
            failures: 0,
            follow_ups: 0,
        }
    }

    /// Makes runs until the stop command.
    pub async fn run(mut self) {
        while let Some((settings, trigger)) = self.next_trigger().await {
            let now = self.clock.now();
            let (report, observation, sources) = self.reconcile(&settings, trigger, now).await;
            self.schedule_retry(&report);
            self.timers.date = self.next_date(now);
            self.timers.retry = self.timers.retry.into_iter().chain(report.next()).min();
            let sources = self.known.last_good.as_ref().map_or(&sources, |loaded| &loaded.sources);
            let next = self.timers.next();
            let report = &report;
            self.environment.finished(&RunCompleted { report, sources, next, observation });
        }
    }

    async fn next_trigger(&mut self) -> Option<(Arc<WorkspaceSettings>, Trigger)> {
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
                let changed = std::mem::take(&mut self.commands.files_changed);
                if changed && self.has_new_contents(&settings).await {
                    self.commands.request(Trigger::File);
                }
                if let Some(due) = self.timers.due(now) {
                    self.commands.request(due);
                    // So that what falls due during the run triggers the next.
                    self.update_timers(now);
                }
                if let Some(trigger) = self.commands.trigger.take() {
                    return Some((settings, trigger));
                }
            }
            tokio::select! {
                biased;
                commands = self.queue.take() => self.commands.join(commands),
                () = sleep(self.timers.sleep(now)) => {}
            }
        }
    }

    /// Adopts new settings. State that belongs to other files or another workspace is dropped.
    fn apply_settings(&mut self, assignment: Assignment) {
        let settings = match assignment {
            Assignment::Active(settings) => Some(settings),
            Assignment::Idle => None,
        };
        let (old, new) = (self.settings.as_ref(), settings.as_ref());
        if !old.zip(new).is_some_and(|(old, new)| old.is_same_target(new)) {
            self.known = Known::default();
        }
        self.failures = 0;
        self.timers = Timers::default();
        if settings.is_none() {
            self.commands.trigger = None;
        }
        self.settings = settings;
    }

    fn update_timers(&mut self, now: Timestamp) {
        let Some(settings) = &self.settings else { return };
        if self.timers.note(now) {
            tracing::warn!(workspace = settings.name(), "the clock has been set back");
            self.timers.date = self.next_date(now);
        }
        if self.timers.schedule.is_none() {
            let ScheduleSettings { cron, zone, jitter } = &settings.schedule;
            let with_jitter = |at| schedule::jittered(at, *jitter, fastrand::f64());
            self.timers.schedule = cron.next_after(zone, now).map(with_jitter);
        }
    }

    /// The next date of the roster after `now`.
    fn next_date(&self, now: Timestamp) -> Option<Timestamp> {
        self.known.last_good.as_ref().and_then(|loaded| loaded.roster.next_boundary(now))
    }

    /// Whether the files differ from what was read last. The first read is due anyway.
    async fn has_new_contents(&self, settings: &Arc<WorkspaceSettings>) -> bool {
        let Some(known) = self.known.contents else { return false };
        contents(Arc::clone(&self.environment), Arc::clone(settings)).await != known
    }

    /// Schedules a retry, or a run at once, as the report requires.
    fn schedule_retry(&mut self, report: &RunReport) {
        if report.is_interrupted() {
            return;
        }
        self.failures = if report.is_retryable() { self.failures.saturating_add(1) } else { 0 };
        if report.is_denied() {
            self.failures = self.failures.max(DENIED_BACKOFF_STEP);
        }
        self.timers.retry = (self.failures > 0).then(|| {
            let wait = retry::delay(self.failures, None, fastrand::f64()) * RUN_BACKOFF_FACTOR;
            report.finished.saturating_add(wait).unwrap_or(report.finished)
        });
        if self.failures == 0 && report.has_released() && self.follow_ups < FOLLOW_UPS {
            self.follow_ups += 1;
            self.commands.request(report.trigger);
        } else {
            self.follow_ups = 0;
        }
    }
}

/// The digest of the files as they are now.
pub(super) async fn contents<E: Environment>(
    environment: Arc<E>,
    settings: Arc<WorkspaceSettings>,
) -> Digest {
    run_blocking(move || environment.contents(&settings.workspace.target)).await
}

async fn sleep(time: Option<Duration>) {
    let Some(time) = time else { return std::future::pending().await };
    tokio::time::sleep(time).await;
}
