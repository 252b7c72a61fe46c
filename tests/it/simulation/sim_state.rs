//! Everything that one simulated story shares: the clocks, the weather, the power, the disk, the
//! world behind the API, and what has been said and seen so far.

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

use super::checks::Bookkeeping;
use super::expected_roster::Wish;
use super::scenario::{Disk, Fault, Key, Knobs, Scenario};
use super::second_workspace::Neighbour;

pub const WORKSPACE: &str = "acme";

/// Every schedule of a scenario has a run within this, on the longest day of the year too.
const PACE: SignedDuration = SignedDuration::from_hours(26);

/// True time, and how far the machine of the daemon is off.
pub struct Clocks {
    start: Timestamp,
    began: Instant,
    offset: Mutex<SignedDuration>,
}

/// What the API's server reads.
pub struct ServerClock(pub Arc<Clocks>);

/// What the daemon reads.
pub struct MachineClock(pub Arc<Clocks>);

impl Clocks {
    pub fn new(start: Timestamp) -> Self {
        Self { start, began: Instant::now(), offset: Mutex::default() }
    }

    pub fn truly(&self) -> Timestamp {
        self.start + self.began.elapsed()
    }

    pub fn machine(&self) -> Timestamp {
        self.truly() + *self.offset.lock().unwrap()
    }

    pub fn jump(&self, by: SignedDuration) {
        *self.offset.lock().unwrap() += by;
    }

    pub fn right(&self) {
        *self.offset.lock().unwrap() = SignedDuration::ZERO;
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        self.0.truly()
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        self.0.machine()
    }
}

/// What goes wrong at present, with its odds in percent: with requests to change alone, and with
/// everything.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    pub changes: Vec<(Fault, u8)>,
    pub all: Vec<(Fault, u8)>,
}

/// A commit, as it lies on the disk: what it means, if it can be used.
pub struct Version {
    pub wish: Option<Wish>,
}

/// A complete reading as it was delivered.
#[derive(Clone, Debug)]
pub struct Reading {
    /// uid, address, role
    pub accounts: Vec<(String, String, String)>,
    /// address, whether it can be accepted
    pub invitations: Vec<(String, bool)>,
    /// The instant at which the world was like this, or nearly.
    pub as_of: Timestamp,
}

impl Reading {
    /// Whether this is as the change would have it.
    pub fn shows(&self, (kind, target, to): &(String, String, Option<String>)) -> bool {
        let account = self.accounts.iter().find(|(uid, ..)| uid == target);
        let by_address = |it: &str| it.eq_ignore_ascii_case(target);
        match kind.as_str() {
            "disable" => account.is_none(),
            "update" => account.is_some_and(|(.., role)| Some(role) == to.as_ref()),
            _ => {
                self.accounts.iter().any(|(_, email, _)| by_address(email))
                    || self.invitations.iter().any(|(email, open)| *open && by_address(email))
            }
        }
    }
}

/// What the story knows of one run.
pub struct Run {
    pub knobs: Knobs,
    pub version: Option<usize>,
    /// Whether the last listing that it was given was complete.
    pub complete: bool,
    pub reading: Option<Reading>,
    /// When it first turned to the API, among all of them.
    pub turn: Option<usize>,
    /// kind, address or uid, role
    pub approved: Vec<(String, String, Option<String>)>,
    /// The instant of its plan, and the same truly.
    pub now: Timestamp,
    pub truly: Timestamp,
    /// Requests that it waits for.
    pub waiting: usize,
}

/// The state of a story.
pub struct Site {
    pub random: Rng,
    pub clocks: Arc<Clocks>,
    pub zone: TimeZone,
    pub weather: Weather,
    pub key: Key,
    pub disk: Disk,
    /// What the configuration says.
    pub knobs: Knobs,
    /// What it said before: it stays in force while a later one cannot be read.
    pub earlier_knobs: Vec<Knobs>,
    /// The configuration cannot be read.
    pub unreadable: bool,
    /// Counts the times at which the power came back.
    pub epoch: usize,
    /// The daemon begins a run before this, truly; none while it is not there.
    pub due: Option<Timestamp>,
    /// Requests to change for whose answers nobody waits any more.
    pub forsaken: usize,
    pub on: bool,
    /// The power goes after so many moments.
    pub cut_in: Option<u32>,
    pub cut: Arc<Notify>,
    /// Somebody has waited for so many such moments, and is told.
    pub told_in: Option<u32>,
    pub moments_passed: Arc<Notify>,
    pub folder: PathBuf,
    /// What the authors last meant.
    pub head: Wish,
    pub versions: Vec<Version>,
    pub runs: Vec<Run>,
    pub reports: Vec<RunReport>,
    /// The world after each of the last changes.
    pub past: VecDeque<(Timestamp, World)>,
    pub world: Arc<parking_lot::Mutex<World>>,
    pub record: Bookkeeping,
    pub neighbour: Option<Neighbour>,
    pub counts: BTreeMap<String, u64>,
    pub log: Vec<String>,
    /// The first promise that was broken.
    pub wrong: Option<String>,
}

#[derive(Clone)]
pub struct Shared(Arc<Mutex<Site>>);

impl Shared {
    pub fn new(
        scenario: &Scenario,
        world: Arc<parking_lot::Mutex<World>>,
        clocks: Arc<Clocks>,
    ) -> Self {
        let site = Site {
            random: Rng::with_seed(scenario.seed ^ 0x5eed),
            clocks,
            zone: TimeZone::get(scenario.zone).unwrap(),
            weather: Weather::default(),
            key: Key::Full,
            disk: Disk::Good,
            knobs: scenario.knobs,
            earlier_knobs: Vec::new(),
            unreadable: false,
            epoch: 0,
            due: None,
            forsaken: 0,
            on: true,
            cut_in: None,
            cut: Arc::default(),
            told_in: None,
            moments_passed: Arc::default(),
            folder: PathBuf::new(),
            head: Wish::default(),
            versions: Vec::new(),
            runs: Vec::new(),
            reports: Vec::new(),
            past: VecDeque::new(),
            world,
            record: Bookkeeping::default(),
            neighbour: None,
            counts: BTreeMap::new(),
            log: Vec::new(),
            wrong: None,
        };
        Self(Arc::new(Mutex::new(site)))
    }

    pub fn site(&self) -> MutexGuard<'_, Site> {
        self.0.lock().unwrap()
    }

    /// A moment at which the power may go. Without power nothing goes on.
    pub async fn moment(&self, epoch: usize, what: &str) {
        if !self.site().survives(epoch, what) {
            std::future::pending::<()>().await;
        }
    }
}

impl Site {
    /// Tells what happens, and counts it.
    pub fn tell(&mut self, what: &str, more: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
        let now = self.clocks.truly().strftime("%m-%d %H:%M:%S%.3f");
        self.log.push(format!("{now}  {what}  {more}"));
    }

    pub fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Something happened that must never happen.
    pub fn fail(&mut self, what: String) {
        self.tell("WRONG", &what);
        self.wrong.get_or_insert(what);
    }

    /// The network, the key and the disk are good again.
    pub fn repair(&mut self) {
        self.weather = Weather::default();
        (self.key, self.disk) = (Key::Full, Disk::Good);
    }

    /// The daemon has begun a run.
    pub fn has_begun(&mut self) {
        self.due = Some(self.clocks.truly() + PACE);
    }

    /// The daemon was started or has got another clock.
    pub fn begins_anew(&mut self) {
        self.has_begun();
        self.neighbour_waits_anew();
    }

    /// No clock that is wrong and no failure keeps the daemon from its schedule.
    pub fn keeps_pace(&mut self) {
        let now = self.clocks.truly();
        if let Some(due) = self.due.filter(|due| *due < now) {
            self.due = None;
            self.fail(format!("no run has begun until {due}"));
        }
    }

    /// Whether there is no room now. Others use the disk too, so that there may be some again.
    pub fn disk_is_full(&mut self) -> bool {
        let full = self.disk == Disk::Full && self.random.u8(..3) > 0;
        if full {
            self.count("disk full");
        }
        full
    }

    fn survives(&mut self, epoch: usize, what: &str) -> bool {
        if !self.on || epoch != self.epoch {
            return false;
        }
        self.told_in = self.told_in.and_then(|left| left.checked_sub(1));
        if self.told_in == Some(0) {
            self.moments_passed.notify_one();
        }
        match &mut self.cut_in {
            Some(0) => {
                self.cut_in = None;
                self.on = false;
                self.tell("power cut", what);
                self.count(&format!("power cut {what}"));
                self.cut.notify_one();
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
    pub fn turn(&mut self, turn: impl FnOnce(&mut Knobs)) {
        self.earlier_knobs.push(self.knobs);
        turn(&mut self.knobs);
    }

    /// Whether the disk is slow now.
    pub fn is_slow(&mut self) -> bool {
        let odds = self.weather.all.iter().filter(|(it, _)| *it == Fault::SlowDisk).map(|it| it.1);
        odds.max().is_some_and(|odds| self.random.u8(..100) < odds)
    }

    /// What goes wrong with a request.
    pub fn fault(&mut self, writes: bool) -> Fault {
        let Weather { changes, all } = self.weather.clone();
        let of_changes = changes.into_iter().filter(|_| writes);
        let mut faults = of_changes.chain(all).filter(|(fault, _)| fault.fits(writes));
        let drawn = faults.find(|(_, odds)| self.random.u8(..100) < *odds);
        drawn.map_or(Fault::None, |(fault, _)| fault)
    }

    /// How long a request is on its way.
    pub fn latency(&mut self) -> Duration {
        let longest = if self.random.u8(..20) == 0 { 20_000 } else { 200 };
        Duration::from_millis(self.random.u64(1..longest))
    }

    /// Keeps the world as it is now, for listings that lag.
    pub fn remember_world(&mut self) {
        let world = self.world.lock().clone();
        self.past.push_back((self.clocks.truly(), world));
        if self.past.len() > 40 {
            self.past.pop_front();
        }
    }

    /// The world as it was so long ago, and when exactly it began to be so.
    pub fn earlier(&self, ago: SignedDuration) -> World {
        let then = self.clocks.truly() - ago;
        let known = self.past.iter().rev().find(|(at, _)| *at <= then);
        known.or(self.past.front()).map(|(_, world)| world.clone()).unwrap()
    }
}
