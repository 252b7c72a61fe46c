//! A world for the daemon without files, network and real time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::client::{self, Answer, ClientError, ReadDirectory, Reply, WriteDirectory};
use rosterd::clock::Clock;
use rosterd::config::{
    Config, CredentialSource, ScheduleSettings, SecretSource, WatchSettings, WebSettings,
    WorkspaceConfig,
};
use rosterd::daemon::events::Event;
use rosterd::daemon::renames::Renames;
use rosterd::daemon::{self, Connected, Environment, Inbox, RunCompleted};
use rosterd::diagnostic::{Diagnostic, FileId, Place, Sources};
use rosterd::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use rosterd::email::Email;
use rosterd::failure::FailureKind;
use rosterd::guard::Limits;
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::scope::Scope;
use rosterd::plan::OnRemoved;
use rosterd::plan::change::{Action, Change};
use rosterd::reconcile::{Evaluation, InputError, LedgerConfig, Loaded, WorkspaceSpec};
use rosterd::report::{Failure, RunReport, RunStatus, Trigger};
use rosterd::role::Role;
use rosterd::roster::policy::Policy;
use rosterd::roster::{Digest, Member, Period, Roster};
use rosterd::source::RosterSource;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::run::records;

/// The wall clock at the start of every test.
pub const START: &str = "2026-11-25T10:00:01Z";

/// One line of a roster: address, role, and when access ends.
pub type Line = (&'static str, &'static str, Option<&'static str>);

/// A directory and a roster by the name of their workspace.
#[derive(Default)]
pub struct Side {
    /// None is a roster that cannot be used.
    pub roster: Option<Vec<Line>>,
    pub accounts: Vec<(String, String)>,
    pub invitations: Vec<(String, String)>,
    /// How long a reading and a request take.
    pub list: Duration,
    pub send: Duration,
    /// So many readings fail.
    pub failures: usize,
    /// The key is refused.
    /// The API refuses every listing so.
    pub denied: Option<FailureKind>,
    /// No request is ever answered.
    pub hang: bool,
    /// Every second reading shows these again, as if somebody undid what was done.
    pub undone: Option<Vec<(String, String)>>,
    /// Every change is refused by itself.
    pub reject: bool,
    pub readings: usize,
    running: usize,
    pub most_running: usize,
}

pub struct State {
    pub places: BTreeMap<String, Side>,
    pub config: Result<Config, String>,
    /// The reports, in the order in which the runs ended.
    pub reports: Vec<RunReport>,
    /// The number of workspaces of each configuration that came into force later.
    pub in_force: Vec<usize>,
    pub ledger: Ledger,
}

#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

pub struct Directory {
    world: World,
    workspace: String,
}

/// The daemon under test.
pub struct Daemon {
    pub world: World,
    pub clock: Arc<TestClock>,
    pub events: mpsc::Sender<Event>,
    pub ended: JoinHandle<Result<(), Failure>>,
}

/// Follows tokio's paused time, and may be set.
pub struct TestClock {
    base: Mutex<Timestamp>,
    since: tokio::time::Instant,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.base.lock().unwrap() + self.since.elapsed()
    }
}

impl TestClock {
    pub fn set_forward(&self, by: jiff::SignedDuration) {
        *self.base.lock().unwrap() += by;
    }
}

impl World {
    /// One workspace `acme` in sync: an admin and a developer.
    pub fn new() -> Self {
        let world = Self(Arc::new(Mutex::new(State {
            places: BTreeMap::new(),
            config: Ok(config(&["acme"])),
            reports: Vec::new(),
            in_force: Vec::new(),
            ledger: Ledger::at(Location::Memory),
        })));
        world.add("acme");
        world
    }

    pub fn add(&self, workspace: &str) {
        let lines: Vec<Line> =
            vec![("alexandra@acme.io", "ADMIN", None), ("jonny@acme.io", "DEVELOPER", None)];
        let accounts = lines.iter().map(|line| (line.0.to_owned(), line.1.to_owned())).collect();
        let place = Side { roster: Some(lines), accounts, ..Side::default() };
        self.state().places.insert(workspace.into(), place);
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn acme(&self, change: impl FnOnce(&mut Side)) {
        change(self.state().places.get_mut("acme").unwrap());
    }

    pub fn start(&self) -> Daemon {
        let base = Mutex::new(START.parse().unwrap());
        let clock = Arc::new(TestClock { base, since: tokio::time::Instant::now() });
        let (sender, events) = mpsc::channel(daemon::events::QUEUE);
        let config = self.state().config.clone().unwrap();
        let inbox = Inbox { sender: sender.clone(), events, renames: Renames::default() };
        let world = self.clone();
        let on_config = move |config: &Config| {
            world.state().in_force.push(config.workspaces.len());
        };
        let run = daemon::run(Arc::new(self.clone()), config, clock.clone(), inbox, on_config);
        Daemon { world: self.clone(), clock, events: sender, ended: tokio::spawn(run) }
    }
}

impl Daemon {
    /// Lets so many seconds pass.
    pub async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub async fn send(&self, event: Event) {
        self.events.send(event).await.unwrap();
    }

    /// The runs so far: workspace, trigger, time of start, verdict.
    pub fn runs(&self) -> Vec<(String, Trigger, String, RunStatus)> {
        let state = self.world.state();
        let row = |report: &RunReport| {
            let time = report.started.to_zoned_datetime(TimeZone::UTC).strftime("%T").to_string();
            (report.workspace.clone(), report.trigger, time, report.status())
        };
        state.reports.iter().map(row).collect()
    }

    pub fn triggers(&self) -> Vec<Trigger> {
        self.runs().into_iter().map(|run| run.1).collect()
    }

    pub fn last(&self) -> RunReport {
        self.world.state().reports.last().unwrap().clone()
    }
}

pub fn config(names: &[&str]) -> Config {
    Config {
        store: None,
        listen: None,
        web: WebSettings::default(),
        hooks: None,
        public_url: None,
        notify: Vec::new(),
        retention: Duration::from_secs(1),
        path: None,
        schedule: ScheduleSettings { jitter: Duration::ZERO, ..ScheduleSettings::default() },
        // The roster of these tests is no file.
        watch: WatchSettings { in_place: Duration::ZERO, ..WatchSettings::default() },
        workspaces: names.iter().map(|name| workspace(name)).collect(),
    }
}

pub fn workspace(name: &str) -> WorkspaceConfig {
    WorkspaceConfig {
        target: WorkspaceSpec {
            workspace: name.into(),
            source: RosterSource::new(vec!["users.yaml".into()], PathBuf::from(".")),
            max_changes: rosterd::reconcile::MAX_CHANGES,
            zone: TimeZone::UTC,
            on_removed: OnRemoved::Disable,
            approvals_in_file: true,
            limits: Limits::default(),
            policy: Policy::default(),
            sending: Sending { concurrency: 1, batch: 1 },
        },
        has_name: true,
        formerly: None,
        connection: client::Settings::new(
            "https://api.example.com/graphql".parse().unwrap(),
            Duration::from_mins(1),
        ),
        credentials: CredentialSource {
            api_key: None,
            api_secret: SecretSource::Sandbox("prdm_wsp_sandbox"),
        },
        store: None,
        retention: Duration::from_secs(1),
    }
}

fn roster(lines: &[Line]) -> Roster {
    let place = Place { file: FileId(0), line: 1, column: 1, start: 0, end: 0 };
    let members = lines.iter().map(|(email, role, ends)| Member {
        email: Email::parse(email).unwrap(),
        role: Role::known(role).unwrap(),
        name: None,
        aliases: Box::default(),
        time: ends.map(|ends| {
            Box::new(Period { ends: Some(ends.parse().unwrap()), ..Period::default() })
        }),
        place,
    });
    Roster::new(members.collect(), vec![], vec![], Digest::of([text(lines).as_str()])).unwrap()
}

fn text(lines: &[Line]) -> String {
    format!("{lines:?}")
}

fn broken(message: &str) -> InputError {
    let diagnostics = vec![Diagnostic::error("broken", message)];
    InputError { sources: Sources::default(), diagnostics }
}

impl Environment for World {
    type Directory = Directory;

    fn connect(&self, workspace: &WorkspaceConfig) -> Result<Connected<Directory>, Failure> {
        let name = workspace.target.workspace.clone();
        let records =
            LedgerConfig { scope: Scope::of_name(&name), ..records(&self.state().ledger) };
        Ok(Connected {
            directory: Directory { world: self.clone(), workspace: name },
            ledger: records,
        })
    }

    fn reload(&self) -> Result<Config, InputError> {
        self.state().config.clone().map_err(|message| broken(&message))
    }

    fn load(&self, target: &WorkspaceSpec, _now: Timestamp) -> Result<Loaded, InputError> {
        let sources = self.contents(target)?;
        let lines = self.state().places[&target.workspace].roster.clone().unwrap();
        Ok(Loaded {
            roster: roster(&lines),
            sources,
            warnings: vec![],
            revision: None,
            takes_approvals: true,
            outage: None,
        })
    }

    fn contents(&self, target: &WorkspaceSpec) -> Result<Sources, InputError> {
        let roster = self.state().places[&target.workspace].roster.clone();
        let lines = roster.ok_or_else(|| broken("cannot be read"))?;
        let mut sources = Sources::default();
        sources.add("users.yaml", text(&lines));
        Ok(sources)
    }

    fn on_plan(&self, _workspace: &str, _loaded: &Loaded, _look: &Evaluation) {}

    fn progress(&self, _workspace: &str, _done: usize, _of: usize) {}

    fn finished(&self, run: &RunCompleted<'_>) {
        self.state().reports.push(run.report.clone());
    }
}

impl Directory {
    fn with<T>(&self, read: impl FnOnce(&mut Side) -> T) -> T {
        read(self.world.state().places.get_mut(&self.workspace).unwrap())
    }
}

impl ReadDirectory for Directory {
    async fn list(&self) -> Result<Snapshot, ClientError> {
        let wait = self.with(|place| {
            place.readings += 1;
            place.running += 1;
            place.most_running = place.most_running.max(place.running);
            place.list
        });
        tokio::time::sleep(wait).await;
        self.with(|place| {
            place.running -= 1;
            if place.readings % 2 == 1
                && let Some(accounts) = &place.undone
            {
                place.accounts.clone_from(accounts);
            }
            if let Some(kind) = place.denied {
                return Err(ClientError { kind, message: "wrong key".into() });
            }
            if place.failures > 0 {
                place.failures -= 1;
                let kind = FailureKind::Connect;
                return Err(ClientError { kind, message: "no connection".into() });
            }
            let accounts = place.accounts.iter().map(|(email, role)| Account {
                uid: Uid(email.as_str().into()),
                email: Email::remote(email),
                name: None,
                role: Role::from_api(role),
            });
            let invitations = place.invitations.iter().map(|(email, role)| Invitation {
                email: Email::remote(email),
                role: Role::from_api(role),
                status: InviteStatus::Pending,
            });
            Ok(Snapshot::new(accounts.collect(), invitations.collect(), None).unwrap())
        })
    }
}

impl WriteDirectory for Directory {
    async fn send(&self, batch: &[&Change]) -> Reply {
        let (wait, hang) = self.with(|place| (place.send, place.hang));
        tokio::time::sleep(wait).await;
        if hang {
            std::future::pending::<()>().await;
        }
        let answers = batch.iter().map(|change| self.with(|place| place.make(change)));
        Reply::Answered(answers.collect())
    }
}

impl Side {
    fn make(&mut self, change: &Change) -> Answer {
        if self.reject {
            return Answer::Rejected("not like this".into());
        }
        match &change.action {
            Action::Invite { role } | Action::Reinvite { role } => {
                self.invitations.push((change.email.to_string(), role.as_str().into()));
            }
            Action::Disable { uid, .. } => self.accounts.retain(|(email, _)| *email != *uid.0),
            Action::UpdateRole { uid, to, .. } => {
                for (email, role) in &mut self.accounts {
                    if *email == *uid.0 {
                        *role = to.as_str().into();
                    }
                }
            }
        }
        Answer::Done
    }
}
