//! `rosterd` without a command: the daemon.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::args::Global;
use super::context::Context;
use super::exit::{self, Stop};
use super::progress::Progress;
use super::{once, output};
use crate::client::Client;
use crate::clock::SystemClock;
use crate::config::{Config, WorkspaceConfig};
use crate::daemon::{self, Connected, Finished, Hooks, Inbox, Pulse};
use crate::diagnostic::{Diagnostic, Sources};
use crate::escape::escape;
use crate::reconcile::{self, InputOutage, Loaded, Look, Target};
use crate::report::{Failure, RunReport};
use crate::telemetry::{self, LogFormat};
use crate::web::board::Board;
use crate::{systemd, web};

/// Runs until SIGTERM or SIGINT.
pub async fn run(global: &Global) -> Result<u8, Stop> {
    let (context, config) = Context::start(global).await?;
    let shown = global.sandbox || std::io::stdout().is_terminal();
    let told = Told { warnings: context.warnings.clone(), ..Told::default() };
    let world = World {
        context,
        shown,
        logged: !shown || global.log_format == LogFormat::Json || !std::io::stderr().is_terminal(),
        global: global.clone(),
        path: config.path.clone(),
        told: Mutex::new(told),
        board: Arc::default(),
        listen: global.listen.or(config.listen),
    };
    let inbox = Inbox::new();
    world.greet(&config);
    listen(&world, inbox.pulse()).await?;
    watch_dog(inbox.pulse());
    let ended = daemon::serve(Arc::new(world), config, Arc::new(SystemClock), inbox).await;
    systemd::stopping();
    ended.map_err(|failure| Stop::Failed(failure.message))?;
    Ok(exit::OK)
}

/// Answers health checks, where that is wanted. A sandbox to try things with shares its machine
/// with another one.
async fn listen(world: &World, pulse: Pulse) -> Result<(), Stop> {
    let Some(address) = world.listen else { return Ok(()) };
    match web::start(address, Arc::clone(&world.board), pulse).await {
        Ok(address) => tracing::debug!(%address, "listening"),
        Err(error) if world.global.sandbox => {
            tracing::warn!(%address, %error, "nobody is told of this daemon's health");
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
    board: Arc<Board>,
    /// Where health checks are answered.
    listen: Option<SocketAddr>,
}

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
        let names = config.workspaces.iter().map(|workspace| &*workspace.target.workspace);
        self.board.keep(names);
        if self.global.listen.or(config.listen) != self.listen {
            tracing::warn!("`listen` has changed, which counts from the next start on");
        }
    }

    fn load(&self, target: &Target, now: Timestamp) -> Result<Loaded, InputOutage> {
        let loaded = reconcile::load(target, now);
        if loaded.is_ok() {
            self.board.loaded(&target.workspace);
            if self.board.waiting().is_empty() {
                systemd::ready();
            }
        }
        loaded
    }

    fn connect(&self, workspace: &WorkspaceConfig) -> Result<Connected<Client>, Failure> {
        self.context.connect(workspace)
    }

    fn reload(&self) -> Result<Config, InputOutage> {
        let loaded = self.context.reload().map_err(|invalid| InputOutage {
            sources: invalid.sources,
            diagnostics: invalid.diagnostics,
        })?;
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
        self.told().bars.entry(workspace.to_owned()).or_default().update(done, of);
    }

    fn finished(&self, run: &Finished<'_>) {
        let Finished { report, sources, .. } = run;
        let next = run.next.map(|due| due.at);
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
