//! The configuration in force, and the keepers that it asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::events::Event;
use super::queue::{Assignment, CommandQueue};
use super::worker::{Settings, WorkspaceWorker};
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
    /// One for every workspace that this process has known; one that has left the configuration
    /// rests, so that its last run and the first after a return never overlap.
    boxes: BTreeMap<String, Arc<CommandQueue>>,
    tasks: JoinSet<()>,
    events: mpsc::Sender<Event>,
    reload: Reload,
    /// The configuration that could not be used, by its digest.
    outage: Option<Digest>,
}

/// Readings of the configuration never overlap, so that the last one asked for counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    Idle,
    Reading,
    /// Asked for again while one was under way.
    Again(Trigger),
}

impl<H: Environment> Supervisor<H> {
    pub(super) fn start(
        environment: Arc<H>,
        clock: Arc<dyn Clock>,
        config: Config,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let mut supervisor = Self {
            environment,
            clock,
            config: Config { workspaces: Vec::new(), ..config.clone() },
            boxes: BTreeMap::new(),
            tasks: JoinSet::new(),
            events,
            reload: Reload::Idle,
            outage: None,
        };
        supervisor.adopt(config);
        supervisor
    }

    /// Files may have changed. The configuration comes first, so that a roster that changed
    /// together with its limits is never held against the old ones.
    pub(super) fn moved(&mut self) {
        self.read_again(Trigger::File);
    }

    pub(super) fn hangup(&mut self) {
        self.read_again(Trigger::Signal);
    }

    /// Somebody asks for a run. The answer says whether the workspace is kept.
    pub(super) fn wanted(&self, workspace: &str) -> bool {
        let kept = self.config.workspaces.iter().any(|it| it.target.workspace == workspace);
        let queue = self.boxes.get(workspace).filter(|_| kept);
        if let Some(queue) = queue {
            queue.post(|commands| commands.want(Trigger::Http));
        }
        queue.is_some()
    }

    fn read_again(&mut self, trigger: Trigger) {
        self.reload = match self.reload {
            Reload::Idle => {
                let (environment, events) = (Arc::clone(&self.environment), self.events.clone());
                tokio::spawn(async move {
                    let result = run_blocking(move || environment.reload()).await.map(Box::new);
                    let _ = events.send(Event::Reloaded { trigger, result }).await;
                });
                Reload::Reading
            }
            Reload::Reading => Reload::Again(trigger),
            Reload::Again(waiting) => Reload::Again(asked(waiting, trigger)),
        };
    }

    /// Takes in what the configuration says now. The answer is the configuration, if it is another
    /// one than before.
    pub(super) fn reloaded(
        &mut self,
        trigger: Trigger,
        result: Result<Box<Config>, InputError>,
    ) -> Option<&Config> {
        let again = std::mem::replace(&mut self.reload, Reload::Idle);
        let changed = match result {
            Ok(config) => self.usable(*config),
            Err(outage) => self.unusable(&outage, trigger),
        };
        for queue in self.boxes.values() {
            queue.post(|commands| match trigger {
                Trigger::Signal => commands.want(Trigger::Signal),
                _ => commands.moved = true,
            });
        }
        if let Reload::Again(trigger) = again {
            self.read_again(trigger);
        }
        changed.then_some(&self.config)
    }

    fn usable(&mut self, config: Config) -> bool {
        if self.outage.take().is_some() {
            tracing::info!("the configuration can be used again");
        }
        let changed = config != self.config;
        if changed {
            tracing::info!(workspaces = config.workspaces.len(), "configuration reloaded");
            self.adopt(config);
        }
        changed
    }

    /// The last good configuration stays in force. The same problem is told once, unless a person
    /// asks.
    fn unusable(&mut self, outage: &InputError, trigger: Trigger) -> bool {
        let found = Some(digest(&outage.sources, &outage.diagnostics));
        if self.outage != found || trigger == Trigger::Signal {
            tracing::error!(
                problems = outage.diagnostics.len(),
                "the configuration cannot be used; the last good one stays in force"
            );
            self.environment.problems(None, &outage.sources, &outage.diagnostics);
        }
        self.outage = found;
        false
    }

    fn adopt(&mut self, config: Config) {
        self.environment.adopted(&config);
        let (old, new) = (settings(&self.config), settings(&config));
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            tracing::info!(workspace = name, "the workspace has left the configuration");
            self.queue(name).post(|commands| commands.assignment = Some(Assignment::Idle));
        }
        for (name, settings) in new {
            let trigger = match old.get(&name) {
                Some(before) if *before == settings => continue,
                Some(_) => Trigger::File,
                None => Trigger::Start,
            };
            self.queue(&name).post(|commands| {
                commands.assignment = Some(Assignment::Active(Arc::new(settings)));
                commands.want(trigger);
            });
        }
        self.config = config;
    }

    /// The workspace's mailbox; its keeper starts with it.
    fn queue(&mut self, name: &str) -> Arc<CommandQueue> {
        if let Some(queue) = self.boxes.get(name) {
            return Arc::clone(queue);
        }
        let queue = Arc::new(CommandQueue::default());
        let (environment, clock) = (Arc::clone(&self.environment), Arc::clone(&self.clock));
        self.tasks.spawn(WorkspaceWorker::new(environment, clock, Arc::clone(&queue)).keep());
        self.boxes.insert(name.to_owned(), Arc::clone(&queue));
        queue
    }

    /// Resolves only when a keeper has ended by itself, which is a defect.
    pub(super) async fn broken(&mut self) -> Failure {
        match self.tasks.join_next().await {
            Some(ended) => Failure {
                kind: FailureKind::Defect,
                message: match ended {
                    Ok(()) => "the loop of a workspace has ended by itself".into(),
                    Err(error) => format!("the loop of a workspace has ended: {error}"),
                },
            },
            None => std::future::pending().await,
        }
    }

    /// Asks every keeper to end, and waits for them.
    pub(super) async fn stop(&mut self) {
        for queue in self.boxes.values() {
            queue.post(|commands| commands.stop = true);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What each workspace needs to know of a configuration, by name.
fn settings(config: &Config) -> BTreeMap<String, Settings> {
    let each = config.workspaces.iter().map(|workspace| {
        let settings = Settings { workspace: workspace.clone(), schedule: config.schedule.clone() };
        (workspace.target.workspace.clone(), settings)
    });
    each.collect()
}

/// A person's wish is not lost behind a file's; the run that follows reads the files anyway.
fn asked(waiting: Trigger, trigger: Trigger) -> Trigger {
    if waiting == Trigger::Signal { waiting } else { trigger }
}
