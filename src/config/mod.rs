//! The settings: `rosterd.yaml`, or the vendor's environment names and `--users` alone.

pub mod checks;
pub mod find;
pub mod raw;

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::guard::Limits;
use crate::plan::OnRemoved;
use crate::schedule::Cron;

/// Everything a process needs to know, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from; None where the environment alone configures one workspace.
    pub path: Option<PathBuf>,
    pub schedule: ScheduleSettings,
    pub watch: WatchSettings,
    /// At least one; their names differ.
    pub workspaces: Vec<WorkspaceConfig>,
}

#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct WorkspaceConfig {
    /// For people.
    pub name: String,
    pub endpoint: reqwest::Url,
    pub credentials: CredentialSource,
    /// Needed with a company token.
    pub workspace_uid: Option<String>,
    /// Files, folders or globs, absolute or relative to `base`.
    pub users: Vec<String>,
    /// The folder of the configuration file, or the working directory without one.
    pub base: PathBuf,
    /// A date in the roster is that day here.
    pub zone: TimeZone,
    pub on_removed: OnRemoved,
    pub limits: Limits,
    pub http: HttpSettings,
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

#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// The deadline of one request.
    pub timeout: Duration,
    /// Batches in flight at once.
    pub concurrency: usize,
    /// Changes in one request.
    pub batch: usize,
    /// Requests a second; None is no limit.
    pub rate: Option<f64>,
    /// A private certificate authority, PEM.
    pub ca_file: Option<PathBuf>,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            cron: Cron::default(),
            zone: TimeZone::UTC,
            jitter: Duration::from_secs(30),
        }
    }
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self { settle: Duration::from_secs(1), poll: Duration::from_secs(30) }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            concurrency: 4,
            batch: 25,
            rate: Some(10.0),
            ca_file: None,
        }
    }
}
