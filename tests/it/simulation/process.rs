//! One process of rosterd: the real daemon, or one run by hand, on the simulated machine.

use std::path::PathBuf;
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
use rosterd::plan::OnRemoved;
use rosterd::plan::change::Change;
use rosterd::reconcile::{
    self, Evaluation, InputError, LedgerConfig, Loaded, Run, RunOptions, RunResult, RunSession,
    WorkspaceSpec,
};
use rosterd::report::{Failure, Trigger};
use rosterd::revision::Revision;
use rosterd::sandbox::auth;
use tokio_util::sync::CancellationToken;

use super::network::{Api, Net, TIMEOUT};
use super::scenario::{Key, Knobs};
use super::second_workspace::{self, NEIGHBOUR, QuietNet};
use super::sim_state::{MachineClock, Shared, Site, WORKSPACE};

/// A process, from its start to its end.
pub struct Process {
    pub shared: Shared,
    pub api: Arc<Api>,
    pub epoch: usize,
    pub ledger: Ledger,
    run: AtomicUsize,
    last_good: Mutex<Option<usize>>,
}

/// What the real daemon and the real run reach their world through.
pub struct World {
    pub process: Arc<Process>,
    transport: Arc<Transport>,
    next_door: Arc<Transport>,
}

/// The real client, watched for runs that overlap.
pub struct Directory {
    client: Client,
    /// The run, where it is one of the first workspace.
    watched: Option<(usize, Shared)>,
}

impl Process {
    pub fn start(shared: &Shared, api: &Arc<Api>, ledger: &Ledger) -> World {
        let process = Arc::new(Self {
            shared: shared.clone(),
            api: Arc::clone(api),
            epoch: shared.site().epoch,
            ledger: ledger.reopen(),
            run: AtomicUsize::new(usize::MAX),
            last_good: Mutex::default(),
        });
        let net = Box::new(Net(Arc::clone(&process)));
        let transport = Transport::over(net, &connection()).unwrap();
        let uid = shared.site().neighbour.as_ref().map(|it| it.uid.clone());
        let settings = client::Settings { workspace_uid: uid, ..connection() };
        let quiet = Box::new(QuietNet(Arc::clone(&process)));
        let next_door = Transport::over(quiet, &settings).unwrap();
        World { process, transport: Arc::new(transport), next_door: Arc::new(next_door) }
    }

    /// The run that it is making.
    pub fn run(&self) -> usize {
        self.run.load(Ordering::SeqCst)
    }
}

impl World {
    /// `rosterd --once`, as a second process would.
    pub async fn once(&self) {
        let shared = &self.process.shared;
        let clock = MachineClock(Arc::clone(&shared.site().clocks));
        let config = self.config();
        let workspace = &config.workspaces[0];
        let cancel = CancellationToken::new();
        let Ok(Connected { directory, ledger }) = self.connect(workspace) else { return };
        let Ok(session) = RunSession::acquire(&ledger, &clock, &cancel).await else {
            shared.site().count("rival gave up");
            return;
        };
        let Ok(loaded) = self.load(&workspace.target, self.now()) else { return };
        let loaded = Arc::new(loaded);
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

    fn now(&self) -> Timestamp {
        self.process.shared.site().clocks.machine()
    }

    pub fn config(&self) -> Config {
        let site = self.process.shared.site();
        let knobs = site.knobs;
        let cron = knobs.cron.parse().unwrap();
        Config {
            store: None,
            listen: None,
            web: WebSettings::default(),
            notify: Vec::new(),
            retention: retention(&knobs),
            path: None,
            schedule: ScheduleSettings {
                cron,
                zone: site.zone.clone(),
                jitter: Duration::from_secs(30),
            },
            watch: WatchSettings::default(),
            workspaces: workspaces(&site, &knobs),
        }
    }
}

fn workspaces(site: &Site, knobs: &Knobs) -> Vec<WorkspaceConfig> {
    let first = workspace(site, knobs);
    let second = site.neighbour.as_ref().map(|it| second_workspace::workspace(&first, it));
    [first].into_iter().chain(second).collect()
}

fn workspace(site: &Site, knobs: &Knobs) -> WorkspaceConfig {
    WorkspaceConfig {
        target: WorkspaceSpec {
            workspace: WORKSPACE.into(),
            users: vec!["users.yaml".into()],
            base: site.folder.clone(),
            zone: site.zone.clone(),
            on_removed: if knobs.report { OnRemoved::Report } else { OnRemoved::Disable },
            limits: limits(knobs),
            sending: Sending { concurrency: knobs.concurrency, batch: knobs.batch },
        },
        connection: connection(),
        credentials: CredentialSource {
            api_key: None,
            api_secret: SecretSource::Sandbox("prdm_wsp_sandbox"),
        },
        store: None,
        retention: retention(knobs),
    }
}

fn retention(knobs: &Knobs) -> Duration {
    Duration::from_hours(24 * knobs.retention_days.unsigned_abs())
}

fn limits(knobs: &Knobs) -> Limits {
    let (percent, floor) = knobs.budget;
    let budget = Budget { percent, floor, window: jiff::SignedDuration::from_hours(24) };
    let first = Email::parse("user0@acme.io").unwrap();
    Limits {
        min_admins: knobs.min_admins,
        required_admins: if knobs.require_first { vec![first] } else { Vec::new() },
        budgets: BudgetName::ALL.into_iter().map(|name| (name, budget)).collect(),
        suspend: knobs.suspend,
    }
}

fn connection() -> client::Settings {
    client::Settings {
        endpoint: "https://api.acme.io/graphql".parse().unwrap(),
        workspace_uid: None,
        timeout: TIMEOUT,
        rate: Some(10.0),
        ca_file: None,
    }
}

fn credentials(key: Key) -> Credentials {
    let (key, secret) = match key {
        Key::Full => (auth::ADMIN_KEY, auth::ADMIN_SECRET),
        Key::Viewer => (auth::VIEWER_KEY, auth::VIEWER_SECRET),
        Key::Refused => (auth::ADMIN_KEY, "yesterdays-secret"),
    };
    Credentials::KeyPair { key: key.into(), secret: secret.into() }
}

impl Environment for World {
    type Directory = Directory;

    fn connect(&self, in_force: &WorkspaceConfig) -> Result<Connected<Directory>, Failure> {
        let records = LedgerConfig {
            ledger: self.process.ledger.clone(),
            scope: in_force.target.workspace.clone(),
            retention: in_force.retention.try_into().unwrap(),
            lock_timeout: Duration::from_mins(1),
        };
        if in_force.target.workspace == NEIGHBOUR {
            let credentials = Credentials::Token(auth::COMPANY_TOKEN.into());
            let client = Client::new(Arc::clone(&self.next_door), credentials);
            return Ok(Connected {
                directory: Directory { client, watched: None },
                ledger: records,
            });
        }
        let (run, key) = {
            let mut site = self.process.shared.site();
            let all = site.earlier_knobs.iter().chain([&site.knobs]).rev();
            let mut all = all.copied();
            let same = all.find(|knobs| workspace(&site, knobs) == *in_force);
            let knobs = same.expect("a configuration that somebody wrote");
            drop(all);
            site.has_begun();
            (site.new_run(knobs), site.key)
        };
        self.process.run.store(run, Ordering::SeqCst);
        let client = Client::new(Arc::clone(&self.transport), credentials(key));
        let shared = self.process.shared.clone();
        let watched = Some((run, shared));
        Ok(Connected { directory: Directory { client, watched }, ledger: records })
    }

    fn reload(&self) -> Result<Config, InputError> {
        if self.process.shared.site().unreadable {
            let diagnostics = vec![Diagnostic::error("bad-yaml", "the configuration is broken")];
            return Err(InputError { sources: Sources::default(), diagnostics });
        }
        Ok(self.config())
    }

    /// The real reading of real files; whether they could be read must be as their authors think.
    fn load(&self, target: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
        let loaded = reconcile::load(target, now);
        if target.workspace == NEIGHBOUR {
            return loaded;
        }
        let mut site = self.process.shared.site();
        let newest = site.versions.len() - 1;
        let can_be_used = site.versions[newest].wish.is_some();
        match &loaded {
            Ok(_) if !can_be_used => site.fail("a roster was used that cannot be used".into()),
            Err(outage) if can_be_used => {
                let why = format!("a good roster was refused: {:?}", outage.diagnostics);
                site.fail(why);
            }
            _ => {}
        }
        let mut last_good = self.process.last_good.lock().unwrap();
        if loaded.is_ok() {
            *last_good = Some(newest);
        }
        site.runs[self.process.run()].version = *last_good;
        loaded.map(|loaded| Loaded { revision: Some(revision(newest)), ..loaded })
    }

    fn on_plan(&self, workspace: &str, _loaded: &Loaded, look: &Evaluation) {
        if workspace == NEIGHBOUR {
            return;
        }
        self.process.shared.site().planned(self.process.run(), look);
    }

    fn progress(&self, _workspace: &str, _done: usize, _of: usize) {}

    fn problems(&self, _workspace: Option<&str>, _sources: &Sources, _found: &[Diagnostic]) {}

    fn finished(&self, run: &RunCompleted<'_>) {
        let report = run.report;
        if report.workspace == NEIGHBOUR {
            return self.process.shared.site().count("run next door");
        }
        self.process.shared.site().finished(self.process.run(), report);
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
        let _waiting = Waiting::of(self);
        self.client.list().await
    }
}

impl WriteDirectory for Directory {
    async fn send(&self, batch: &[&Change]) -> Reply {
        let _waiting = Waiting::of(self);
        self.client.send(batch).await
    }
}

/// A run that waits for an answer.
struct Waiting<'a>(Option<&'a (usize, Shared)>);

impl<'a> Waiting<'a> {
    fn of(directory: &'a Directory) -> Self {
        let watched = directory.watched.as_ref();
        if let Some((run, shared)) = watched {
            shared.site().asks(*run);
        }
        Self(watched)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some((run, shared)) = self.0 {
            shared.site().runs[*run].waiting -= 1;
        }
    }
}

/// Where a story's files are.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}
