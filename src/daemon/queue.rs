//! The commands to one workspace's worker. They merge as they arrive, so sending never waits.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::events::merge;
use super::settings::WorkspaceSettings;
use crate::report::Trigger;

/// Commands that the worker has not taken yet.
#[derive(Debug, Default)]
pub(super) struct PendingCommands {
    pub trigger: Option<Trigger>,
    pub assignment: Option<Assignment>,
    /// Files may have changed.
    pub files_changed: bool,
    pub stop: bool,
}

/// What a worker does from now on.
#[derive(Debug)]
pub(super) enum Assignment {
    Active(Arc<WorkspaceSettings>),
    /// The workspace is no longer in the configuration.
    Idle,
}

#[derive(Debug, Default)]
pub(super) struct CommandQueue {
    commands: Mutex<PendingCommands>,
    notify: Notify,
}

impl CommandQueue {
    pub fn send(&self, edit: impl FnOnce(&mut PendingCommands)) {
        edit(&mut self.commands.lock());
        self.notify.notify_one();
    }

    /// Takes what has been sent so far.
    pub fn take_now(&self) -> PendingCommands {
        std::mem::take(&mut *self.commands.lock())
    }

    /// Waits for a command, and takes all of them. Dropping the future loses none.
    pub async fn take(&self) -> PendingCommands {
        loop {
            let commands = self.take_now();
            if !commands.is_empty() {
                return commands;
            }
            self.notify.notified().await;
        }
    }
}

impl PendingCommands {
    /// Requests a run.
    pub fn request(&mut self, trigger: Trigger) {
        self.trigger = Some(merge(self.trigger, trigger));
    }

    /// Whether the run in progress must end at its next batch boundary.
    pub fn interrupts(&self) -> bool {
        self.stop || self.assignment.is_some()
    }

    /// Adds later commands to earlier ones.
    pub fn join(&mut self, later: Self) {
        if let Some(trigger) = later.trigger {
            self.request(trigger);
        }
        self.assignment = later.assignment.or(self.assignment.take());
        self.files_changed |= later.files_changed;
        self.stop |= later.stop;
    }

    fn is_empty(&self) -> bool {
        self.trigger.is_none() && self.assignment.is_none() && !self.files_changed && !self.stop
    }
}
