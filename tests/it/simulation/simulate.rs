//! Runs one simulation: sets up the initial state, executes the steps of the scenario, then waits
//! for quiescence without faults and checks the final state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use rosterd::daemon::events::{Event, QUEUE};
use rosterd::daemon::renames::Renames;
use rosterd::daemon::{self, GRACE, Inbox};
use rosterd::ledger::Ledger;
use rosterd::report::Failure;
use rosterd::sandbox::world::{AccountType, World};
use rosterd::sandbox::{InProcessSandbox, Options};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::expected_roster::{ExpectedRoster, Member};
use super::git_server::GitServer;
use super::machine::{FaultyStore, SimulatedExecutor};
use super::network::Api;
use super::people::name_of;
use super::process::{Process, folder};
use super::scenario::{ENDPOINTS, Edit, Operation, Param, Scenario};
use super::second_workspace::SECOND_WORKSPACE;
use super::sim_state::{
    Clocks, FaultProfile, MachineClock, ServerClock, Shared, Version, WORKSPACE, Written,
};

pub struct SimulationResult {
    pub counts: BTreeMap<String, u64>,
    pub log: Vec<String>,
    /// The first violation of an invariant.
    pub violation: Option<String>,
}

/// Maximum time from SIGTERM to the exit of the daemon.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);
/// Days without faults at the end: by then the last invitation of every backoff is sent.
const QUIESCENCE_DAYS: usize = 16;
/// Maximum number of runs in these days.
const MAX_QUIESCENCE_RUNS: usize = 150;

/// Faults of a step are repaired after this time.
const REPAIR_AFTER: Duration = Duration::from_hours(3);

struct Simulation {
    shared: Shared,
    clocks: Arc<Clocks>,
    api: Arc<Api>,
    ledger: Ledger,
    daemon: Option<Daemon>,
    concurrent_processes: Vec<JoinHandle<()>>,
}

struct Daemon {
    events: mpsc::Sender<Event>,
    task: JoinHandle<Result<(), Failure>>,
}

/// Runs the simulation on this thread.
pub fn simulate(scenario: &Scenario) -> SimulationResult {
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let result = runtime.block_on(async {
        let (_folder, path) = folder();
        let mut simulation = Simulation::new(scenario);
        simulation.shared.state().folder = path;
        simulation.populate(scenario);
        rosterd::blocking::set(Some(Arc::new(SimulatedExecutor(simulation.shared.clone()))));
        simulation.start();
        for step in &scenario.steps {
            simulation.advance(step.delay).await;
            simulation.execute(step.operation).await;
            if simulation.shared.state().violation.is_some() {
                break;
            }
        }
        simulation.quiesce().await;
        let mut state = simulation.shared.state();
        SimulationResult {
            counts: std::mem::take(&mut state.counts),
            log: std::mem::take(&mut state.log),
            violation: state.violation.take(),
        }
    });
    rosterd::blocking::set(None);
    drop(runtime);
    result
}

impl Simulation {
    fn new(scenario: &Scenario) -> Self {
        let clocks = Arc::new(Clocks::new(scenario.start));
        let options = Options {
            abort_batches: scenario.server.aborts,
            max_batch: scenario.server.max_batch,
            sent: scenario.server.sent,
            ..Options::default()
        };
        let names = [WORKSPACE.to_owned(), SECOND_WORKSPACE.to_owned()];
        let names = &names[..if scenario.second_workspace { 2 } else { 1 }];
        let mut world = World::seeded(names, 0, scenario.seed, scenario.start);
        world.workspaces.iter_mut().for_each(|workspace| workspace.accounts.clear());
        let clock = || Arc::new(ServerClock(Arc::clone(&clocks)));
        let server = InProcessSandbox::new(options.clone(), clock(), world.clone());
        let mirror = InProcessSandbox::new(options, clock(), world);
        let shared = Shared::new(scenario, server.state(), Arc::clone(&clocks));
        let ledger = Ledger::on(FaultyStore::new(shared.clone()));
        let api = Arc::new(Api { server: Mutex::new(server), mirror: Mutex::new(mirror) });
        Self { shared, clocks, api, ledger, daemon: None, concurrent_processes: Vec::new() }
    }

    /// Creates the first accounts and the first version of the roster.
    fn populate(&self, scenario: &Scenario) {
        let mut state = self.shared.state();
        let mut expected =
            ExpectedRoster { unmanaged: vec!["*@ops.acme.io".into()], ..ExpectedRoster::default() };
        {
            let world = Arc::clone(&state.world);
            let mut world = world.lock();
            for n in 0..scenario.people {
                let email = format!("user{n}@acme.io");
                let role = if n < 2 { "ADMIN" } else { ["DEVELOPER", "ANALYST"][n % 2] };
                expected.members.push(Member::new(&email, role));
                let draw = state.random.u8(..10);
                let account_type = match (draw, n) {
                    (0, _) => continue,
                    (1, _) => AccountType::Business,
                    (_, 0 | 1) => AccountType::Admin,
                    _ => [AccountType::Developer, AccountType::Analyst][n % 2],
                };
                world.add(WORKSPACE, &email, Some(name_of(&email)), account_type).unwrap();
            }
            let bot = "bot@ops.acme.io";
            world.add(WORKSPACE, bot, None, AccountType::Admin).unwrap();
        }
        state.latest_roster = expected;
        state.git = scenario.git.then(|| GitServer::new(&state.folder));
        if scenario.second_workspace {
            state.add_second_workspace();
        }
        state.record_world();
        let roster = state.latest_roster.clone();
        state.write(Some(roster.to_yaml()), Some(roster), Written::Commit);
    }

    fn start(&mut self) {
        let environment = Process::start(&self.shared, &self.api, &self.ledger);
        let config = environment.config();
        let (sender, events) = mpsc::channel(QUEUE);
        let inbox = Inbox { sender: sender.clone(), events, renames: Renames::default() };
        let clock = Arc::new(MachineClock(Arc::clone(&self.clocks)));
        let run = daemon::run(Arc::new(environment), config, clock, inbox, |_| {});
        self.daemon = Some(Daemon { events: sender, task: tokio::spawn(run) });
        let mut state = self.shared.state();
        state.reset_deadlines();
        state.reset_fetch_deadline();
    }

    /// Lets time pass; the power may fail meanwhile.
    async fn wait(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        let power_lost = Arc::clone(&self.shared.state().power_lost);
        loop {
            tokio::select! {
                biased;
                () = power_lost.notified() => self.cut_power(Duration::from_mins(1)).await,
                () = tokio::time::sleep_until(until) => break,
            }
        }
        self.check_daemon().await;
        let mut state = self.shared.state();
        state.check_schedule();
        state.check_fetch_deadline();
        state.check_second_workspace();
    }

    /// The daemon must be running.
    async fn check_daemon(&mut self) {
        let Some(daemon) = self.daemon.take_if(|daemon| daemon.task.is_finished()) else { return };
        let result = daemon.task.await;
        self.shared.state().fail(format!("the daemon exited unexpectedly: {result:?}"));
    }

    async fn cut_power(&mut self, downtime: Duration) {
        self.shared.state().run_deadline = None;
        if let Some(daemon) = self.daemon.take() {
            daemon.task.abort();
            let _ = daemon.task.await;
        }
        self.stop_processes(downtime).await;
        {
            let mut state = self.shared.state();
            state.epoch += 1;
            state.powered = true;
            state.power_cut_after = None;
            state.log_event("power restored", "");
        }
        self.start();
    }

    async fn send(&mut self, event: Event) {
        if let Some(daemon) = &self.daemon {
            let _ = daemon.events.try_send(event);
        }
        tokio::task::yield_now().await;
    }

    /// Lets time pass; faults are repaired after [`REPAIR_AFTER`].
    async fn advance(&mut self, time: Duration) {
        self.wait(time.min(REPAIR_AFTER)).await;
        if time > REPAIR_AFTER {
            self.shared.state().repair();
            self.wait(time.saturating_sub(REPAIR_AFTER)).await;
        }
    }

    async fn execute(&mut self, operation: Operation) {
        match operation {
            Operation::Commit { edit, which, missed } => {
                self.shared.state().commit(edit, which);
                self.announce(missed).await;
            }
            Operation::WriteInPlace { edit, which, parts, pause } => {
                let versions = self.shared.state().versions_in_place(edit, which, parts);
                self.write_in_place(versions, Duration::from_secs(pause)).await;
            }
            Operation::Git { event, which, missed } => {
                let is_pushed = self.shared.state().git_event(event, which);
                self.announce(missed || !is_pushed).await;
            }
            Operation::AcceptCommit => self.accept_later(),
            Operation::Operator { action, which } => self.shared.state().operate(action, which),
            Operation::EditSecondWorkspace { which } => {
                self.shared.state().edit_second_workspace(which);
            }
            Operation::InjectFaults { writes, all } => {
                let mut state = self.shared.state();
                state.log_event("fault profile", &format!("{writes:?}, {all:?}"));
                state.fault_profile = FaultProfile { writes: vec![writes], all: all.to_vec() };
            }
            Operation::ClearFaults => self.shared.state().fault_profile = FaultProfile::default(),
            Operation::ClockJump { seconds } => {
                self.shared.state().log_event("clock jumps", &format!("{seconds} s"));
                self.clocks.jump(SignedDuration::from_secs(seconds));
                self.shared.state().reset_deadlines();
            }
            Operation::ClockReset => {
                self.shared.state().log_event("clock is reset", "");
                self.clocks.reset();
                self.shared.state().reset_deadlines();
            }
            Operation::PowerCut { crash_points, downtime } => {
                self.shared.state().power_cut_after = Some(crash_points);
                self.send(Event::Reload).await;
                let power_lost = Arc::clone(&self.shared.state().power_lost);
                tokio::select! {
                    biased;
                    () = power_lost.notified() => self.cut_power(downtime).await,
                    () = tokio::time::sleep(Duration::from_mins(5)) => {}
                }
            }
            Operation::Restart { crash_points, downtime } => {
                self.restart(crash_points, downtime).await;
            }
            Operation::Reload => self.send(Event::Reload).await,
            Operation::SetParam { param, value } => {
                self.set_param(param, value);
                self.send(Event::FilesChanged).await;
            }
            Operation::SetKey(key) => {
                let mut state = self.shared.state();
                state.log_event(&format!("key {key:?}"), "");
                state.key = key;
            }
            Operation::ConcurrentProcess => {
                self.shared.state().log_event("concurrent process", "");
                let process = Process::start(&self.shared, &self.api, &self.ledger);
                self.concurrent_processes.push(tokio::spawn(async move { process.once().await }));
            }
            Operation::SetDisk(disk) => {
                let mut state = self.shared.state();
                state.log_event(&format!("disk {disk:?}"), "");
                state.disk = disk;
            }
        }
    }

    /// An operator accepts a rewritten history.
    fn accept_later(&mut self) {
        let process = Process::start(&self.shared, &self.api, &self.ledger);
        let accept = async move { process.accept_commit().await };
        self.concurrent_processes.push(tokio::spawn(accept));
    }

    /// The roster has changed: a webhook of a git server, or an event of files.
    async fn announce(&mut self, missed: bool) {
        let is_git = self.shared.state().git.is_some();
        if missed {
            self.shared.state().expect_fetch(false);
        } else if is_git {
            self.announce_commit().await;
        } else {
            self.send(Event::FilesChanged).await;
        }
    }

    /// A webhook, if the roster is on a git server.
    async fn announce_commit(&mut self) {
        let is_git = self.shared.state().git.is_some();
        if is_git {
            self.shared.state().expect_fetch(true);
            self.send(Event::Pushed { workspace: WORKSPACE.into() }).await;
        }
    }

    async fn write_in_place(&mut self, versions: Vec<Version>, pause: Duration) {
        let is_git = self.shared.state().git.is_some();
        if is_git {
            self.shared.state().push_versions(versions);
            return self.announce_commit().await;
        }
        for Version { text, expected, written } in versions {
            self.shared.state().write(text, expected, written);
            self.send(Event::FilesChanged).await;
            if written == Written::Partly {
                self.wait(pause).await;
            }
        }
    }

    /// SIGTERM during a run or after it, then a start.
    async fn restart(&mut self, crash_points: u32, downtime: Duration) {
        let (power_lost, passed) = {
            let mut state = self.shared.state();
            state.notify_after = Some(crash_points + 1);
            (Arc::clone(&state.power_lost), Arc::clone(&state.crash_points_passed))
        };
        self.send(Event::Reload).await;
        let _ = tokio::time::timeout(Duration::from_mins(5), passed.notified()).await;
        let abandoned_before = {
            let mut state = self.shared.state();
            (state.run_deadline, state.notify_after) = (None, None);
            state.log_event("SIGTERM", "");
            state.abandoned_writes
        };
        self.send(Event::Stop).await;
        let Some(mut daemon) = self.daemon.take() else { return };
        let stopped = tokio::time::Instant::now();
        tokio::select! {
            biased;
            () = power_lost.notified() => {
                self.daemon = Some(daemon);
                return self.cut_power(downtime).await;
            }
            result = tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut daemon.task) => match result {
                Ok(Ok(Ok(()))) => {}
                other => self.shared.state().fail(format!("SIGTERM: {other:?}")),
            }
        }
        let abandoned = self.shared.state().abandoned_writes - abandoned_before;
        if abandoned > 0 && stopped.elapsed() < GRACE {
            self.shared.state().fail(format!("SIGTERM: abandoned {abandoned} mutations"));
        }
        // Tasks of the old process that are still suspended must not continue.
        let old = self.shared.state().epoch;
        self.stop_processes(downtime).await;
        self.shared.state().epoch = old + 1;
        self.start();
    }

    /// Ends the concurrent processes, and waits.
    async fn stop_processes(&mut self, downtime: Duration) {
        for process in self.concurrent_processes.drain(..) {
            process.abort();
            let _ = process.await;
        }
        tokio::time::sleep(downtime).await;
    }

    fn set_param(&self, param: Param, value: usize) {
        let mut state = self.shared.state();
        state.log_event(&format!("param {param:?}"), &value.to_string());
        if param == Param::UnreadableConfig {
            state.unreadable_config = value.is_multiple_of(2);
        }
        state.set_params(|params| match param {
            Param::MinAdmins => params.min_admins = value % 4,
            Param::RequireFirst => params.require_first = value.is_multiple_of(2),
            Param::Floor => {
                params.budget =
                    [(0, 0, 2), (0, 1, 1), (20, 3, 50), (50, 2, 4), (100, 9, 50)][value % 5];
            }
            Param::Policy => params.domain = ["acme.io", ""][value % 2],
            Param::Report => params.report = value.is_multiple_of(2),
            Param::Suspend => params.suspend = value.is_multiple_of(3),
            Param::Batch => params.batch = value + 1,
            Param::Concurrency => params.concurrency = value % 4 + 1,
            Param::Endpoint => params.endpoint = ENDPOINTS[value % ENDPOINTS.len()],
            Param::UnreadableConfig => {}
        });
    }

    /// An operator accepts what the last run waits for.
    async fn accept(&self) {
        let is_rewritten = self.shared.state().is_rewritten();
        if is_rewritten {
            Process::start(&self.shared, &self.api, &self.ledger).accept_commit().await;
        }
        let waits = {
            let state = self.shared.state();
            let failure = state.reports.last().and_then(|report| report.failure().cloned());
            failure.is_some_and(|failure| failure.kind.is_held())
        };
        if waits {
            Process::start(&self.shared, &self.api, &self.ledger).accept().await;
        }
    }

    /// Repairs everything, waits for quiescence, and checks the final state.
    async fn quiesce(&mut self) {
        {
            let mut state = self.shared.state();
            state.log_event("quiescence", "no more faults");
            state.repair();
            (state.unreadable_config, state.power_cut_after) = (false, None);
            state.set_params(|params| (params.cron, params.suspend) = ("0 12 * * *", false));
            state.commit(Edit::Repair, 0);
        }
        self.clocks.reset();
        self.shared.state().reset_deadlines();
        self.send(Event::Reload).await;
        self.announce_commit().await;
        let before = self.shared.state().reports.len();
        for _ in 0..QUIESCENCE_DAYS {
            self.wait(Duration::from_hours(24)).await;
            self.accept().await;
            if self.shared.state().violation.is_some() {
                return;
            }
        }
        self.send(Event::Reload).await;
        self.wait(Duration::from_mins(3)).await;
        let mut state = self.shared.state();
        let runs = state.reports.len() - before;
        if runs > MAX_QUIESCENCE_RUNS {
            state.fail(format!("{runs} runs in {QUIESCENCE_DAYS} days without faults"));
        }
        if let Err(why) = state.check_final_state() {
            state.fail(why);
        }
    }
}
