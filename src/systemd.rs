//! Notifications to systemd (`Type=notify`): readiness, status and watchdog. Without systemd they
//! do nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// The daemon is ready; units that wait for it start.
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// Sets the line in `systemctl status`.
pub fn status(line: &str) {
    notify(&NotifyState::Status(line));
}

/// The daemon shuts down.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

/// Resets the watchdog.
pub fn alive() {
    notify(&NotifyState::Watchdog);
}

/// Interval of [`alive`]: half of the unit's `WatchdogSec=`.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}
