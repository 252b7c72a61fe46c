//! The settings: `rosterd.yaml`, or the vendor's environment names and `--users` alone.

mod checks;
mod credentials;
mod environment;
pub mod find;
mod keys;
mod outward;
mod redact;
mod schema;
mod secrets;
mod store;
pub mod values;
mod workspace;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use reqwest::Url;

use crate::client;
use crate::diagnostic::{Diagnostic, Sources};
use crate::ledger::Location;
use crate::notice::Kind;
use crate::reconcile::WorkspaceSpec;
use crate::schedule::Cron;
use crate::source;

pub use schema::schema;
pub use secrets::SecretError;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The file, where it is named.
    pub path: Option<PathBuf>,
    /// The roster in place of the configured one, relative to the working directory.
    pub users: Option<PathBuf>,
    /// Only these workspaces; all where none is named.
    pub workspaces: Vec<String>,
    /// Endpoints and secrets are neither needed nor looked at: somebody else will set them, or
    /// nobody will use them.
    pub offline: bool,
    /// No file is looked for: the environment and `users` are all there is.
    pub without_file: bool,
}

/// A configuration that can be used, and what was noticed about it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub sources: Sources,
    pub warnings: Vec<Diagnostic>,
}

/// A configuration that cannot be used, with every reason.
#[derive(Debug)]
pub struct Invalid {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
}

/// Finds, reads and validates the configuration. `env` is the environment and `folder` the working
/// directory; nothing is asked of any server.
pub fn load(
    request: &Request,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
) -> Result<Loaded, Invalid> {
    let mut sources = Sources::default();
    let found = (!request.without_file)
        .then(|| find::locate(request.path.as_deref(), env, folder))
        .flatten();
    let read = match found {
        Some(path) => checks::file(&path, request, env, folder, &mut sources),
        None => environment::config(request, env, folder).map(|config| (config, Vec::new())),
    };
    match read {
        Ok((config, warnings)) => Ok(Loaded { config, sources, warnings }),
        Err(diagnostics) => Err(Invalid { sources, diagnostics }),
    }
}

/// The text of the configuration file.
fn text(path: &Path, folder: &Path) -> Result<String, Diagnostic> {
    source::text(&path.to_string_lossy(), &folder.join(path)).map_err(|mut problem| {
        problem.hint = match problem.code {
            "missing-file" => Some(format!("look at --config, or at ${}", find::VARIABLE)),
            "not-a-file" | "too-large" => Some("name the configuration file".to_owned()),
            _ => problem.hint,
        };
        problem
    })
}

/// Everything a process needs to know, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from; None where the environment alone configures one workspace.
    pub path: Option<PathBuf>,
    pub schedule: ScheduleSettings,
    pub watch: WatchSettings,
    /// Where the ledger is kept; None where neither the file nor the environment names a place.
    pub store: Option<Location>,
    /// Where the daemon shows itself; None for nowhere.
    pub listen: Option<SocketAddr>,
    pub web: WebSettings,
    /// Who is told what happens.
    pub notify: Vec<NotifyTarget>,
    /// How long the ledger keeps what is over.
    pub retention: Duration,
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
    pub debounce: Duration,
    /// How often the contents are compared where the file system sends no events.
    pub poll: Duration,
}

/// Who may look at the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSettings {
    /// Whoever has it may read everything, and ask for runs. Read again at every request.
    pub token: Option<SecretSource>,
    /// Whether reading needs no token; where nothing is said, on this machine alone.
    pub anonymous: Option<bool>,
}

/// Somebody who is told what happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyTarget {
    pub to: WebhookUrl,
    pub format: Format,
    /// Signs what is sent.
    pub secret: Option<SecretSource>,
    pub events: Vec<Kind>,
    /// Only these workspaces, where some are named.
    pub workspaces: Option<Vec<String>>,
    /// Ends of access are told so long before.
    pub within: SignedDuration,
}

/// The address of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookUrl {
    Written(Url),
    /// Whoever knows it can write there.
    Secret(SecretSource),
}

/// How a notice is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
    Slack,
}

/// One workspace to keep equal to one roster.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspaceConfig {
    /// What is reconciled: name, roster files, time zone, limits.
    pub target: WorkspaceSpec,
    /// Where the API is and how it is spoken to.
    pub connection: client::Settings,
    pub credentials: CredentialSource,
    /// Where the ledger is kept, and for how long what is over.
    pub store: Option<Location>,
    pub retention: Duration,
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
        Self { debounce: Duration::from_secs(1), poll: Duration::from_secs(30) }
    }
}
