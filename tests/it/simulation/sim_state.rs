//! The shared state of one simulation: clocks, fault profile, power, disk, the sandbox's state, and
//! what has been observed so far.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rosterd::clock::Clock;
use rosterd::report::RunReport;
use rosterd::sandbox::world::World;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::checks::Tracker;
use super::expected_roster::ExpectedRoster;
use super::git_server::GitServer;
use super::scenario::{Disk, Fault, Key, Params, Scenario};
use super::second_workspace::SecondWorkspace;
use super::source_checks::SourceTracker;

pub const WORKSPACE: &str = "acme";

/// Maximum time between two scheduled runs, on a day of 25 hours too.
const MAX_RUN_INTERVAL: SignedDuration = SignedDuration::from_hours(26);

/// True time, and the offset of the daemon's clock.
pub struct Clocks {
    start: Timestamp,
    started: Instant,
    offset: Mutex<SignedDuration>,
}

/// The clock of the API's server.
pub struct ServerClock(pub Arc<Clocks>);

/// The clock of the daemon.
pub struct MachineClock(pub Arc<Clocks>);

impl Clocks {
    pub fn new(start: Timestamp) -> Self {
        Self { start, started: Instant::now(), offset: Mutex::default() }
    }

    pub fn true_now(&self) -> Timestamp {
        self.start + self.started.elapsed()
    }

    pub fn machine_now(&self) -> Timestamp {
        self.true_now() + *self.offset.lock().unwrap()
    }

    pub fn jump(&self, by: SignedDuration) {
        *self.offset.lock().unwrap() += by;
    }

    pub fn reset(&self) {
        *self.offset.lock().unwrap() = SignedDuration::ZERO;
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        self.0.true_now()
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        self.0.machine_now()
    }
}

/// The faults injected at present, with their probability in percent: into mutations only, and into
/// every request.
#[derive(Clone, Debug, Default)]
pub struct FaultProfile {
    pub writes: Vec<(Fault, u8)>,
    pub all: Vec<(Fault, u8)>,
}

/// A version of the roster: a file on disk, or a commit.
pub struct Version {
    /// None if there is no file.
    pub text: Option<String>,
    /// What it asks for; none if the file is invalid.
    pub expected: Option<ExpectedRoster>,
    pub written: Written,
}

/// How a version of the roster file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Commit,
    InPlace,
    /// The rest of it is written within less than `watch.in_place`.
    Partly,
}

/// A complete listing as it was delivered.
#[derive(Clone, Debug)]
pub struct Listing {
    /// uid, address, role
    pub accounts: Vec<(String, String, String)>,
    /// address, whether it is pending
    pub invitations: Vec<(String, bool)>,
    /// The approximate time of the state that it shows.
    pub as_of: Timestamp,
}

impl Listing {
    /// Whether it shows the effect of the change.
    pub fn shows(&self, (kind, target, to): &(String, String, Option<String>)) -> bool {
        let account = self.accounts.iter().find(|(uid, ..)| uid == target);
        let by_address = |it: &str| it.eq_ignore_ascii_case(target);
        match kind.as_str() {
            "disable" => account.is_none(),
            "update" => account.is_some_and(|(.., role)| Some(role) == to.as_ref()),
            _ => {
                self.accounts.iter().any(|(_, email, _)| by_address(email))
                    || self.invitations.iter().any(|(email, pending)| *pending && by_address(email))
            }
        }
    }
}

/// What the simulation records about one run.
pub struct Run {
    pub params: Params,
    pub key: Key,
    pub version: Option<usize>,
    /// Of the history of the roster, if that was read from the clone.
    pub generation: Option<usize>,
    /// Whether the last listing it received was complete.
    pub complete: bool,
    pub listing: Option<Listing>,
    /// Its position in the order in which runs sent their first request.
    pub order: Option<usize>,
    /// kind, address or uid, role
    pub approved: Vec<(String, String, Option<String>)>,
    /// The time of its plan by the machine's clock, and the true time.
    pub now: Timestamp,
    pub true_now: Timestamp,
    /// Number of its requests in flight.
    pub in_flight: usize,
}

pub struct SimState {
    pub random: Rng,
    pub clocks: Arc<Clocks>,
    pub zone: TimeZone,
    pub fault_profile: FaultProfile,
    pub key: Key,
    pub disk: Disk,
    /// The current configuration.
    pub params: Params,
    /// Earlier configurations: one stays in force while a later one cannot be read.
    pub earlier_params: Vec<Params>,
    /// Whether the configuration file is unreadable.
    pub unreadable_config: bool,
    /// Incremented at each restart of the machine or the daemon: earlier processes stop.
    pub epoch: usize,
    /// The true time before which the daemon must start a run; none while it is stopped.
    pub run_deadline: Option<Timestamp>,
    /// Number of mutations whose sender stopped waiting for the response.
    pub abandoned_writes: usize,
    pub powered: bool,
    /// The power fails after this number of crash points.
    pub power_cut_after: Option<u32>,
    pub power_lost: Arc<Notify>,
    /// `crash_points_passed` is notified after this number of crash points.
    pub notify_after: Option<u32>,
    pub crash_points_passed: Arc<Notify>,
    pub folder: PathBuf,
    /// What the last valid commit asks for.
    pub latest_roster: ExpectedRoster,
    pub versions: Vec<Version>,
    pub runs: Vec<Run>,
    pub reports: Vec<RunReport>,
    /// The sandbox's state after each of the last 40 changes.
    pub world_history: VecDeque<(Timestamp, World)>,
    pub world: Arc<parking_lot::Mutex<World>>,
    pub tracker: Tracker,
    pub second_workspace: Option<SecondWorkspace>,
    /// The repository of the roster, if that is no file.
    pub git: Option<GitServer>,
    pub source: SourceTracker,
    pub counts: BTreeMap<String, u64>,
    pub log: Vec<String>,
    /// The first violation of an invariant.
    pub violation: Option<String>,
}

#[derive(Clone)]
pub struct Shared(Arc<Mutex<SimState>>);

impl Shared {
    pub fn new(
        scenario: &Scenario,
        world: Arc<parking_lot::Mutex<World>>,
        clocks: Arc<Clocks>,
    ) -> Self {
        let state = SimState {
            random: Rng::with_seed(scenario.seed ^ 0x5eed),
            clocks,
            zone: TimeZone::get(scenario.zone).unwrap(),
            fault_profile: FaultProfile::default(),
            key: Key::Full,
            disk: Disk::Healthy,
            params: scenario.params,
            earlier_params: Vec::new(),
            unreadable_config: false,
            epoch: 0,
            run_deadline: None,
            abandoned_writes: 0,
            powered: true,
            power_cut_after: None,
            power_lost: Arc::default(),
            notify_after: None,
            crash_points_passed: Arc::default(),
            folder: PathBuf::new(),
            latest_roster: ExpectedRoster::default(),
            versions: Vec::new(),
            runs: Vec::new(),
            reports: Vec::new(),
            world_history: VecDeque::new(),
            world,
            tracker: Tracker::default(),
            second_workspace: None,
            git: None,
            source: SourceTracker::default(),
            counts: BTreeMap::new(),
            log: Vec::new(),
            violation: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub fn state(&self) -> MutexGuard<'_, SimState> {
        self.0.lock().unwrap()
    }

    /// A point at which the power may fail. Without power the caller stops here for ever.
    pub async fn crash_point(&self, epoch: usize, name: &str) {
        if !self.state().survives(epoch, name) {
            std::future::pending::<()>().await;
        }
    }
}

impl SimState {
    /// Logs an event and counts it.
    pub fn log_event(&mut self, event: &str, details: &str) {
        self.count(event);
        let now = self.clocks.true_now().strftime("%m-%d %H:%M:%S%.3f");
        self.log.push(format!("{now}  {event}  {details}"));
    }

    pub fn count(&mut self, event: &str) {
        *self.counts.entry(event.to_owned()).or_default() += 1;
    }

    /// Records the violation of an invariant.
    pub fn fail(&mut self, violation: String) {
        self.log_event("VIOLATION", &violation);
        self.violation.get_or_insert(violation);
    }

    pub fn is_partly_written(&self) -> bool {
        self.versions.last().is_some_and(|version| version.written == Written::Partly)
    }

    /// Repairs the network, the key and the disk.
    pub fn repair(&mut self) {
        self.fault_profile = FaultProfile::default();
        (self.key, self.disk) = (Key::Full, Disk::Healthy);
    }

    /// The daemon has started a run.
    pub fn run_started(&mut self) {
        self.run_deadline = Some(self.clocks.true_now() + MAX_RUN_INTERVAL);
    }

    /// Resets the deadlines after a start of the daemon or a change of its clock.
    pub fn reset_deadlines(&mut self) {
        self.run_started();
        self.reset_second_workspace_deadline();
    }

    /// Neither a wrong clock nor a failure keeps the daemon from its schedule.
    pub fn check_schedule(&mut self) {
        let now = self.clocks.true_now();
        if let Some(deadline) = self.run_deadline.take_if(|deadline| *deadline < now) {
            self.fail(format!("no run has started before {deadline}"));
        }
    }

    /// Whether a write finds the disk full. Other programs use it too, so some writes succeed.
    pub fn disk_is_full(&mut self) -> bool {
        let full = self.disk == Disk::Full && self.random.u8(..3) > 0;
        if full {
            self.count("disk full");
        }
        full
    }

    fn survives(&mut self, epoch: usize, crash_point: &str) -> bool {
        if !self.powered || epoch != self.epoch {
            return false;
        }
        self.notify_after = self.notify_after.and_then(|left| left.checked_sub(1));
        if self.notify_after == Some(0) {
            self.crash_points_passed.notify_one();
        }
        match &mut self.power_cut_after {
            Some(0) => {
                self.power_cut_after = None;
                self.powered = false;
                self.log_event("power cut", crash_point);
                self.count(&format!("power cut {crash_point}"));
                self.power_lost.notify_one();
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    /// Changes the configuration.
    pub fn set_params(&mut self, change: impl FnOnce(&mut Params)) {
        self.earlier_params.push(self.params);
        change(&mut self.params);
    }

    /// Whether the next operation of the disk is slow.
    pub fn is_slow(&mut self) -> bool {
        let faults = self.fault_profile.all.iter();
        let percent = faults.filter(|(fault, _)| *fault == Fault::SlowDisk).map(|(_, it)| *it);
        percent.max().is_some_and(|percent| self.random.u8(..100) < percent)
    }

    /// The fault to inject into a request.
    pub fn fault(&mut self, is_write: bool) -> Fault {
        let FaultProfile { writes, all } = self.fault_profile.clone();
        let writes = writes.into_iter().filter(|_| is_write);
        let mut faults = writes.chain(all).filter(|(fault, _)| fault.applies_to(is_write));
        let drawn = faults.find(|(_, percent)| self.random.u8(..100) < *percent);
        drawn.map_or(Fault::None, |(fault, _)| fault)
    }

    /// The latency of a request or a response.
    pub fn latency(&mut self) -> Duration {
        let longest = if self.random.u8(..20) == 0 { 20_000 } else { 200 };
        Duration::from_millis(self.random.u64(1..longest))
    }

    /// Records the sandbox's state, for stale listings.
    pub fn record_world(&mut self) {
        let world = self.world.lock().clone();
        self.world_history.push_back((self.clocks.true_now(), world));
        if self.world_history.len() > 40 {
            self.world_history.pop_front();
        }
    }

    /// The sandbox's state at this time before now.
    pub fn world_before(&self, ago: SignedDuration) -> World {
        let then = self.clocks.true_now() - ago;
        let known = self.world_history.iter().rev().find(|(at, _)| *at <= then);
        known.or(self.world_history.front()).map(|(_, world)| world.clone()).unwrap()
    }
}
