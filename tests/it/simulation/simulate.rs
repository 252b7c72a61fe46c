//! Tells one story: sets the scene, lets everything happen that the scenario says, then lets calm
//! return and looks at what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use rosterd::daemon::events::{Event, QUEUE};
use rosterd::daemon::{self, GRACE, Inbox};
use rosterd::ledger::Ledger;
use rosterd::report::Failure;
use rosterd::sandbox::world::{AccountType, World};
use rosterd::sandbox::{InProcessSandbox, Options};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::expected_roster::{Line, Wish};
use super::machine::{Kept, Threads};
use super::network::Api;
use super::process::{Process, folder};
use super::scenario::{Edit, Knob, Scenario, What};
use super::second_workspace::NEIGHBOUR;
use super::sim_state::{Clocks, MachineClock, ServerClock, Shared, WORKSPACE, Weather};

/// What a story came to.
pub struct Told {
    pub counts: BTreeMap<String, u64>,
    pub log: Vec<String>,
    /// The promise that was broken, if one was.
    pub wrong: Option<String>,
}

/// SIGTERM leaves within this.
const LEAVES: Duration = Duration::from_secs(8);
/// So many days of calm at the end: every ladder is climbed by then.
const CALM_DAYS: usize = 16;
/// So many runs are enough for them.
const CALM_RUNS: usize = 150;

/// What is broken is repaired after this.
const REPAIRED: Duration = Duration::from_hours(3);

struct Simulation {
    shared: Shared,
    clocks: Arc<Clocks>,
    api: Arc<Api>,
    ledger: Ledger,
    daemon: Option<Daemon>,
    rivals: Vec<JoinHandle<()>>,
}

struct Daemon {
    events: mpsc::Sender<Event>,
    ended: JoinHandle<Result<(), Failure>>,
}

/// Tells the story on this thread.
pub fn tell(scenario: &Scenario) -> Told {
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let told = runtime.block_on(async {
        let (_folder, path) = folder();
        let mut story = Simulation::begin(scenario);
        story.shared.site().folder = path;
        story.set_scene(scenario);
        rosterd::blocking::set(Some(Arc::new(Threads(story.shared.clone()))));
        story.start();
        for step in &scenario.steps {
            story.live(step.wait).await;
            story.happen(step.what).await;
            if story.shared.site().wrong.is_some() {
                break;
            }
        }
        story.end().await;
        let mut site = story.shared.site();
        Told {
            counts: std::mem::take(&mut site.counts),
            log: std::mem::take(&mut site.log),
            wrong: site.wrong.take(),
        }
    });
    rosterd::blocking::set(None);
    drop(runtime);
    told
}

impl Simulation {
    fn begin(scenario: &Scenario) -> Self {
        let clocks = Arc::new(Clocks::new(scenario.start));
        let options = Options {
            abort_batches: scenario.server.aborts,
            max_batch: scenario.server.max_batch,
            sent: scenario.server.sent,
            ..Options::default()
        };
        let places = [WORKSPACE.to_owned(), NEIGHBOUR.to_owned()];
        let places = &places[..if scenario.neighbour { 2 } else { 1 }];
        let mut world = World::seeded(places, 0, scenario.seed, scenario.start);
        world.workspaces.iter_mut().for_each(|place| place.accounts.clear());
        let clock = || Arc::new(ServerClock(Arc::clone(&clocks)));
        let server = InProcessSandbox::new(options.clone(), clock(), world.clone());
        let mirror = InProcessSandbox::new(options, clock(), world);
        let shared = Shared::new(scenario, server.state(), Arc::clone(&clocks));
        let ledger = Ledger::on(Kept::new(shared.clone()));
        let api = Arc::new(Api { server: Mutex::new(server), mirror: Mutex::new(mirror) });
        Self { shared, clocks, api, ledger, daemon: None, rivals: Vec::new() }
    }

    /// Who is there, and what the roster says at first.
    fn set_scene(&self, scenario: &Scenario) {
        let mut site = self.shared.site();
        let mut wish = Wish { unmanaged: vec!["*@ops.acme.io".into()], ..Wish::default() };
        {
            let world = Arc::clone(&site.world);
            let mut world = world.lock();
            for n in 0..scenario.people {
                let email = format!("user{n}@acme.io");
                let role = if n < 2 { "ADMIN" } else { ["DEVELOPER", "ANALYST"][n % 2] };
                wish.lines.push(Line::new(&email, role));
                let luck = site.random.u8(..10);
                let kind = match (luck, n) {
                    (0, _) => continue,
                    (1, _) => AccountType::Business,
                    (_, 0 | 1) => AccountType::Admin,
                    _ => [AccountType::Developer, AccountType::Analyst][n % 2],
                };
                world.add(WORKSPACE, &email, Some(format!("user{n}")), kind).unwrap();
            }
            let bot = "bot@ops.acme.io";
            world.add(WORKSPACE, bot, None, AccountType::Admin).unwrap();
        }
        site.head = wish;
        if scenario.neighbour {
            site.neighbour_moves_in();
        }
        site.remember_world();
        let head = site.head.clone();
        site.write(Some(&head.text()), Some(head.clone()));
    }

    fn start(&mut self) {
        let world = Process::start(&self.shared, &self.api, &self.ledger);
        let config = world.config();
        let (sender, events) = mpsc::channel(QUEUE);
        let inbox = Inbox { sender: sender.clone(), events };
        let clock = Arc::new(MachineClock(Arc::clone(&self.clocks)));
        let run = daemon::run(Arc::new(world), config, clock, inbox, |_| {});
        self.daemon = Some(Daemon { events: sender, ended: tokio::spawn(run) });
        self.shared.site().begins_anew();
    }

    /// Lets time pass; the power may go meanwhile.
    async fn wait(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        let cut = Arc::clone(&self.shared.site().cut);
        loop {
            tokio::select! {
                biased;
                () = cut.notified() => self.lose_power(Duration::from_mins(1)).await,
                () = tokio::time::sleep_until(until) => break,
            }
        }
        self.look_after_daemon().await;
        let mut site = self.shared.site();
        site.keeps_pace();
        site.looks_after_neighbour();
    }

    /// The daemon must live.
    async fn look_after_daemon(&mut self) {
        let Some(daemon) = self.daemon.take_if(|daemon| daemon.ended.is_finished()) else { return };
        let ended = daemon.ended.await;
        self.shared.site().fail(format!("the daemon has ended by itself: {ended:?}"));
    }

    async fn lose_power(&mut self, down: Duration) {
        self.shared.site().due = None;
        if let Some(daemon) = self.daemon.take() {
            daemon.ended.abort();
            let _ = daemon.ended.await;
        }
        for rival in self.rivals.drain(..) {
            rival.abort();
            let _ = rival.await;
        }
        tokio::time::sleep(down).await;
        {
            let mut site = self.shared.site();
            site.epoch += 1;
            site.on = true;
            site.cut_in = None;
            site.tell("power is back", "");
        }
        self.start();
    }

    async fn send(&mut self, event: Event) {
        if let Some(daemon) = &self.daemon {
            let _ = daemon.events.try_send(event);
        }
        tokio::task::yield_now().await;
    }

    /// Lets time pass; whatever is broken is repaired before the day is over.
    async fn live(&mut self, time: Duration) {
        self.wait(time.min(REPAIRED)).await;
        if time > REPAIRED {
            self.shared.site().repair();
            self.wait(time.saturating_sub(REPAIRED)).await;
        }
    }

    async fn happen(&mut self, what: What) {
        match what {
            What::Commit { edit, which, missed } => {
                self.shared.site().commit(edit, which);
                if !missed {
                    self.send(Event::FilesChanged).await;
                }
            }
            What::Hand { act, which } => self.shared.site().act(act, which),
            What::NextDoor { which } => self.shared.site().meddle_next_door(which),
            What::Weather { changes, all } => {
                let mut site = self.shared.site();
                site.tell("weather", &format!("{changes:?}, {all:?}"));
                site.weather = Weather { changes: vec![changes], all: all.to_vec() };
            }
            What::Calm => self.shared.site().weather = Weather::default(),
            What::Clock { seconds } => {
                self.shared.site().tell("clock jumps", &format!("{seconds} s"));
                self.clocks.jump(SignedDuration::from_secs(seconds));
                self.shared.site().begins_anew();
            }
            What::ClockRight => {
                self.shared.site().tell("clock is right", "");
                self.clocks.right();
                self.shared.site().begins_anew();
            }
            What::PowerCut { moments, down } => {
                self.shared.site().cut_in = Some(moments);
                self.send(Event::Reload).await;
                let cut = Arc::clone(&self.shared.site().cut);
                tokio::select! {
                    biased;
                    () = cut.notified() => self.lose_power(down).await,
                    () = tokio::time::sleep(Duration::from_mins(5)) => {}
                }
            }
            What::Restart { moments, down } => self.restart(moments, down).await,
            What::Hangup => self.send(Event::Reload).await,
            What::Knob { knob, value } => {
                self.turn(knob, value);
                self.send(Event::FilesChanged).await;
            }
            What::Key(key) => {
                let mut site = self.shared.site();
                site.tell(&format!("key {key:?}"), "");
                site.key = key;
            }
            What::Rival => {
                self.shared.site().tell("rival", "");
                let rival = Process::start(&self.shared, &self.api, &self.ledger);
                self.rivals.push(tokio::spawn(async move { rival.once().await }));
            }
            What::Disk(disk) => {
                let mut site = self.shared.site();
                site.tell(&format!("disk {disk:?}"), "");
                site.disk = disk;
            }
        }
    }

    /// SIGTERM in the middle of a run, or when it is over, and a start later.
    async fn restart(&mut self, moments: u32, down: Duration) {
        let (cut, passed) = {
            let mut site = self.shared.site();
            site.told_in = Some(moments + 1);
            (Arc::clone(&site.cut), Arc::clone(&site.moments_passed))
        };
        self.send(Event::Reload).await;
        let _ = tokio::time::timeout(Duration::from_mins(5), passed.notified()).await;
        let forsaken = {
            let mut site = self.shared.site();
            (site.due, site.told_in) = (None, None);
            site.tell("SIGTERM", "");
            site.forsaken
        };
        self.send(Event::Stop).await;
        let Some(mut daemon) = self.daemon.take() else { return };
        let stopped = tokio::time::Instant::now();
        tokio::select! {
            biased;
            () = cut.notified() => {
                self.daemon = Some(daemon);
                return self.lose_power(down).await;
            }
            ended = tokio::time::timeout(LEAVES, &mut daemon.ended) => match ended {
                Ok(Ok(Ok(()))) => {}
                other => self.shared.site().fail(format!("SIGTERM: {other:?}")),
            }
        }
        let forsaken = self.shared.site().forsaken - forsaken;
        if forsaken > 0 && stopped.elapsed() < GRACE {
            self.shared.site().fail(format!("SIGTERM: {forsaken} requests to change forsaken"));
        }
        // What was dropped where it stood belongs to a process that is no more.
        let gone = self.shared.site().epoch;
        self.wait_down(down).await;
        self.shared.site().epoch = gone + 1;
        self.start();
    }

    async fn wait_down(&mut self, down: Duration) {
        for rival in self.rivals.drain(..) {
            rival.abort();
            let _ = rival.await;
        }
        tokio::time::sleep(down).await;
    }

    fn turn(&self, knob: Knob, value: usize) {
        let mut site = self.shared.site();
        site.tell(&format!("knob {knob:?}"), &value.to_string());
        if knob == Knob::Unreadable {
            site.unreadable = value.is_multiple_of(2);
        }
        site.turn(|knobs| match knob {
            Knob::MinAdmins => knobs.min_admins = value % 4,
            Knob::RequireFirst => knobs.require_first = value.is_multiple_of(2),
            Knob::Floor => knobs.budget = [(0, 0), (0, 1), (20, 3), (50, 2), (100, 9)][value % 5],
            Knob::Report => knobs.report = value.is_multiple_of(2),
            Knob::Suspend => knobs.suspend = value.is_multiple_of(3),
            Knob::Batch => knobs.batch = value + 1,
            Knob::Concurrency => knobs.concurrency = value % 4 + 1,
            Knob::Unreadable => {}
        });
    }

    /// Nothing goes wrong any more; what is left must be honest.
    async fn end(&mut self) {
        {
            let mut site = self.shared.site();
            site.tell("calm", "for good");
            site.repair();
            (site.unreadable, site.cut_in) = (false, None);
            site.turn(|knobs| (knobs.cron, knobs.suspend) = ("0 12 * * *", false));
            site.commit(Edit::Repair, 0);
        }
        self.clocks.right();
        self.shared.site().begins_anew();
        self.send(Event::Reload).await;
        let before = self.shared.site().reports.len();
        for _ in 0..CALM_DAYS {
            self.wait(Duration::from_hours(24)).await;
            if self.shared.site().wrong.is_some() {
                return;
            }
        }
        self.send(Event::Reload).await;
        self.wait(Duration::from_mins(3)).await;
        let mut site = self.shared.site();
        let runs = site.reports.len() - before;
        if runs > CALM_RUNS {
            site.fail(format!("{runs} runs in {CALM_DAYS} days of calm"));
        }
        if let Err(why) = site.is_honest() {
            site.fail(why);
        }
    }
}
