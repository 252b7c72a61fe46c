//! What the service manager is told where it asks to be (`Type=notify`): that the daemon is ready,
//! how it fares, that it lives. Elsewhere nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// Ready: whatever waits for the unit goes on.
pub fn ready() {
    tell(&NotifyState::Ready);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    tell(&NotifyState::Status(line));
}

/// The process is about to end.
pub fn stopping() {
    tell(&NotifyState::Stopping);
}

/// The process lives.
pub fn alive() {
    tell(&NotifyState::Watchdog);
}

/// How often [`alive`] is to be told: twice as often as the unit's `WatchdogSec=` demands.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|demanded| demanded / 2)
}

fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
