//! When the next run is due.

/// A cron schedule.
#[derive(Clone, Debug, Default)]
pub struct Cron;
