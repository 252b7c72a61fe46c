//! `rosterd` without a command: the daemon.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::args::Global;
use super::context::Context;
use super::exit::{self, Stop};
use super::progress::Progress;
use super::{once, output};
use crate::client::Client;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Config, WorkspaceConfig};
use crate::courier::{self, Courier, Reach};
use crate::daemon::{self, Connected, Finished, Hooks, Inbox, Pulse};
use crate::diagnostic::{Diagnostic, Sources};
use crate::escape::escape;
use crate::metrics::Metrics;
use crate::reconcile::{self, InputOutage, Loaded, Look, Target};
use crate::report::{Failure, RunReport};
use crate::systemd;
use crate::telemetry::{self, LogFormat};
use crate::web::board::{self, Board};
use crate::web::gate::Gate;
use crate::web::{self, Site};

/// Runs until SIGTERM or SIGINT.
pub async fn run(global: &Global) -> Result<u8, Stop> {
    let (mut context, config) = Context::start(global).await?;
    let metrics = Arc::new(Metrics::new(SystemClock.now()));
    context.measure(&metrics);
    let shown = global.sandbox || std::io::stdout().is_terminal();
    let reach = if global.sandbox { Reach::ThisMachine } else { Reach::Anywhere };
    let told = Told { warnings: context.warnings.clone(), ..Told::default() };
    let world = World {
        context,
        shown,
        logged: !shown || global.log_format == LogFormat::Json || !std::io::stderr().is_terminal(),
        global: global.clone(),
        path: config.path.clone(),
        told: Mutex::new(told),
        board: Arc::default(),
        gate: Arc::new(Gate::new(config.web.clone())),
        courier: Courier::new(Arc::clone(&metrics), &courier::WAITS, reach),
        metrics,
        listen: global.listen.or(config.listen),
    };
    let inbox = Inbox::new();
    world.greet(&config);
    listen(&world, inbox.pulse()).await?;
    watch_dog(inbox.pulse());
    let world = Arc::new(world);
    let ended = daemon::serve(Arc::clone(&world), config, Arc::new(SystemClock), inbox).await;
    systemd::stopping();
    world.courier.leave(LAST_WORDS).await;
    ended.map_err(|failure| Stop::Failed(failure.message))?;
    Ok(exit::OK)
}

/// Shows the daemon, where that is wanted. A sandbox to try things with shares its machine with
/// another one.
async fn listen(world: &World, pulse: Pulse) -> Result<(), Stop> {
    let Some(address) = world.listen else { return Ok(()) };
    let (board, metrics) = (Arc::clone(&world.board), Arc::clone(&world.metrics));
    let site = Site::new(board, pulse, metrics, Arc::new(SystemClock));
    match web::start(address, site, Arc::clone(&world.gate)).await {
        Ok(address) => world.listens(address),
        Err(error) if world.global.sandbox => {
            tracing::warn!(%address, %error, "this daemon cannot be looked at");
        }
        Err(error) => {
            let hint = "write another `listen:`, or set ROSTERD_LISTEN";
            return Err(Stop::Failed(format!("listen: {address}: {error}; {hint}")));
        }
    }
    Ok(())
}

/// Tells the service manager that the loop goes round, as often as it asks for that.
fn watch_dog(pulse: Pulse) {
    let Some(every) = systemd::watchdog() else { return };
    tokio::spawn(async move {
        loop {
            if pulse.beats().await {
                systemd::alive();
            }
            tokio::time::sleep(every).await;
        }
    });
}

/// What the daemon reaches the world through.
struct World {
    context: Context,
    /// Plans and their ends are printed for a person who looks on.
    shown: bool,
    /// They go to the log: always, but for a person who would read everything twice.
    logged: bool,
    global: Global,
    /// The configuration, if it is a file.
    path: Option<PathBuf>,
    told: Mutex<Told>,
    /// What others see of it.
    board: Arc<Board>,
    gate: Arc<Gate>,
    metrics: Arc<Metrics>,
    courier: Courier,
    /// Where it is shown.
    listen: Option<SocketAddr>,
}

/// What waits to be told at the end has so long.
const LAST_WORDS: Duration = Duration::from_millis(900);

/// What has been told, so that it is not told again.
#[derive(Default)]
struct Told {
    bars: HashMap<String, Progress>,
    /// The plan last shown, by workspace, without its ages.
    plans: HashMap<String, String>,
    /// The warnings of the configuration.
    warnings: Vec<Diagnostic>,
}

impl World {
    fn greet(&self, config: &Config) {
        let sandbox = self.context.sandbox();
        if self.logged {
            let (version, workspaces) = (env!("CARGO_PKG_VERSION"), config.workspaces.len());
            let path = self.path.as_ref().map(|path| path.display().to_string());
            let path = path.as_deref().map(escape);
            let (config, sandbox) = (path.as_deref(), sandbox.as_deref());
            tracing::info!(version, config, workspaces, sandbox, "rosterd has started");
        } else if let Some(endpoint) = sandbox
            && !self.global.quiet
        {
            output::paragraph(&format!("The sandbox is at {endpoint}"));
        }
    }

    fn listens(&self, address: SocketAddr) {
        if !self.gate.opens(address) {
            let words = "nothing but /livez and /readyz is answered here: set `web.token`, or \
                         `web.anonymous`";
            tracing::warn!(%address, "{words}");
        } else if self.logged {
            tracing::info!(url = format!("http://{address}/"), "listening");
        } else if !self.global.quiet {
            output::paragraph(&format!("The page is at http://{address}/"));
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is waited for, in one line.
    fn waits(&self, sources: &Sources, next: Option<Timestamp>) {
        let path = self.path.as_ref().map(|path| path.display().to_string());
        let config = path.as_deref().map(|path| path.strip_prefix("./").unwrap_or(path));
        let rosters = sources.iter().map(|(_, file)| file.name.as_str());
        let files: Vec<_> = rosters.chain(config).map(escape).collect();
        let next = next.map_or_else(String::new, |next| {
            format!("; next run {} UTC", next.strftime("%Y-%m-%d %H:%M:%S"))
        });
        let (dim, files) = (anstyle::Style::new().dimmed(), listed(&files));
        output::paragraph(&format!("{dim}watching {files}{next}{dim:#}"));
    }
}

/// What a plan says, but for how long it has been so.
fn essence(loaded: &Loaded, look: &Look) -> String {
    let findings = look.plan.findings().iter().map(|it| (&it.email, &it.kind));
    let held = look.verdict.held.iter().map(|it| (&it.change.email, &it.by));
    let (findings, held): (Vec<_>, Vec<_>) = (findings.collect(), held.collect());
    let fingerprint = look.plan.fingerprint().hex();
    format!("{fingerprint} {:?} {findings:?} {held:?}", loaded.revision)
}

/// One line about a run.
fn standing(report: &RunReport, next: Option<Timestamp>) -> String {
    let (name, status) = (escape(&report.workspace), report.status().word());
    let next = next.map_or_else(String::new, |next| format!(", next run {next:.0}"));
    format!("{name}: {status} at {:.0}{next}", report.finished)
}

fn listed<T: AsRef<str>>(files: &[T]) -> String {
    const SHOWN: usize = 4;
    let names: Vec<&str> = files.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match files.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

impl Hooks for World {
    type Directory = Client;

    fn adopted(&self, config: &Config) {
        let (now, all) = (SystemClock.now(), &config.workspaces);
        self.metrics.keep(all.iter().map(|workspace| &*workspace.target.workspace), now);
        let kept = all.iter().map(|workspace| {
            (workspace.target.workspace.clone(), self.context.ledger(workspace).ok())
        });
        self.board.keep(kept, now);
        self.gate.adopt(&config.web);
        self.courier.adopt(&config.notify);
        if self.global.listen.or(config.listen) != self.listen {
            tracing::warn!("`listen` has changed, which counts from the next start on");
        }
    }

    fn load(&self, target: &Target, now: Timestamp) -> Result<Loaded, InputOutage> {
        let loaded = reconcile::load(target, now);
        let name = &target.workspace;
        match &loaded {
            Ok(_) => {
                self.metrics.roster_errors(name, 0);
                self.board.loaded(name);
                if self.board.waiting().is_empty() {
                    systemd::ready();
                }
            }
            Err(InputOutage { sources, diagnostics }) => {
                self.metrics.roster_errors(name, board::errors(diagnostics));
                self.board.unusable(Some(name), sources, diagnostics);
            }
        }
        loaded
    }

    fn connect(&self, workspace: &WorkspaceConfig) -> Result<Connected<Client>, Failure> {
        self.context.connect(workspace)
    }

    fn reload(&self) -> Result<Config, InputOutage> {
        let loaded = self.context.reload().map_err(|invalid| {
            let config::Invalid { sources, diagnostics } = invalid;
            self.metrics.config_errors(board::errors(&diagnostics));
            self.board.unusable(None, &sources, &diagnostics);
            InputOutage { sources, diagnostics }
        })?;
        self.metrics.config_errors(0);
        self.board.configured();
        let before = std::mem::replace(&mut self.told().warnings, loaded.warnings.clone());
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

    fn seen(&self, workspace: &str, loaded: &Loaded, look: &Look) {
        if !look.verdict.approved.is_empty() {
            let now = SystemClock.now();
            self.board.changing(workspace, look.verdict.approved.len(), now);
        }
        if !self.shown {
            return;
        }
        let essence = essence(loaded, look);
        let before = self.told().plans.insert(workspace.to_owned(), essence.clone());
        if before.as_ref() != Some(&essence) {
            once::show_plan(workspace, loaded, look, &self.global);
        }
    }

    fn progress(&self, workspace: &str, done: usize, of: usize) {
        self.board.progress(workspace, done, of);
        self.told().bars.entry(workspace.to_owned()).or_default().update(done, of);
    }

    fn finished(&self, run: &Finished<'_>) {
        let Finished { report, sources, .. } = run;
        let next = run.next.map(|due| due.at);
        self.metrics.finished(run);
        if self.listen.is_some() {
            self.board.finished(run);
        }
        self.courier.hear(run);
        self.told().bars.remove(&report.workspace);
        systemd::status(&standing(report, next));
        if self.logged {
            telemetry::log_run(report, sources, next);
        } else {
            once::show_failure(report, &self.global);
        }
        if self.shown {
            once::show_run(report, sources, &self.global);
        }
        if !self.logged && !self.global.quiet {
            self.waits(sources, next);
        }
    }
}
