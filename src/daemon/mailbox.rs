//! Where one workspace's orders wait. They merge as they arrive, so that posting never waits.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::events::merge;
use super::keeper::Settings;
use crate::report::Trigger;

/// What a workspace has been told and has not taken in yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub trigger: Option<Trigger>,
    pub duty: Option<Duty>,
    /// Files may have changed.
    pub moved: bool,
    pub stop: bool,
}

/// What a workspace is to do from now on.
#[derive(Debug)]
pub(super) enum Duty {
    Keep(Arc<Settings>),
    /// It has left the configuration.
    Rest,
}

#[derive(Debug, Default)]
pub(super) struct Mailbox {
    orders: Mutex<Orders>,
    bell: Notify,
}

impl Mailbox {
    pub(super) fn post(&self, write: impl FnOnce(&mut Orders)) {
        write(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
    }

    /// Everything that has been posted so far.
    pub(super) fn take_now(&self) -> Orders {
        std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything that has been posted, as soon as there is anything. May be dropped at any time
    /// without losing an order.
    pub(super) async fn take(&self) -> Orders {
        loop {
            let orders = self.take_now();
            if !orders.is_empty() {
                return orders;
            }
            self.bell.notified().await;
        }
    }
}

impl Orders {
    pub(super) fn want(&mut self, trigger: Trigger) {
        self.trigger = Some(merge(self.trigger, trigger));
    }

    /// Whether the run in progress must make room at its next batch boundary.
    pub(super) fn interrupts(&self) -> bool {
        self.stop || self.duty.is_some()
    }

    /// Adds later orders to earlier ones.
    pub(super) fn join(&mut self, later: Self) {
        if let Some(trigger) = later.trigger {
            self.want(trigger);
        }
        self.duty = later.duty.or(self.duty.take());
        self.moved |= later.moved;
        self.stop |= later.stop;
    }

    fn is_empty(&self) -> bool {
        self.trigger.is_none() && self.duty.is_none() && !self.moved && !self.stop
    }
}
