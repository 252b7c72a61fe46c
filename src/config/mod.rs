//! The settings: `rosterd.yaml`, or the vendor's environment names and `--users` alone.

pub mod checks;
pub mod find;
pub mod raw;

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::client;
use crate::reconcile::Target;
use crate::schedule::Cron;

/// Everything a process needs to know, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from; None where the environment alone configures one workspace.
    pub path: Option<PathBuf>,
    pub schedule: ScheduleSettings,
    pub watch: WatchSettings,
    /// At least one; their names differ.
    pub workspaces: Vec<WorkspaceConfig>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleSettings {
    pub cron: Cron,
    pub zone: TimeZone,
    /// A run starts up to so much later than the schedule says.
    pub jitter: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// A change is acted on once the files have been quiet for so long.
    pub settle: Duration,
    /// How often the contents are compared where the file system sends no events.
    pub poll: Duration,
}

/// One workspace to keep equal to one roster.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspaceConfig {
    /// What is reconciled: name, roster files, time zone, limits.
    pub target: Target,
    /// Where the API is and how it is spoken to.
    pub connection: client::Settings,
    pub credentials: CredentialSource,
}

/// Where the secrets are: read again at every run, and held no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSource {
    /// Not needed where the secret is a bearer token.
    pub api_key: Option<SecretSource>,
    pub api_secret: SecretSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    Env(String),
    File(PathBuf),
    /// A published value of the embedded sandbox: no secret at all.
    Sandbox(&'static str),
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self { cron: Cron::default(), zone: TimeZone::UTC, jitter: Duration::from_secs(30) }
    }
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self { settle: Duration::from_secs(1), poll: Duration::from_secs(30) }
    }
}
