//! The daemon: reconciles at start, on schedule, when files change, on SIGHUP, on request, at the
//! dates of the roster, and again after a failure.
//!
//! ```text
//! watch, signals --Event--> supervisor --commands--> one worker for each workspace --> Run
//! ```
//!
//! Sources of events know nothing of runs. The supervisor knows the configuration and sends
//! commands, which merge in a queue. A worker makes the runs of one workspace, one at a time, and
//! waits for no other. Time, files, the API and the observers are arguments ([`Environment`]), so
//! a test runs the same loop without them.

pub mod events;
mod fetch;
mod files;
mod queue;
pub mod renames;
mod run;
mod settings;
pub mod signals;
mod stability;
mod supervisor;
mod timers;
pub mod watch;
mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::client::{ReadDirectory, WriteDirectory};
use crate::clock::Clock;
use crate::config::{Config, WorkspaceConfig};
use crate::diagnostic::{Diagnostic, Sources};
use crate::failure::FailureKind;
use crate::reconcile::{
    self, Evaluation, InputError, LedgerConfig, Loaded, Observation, WorkspaceSpec,
};
use crate::report::{Failure, RunReport, Trigger};
use crate::roster::Digest;
use crate::source::remote::GitRemote;
use crate::telemetry;
use events::Event;
pub use events::{DaemonHandle, Inbox};
use supervisor::Supervisor;
pub use timers::NextRun;

/// Time for runs to reach a batch boundary after the stop signal.
pub const GRACE: Duration = Duration::from_secs(7);

/// The API of one workspace, and its ledger.
#[derive(Debug)]
pub struct Connected<D> {
    pub directory: D,
    pub ledger: LedgerConfig,
}

/// A run that has ended.
#[derive(Debug)]
pub struct RunCompleted<'a> {
    pub report: &'a RunReport,
    /// The files of the roster in force; if there is none, of the one that cannot be used.
    pub sources: &'a Sources,
    /// The next run that is due by time.
    pub next: Option<NextRun>,
    /// The last listing of the run; None if there was none.
    pub observation: Option<Arc<Observation>>,
}

/// The daemon's access to everything outside. `connect`, `reload`, `load`, `contents` and
/// `committed` may block: they run on blocking threads.
pub trait Environment: Send + Sync + 'static {
    type Directory: ReadDirectory + WriteDirectory + 'static;

    /// Connects to the API and finds the ledger, for one run. The credentials are read each time.
    fn connect(&self, workspace: &WorkspaceConfig) -> Result<Connected<Self::Directory>, Failure>;

    /// Reads the configuration again.
    fn reload(&self) -> Result<Config, InputError>;

    /// Reads the roster.
    fn load(&self, target: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
        load(target, now)
    }

    /// A configuration is in force.
    fn adopted(&self, _config: &Config) {}

    /// The files that [`Environment::load`] would read, without parsing them.
    fn contents(&self, target: &WorkspaceSpec) -> Result<Sources, InputError> {
        reconcile::contents(target)
    }

    /// The names of the files whose contents are those of a commit.
    fn committed(&self, target: &WorkspaceSpec, sources: &Sources) -> BTreeSet<String> {
        target.source.committed(sources)
    }

    /// The files of a roster are complete: it is in force, or it cannot be used.
    fn roster_read(&self, _workspace: &str, _roster: &Result<Loaded, InputError>) {}

    /// A plan, before anything of it is sent.
    fn on_plan(&self, workspace: &str, loaded: &Loaded, evaluation: &Evaluation);

    /// The number of changes of a run that have an outcome, and the total.
    fn progress(&self, workspace: &str, done: usize, of: usize);

    /// Files have new problems; `workspace` is None for the configuration.
    fn problems(&self, workspace: Option<&str>, sources: &Sources, found: &[Diagnostic]) {
        telemetry::log_diagnostics(workspace, sources, found);
    }

    /// A run has ended.
    fn finished(&self, run: &RunCompleted<'_>);
}

/// Reads the roster. A repository is fetched first if it never was.
pub fn load(target: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
    if let Some(Err(problem)) = target.source.git.as_ref().map(GitRemote::fetch_first) {
        let diagnostics = vec![problem];
        return Err(InputError { sources: Sources::default(), diagnostics });
    }
    reconcile::load(target, now)
}

/// Runs until SIGTERM or SIGINT. Runs that fail are reported and retried; an error is one of the
/// daemon itself.
pub async fn serve<H: Environment>(
    environment: Arc<H>,
    config: Config,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
) -> Result<(), Failure> {
    let sender = &inbox.sender;
    signals::listen(sender.clone()).map_err(|error| {
        Failure::new(FailureKind::Signals, format!("cannot listen for signals: {error}"))
    })?;
    let (watched, renames) = (watch::Watched::of(&config), inbox.renames.clone());
    let watched = watch::spawn(watched, Arc::clone(&clock), sender.clone(), renames);
    let on_config = move |config: &Config| {
        watched.send_replace(watch::Watched::of(config));
    };
    run(environment, config, clock, inbox, on_config).await
}

/// The loop without signals and files, until [`Event::Stop`]. `on_config` gets each configuration
/// that comes into force later.
pub async fn run<H: Environment>(
    environment: Arc<H>,
    config: Config,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
    on_config: impl Fn(&Config),
) -> Result<(), Failure> {
    let Inbox { sender, mut events, renames } = inbox;
    let mut supervisor = Supervisor::start(environment, clock, config, sender, renames);
    loop {
        tokio::select! {
            biased;
            failure = supervisor.broken() => return Err(failure),
            event = events.recv() => match event {
                Some(Event::FilesChanged) => supervisor.read_again(Trigger::File),
                Some(Event::Reload) => supervisor.read_again(Trigger::Signal),
                Some(Event::Ping(answer)) => drop(answer.send(())),
                Some(Event::RunRequested { workspace, answer }) => {
                    let _ = answer.send(supervisor.request_run(&workspace));
                }
                Some(Event::Pushed { workspace }) => supervisor.pushed(&workspace),
                Some(Event::Reloaded { trigger, result }) => {
                    if let Some(config) = supervisor.reloaded(trigger, result) {
                        on_config(config);
                    }
                }
                Some(Event::Stop) | None => break,
            }
        }
    }
    shut_down(supervisor, events).await;
    Ok(())
}

/// Ends every run at its next batch boundary. After [`GRACE`], or a second signal, requests in
/// flight are dropped.
async fn shut_down<H: Environment>(
    mut supervisor: Supervisor<H>,
    mut events: mpsc::Receiver<Event>,
) {
    tracing::info!("shutting down; a run in progress ends at its next batch boundary");
    let again = async {
        while let Some(event) = events.recv().await {
            match event {
                Event::Stop => return,
                Event::Ping(answer) => drop(answer.send(())),
                _ => {}
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = supervisor.stop() => {}
        () = tokio::time::sleep(GRACE) => {
            tracing::warn!("shutdown grace period expired with a request in flight; exiting");
        }
        () = again => tracing::warn!("second signal; exiting at once"),
    }
}

/// The digest of names and contents, or of the errors if nothing could be read.
pub fn digest(sources: &Sources, diagnostics: &[Diagnostic]) -> Digest {
    if sources.is_empty() {
        return Digest::of(diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()));
    }
    let files = sources.iter().map(|(_, file)| file);
    Digest::of(files.flat_map(|file| [file.name.as_str(), file.text.as_str()]))
}
