//! Where one workspace's orders wait. They merge as they arrive, so that posting never waits.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::events::merge;
use super::worker::Settings;
use crate::report::Trigger;

/// What a workspace has been told and has not taken in yet.
#[derive(Debug, Default)]
pub(super) struct PendingCommands {
    pub trigger: Option<Trigger>,
    pub assignment: Option<Assignment>,
    /// Files may have changed.
    pub moved: bool,
    pub stop: bool,
}

/// What a workspace is to do from now on.
#[derive(Debug)]
pub(super) enum Assignment {
    Active(Arc<Settings>),
    /// It has left the configuration.
    Idle,
}

#[derive(Debug, Default)]
pub(super) struct CommandQueue {
    commands: Mutex<PendingCommands>,
    notify: Notify,
}

impl CommandQueue {
    pub(super) fn post(&self, write: impl FnOnce(&mut PendingCommands)) {
        write(&mut self.commands.lock());
        self.notify.notify_one();
    }

    /// Everything that has been posted so far.
    pub(super) fn take_now(&self) -> PendingCommands {
        std::mem::take(&mut *self.commands.lock())
    }

    /// Everything that has been posted, as soon as there is anything. May be dropped at any time
    /// without losing an order.
    pub(super) async fn take(&self) -> PendingCommands {
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
    pub(super) fn want(&mut self, trigger: Trigger) {
        self.trigger = Some(merge(self.trigger, trigger));
    }

    /// Whether the run in progress must make room at its next batch boundary.
    pub(super) fn interrupts(&self) -> bool {
        self.stop || self.assignment.is_some()
    }

    /// Adds later orders to earlier ones.
    pub(super) fn join(&mut self, later: Self) {
        if let Some(trigger) = later.trigger {
            self.want(trigger);
        }
        self.assignment = later.assignment.or(self.assignment.take());
        self.moved |= later.moved;
        self.stop |= later.stop;
    }

    fn is_empty(&self) -> bool {
        self.trigger.is_none() && self.assignment.is_none() && !self.moved && !self.stop
    }
}
