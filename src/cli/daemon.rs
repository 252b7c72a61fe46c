//! `rosterd` without a command: the daemon.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::progress::Progress;
use super::{CliError, Context, Global, exit, global, health, once, output};
use crate::client::Client;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, WorkspaceConfig};
use crate::daemon::{self, Connected, DaemonHandle, Environment, Inbox, RunCompleted};
use crate::diagnostic::{Diagnostic, Sources};
use crate::escape::escape;
use crate::metrics::Metrics;
use crate::notifier::{self, AllowedHosts, Notifier};
use crate::reconcile::{Evaluation, InputError, Loaded};
use crate::render::listed;
use crate::report::{Failure, RunReport};
use crate::systemd::{self, NotifyState};
use crate::telemetry::{self, LogFormat, Standing};
use crate::web::auth::Auth;
use crate::web::hooks::{self, HookSecrets};
use crate::web::status::{self, StatusStore};
use crate::web::{self, AppState};

/// Runs until SIGTERM or SIGINT.
pub async fn run(global: &Global) -> Result<u8, CliError> {
    let (mut context, config) = Context::start(global).await?;
    let metrics = Arc::new(Metrics::new(SystemClock.now()));
    context.metrics = Some(Arc::clone(&metrics));
    let shown = global.sandbox || std::io::stdout().is_terminal();
    let reach = if global.sandbox { AllowedHosts::Loopback } else { AllowedHosts::Any };
    let reported = Reported { warnings: context.warnings.clone(), ..Reported::default() };
    let environment = DaemonEnvironment {
        context,
        shown,
        logged: !shown || global.log_format == LogFormat::Json || !std::io::stderr().is_terminal(),
        global: global.clone(),
        path: config.path.as_ref().map(|path| path.display().to_string()),
        reported: Mutex::new(reported),
        statuses: Arc::default(),
        auth: Arc::new(Auth::new(config.web.clone())),
        notifier: Notifier::new(Arc::clone(&metrics), &notifier::RETRY_DELAYS, reach),
        metrics,
        hook_secrets: Arc::default(),
        hooks: config.hooks,
        listen: global.listen().or(config.listen),
    };
    let inbox = Inbox::open();
    environment.log_startup(&config);
    listen(&environment, inbox.handle()).await?;
    listen_for_hooks(&environment, inbox.handle()).await?;
    watch_dog(inbox.handle());
    // A unit that waits must not wait for a roster: `/readyz` and the status show whether there is
    // one.
    systemd::notify(&NotifyState::Ready);
    let environment = Arc::new(environment);
    let ended = daemon::serve(Arc::clone(&environment), config, Arc::new(SystemClock), inbox).await;
    systemd::notify(&NotifyState::Stopping);
    health::announce(&environment.global, None);
    environment.notifier.shutdown(NOTIFY_FLUSH_TIMEOUT).await;
    ended.map_err(|failure| CliError::Failed(failure.message))?;
    Ok(exit::OK)
}

/// Starts the web UI, if it has an address. With `--sandbox` an address in use is only a warning,
/// because another daemon may run beside it.
async fn listen(environment: &DaemonEnvironment, handle: DaemonHandle) -> Result<(), CliError> {
    health::announce(&environment.global, None);
    let Some(address) = environment.listen else { return Ok(()) };
    let (statuses, metrics) = (Arc::clone(&environment.statuses), Arc::clone(&environment.metrics));
    let auth = Arc::clone(&environment.auth);
    let app = AppState::new(statuses, handle, metrics, Arc::new(SystemClock), auth);
    match web::start(address, app).await {
        Ok(address) => {
            health::announce(&environment.global, Some(address));
            environment.log_address(address);
        }
        Err(error) if environment.global.sandbox => {
            tracing::warn!(%address, %error, "the web UI is not available");
        }
        Err(error) => {
            let hint = "set another `listen` in the configuration, or ROSTERD_LISTEN";
            return Err(CliError::Failed(format!("listen: {address}: {error}; {hint}")));
        }
    }
    Ok(())
}

/// Starts the server for webhooks, if it has an address.
async fn listen_for_hooks(
    environment: &DaemonEnvironment,
    handle: DaemonHandle,
) -> Result<(), CliError> {
    let Some(address) = environment.hooks else { return Ok(()) };
    let started = hooks::start(address, Arc::clone(&environment.hook_secrets), handle).await;
    let address = started.map_err(|error| {
        let hint = "set another `hooks.listen`";
        CliError::Failed(format!("hooks.listen: {address}: {error}; {hint}"))
    })?;
    tracing::info!(%address, "listening for webhooks");
    Ok(())
}

/// Pings the service manager's watchdog while the loop is alive.
fn watch_dog(handle: DaemonHandle) {
    let Some(every) = systemd::watchdog() else { return };
    tokio::spawn(async move {
        loop {
            if handle.is_alive().await {
                systemd::notify(&NotifyState::Watchdog);
            }
            tokio::time::sleep(every).await;
        }
    });
}

/// The access of the running daemon to everything outside.
struct DaemonEnvironment {
    context: Context,
    /// Plans and results are printed on stdout.
    shown: bool,
    /// They go to the log, unless a person at the terminal would read everything twice.
    logged: bool,
    global: Global,
    /// The configuration, if it is a file.
    path: Option<String>,
    reported: Mutex<Reported>,
    /// What the web UI shows.
    statuses: Arc<StatusStore>,
    auth: Arc<Auth>,
    metrics: Arc<Metrics>,
    notifier: Notifier,
    hook_secrets: Arc<HookSecrets>,
    /// Address for webhooks.
    hooks: Option<SocketAddr>,
    /// Address of the web UI.
    listen: Option<SocketAddr>,
}

/// Time for pending notifications at shutdown.
const NOTIFY_FLUSH_TIMEOUT: Duration = Duration::from_millis(900);

/// What was reported, so that it is not reported again.
#[derive(Default)]
struct Reported {
    bars: HashMap<String, Progress>,
    /// The key of the last plan shown, by workspace.
    plans: HashMap<String, String>,
    /// What is logged of what stays open, by workspace.
    standing: HashMap<String, Standing>,
    /// Warnings of the configuration.
    warnings: Vec<Diagnostic>,
}

impl DaemonEnvironment {
    fn log_startup(&self, config: &Config) {
        if self.global.listen().is_some_and(|used| config.listen.is_some_and(|it| it != used)) {
            let variable = global::LISTEN;
            tracing::warn!("`listen` is not used: --listen or {variable} has another address");
        }
        let sandbox = self.context.sandbox();
        if self.logged {
            let (version, workspaces) = (env!("CARGO_PKG_VERSION"), config.workspaces.len());
            let path = self.path.as_deref().map(escape);
            let (config, sandbox) = (path.as_deref(), sandbox.as_deref());
            tracing::info!(version, config, workspaces, sandbox, "rosterd has started");
        } else if let Some(endpoint) = sandbox
            && !self.global.quiet
        {
            output::paragraph(&format!("Sandbox: {endpoint}"));
        }
    }

    fn log_address(&self, address: SocketAddr) {
        if !self.auth.allows_reads(address) {
            let message = "only /livez and /readyz are served here: set `web.token`, or \
                           `web.anonymous`";
            tracing::warn!(%address, "{message}");
        } else if self.logged {
            tracing::info!(url = format!("http://{address}/"), "listening");
        } else if !self.global.quiet {
            output::paragraph(&format!("Web UI: http://{address}/"));
        }
    }
}

/// Identifies what a plan shows, apart from ages.
fn plan_key(loaded: &Loaded, evaluation: &Evaluation) -> String {
    let findings = evaluation.plan.findings().iter().map(|it| (&it.email, &it.kind));
    let held = evaluation.verdict.held.iter().map(|it| (&it.change.email, &it.by));
    let (findings, held): (Vec<_>, Vec<_>) = (findings.collect(), held.collect());
    let fingerprint = evaluation.plan.fingerprint.hex();
    format!("{fingerprint} {:?} {findings:?} {held:?}", loaded.revision)
}

/// The status of a run on one line, for the service manager.
fn status_line(report: &RunReport, next: Option<Timestamp>) -> String {
    let (name, status) = (escape(&report.workspace), report.status().as_str());
    let status = match report.failure() {
        Some(failure) => format!("{status}: {}", escape(&failure.message)),
        None if report.is_stale() => "stale: the last valid roster is in force".to_owned(),
        None => status.to_owned(),
    };
    let next = next.map_or_else(String::new, |next| format!(", next run {next:.0}"));
    format!("{name}: {status} at {:.0}{next}", report.finished)
}

impl Environment for DaemonEnvironment {
    type Directory = Client;

    fn adopted(&self, config: &Config) {
        let (now, all) = (SystemClock.now(), &config.workspaces);
        self.metrics.set_workspaces(all.iter().map(|workspace| &*workspace.target.workspace), now);
        for workspace in all {
            let git = workspace.target.source.git.as_ref();
            self.metrics.set_git(&workspace.target.workspace, git);
        }
        let kept = all.iter().map(|workspace| {
            let ledger = self.context.ledger(workspace).ok();
            let chain = ledger.map(|ledger| (ledger, workspace.scope()));
            (workspace.target.workspace.clone(), chain)
        });
        let kept: Vec<_> = kept.collect();
        let ledgers = kept.iter().filter_map(|(name, chain)| Some((name.clone(), chain.clone()?)));
        let ledgers = ledgers.collect();
        self.statuses.set_workspaces(kept, now);
        self.notifier.set_receivers(&config.notify, config.public_url.as_ref(), ledgers);
        self.auth.set_settings(&config.web);
        self.hook_secrets.set(config);
        if self.hook_secrets.is_empty() != config.hooks.is_none() {
            tracing::warn!("webhooks need both `hooks.listen` and a `webhook_secret`");
        }
        let listen = (self.global.listen().or(config.listen), config.hooks);
        if listen != (self.listen, self.hooks) {
            tracing::warn!("a `listen` has changed; restart the daemon to apply it");
        }
    }

    fn roster_read(&self, name: &str, roster: &Result<Loaded, InputError>) {
        match roster {
            Ok(_) => {
                self.metrics.set_roster_errors(name, 0);
                self.statuses.roster_loaded(name);
            }
            Err(InputError { sources, diagnostics }) => {
                self.metrics.set_roster_errors(name, status::count_errors(diagnostics));
                self.statuses.load_failed(Some(name), sources, diagnostics);
            }
        }
    }

    fn connect(&self, workspace: &WorkspaceConfig) -> Result<Connected<Client>, Failure> {
        self.context.connect(workspace)
    }

    fn reload(&self) -> Result<Config, InputError> {
        let loaded = self.context.reload().inspect_err(|error| {
            self.metrics.set_config_errors(status::count_errors(&error.diagnostics));
            self.statuses.load_failed(None, &error.sources, &error.diagnostics);
        })?;
        self.metrics.set_config_errors(0);
        self.statuses.config_loaded();
        let before = std::mem::replace(&mut self.reported.lock().warnings, loaded.warnings.clone());
        if before != loaded.warnings {
            self.problems(None, &loaded.sources, &loaded.warnings);
        }
        Ok(loaded.config)
    }

    fn problems(&self, workspace: Option<&str>, sources: &Sources, found: &[Diagnostic]) {
        if self.logged {
            telemetry::log_diagnostics(workspace, sources, found);
        } else {
            output::problems(&self.global, workspace, sources, found);
        }
    }

    fn on_plan(&self, workspace: &str, loaded: &Loaded, evaluation: &Evaluation) {
        if !evaluation.verdict.approved.is_empty() {
            let now = SystemClock.now();
            self.statuses.apply_started(workspace, evaluation.verdict.approved.len(), now);
        }
        if !self.shown {
            return;
        }
        let plan_key = plan_key(loaded, evaluation);
        let before = self.reported.lock().plans.insert(workspace.to_owned(), plan_key.clone());
        if before.as_ref() != Some(&plan_key) {
            let screen = output::screen(&self.global, false);
            once::show_plan(&evaluation.view(workspace, loaded), &self.global, screen);
        }
    }

    fn progress(&self, workspace: &str, done: usize, of: usize) {
        self.statuses.on_progress(workspace, done, of);
        self.reported.lock().bars.entry(workspace.to_owned()).or_default().update(done, of);
    }

    fn finished(&self, run: &RunCompleted<'_>) {
        let RunCompleted { report, sources, .. } = run;
        let next = run.next.map(|due| due.at);
        self.metrics.on_run_completed(run);
        if self.listen.is_some() {
            self.statuses.on_run_completed(run);
        }
        self.notifier.on_run_completed(run);
        self.reported.lock().bars.remove(&report.workspace);
        systemd::notify(&NotifyState::Status(&status_line(report, next)));
        if self.logged {
            let mut reported = self.reported.lock();
            let standing = reported.standing.entry(report.workspace.clone()).or_default();
            telemetry::log_run(report, sources, next, standing);
        } else {
            once::show_failure(report, &self.global);
        }
        if self.shown {
            let loaded = run.observation.as_ref().map(|observation| &observation.loaded);
            let approve_by = loaded.map(|loaded| loaded.approve_by()).unwrap_or_default();
            let screen = output::screen(&self.global, false);
            once::show_run(report, sources, approve_by, &self.global, screen);
        }
        if !self.logged && !self.global.quiet {
            let config = self.path.as_deref().map(|path| path.strip_prefix("./").unwrap_or(path));
            let rosters = sources.iter().map(|(_, file)| file.name.as_str());
            let next =
                next.map(|next| next.strftime("; next run %Y-%m-%d %H:%M:%S UTC").to_string());
            let (dim, files) = (anstyle::Style::new().dimmed(), listed(rosters.chain(config), 4));
            let next = next.unwrap_or_default();
            output::paragraph(&format!("{dim}watching {files}{next}{dim:#}"));
        }
    }
}
