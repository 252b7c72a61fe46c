//! What every command needs: the configuration, the embedded sandbox if one is wanted, and the
//! connections to the workspaces.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::args::Global;
use super::exit::Stop;
use super::output;
use crate::client::{Client, Settings, Transport};
use crate::clock::SystemClock;
use crate::config::{self, Config, SecretSource, WorkspaceConfig};
use crate::report::Failure;
use crate::sandbox;

/// The surroundings of one process.
pub struct Context {
    request: config::Request,
    folder: PathBuf,
    sandbox: Option<sandbox::Running>,
    /// Connections and pace outlive a run; a workspace whose settings change gets new ones.
    transports: Mutex<HashMap<String, (Settings, Arc<Transport>)>>,
}

impl Context {
    /// Reads the configuration and, with `--sandbox`, starts a sandbox with its workspaces.
    pub async fn start(global: &Global) -> Result<(Self, Config), Stop> {
        let (folder, request) = (working_directory()?, request(global));
        let mut context = Self { request, folder, sandbox: None, transports: Mutex::default() };
        let mut config = context.reload()?;
        if global.sandbox {
            context.sandbox = Some(start_sandbox(&config).await?);
            context.aim(&mut config);
        }
        Ok((context, config))
    }

    /// Reads the configuration again; its warnings are told on stderr.
    pub fn reload(&self) -> Result<Config, config::Invalid> {
        let mut loaded = config::load(&self.request, &variable, &self.folder)?;
        output::diagnostics(&loaded.warnings, &loaded.sources);
        self.aim(&mut loaded.config);
        Ok(loaded.config)
    }

    /// The directory of a workspace, with the credentials of this moment.
    pub fn connect(&self, workspace: &WorkspaceConfig) -> Result<Client, Failure> {
        let credentials = workspace
            .read_credentials(&variable)
            .map_err(|problem| Failure { kind: "credentials", message: problem.to_string() })?;
        Ok(Client::new(self.transport(workspace)?, credentials))
    }

    fn transport(&self, workspace: &WorkspaceConfig) -> Result<Arc<Transport>, Failure> {
        let mut transports = self.transports.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &workspace.target.workspace;
        if let Some((settings, transport)) = transports.get(name)
            && *settings == workspace.connection
        {
            return Ok(Arc::clone(transport));
        }
        let settings = workspace.connection.clone();
        let transport = Transport::new(settings.clone())
            .map_err(|error| Failure { kind: error.kind, message: error.message })?;
        let transport = Arc::new(transport);
        transports.insert(name.clone(), (settings, Arc::clone(&transport)));
        Ok(transport)
    }

    /// Points every workspace at the embedded sandbox, if there is one: the company token, and
    /// each workspace under its own name.
    fn aim(&self, config: &mut Config) {
        let Some(running) = &self.sandbox else { return };
        for workspace in &mut config.workspaces {
            let world = running.world();
            let known = world.workspace(&workspace.target.workspace);
            if let Ok(endpoint) = running.endpoint().parse() {
                workspace.connection.endpoint = endpoint;
            }
            workspace.connection.workspace_uid = known.map(|it| it.uid.clone());
            workspace.credentials = config::CredentialSource {
                api_key: None,
                api_secret: SecretSource::Sandbox(sandbox::auth::COMPANY_TOKEN),
            };
        }
    }
}

/// The configuration for those who look at the files alone.
pub fn read_files(global: &Global) -> Result<Result<config::Loaded, config::Invalid>, Stop> {
    let request = config::Request { offline: true, ..request(global) };
    Ok(config::load(&request, &variable, &working_directory()?))
}

fn working_directory() -> Result<PathBuf, Stop> {
    std::env::current_dir().map_err(|error| Stop::Failed(format!("the working directory: {error}")))
}

/// A variable of the environment, if it is set and is text.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn request(global: &Global) -> config::Request {
    config::Request {
        path: global.config.clone(),
        users: global.users.clone(),
        workspaces: global.workspace.clone(),
        offline: global.sandbox,
    }
}

async fn start_sandbox(config: &Config) -> Result<sandbox::Running, Stop> {
    let names = config.workspaces.iter().map(|workspace| workspace.target.workspace.clone());
    let options = sandbox::Options { workspaces: names.collect(), ..sandbox::Options::default() };
    sandbox::start(options, Arc::new(SystemClock))
        .await
        .map_err(|error| Stop::Failed(format!("the sandbox: {error}")))
}

impl From<config::Invalid> for Stop {
    fn from(invalid: config::Invalid) -> Self {
        Self::Invalid { sources: invalid.sources, diagnostics: invalid.diagnostics }
    }
}
