//! What every command needs: the configuration, the embedded sandbox, and connections to the
//! workspaces.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::{CliError, Global, output};
use crate::client::{Client, Settings, Transport};
use crate::clock::SystemClock;
use crate::config::{self, Config, SecretSource, WorkspaceConfig};
use crate::daemon::Connected;
use crate::diagnostic::{Diagnostic, InputError};
use crate::failure::FailureKind;
use crate::ledger::{Ledger, Location};
use crate::metrics::Metrics;
use crate::reconcile::LedgerConfig;
use crate::report::Failure;
use crate::sandbox;
use crate::source::{RosterSource, env_var};

/// The configuration and the connections of one process.
pub struct Context {
    request: config::Request,
    folder: PathBuf,
    sandbox: Option<sandbox::Running>,
    /// The example files, if `--sandbox` runs where there is no configuration.
    example: Option<TempDir>,
    /// Warnings of the configuration at the start, already reported.
    pub warnings: Vec<Diagnostic>,
    /// The ledger of the embedded sandbox; None if the configuration decides.
    store: Option<Location>,
    lock_timeout: Duration,
    /// `watch.in_place` at the start.
    pub in_place: Duration,
    /// Counts the requests.
    pub metrics: Option<Arc<Metrics>>,
    /// Connections and rate limits outlive a run. A workspace whose settings change gets new ones.
    transports: Mutex<HashMap<String, (Settings, Arc<Transport>)>>,
    /// Ledgers are kept for the life of the process, so that a replaced file is noticed.
    ledgers: Mutex<HashMap<Location, Ledger>>,
}

impl Context {
    /// Reads the configuration and, with `--sandbox`, starts a sandbox with its workspaces.
    /// Warnings of the configuration go to stderr.
    pub async fn start(global: &Global) -> Result<(Self, Config), CliError> {
        let (folder, request) = (working_directory()?, request(global));
        let mut context = Self {
            request,
            folder,
            sandbox: None,
            example: None,
            warnings: Vec::new(),
            store: store(global),
            lock_timeout: global.lock_timeout,
            in_place: Duration::ZERO,
            metrics: None,
            transports: Mutex::default(),
            ledgers: Mutex::default(),
        };
        if global.state.is_some() && !global.sandbox {
            let message = "--state needs --sandbox, or the command `rosterd sandbox`";
            return Err(CliError::Usage(message.into()));
        }
        let loaded = match context.reload() {
            Err(error) if global.sandbox && error.has(config::NO_CONFIGURATION) => {
                let failed = |why| CliError::Failed(format!("the example files: {why}"));
                context.use_example().map_err(failed)?;
                context.reload()?
            }
            loaded => loaded?,
        };
        let config::Loaded { mut config, sources, warnings } = loaded;
        output::problems(global, None, &sources, &warnings);
        // If the file is removed later, no other file replaces it. If there was none, a file that
        // is created later is not used.
        context.request.without_file = config.path.is_none();
        context.request.path = config.path.clone().or(context.request.path);
        context.warnings = warnings;
        context.in_place = config.watch.in_place;
        if global.sandbox {
            let names = config.workspaces.iter().map(|it| it.target.workspace.clone());
            let (workspaces, state) = (names.collect(), global.state.clone());
            let options = sandbox::Options { state, workspaces, ..sandbox::Options::default() };
            context.sandbox = Some(start_sandbox(options).await?);
            context.use_sandbox(&mut config);
        }
        Ok((context, config))
    }

    /// Uses the example configuration and roster of the binary, in files of this process.
    fn use_example(&mut self) -> std::io::Result<()> {
        let folder = tempfile::Builder::new().prefix("rosterd-example-").tempdir()?;
        let config = folder.path().join("rosterd.yaml");
        std::fs::write(&config, include_str!("../../config/rosterd.yaml"))?;
        std::fs::write(folder.path().join("users.yaml"), include_str!("../../config/users.yaml"))?;
        tracing::info!("no configuration found; using the example in {}", folder.path().display());
        self.request.path = Some(config);
        self.example = Some(folder);
        Ok(())
    }

    /// Reads the configuration again.
    pub fn reload(&self) -> Result<config::Loaded, InputError> {
        let mut loaded = load(&self.request, &self.folder)?;
        self.use_sandbox(&mut loaded.config);
        Ok(loaded)
    }

    /// The endpoint of the embedded sandbox, if there is one.
    pub fn sandbox(&self) -> Option<String> {
        self.sandbox.as_ref().map(sandbox::Running::endpoint)
    }

    /// Connects to a workspace, with the credentials as they are now, and finds its ledger.
    pub fn connect(&self, workspace: &WorkspaceConfig) -> Result<Connected<Client>, Failure> {
        let credentials = workspace
            .read_credentials(&env_var)
            .map_err(|problem| Failure::new(FailureKind::Credentials, problem.to_string()))?;
        let ledger = LedgerConfig {
            ledger: self.ledger(workspace)?,
            scope: workspace.scope(),
            retention: SignedDuration::try_from(workspace.retention).unwrap_or(SignedDuration::MAX),
            lock_timeout: self.lock_timeout,
        };
        let origin = workspace.credentials.describe(&credentials);
        let directory = Client::new(self.transport(workspace)?, credentials).with_origin(origin);
        Ok(Connected { directory, ledger })
    }

    /// The ledger of a workspace.
    pub fn ledger(&self, workspace: &WorkspaceConfig) -> Result<Ledger, Failure> {
        let place = self.store.as_ref().or(workspace.store.as_ref()).cloned();
        let place = place.ok_or_else(|| Failure::new(FailureKind::Ledger, NO_STORE))?;
        let mut ledgers = self.ledgers.lock();
        Ok(ledgers.entry(place.clone()).or_insert_with(|| Ledger::at(place)).clone())
    }

    fn transport(&self, workspace: &WorkspaceConfig) -> Result<Arc<Transport>, Failure> {
        let mut transports = self.transports.lock();
        let name = &workspace.target.workspace;
        if let Some((settings, transport)) = transports.get(name)
            && *settings == workspace.connection
        {
            return Ok(Arc::clone(transport));
        }
        let settings = workspace.connection.clone();
        let transport = Transport::new(&settings)?;
        let transport = Arc::new(match &self.metrics {
            Some(metrics) => transport.observed_by(metrics.observer(name)),
            None => transport,
        });
        transports.insert(name.clone(), (settings, Arc::clone(&transport)));
        Ok(transport)
    }

    /// Directs every workspace to the embedded sandbox, if there is one, with the company token.
    fn use_sandbox(&self, config: &mut Config) {
        let Some(running) = &self.sandbox else { return };
        for workspace in &mut config.workspaces {
            let world = running.world();
            let known = world.workspace(&workspace.target.workspace);
            if let Ok(endpoint) = running.endpoint().parse() {
                workspace.connection.endpoint = endpoint;
            }
            workspace.connection.workspace_uid = known.map(|it| it.uid.clone());
            workspace.credentials = sandbox_credentials();
        }
    }
}

fn sandbox_credentials() -> config::CredentialSource {
    let api_secret = SecretSource::Sandbox(sandbox::auth::COMPANY_TOKEN);
    config::CredentialSource { api_key: None, api_secret }
}

const NO_STORE: &str =
    "no location for the ledger: set `store` in the configuration, or XDG_STATE_HOME";

/// The ledger, for commands that only read it.
pub fn ledger(global: &Global, workspace: &WorkspaceConfig) -> Result<Ledger, CliError> {
    let place = store(global).or_else(|| workspace.store.clone());
    place.map(Ledger::at).ok_or_else(|| CliError::Failed(NO_STORE.into()))
}

/// The configuration, for commands that need no network.
pub fn read_files(global: &Global) -> Result<Result<config::Loaded, InputError>, CliError> {
    let request = config::Request { offline: true, ..request(global) };
    let mut loaded = load(&request, &working_directory()?);
    if let (true, Ok(loaded)) = (global.sandbox, &mut loaded) {
        for workspace in &mut loaded.config.workspaces {
            workspace.credentials = sandbox_credentials();
        }
    }
    Ok(loaded)
}

/// Reads the configuration. Paths of rosters are made relative to `folder`, so that an editor, a
/// terminal or an annotation can open them.
fn load(request: &config::Request, folder: &Path) -> Result<config::Loaded, InputError> {
    let mut loaded = config::load(request, &env_var, folder)?;
    for workspace in &mut loaded.config.workspaces {
        let RosterSource { base, users, git, .. } = &mut workspace.target.source;
        let Ok(within) = base.strip_prefix(folder) else { continue };
        let within = within.to_string_lossy().into_owned();
        // Relative to the root, a path would lose its slash.
        let is_root = folder.parent().is_none();
        if git.is_some()
            || is_root
            || within.is_empty()
            || within.contains(['*', '?', '[', '\u{fffd}'])
        {
            continue;
        }
        for path in users {
            *path = Path::new(&within).join(&*path).to_string_lossy().into_owned();
        }
        folder.clone_into(base);
    }
    Ok(loaded)
}

fn working_directory() -> Result<PathBuf, CliError> {
    std::env::current_dir()
        .map_err(|error| CliError::Failed(format!("the working directory: {error}")))
}

fn request(global: &Global) -> config::Request {
    config::Request {
        path: global.config.clone(),
        users: global.users.clone(),
        workspaces: global.workspace.clone(),
        offline: global.sandbox,
        without_file: false,
    }
}

/// The ledger of an embedded sandbox is kept beside its state, or in memory.
fn store(global: &Global) -> Option<Location> {
    let beside = |state: &PathBuf| {
        let mut name = state.as_os_str().to_owned();
        name.push(".ledger.db");
        Location::File(name.into())
    };
    global.sandbox.then(|| global.state.as_ref().map_or(Location::Memory, beside))
}

/// Starts a sandbox, for a command or beside it.
pub async fn start_sandbox(options: sandbox::Options) -> Result<sandbox::Running, CliError> {
    sandbox::start(options, Arc::new(SystemClock))
        .await
        .map_err(|error| CliError::Failed(format!("the sandbox: {error}")))
}
