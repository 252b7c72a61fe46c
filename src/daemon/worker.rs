//! The loop of one workspace: waits for a trigger, makes one run, decides when the next is due.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::files::{FileCheck, RosterFiles};
use super::queue::{Assignment, CommandQueue, PendingCommands};
use super::renames::Renames;
use super::settings::WorkspaceSettings;
use super::timers::Timers;
use super::{Environment, RunCompleted, digest};
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::config::ScheduleSettings;
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::reconcile::{InputError, Loaded};
use crate::render::time;
use crate::report::{RunReport, Stale, Trigger};
use crate::roster::Digest;
use crate::{retry, schedule};

/// A key that is denied backs off from this step on: about two minutes.
const DENIED_BACKOFF_STEP: u32 = 6;

/// Maximum number of runs that follow at once because the one before released held changes.
const FOLLOW_UPS: u8 = 3;

/// Maximum time between two looks at files that are not complete: a commit completes them at once.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    /// The complete contents that were read last, valid or not.
    pub contents: Option<Digest>,
    pub files: Arc<RosterFiles>,
    /// The files were not complete when they were read last.
    pub incomplete: bool,
    /// When to read them again because of that.
    pub waiting: Option<Instant>,
    /// The files cannot be used.
    pub input_failed: Option<Stale>,
    /// The number of changes that the server accepts in one request, if it refused more.
    pub max_batch: Option<usize>,
}

impl Known {
    fn new(renames: Renames) -> Self {
        Self { files: Arc::new(RosterFiles::new(renames)), ..Self::default() }
    }
}

impl<E: Environment> WorkspaceWorker<E> {
    pub fn new(
        environment: Arc<E>,
        clock: Arc<dyn Clock>,
        queue: Arc<CommandQueue>,
        renames: Renames,
    ) -> Self {
        Self {
            environment,
            clock,
            queue,
            settings: None,
            commands: PendingCommands::default(),
            timers: Timers::default(),
            known: Known::new(renames),
            failures: 0,
            follow_ups: 0,
        }
    }

    /// Makes runs until the stop command.
    pub async fn run(mut self) {
        while let Some((settings, trigger)) = self.next_trigger().await {
            let now = self.clock.now();
            let run = self.reconcile(&settings, trigger, now).await;
            let Some((report, observation, sources)) = run else {
                self.commands.request(trigger);
                continue;
            };
            self.schedule_retry(&report);
            self.timers.date = self.next_date(now);
            self.timers.retry = self.timers.retry.into_iter().chain(report.next()).min();
            let sources = self.known.last_good.as_ref().map_or(&sources, |loaded| &loaded.sources);
            let (next, report) = (self.timers.next(), &report);
            let Timers { schedule, date, retry, .. } = self.timers;
            let [schedule, date, retry] = [schedule, date, retry].map(|at| at.map(time::exact));
            let workspace = &report.workspace;
            tracing::trace!(workspace, schedule, date, retry, "next runs");
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
                if std::mem::take(&mut self.commands.files_changed) {
                    let found = self.contents(&settings).await;
                    let found = self.complete(&settings, found);
                    if self.known.contents.is_some()
                        && found.is_some()
                        && found != self.known.contents
                    {
                        self.commands.request(Trigger::File);
                    }
                }
                if let Some(due) = self.timers.due(now) {
                    self.commands.request(due);
                    // So that what falls due during the run triggers the next.
                    self.update_timers(now);
                }
                // The first run waits for a complete roster.
                let waits = self.known.incomplete && self.known.last_good.is_none();
                if let Some(trigger) = self.commands.trigger.take_if(|_| !waits) {
                    return Some((settings, trigger));
                }
            }
            tokio::select! {
                biased;
                commands = self.queue.take() => self.commands.join(commands),
                () = until(self.known.waiting) => self.commands.files_changed = true,
                () = until(self.timers.sleep(now).map(|time| Instant::now() + time)) => {}
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
            self.known = Known::new(self.known.files.renames.clone());
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

    /// The digest of the files as they are now, if they are complete.
    pub(super) fn contents(
        &self,
        settings: &Arc<WorkspaceSettings>,
    ) -> impl Future<Output = FileCheck<Digest>> + Send + use<E> {
        let (environment, settings) = (Arc::clone(&self.environment), Arc::clone(settings));
        let files = Arc::clone(&self.known.files);
        run_blocking(move || {
            let read = environment.contents(&settings.workspace.target);
            let FileCheck { read, waiting } =
                files.complete(&*environment, &settings, read, |sources| sources);
            let digest = |read: Result<Sources, InputError>| match read {
                Ok(sources) => digest(&sources, &[]),
                Err(error) => digest(&error.sources, &error.diagnostics),
            };
            FileCheck { read: read.map(digest), waiting }
        })
    }

    /// Notes what the files wait for. A wait is logged when it begins.
    pub(super) fn complete<T>(
        &mut self,
        settings: &WorkspaceSettings,
        FileCheck { read, waiting }: FileCheck<T>,
    ) -> Option<T> {
        let look_again = Instant::now() + LOOK_AGAIN;
        let again = waiting.as_ref().map(|waiting| waiting.until.min(look_again));
        if let (Some(waiting), None) = (&waiting, self.known.waiting) {
            tracing::info!(
                workspace = settings.name(),
                files = &*escape(&waiting.files.join(", ")),
                "written in place; waiting until the files are unchanged for {:?}",
                settings.in_place
            );
        }
        self.known.waiting = again;
        self.known.incomplete = read.is_none();
        read
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
            let wait = retry::run_delay(self.failures, fastrand::f64());
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

/// Sleeps until then; without a time, for ever.
pub(super) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
