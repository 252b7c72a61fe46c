//! Notifications to systemd (`Type=notify`): readiness, status and watchdog. Without systemd they
//! do nothing.

use std::time::Duration;

pub use sd_notify::NotifyState;

/// Interval of `Watchdog`: half of the unit's `WatchdogSec=`.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
}

/// Reports a state. Without systemd, does nothing.
pub fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}
