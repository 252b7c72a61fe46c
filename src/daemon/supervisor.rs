//! The configuration in force, and one worker for each of its workspaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::events::Event;
use super::fetch::Fetchers;
use super::queue::{Assignment, CommandQueue};
use super::renames::Renames;
use super::settings::WorkspaceSettings;
use super::worker::WorkspaceWorker;
use super::{Environment, digest};
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::config::Config;
use crate::failure::FailureKind;
use crate::reconcile::InputError;
use crate::report::{Failure, Trigger};
use crate::roster::Digest;

pub(super) struct Supervisor<H> {
    environment: Arc<H>,
    clock: Arc<dyn Clock>,
    config: Config,
    /// One for each workspace that this process has known. A workspace that left the configuration
    /// keeps an idle worker, so that its last run and the first after a return never overlap.
    queues: BTreeMap<String, Arc<CommandQueue>>,
    tasks: JoinSet<()>,
    events: mpsc::Sender<Event>,
    fetchers: Fetchers,
    renames: Renames,
    reload: Reload,
    /// The digest of the invalid configuration.
    invalid: Option<Digest>,
}

/// Only one reload runs at a time, so that the last one requested counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    Idle,
    Reading,
    /// Requested again while one was running.
    Again(Trigger),
}

impl<H: Environment> Supervisor<H> {
    pub(super) fn start(
        environment: Arc<H>,
        clock: Arc<dyn Clock>,
        config: Config,
        events: mpsc::Sender<Event>,
        renames: Renames,
    ) -> Self {
        let mut supervisor = Self {
            environment,
            clock,
            config: Config { workspaces: Vec::new(), ..config.clone() },
            queues: BTreeMap::new(),
            tasks: JoinSet::new(),
            events,
            fetchers: Fetchers::default(),
            renames,
            reload: Reload::Idle,
            invalid: None,
        };
        supervisor.adopt(config);
        supervisor
    }

    /// Requests a run. Returns whether the workspace exists.
    pub(super) fn request_run(&self, workspace: &str) -> bool {
        let kept = self.config.workspaces.iter().any(|it| it.target.workspace == workspace);
        let queue = self.queues.get(workspace).filter(|_| kept);
        if let Some(queue) = queue {
            queue.send(|commands| commands.request(Trigger::Http));
        }
        queue.is_some()
    }

    /// Something was pushed that may concern the roster of a workspace.
    pub(super) fn pushed(&self, workspace: &str) {
        self.fetchers.pushed(workspace);
    }

    /// Reads the configuration, then requests the runs. In this order, a roster that changed
    /// together with its limits is never compared with the old ones.
    pub(super) fn read_again(&mut self, trigger: Trigger) {
        self.reload = match self.reload {
            Reload::Idle => {
                let (environment, events) = (Arc::clone(&self.environment), self.events.clone());
                tokio::spawn(async move {
                    let result = run_blocking(move || environment.reload()).await.map(Box::new);
                    let _ = events.send(Event::Reloaded { trigger, result }).await;
                });
                Reload::Reading
            }
            // SIGHUP outlives a change of files; the run that follows reads the files anyway.
            Reload::Again(Trigger::Signal) => Reload::Again(Trigger::Signal),
            Reload::Reading | Reload::Again(_) => Reload::Again(trigger),
        };
    }

    /// Adopts the configuration that was read. Returns it if it differs from the one before.
    pub(super) fn reloaded(
        &mut self,
        trigger: Trigger,
        result: Result<Box<Config>, InputError>,
    ) -> Option<&Config> {
        let again = std::mem::replace(&mut self.reload, Reload::Idle);
        let changed = result.as_ref().is_ok_and(|config| **config != self.config);
        match result {
            Ok(config) => {
                if self.invalid.take().is_some() {
                    tracing::info!("the configuration is valid again");
                }
                if changed {
                    tracing::info!(workspaces = config.workspaces.len(), "configuration reloaded");
                    self.adopt(*config);
                }
            }
            Err(error) => {
                // The last valid one stays in force. The same problem is logged once, unless
                // SIGHUP asked for the reload.
                let found = Some(digest(&error.sources, &error.diagnostics));
                if self.invalid != found || trigger == Trigger::Signal {
                    tracing::error!(
                        problems = error.diagnostics.len(),
                        "the configuration is invalid; the last valid one stays in force"
                    );
                    self.environment.problems(None, &error.sources, &error.diagnostics);
                }
                self.invalid = found;
            }
        }
        for queue in self.queues.values() {
            queue.send(|commands| match trigger {
                Trigger::Signal => commands.request(Trigger::Signal),
                _ => commands.files_changed = true,
            });
        }
        if let Reload::Again(trigger) = again {
            self.read_again(trigger);
        }
        changed.then_some(&self.config)
    }

    fn adopt(&mut self, config: Config) {
        self.environment.adopted(&config);
        self.fetchers.set(&config, &self.events);
        let (old, new) = (settings(&self.config), settings(&config));
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            tracing::info!(workspace = name, "the workspace was removed from the configuration");
            self.queue(name).send(|commands| commands.assignment = Some(Assignment::Idle));
        }
        for (name, settings) in new {
            let trigger = match old.get(&name) {
                Some(before) if *before == settings => continue,
                Some(_) => Trigger::File,
                None => Trigger::Start,
            };
            self.queue(&name).send(|commands| {
                commands.assignment = Some(Assignment::Active(Arc::new(settings)));
                commands.request(trigger);
            });
        }
        self.config = config;
    }

    /// The workspace's queue. Its worker starts with it.
    fn queue(&mut self, name: &str) -> Arc<CommandQueue> {
        if let Some(queue) = self.queues.get(name) {
            return Arc::clone(queue);
        }
        let queue = Arc::new(CommandQueue::default());
        let (environment, clock) = (Arc::clone(&self.environment), Arc::clone(&self.clock));
        let (commands, renames) = (Arc::clone(&queue), self.renames.clone());
        self.tasks.spawn(WorkspaceWorker::new(environment, clock, commands, renames).run());
        self.queues.insert(name.to_owned(), Arc::clone(&queue));
        queue
    }

    /// Resolves only if a worker ends by itself, which is a defect.
    pub(super) async fn broken(&mut self) -> Failure {
        let message = match self.tasks.join_next().await {
            Some(Ok(())) => "the worker of a workspace ended by itself".into(),
            Some(Err(error)) => format!("the worker of a workspace ended: {error}"),
            None => std::future::pending().await,
        };
        Failure::new(FailureKind::Defect, message)
    }

    /// Stops every worker, and waits for them.
    pub(super) async fn stop(&mut self) {
        for queue in self.queues.values() {
            queue.send(|commands| commands.stop = true);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The settings of each workspace, by name.
fn settings(config: &Config) -> BTreeMap<String, WorkspaceSettings> {
    let each = config.workspaces.iter().cloned().map(|workspace| {
        let name = workspace.target.workspace.clone();
        let (schedule, in_place) = (config.schedule.clone(), config.watch.in_place);
        (name, WorkspaceSettings { workspace, schedule, in_place })
    });
    each.collect()
}
