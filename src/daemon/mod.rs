//! The daemon: reconciles at start, on schedule, when files change, on SIGHUP, when a date of the
//! roster falls due, and again after a failure.
//!
//! ```text
//! watch, signals --Event--> keepers --orders--> one keeper a workspace --> reconcile
//! ```
//!
//! Sources of events know nothing of runs; `supervisor` knows the configuration and hands out
//! orders, which merge while they wait; each `worker` makes the runs of one workspace, one at a
//! time, and waits for nobody else. Time, files, the directory and the eyes that look on are
//! arguments, so the same loop runs in a test without any of them.

pub mod events;
mod handle;
mod queue;
mod retry_policy;
pub mod signals;
mod supervisor;
mod timers;
pub mod watch;
mod worker;

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
use crate::report::{Failure, RunReport};
use crate::roster::Digest;
use crate::{source, telemetry};
use events::{Event, QUEUE};
pub use handle::DaemonHandle;
use supervisor::Supervisor;
pub use timers::NextRun;

/// After being asked to leave, runs have so long to reach a batch boundary.
pub const GRACE: Duration = Duration::from_secs(7);

/// A directory, and the record of what happens to it.
#[derive(Debug)]
pub struct Connected<D> {
    pub directory: D,
    pub records: LedgerConfig,
}

/// A run that has ended, and what there is to know after it.
#[derive(Debug)]
pub struct RunCompleted<'a> {
    pub report: &'a RunReport,
    /// The files of the roster in force, or of the one that could not be used.
    pub sources: &'a Sources,
    /// When the next run is due by itself, and why.
    pub next: Option<NextRun>,
    /// What the last reading of the run showed; None where there was none.
    pub observation: Option<Arc<Observation>>,
}

/// What the daemon reaches the world through. `connect`, `reload`, `load` and `contents` may
/// block: they are called on a thread for that.
pub trait Environment: Send + Sync + 'static {
    type Directory: ReadDirectory + WriteDirectory + 'static;

    /// The directory for one run, and where the run is recorded. The credentials are read anew
    /// each time.
    fn connect(&self, workspace: &WorkspaceConfig) -> Result<Connected<Self::Directory>, Failure>;

    /// Reads the configuration again.
    fn reload(&self) -> Result<Config, InputError>;

    /// Reads the roster.
    fn load(&self, target: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
        reconcile::load(target, now)
    }

    /// A configuration has come into force.
    fn adopted(&self, _config: &Config) {}

    /// A digest of what [`Environment::load`] would read, without understanding it.
    fn contents(&self, target: &WorkspaceSpec) -> Digest {
        match source::load(&target.users, &target.base) {
            Ok(sources) => digest(&sources, &[]),
            Err(diagnostics) => digest(&Sources::default(), &diagnostics),
        }
    }

    /// A plan and its verdict, before anything of it is sent.
    fn on_plan(&self, workspace: &str, loaded: &Loaded, evaluation: &Evaluation);

    /// So many changes of a run have an outcome, of how many.
    fn progress(&self, workspace: &str, done: usize, of: usize);

    /// Files have problems that have not been told yet; `workspace` is None for those of the
    /// configuration.
    fn problems(&self, workspace: Option<&str>, sources: &Sources, found: &[Diagnostic]) {
        telemetry::log_diagnostics(workspace, sources, found);
    }

    /// A run has ended. This is the place for [`telemetry::log_run`].
    fn finished(&self, run: &RunCompleted<'_>);
}

/// Runs until SIGTERM or SIGINT. An error is one of the daemon itself; runs that fail are
/// reported and tried again.
pub async fn serve<H: Environment>(
    environment: Arc<H>,
    config: Config,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
) -> Result<(), Failure> {
    let sender = &inbox.sender;
    signals::listen(sender.clone()).map_err(|error| Failure {
        kind: FailureKind::Signals,
        message: format!("the system does not let rosterd listen for signals: {error}"),
    })?;
    let watched = watch::spawn(watch::Watched::of(&config), Arc::clone(&clock), sender.clone());
    let on_config = move |config: &Config| {
        watched.send_replace(watch::Watched::of(config));
    };
    run(environment, config, clock, inbox, on_config).await
}

/// Where events arrive. The sender is for the daemon's own answers.
#[derive(Debug)]
pub struct Inbox {
    pub sender: mpsc::Sender<Event>,
    pub events: mpsc::Receiver<Event>,
}

impl Inbox {
    pub fn new() -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        Self { sender, events }
    }

    /// Asks the loop that takes events from here.
    pub fn handle(&self) -> DaemonHandle {
        DaemonHandle(self.sender.clone())
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// The loop itself, without signals and files: until [`Event::Stop`]. `on_config` is told each
/// configuration that comes into force later.
pub async fn run<H: Environment>(
    environment: Arc<H>,
    config: Config,
    clock: Arc<dyn Clock>,
    mut inbox: Inbox,
    on_config: impl Fn(&Config),
) -> Result<(), Failure> {
    let mut supervisor = Supervisor::start(environment, clock, config, inbox.sender);
    loop {
        tokio::select! {
            biased;
            failure = supervisor.broken() => return Err(failure),
            event = inbox.events.recv() => match event {
                Some(Event::FilesChanged) => supervisor.moved(),
                Some(Event::Reload) => supervisor.hangup(),
                Some(Event::Ping(answer)) => drop(answer.send(())),
                Some(Event::RunRequested { workspace, answer }) => {
                    let _ = answer.send(supervisor.wanted(&workspace));
                }
                Some(Event::Reloaded { trigger, result }) => {
                    if let Some(config) = supervisor.reloaded(trigger, result) {
                        on_config(config);
                    }
                }
                Some(Event::Stop) | None => break,
            }
        }
    }
    leave(supervisor, inbox.events).await;
    Ok(())
}

/// Ends every run at its next batch boundary; whatever still waits after [`GRACE`], or when asked
/// a second time, is dropped where it stands.
async fn leave<H: Environment>(mut supervisor: Supervisor<H>, mut events: mpsc::Receiver<Event>) {
    tracing::info!("leaving; a run in progress ends at its next batch boundary");
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
            tracing::warn!("a request has no answer yet; leaving all the same");
        }
        () = again => tracing::warn!("asked a second time; leaving at once"),
    }
}

/// Over names and texts; where nothing could be read, over the reasons.
fn digest(sources: &Sources, diagnostics: &[Diagnostic]) -> Digest {
    if sources.is_empty() {
        return Digest::of(diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()));
    }
    let files = sources.iter().map(|(_, file)| file);
    Digest::of(files.flat_map(|file| [file.name.as_str(), file.text.as_str()]))
}
