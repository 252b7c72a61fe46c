//! One process of rosterd on the simulated machine: the real daemon, or one real run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rosterd::apply::Sending;
use rosterd::client::transport::Transport;
use rosterd::client::{
    self, Client, ClientError, Credentials, ReadDirectory, Reply, WriteDirectory,
};
use rosterd::config::{
    Config, CredentialSource, ScheduleSettings, SecretSource, WatchSettings, WebSettings,
    WorkspaceConfig,
};
use rosterd::daemon::{Connected, Environment, RunCompleted};
use rosterd::diagnostic::{Diagnostic, Sources};
use rosterd::directory::Snapshot;
use rosterd::email::Email;
use rosterd::guard::{Budget, BudgetName, Limits};
use rosterd::ledger::Ledger;
use rosterd::memory::entry::Acceptable;
use rosterd::plan::OnRemoved;
use rosterd::plan::change::Change;
use rosterd::reconcile::{
    self, Evaluation, InputError, LedgerConfig, Loaded, Run, RunOptions, RunResult, RunSession,
    WorkspaceSpec,
};
use rosterd::report::{Failure, Trigger};
use rosterd::revision::Revision;
use rosterd::roster::ApprovalState;
use rosterd::roster::policy::{Domain, Policy};
use rosterd::sandbox::auth;
use rosterd::source::RosterSource;
use tokio_util::sync::CancellationToken;

use super::network::{Api, Net, TIMEOUT};
use super::scenario::{Key, Params};
use super::second_workspace::{self, ReliableNet, SECOND_WORKSPACE};
use super::sim_state::{MachineClock, Shared, SimState, WORKSPACE, Written};

/// A process, from its start to its exit.
pub struct Process {
    pub shared: Shared,
    pub api: Arc<Api>,
    pub epoch: usize,
    pub ledger: Ledger,
    run: AtomicUsize,
    /// The version of the roster that was read last, and the one in force.
    loaded: AtomicUsize,
    pub last_good: Mutex<Option<usize>>,
}

/// The environment of the real daemon and the real run.
pub struct SimEnvironment {
    pub process: Arc<Process>,
    transport: Arc<Transport>,
    second_transport: Arc<Transport>,
}

/// The real client, with a check that runs do not overlap.
pub struct Directory {
    client: Client,
    /// The run, if it is one of the first workspace.
    run: Option<(usize, Shared)>,
}

impl Process {
    pub fn start(shared: &Shared, api: &Arc<Api>, ledger: &Ledger) -> SimEnvironment {
        let process = Arc::new(Self {
            shared: shared.clone(),
            api: Arc::clone(api),
            epoch: shared.state().epoch,
            ledger: ledger.reopen(),
            run: AtomicUsize::new(usize::MAX),
            loaded: AtomicUsize::new(0),
            last_good: Mutex::default(),
        });
        let net = Box::new(Net(Arc::clone(&process)));
        let connection = connection(&shared.state().params);
        let transport = Transport::over(net, &connection).unwrap();
        let uid = shared.state().second_workspace.as_ref().map(|it| it.uid.clone());
        let settings = client::Settings { workspace_uid: uid, ..connection };
        let net = Box::new(ReliableNet(Arc::clone(&process)));
        let second_transport = Arc::new(Transport::over(net, &settings).unwrap());
        SimEnvironment { process, transport: Arc::new(transport), second_transport }
    }

    /// The number of its current run.
    pub fn run(&self) -> usize {
        self.run.load(Ordering::SeqCst)
    }
}

impl SimEnvironment {
    /// `rosterd accept` of whatever waits for an operator.
    pub async fn accept(&self) {
        let shared = &self.process.shared;
        let clock = MachineClock(Arc::clone(&shared.state().clocks));
        let config = self.config();
        for what in [Acceptable::Place, Acceptable::Listing] {
            let cancel = CancellationToken::new();
            let Ok(Connected { directory, ledger }) = self.connect(&config.workspaces[0]) else {
                return;
            };
            let session = RunSession::acquire(&ledger, &clock, &cancel).await;
            let (Ok(session), Ok(snapshot)) = (session, directory.list().await) else { return };
            let Some(hold) = session.waiting(what, &snapshot, self.now()) else { continue };
            if session.accept(&hold, "agreed", &snapshot, self.now()).await.is_ok() {
                shared.state().log_event(&format!("accepted {}", what.as_str()), &hold.message);
            }
        }
    }

    /// `rosterd --once` as a second process.
    pub async fn once(&self) {
        let shared = &self.process.shared;
        let clock = MachineClock(Arc::clone(&shared.state().clocks));
        let config = self.config();
        let workspace = &config.workspaces[0];
        let cancel = CancellationToken::new();
        let Ok(Connected { directory, ledger }) = self.connect(workspace) else { return };
        let is_git = workspace.target.source.git.is_some();
        let mut loaded = None;
        if is_git {
            loaded = self.fetch_and_load(&workspace.target).await;
            if loaded.is_none() {
                return;
            }
        }
        let Ok(session) = RunSession::acquire(&ledger, &clock, &cancel).await else {
            shared.state().count("concurrent process did not get the lock");
            return;
        };
        if !is_git {
            loaded = self.load_complete(&workspace.target).await;
        } else if session.waited {
            loaded = self.fetch_and_load(&workspace.target).await;
        }
        let Some(loaded) = loaded.map(Arc::new) else { return };
        let run = Run {
            directory: &directory,
            spec: &workspace.target,
            loaded: &loaded,
            session,
            options: RunOptions::new(Trigger::Start),
            clock: &clock,
            cancel: &cancel,
            on_plan: &|evaluation| {
                self.on_plan(WORKSPACE, &loaded, evaluation);
                Ok(())
            },
            on_progress: &|_, _| {},
        };
        let RunResult { report, observation, .. } = run.execute().await;
        let sources = &loaded.sources;
        self.finished(&RunCompleted { report: &report, sources, next: None, observation });
    }

    /// Loads the files. It waits as the command line does: by the time of writing.
    async fn load_complete(&self, target: &WorkspaceSpec) -> Option<Loaded> {
        while self.process.shared.state().is_partly_written() {
            tokio::time::sleep(WatchSettings::default().in_place).await;
        }
        let roster = self.load(target, self.now());
        self.roster_read(WORKSPACE, &roster);
        roster.ok()
    }

    pub fn now(&self) -> Timestamp {
        self.process.shared.state().clocks.machine_now()
    }

    pub fn config(&self) -> Config {
        let state = self.process.shared.state();
        let params = state.params;
        let cron = params.cron.parse().unwrap();
        Config {
            store: None,
            listen: None,
            web: WebSettings::default(),
            hooks: None,
            public_url: None,
            notify: Vec::new(),
            retention: retention(&params),
            path: None,
            schedule: ScheduleSettings {
                cron,
                zone: state.zone.clone(),
                jitter: Duration::from_secs(30),
            },
            watch: WatchSettings::default(),
            workspaces: workspaces(&state, &params),
        }
    }
}

fn workspaces(state: &SimState, params: &Params) -> Vec<WorkspaceConfig> {
    let first = workspace(state, params);
    let second = state.second_workspace.as_ref().map(|it| second_workspace::workspace(&first, it));
    [first].into_iter().chain(second).collect()
}

fn workspace(state: &SimState, params: &Params) -> WorkspaceConfig {
    WorkspaceConfig {
        target: WorkspaceSpec {
            workspace: WORKSPACE.into(),
            source: RosterSource {
                git: state.git.as_ref().map(|git| git.remote.clone()),
                ..RosterSource::new(vec!["users.yaml".into()], state.folder.clone())
            },
            max_changes: rosterd::reconcile::MAX_CHANGES,
            zone: state.zone.clone(),
            on_removed: if params.report { OnRemoved::Report } else { OnRemoved::Disable },
            approvals_in_file: true,
            limits: limits(params),
            policy: policy(params),
            sending: Sending { concurrency: params.concurrency, batch: params.batch },
        },
        has_name: true,
        formerly: None,
        connection: connection(params),
        credentials: CredentialSource {
            api_key: None,
            api_secret: SecretSource::Env("SECRET".into()),
        },
        store: None,
        retention: retention(params),
    }
}

fn retention(params: &Params) -> Duration {
    Duration::from_hours(24 * params.retention_days.unsigned_abs())
}

fn limits(params: &Params) -> Limits {
    let (percent, floor, max) = params.budget;
    let budget = Budget { percent, floor, max, window: jiff::SignedDuration::from_hours(24) };
    let first = Email::parse("user0@acme.io").unwrap();
    Limits {
        min_admins: params.min_admins,
        required_admins: if params.require_first { vec![first] } else { Vec::new() },
        budgets: BudgetName::ALL.into_iter().map(|name| (name, budget)).collect(),
        suspend: params.suspend,
    }
}

fn policy(params: &Params) -> Policy {
    if params.domain.is_empty() {
        return Policy::default();
    }
    let domain = |it| vec![Domain::parse(it).unwrap()];
    Policy { domains: domain(params.domain), guests: domain("partner.com") }
}

fn connection(params: &Params) -> client::Settings {
    let settings = client::Settings::new(params.endpoint.parse().unwrap(), TIMEOUT);
    client::Settings { rate: Some(10.0), ..settings }
}

fn credentials(key: Key) -> Credentials {
    let (key, secret) = match key {
        Key::Rotated => return Credentials::Token(auth::WORKSPACE_TOKEN.into()),
        Key::Full => (auth::ADMIN_KEY, auth::ADMIN_SECRET),
        Key::Viewer => (auth::VIEWER_KEY, auth::VIEWER_SECRET),
        Key::Invalid => (auth::ADMIN_KEY, "yesterdays-secret"),
    };
    Credentials::KeyPair { key: key.into(), secret: secret.into() }
}

impl Environment for SimEnvironment {
    type Directory = Directory;

    fn connect(&self, config: &WorkspaceConfig) -> Result<Connected<Directory>, Failure> {
        let records = LedgerConfig {
            ledger: self.process.ledger.clone(),
            scope: config.scope(),
            retention: config.retention.try_into().unwrap(),
            lock_timeout: Duration::from_mins(1),
        };
        if config.target.workspace == SECOND_WORKSPACE {
            let credentials = Credentials::Token(auth::COMPANY_TOKEN.into());
            let client = Client::new(Arc::clone(&self.second_transport), credentials);
            return Ok(Connected { directory: Directory { client, run: None }, ledger: records });
        }
        let (run, key) = {
            let mut state = self.process.shared.state();
            let all = state.earlier_params.iter().chain([&state.params]).rev();
            let mut all = all.copied();
            let same = all.find(|params| workspace(&state, params) == *config);
            let params = same.expect("one of the configurations");
            drop(all);
            state.run_started();
            (state.new_run(params), state.key)
        };
        self.process.run.store(run, Ordering::SeqCst);
        let client = Client::new(Arc::clone(&self.transport), credentials(key));
        let run = Some((run, self.process.shared.clone()));
        Ok(Connected { directory: Directory { client, run }, ledger: records })
    }

    fn reload(&self) -> Result<Config, InputError> {
        if self.process.shared.state().unreadable_config {
            let diagnostics = vec![Diagnostic::error("bad-yaml", "the configuration is broken")];
            return Err(InputError { sources: Sources::default(), diagnostics });
        }
        Ok(self.config())
    }

    /// Loads the real files, or the real commit.
    fn load(&self, target: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
        if target.source.git.is_some() {
            return self.load_commit(target, now);
        }
        let loaded = reconcile::load(target, now);
        if target.workspace == SECOND_WORKSPACE {
            return loaded;
        }
        let newest = self.process.shared.state().versions.len() - 1;
        self.process.loaded.store(newest, Ordering::SeqCst);
        // The one in force, unless `roster_read` gets this one.
        let mut state = self.process.shared.state();
        state.runs[self.process.run()].version = *self.process.last_good.lock().unwrap();
        let counting = state.counting(newest);
        loaded.map(|mut loaded| {
            loaded.roster.judge_approvals(|it| {
                let item = (it.action.key().to_owned(), it.email.folded(), it.reason.clone());
                if counting.contains(&item) {
                    ApprovalState::Counts
                } else {
                    ApprovalState::NotCommitted
                }
            });
            Loaded { revision: Some(revision(newest)), ..loaded }
        })
    }

    fn committed(&self, target: &WorkspaceSpec, sources: &Sources) -> BTreeSet<String> {
        if target.source.git.is_some() {
            return target.source.committed(sources);
        }
        let state = self.process.shared.state();
        let is_committed = target.workspace == SECOND_WORKSPACE
            || state.versions.last().unwrap().written == Written::Commit;
        let files = sources.iter().filter(|_| is_committed);
        files.map(|(_, file)| file.name.clone()).collect()
    }

    /// A file must be accepted exactly if it is valid, and never before it is written completely.
    fn roster_read(&self, workspace: &str, roster: &Result<Loaded, InputError>) {
        // `load_commit` has checked a commit.
        if workspace == SECOND_WORKSPACE || self.process.shared.state().git.is_some() {
            return;
        }
        let mut state = self.process.shared.state();
        let mut version = self.process.loaded.load(Ordering::SeqCst);
        let mut last_good = self.process.last_good.lock().unwrap();
        if state.versions[version].written == Written::Partly {
            // Contents that are in force are known to be complete.
            let text = &state.versions[version].text;
            match last_good.filter(|it| state.versions[*it].text == *text) {
                Some(same) => version = same,
                None => state.fail(format!("version {version} was used half-written")),
            }
        }
        let is_valid = state.versions[version].expected.is_some();
        match roster {
            Ok(_) if !is_valid => state.fail("an invalid roster was accepted".into()),
            Err(error) if is_valid => {
                let why = format!("a valid roster was rejected: {:?}", error.diagnostics);
                state.fail(why);
            }
            _ => {}
        }
        if roster.is_ok() {
            *last_good = Some(version);
        }
        state.runs[self.process.run()].version = *last_good;
    }

    fn on_plan(&self, workspace: &str, _loaded: &Loaded, evaluation: &Evaluation) {
        if workspace == SECOND_WORKSPACE {
            return;
        }
        self.process.shared.state().planned(self.process.run(), evaluation);
    }

    fn progress(&self, _workspace: &str, _done: usize, _of: usize) {}

    fn problems(&self, _workspace: Option<&str>, _sources: &Sources, _found: &[Diagnostic]) {}

    fn finished(&self, run: &RunCompleted<'_>) {
        let report = run.report;
        if report.workspace == SECOND_WORKSPACE {
            return self.process.shared.state().count("run of the second workspace");
        }
        self.process.shared.state().finished(self.process.run(), report);
    }
}

/// The commit of a version.
fn revision(version: usize) -> Revision {
    Revision {
        commit: format!("{version:040x}"),
        author: Some("alexandra".into()),
        subject: Some(format!("commit {version}")),
        at: None,
        dirty: false,
    }
}

impl ReadDirectory for Directory {
    async fn list(&self) -> Result<Snapshot, ClientError> {
        let _in_flight = InFlightGuard::new(self);
        self.client.list().await
    }
}

impl WriteDirectory for Directory {
    async fn send(&self, batch: &[&Change]) -> Reply {
        let _in_flight = InFlightGuard::new(self);
        self.client.send(batch).await
    }
}

/// Counts a request of a run as in flight until it is dropped.
struct InFlightGuard<'a>(Option<&'a (usize, Shared)>);

impl<'a> InFlightGuard<'a> {
    fn new(directory: &'a Directory) -> Self {
        let run = directory.run.as_ref();
        if let Some((run, shared)) = run {
            shared.state().request_started(*run);
        }
        Self(run)
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        if let Some((run, shared)) = self.0 {
            shared.state().runs[*run].in_flight -= 1;
        }
    }
}

/// A temporary folder for the files of a simulation, and its path.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}
