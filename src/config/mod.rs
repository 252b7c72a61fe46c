//! The configuration: `rosterd.yaml`, or the vendor's environment variables and `--users` alone.

mod checks;
mod credentials;
mod defaults;
mod environment;
mod git;
mod identity;
mod literal;
mod notify;
mod policy;
mod schema;
mod secrets;
mod store;
pub mod values;
mod web;
mod workspace;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use reqwest::Url;

use crate::client;
use crate::diagnostic::{Diagnostic, InputError, Sources};
use crate::ledger::Location;
use crate::notice::Kind;
use crate::reconcile::WorkspaceSpec;
use crate::schedule::Cron;
use crate::source;

pub use crate::source::secret::{SecretError, SecretSource};
pub use environment::NO_CONFIGURATION;
pub use schema::schema;
pub use store::default_store;

/// Default paths of the configuration, in the order in which they are tried.
pub const PATHS: [&str; 3] =
    ["./rosterd.yaml", "./config/rosterd.yaml", "/etc/rosterd/rosterd.yaml"];
/// Path of the configuration, if the command line names none.
pub const VARIABLE: &str = "ROSTERD_CONFIG";

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path of the configuration, if it is given.
    pub path: Option<PathBuf>,
    /// The roster, instead of the configured one: relative to the working directory, or the URL of
    /// a repository.
    pub users: Option<PathBuf>,
    /// Only these workspaces; all if empty.
    pub workspaces: Vec<String>,
    /// Endpoints and secrets are not read, because they are not used here.
    pub offline: bool,
    /// Read no file: use only the environment and `users`.
    pub without_file: bool,
}

/// A valid configuration and its warnings.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub sources: Sources,
    pub warnings: Vec<Diagnostic>,
}

/// Finds, reads and validates the configuration. `env` is the environment, `folder` the working
/// directory. No request is sent.
pub fn load(
    request: &Request,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
) -> Result<Loaded, InputError> {
    let mut sources = Sources::default();
    let (found, ignored) =
        if request.without_file { (None, None) } else { locate(request, env, folder) };
    let read = match found {
        Some(path) => checks::file(&path, request, env, folder, &mut sources),
        None => environment::config(request, env, folder).map(|config| (config, Vec::new())),
    };
    match read {
        Ok((config, mut warnings)) => {
            warnings.extend(ignored);
            Ok(Loaded { config, sources, warnings })
        }
        Err(mut diagnostics) => {
            diagnostics.extend(ignored);
            Err(InputError { sources, diagnostics })
        }
    }
}

/// The path of the configuration: the given one whether it exists or not, else the first default
/// path that exists. With `--users`, one in the working directory is not used, and the warning says
/// so: whoever can propose a roster there must not decide where the key is sent, nor the guards.
fn locate(
    request: &Request,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
) -> (Option<PathBuf>, Option<Diagnostic>) {
    let from_env = || env(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let given = request.path.clone().or_else(from_env);
    if given.is_some() {
        return (given, None);
    }
    let mut found = PATHS.iter().filter(|path| folder.join(path).is_file());
    match found.next() {
        Some(path) if request.users.is_some() && path.starts_with('.') => {
            let message = format!("{path} is not used: --users alone uses none that is only here");
            let hint = format!("to use it, name it: --config {path}");
            let warning = Diagnostic::warning("configuration-not-used", message).hint(hint);
            (found.find(|path| !path.starts_with('.')).map(PathBuf::from), Some(warning))
        }
        path => (path.map(PathBuf::from), None),
    }
}

/// The text of the configuration file.
fn text(path: &Path, folder: &Path) -> Result<String, Diagnostic> {
    let read = source::file(&path.to_string_lossy(), &folder.join(path), None, source::MAX_BYTES);
    read.map(|file| file.text).map_err(|mut problem| {
        problem.hint = match problem.code {
            "missing-file" => Some(format!("check --config and ${VARIABLE}")),
            "not-a-file" | "too-large" | "outside" => {
                Some("give the path of the configuration file".into())
            }
            _ => problem.hint,
        };
        problem
    })
}

/// The validated configuration of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from; None if only the environment configures one workspace.
    pub path: Option<PathBuf>,
    pub schedule: ScheduleSettings,
    pub watch: WatchSettings,
    /// Location of the ledger; None if neither the file nor the environment names one.
    pub store: Option<Location>,
    /// Address of the web UI, API and metrics; None if there are none.
    pub listen: Option<SocketAddr>,
    pub web: WebSettings,
    /// Address for webhooks of git servers.
    pub hooks: Option<SocketAddr>,
    /// URL of the web UI, for links to it.
    pub public_url: Option<Url>,
    /// Webhooks that receive notifications.
    pub notify: Vec<NotifyTarget>,
    /// How long the ledger keeps entries.
    pub retention: Duration,
    /// At least one; names are unique.
    pub workspaces: Vec<WorkspaceConfig>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleSettings {
    pub cron: Cron,
    pub zone: TimeZone,
    /// Maximum random delay of a scheduled run.
    pub jitter: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// How long files must be unchanged before a run starts.
    pub debounce: Duration,
    /// How often contents are compared, in case the file system sends no events.
    pub poll: Duration,
    /// How long a roster that was written in place must be unchanged before it is used.
    pub in_place: Duration,
}

/// Access to the web UI and the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSettings {
    /// Grants reading everything and requesting runs. It is read at every request.
    pub token: Option<SecretSource>,
    /// Whether reading needs no token; if not set, only on loopback.
    pub anonymous: Option<bool>,
    /// The host of `public_url`, under which anonymous reads are allowed too.
    pub host: Option<String>,
}

/// A webhook that receives notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyTarget {
    pub url: WebhookUrl,
    pub format: Format,
    /// Key that signs notifications.
    pub secret: Option<SecretSource>,
    pub events: Vec<Kind>,
    /// Only these workspaces; all if None.
    pub workspaces: Option<Vec<String>>,
    /// How long before access ends a notification is sent.
    pub within: SignedDuration,
}

/// The URL of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookUrl {
    Plain(Url),
    /// The URL itself is a secret, since it is all that is needed to send to the webhook.
    Secret(SecretSource),
}

/// Format of a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
    Slack,
}

/// One workspace and its roster.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspaceConfig {
    /// What is reconciled: name, roster files, time zone, limits.
    pub target: WorkspaceSpec,
    /// Whether the name is from a configuration file.
    pub has_name: bool,
    /// The name before a renaming.
    pub formerly: Option<String>,
    /// Connection to the API.
    pub connection: client::Settings,
    pub credentials: CredentialSource,
    /// Location of the ledger, and how long it keeps entries.
    pub store: Option<Location>,
    pub retention: Duration,
}

/// Where the secrets are. They are read at every run and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSource {
    /// Not needed if the secret is a bearer token.
    pub api_key: Option<SecretSource>,
    pub api_secret: SecretSource,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self { cron: Cron::default(), zone: TimeZone::UTC, jitter: Duration::from_secs(30) }
    }
}

impl Default for WatchSettings {
    fn default() -> Self {
        let (debounce, poll) = (Duration::from_secs(1), Duration::from_secs(30));
        Self { debounce, poll, in_place: Duration::from_secs(5) }
    }
}
