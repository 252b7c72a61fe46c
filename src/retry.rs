//! How long to wait before trying again.

use std::time::Duration;

/// Before attempt number `attempt + 1`; `jitter` is in `0..1`. What the server asks for is obeyed.
pub fn delay(_attempt: u32, asked: Option<Duration>, _jitter: f64) -> Duration {
    asked.unwrap_or(Duration::from_secs(1))
}
