//! Weeks of bad days: the real run on its ledger, against a directory that fails, lags and is
//! edited by hand, with a clock that leaps from run to run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use rosterd::client::{Answer, ErrorClass, Reply};
use rosterd::clock::Clock;
use rosterd::directory::{Account, Invitation, InviteStatus, Snapshot};
use rosterd::guard::{Budget, BudgetName};
use rosterd::ledger::{Ledger, Place};
use rosterd::memory::entry::Entry;
use rosterd::plan::Standing;
use rosterd::plan::change::{Action, Change};
use rosterd::reconcile::Carry;
use rosterd::report::{RunReport, Status};
use rosterd::role::Role;

use crate::support::directory::{Fake, error, take_effect};
use crate::support::run::Run;
use crate::support::world::{World, email, now, uid};

/// `ROSTERD_LIVES` makes it more of them.
const SEEDS: u64 = 30;
const RUNS: usize = 40;
const PEOPLE: u64 = 6;
/// At most so many disables and demotions a day.
const BUDGET: usize = 2;

/// The time of a life, in minutes after the instant of the plans.
#[derive(Clone, Default)]
struct Time(Arc<Mutex<i64>>);

impl Clock for Time {
    fn now(&self) -> Timestamp {
        now() + SignedDuration::from_mins(*self.0.lock().unwrap())
    }
}

/// What was really done, and when.
type Done = Arc<Mutex<Vec<(Timestamp, Change)>>>;

struct Life {
    random: Rng,
    time: Time,
    roster: World,
    fake: Fake,
    ledger: Ledger,
    done: Done,
    bad: Arc<Mutex<bool>>,
    accepted: HashMap<String, Timestamp>,
    born: usize,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut roster = World::converged().limits(|limits| {
            for name in [BudgetName::Disable, BudgetName::Demote] {
                let window = SignedDuration::from_hours(24);
                limits.budgets.insert(name, Budget { percent: 0, floor: BUDGET, window });
            }
        });
        for n in 0..PEOPLE {
            roster = roster.both(&format!("user{n}"), Role::Developer);
        }
        let (time, done, bad) = (Time::default(), Done::default(), Arc::new(Mutex::new(true)));
        let fake = directory(&roster, seed, &time, &done, &bad);
        let (random, ledger) = (Rng::with_seed(seed), Ledger::at(Place::Memory));
        let (accepted, born) = (HashMap::new(), 0);
        Self { random, time, roster, fake, ledger, done, bad, accepted, born }
    }

    async fn run(&mut self) -> RunReport {
        let run = Run::of(&self.roster).sending(2, 3).ledger(&self.ledger).clock(&self.time);
        run.go(&self.fake, &mut Carry::default()).await
    }

    fn pass(&mut self, minutes: i64) {
        *self.time.0.lock().unwrap() += minutes;
    }

    fn anybody(&mut self) -> String {
        format!("user{}", self.random.u64(..PEOPLE))
    }

    /// A commit to the roster.
    fn commit(&mut self) {
        let name = self.anybody();
        let role = [Role::Admin, Role::Developer, Role::Business][self.random.usize(..3)].clone();
        self.roster = match self.random.u8(..4) {
            0 => self.roster.clone().no_member(&name),
            _ => self.roster.clone().member(&name, role),
        };
    }

    /// Somebody acts in the workspace itself.
    fn hand(&mut self) {
        let (name, what) = (self.anybody(), self.random.u8(..4));
        let (id, at) = (format!("{name}-{}", self.born), self.time.now());
        let mut accepts = false;
        self.fake.edit(|world| {
            let pending = world.invitations.iter().position(|it| it.email == email(&name));
            match (what, pending) {
                (0 | 1, Some(position)) => {
                    let invitation = world.invitations.remove(position);
                    let Invitation { email, role, .. } = invitation;
                    world.accounts.push(Account { uid: uid(&id), email, name: None, role });
                    accepts = true;
                }
                (2, Some(position)) => {
                    world.invitations[position].status = InviteStatus::Expired;
                }
                (3, _) => world.accounts.retain(|account| account.email != email(&name)),
                _ => {}
            }
        });
        self.born += usize::from(accepts);
        if accepts {
            self.accepted.insert(name, at);
        }
    }

    /// What must hold at every instant.
    fn check(&self) {
        let done = self.done.lock().unwrap();
        self.ladder(&done);
        for name in [BudgetName::Disable, BudgetName::Demote] {
            let counted: Vec<Timestamp> = done
                .iter()
                .filter(|(_, change)| name.counts(&change.action))
                .map(|(at, _)| *at)
                .collect();
            for (position, at) in counted.iter().enumerate() {
                let day = SignedDuration::from_hours(24);
                let within = counted[position..].iter().filter(|it| it.duration_since(*at) < day);
                assert!(within.count() <= BUDGET, "{name:?}: {counted:?}");
            }
        }
        let admins = self.fake.world().accounts.into_iter().filter(|it| it.role.is_admin());
        assert!(admins.count() >= 1, "nobody is left who could let anybody in");
        let entries = self.ledger.entries().unwrap();
        let intents = entries.iter().filter_map(|(_, noted)| match &noted.entry {
            Entry::Intent(intent) => Some((&intent.action, &intent.email)),
            _ => None,
        });
        let mut intents: Vec<_> = intents.collect();
        for (_, change) in done.iter() {
            let found = intents.iter().position(|it| *it == (&change.action, &change.email));
            intents.swap_remove(found.expect("every effect has its intent"));
        }
    }

    fn ladder(&self, done: &[(Timestamp, Change)]) {
        for n in 0..PEOPLE {
            let name = format!("user{n}");
            let since = self.accepted.get(&name).copied().unwrap_or(Timestamp::MIN);
            let sent: Vec<Timestamp> = done
                .iter()
                .filter(|(at, change)| {
                    change.class().invites() && change.email == email(&name) && *at > since
                })
                .map(|(at, _)| *at)
                .collect();
            assert!(sent.len() <= 4, "{name}: {sent:?}");
            for (pair, hours) in sent.windows(2).zip([24, 72, 168]) {
                let gap = pair[1].duration_since(pair[0]);
                assert!(gap >= SignedDuration::from_hours(hours), "{name}: {sent:?}");
            }
        }
    }
}

/// A directory with bad days: no answer before or after, refusals, a listing that lags or fails.
fn directory(world: &World, seed: u64, time: &Time, done: &Done, bad: &Arc<Mutex<bool>>) -> Fake {
    let random = Mutex::new(Rng::with_seed(!seed));
    let (time, done, is_bad) = (time.clone(), Arc::clone(done), Arc::clone(bad));
    let fake = Fake::new(world).answer(move |_, batch, world| {
        let mut random = random.lock().unwrap();
        let luck = if *is_bad.lock().unwrap() { random.u8(..12) } else { 99 };
        let unknown = || Reply::Unknown(error(ErrorClass::Transient, "timeout"));
        if luck == 0 {
            return unknown();
        }
        let mut answers = Vec::new();
        for change in batch {
            if luck == 1 || !is_possible(world, change) {
                answers.push(Answer::Rejected("no".into()));
                continue;
            }
            take_effect(world, change);
            done.lock().unwrap().push((time.now(), (*change).clone()));
            answers.push(Answer::Done);
        }
        if luck == 2 { unknown() } else { Reply::Answered(answers) }
    });
    let (random, earlier) = (Mutex::new(Rng::with_seed(seed ^ 0x4d)), Mutex::new(None::<Snapshot>));
    let is_bad = Arc::clone(bad);
    fake.list_as(move |_, world, _| {
        let mut random = random.lock().unwrap();
        let luck = if *is_bad.lock().unwrap() { random.u8(..12) } else { 99 };
        let snapshot = world.snapshot();
        let mut earlier = earlier.lock().unwrap();
        match (luck, &*earlier) {
            (0, _) => Err(error(ErrorClass::Transient, "timeout")),
            (1, Some(earlier)) => Ok(earlier.clone()),
            _ => {
                *earlier = Some(snapshot.clone());
                Ok(snapshot)
            }
        }
    })
}

/// As the API would have it: nobody is invited who is there, and nobody is changed who is not.
fn is_possible(world: &World, change: &Change) -> bool {
    match &change.action {
        Action::Invite { .. } | Action::Reinvite { .. } => {
            let is_there = world.accounts.iter().any(|it| it.email == change.email);
            let pending = world.invitations.iter().filter(|it| it.status.is_pending());
            !is_there && !pending.into_iter().any(|it| it.email == change.email)
        }
        Action::UpdateRole { uid, .. } | Action::Disable { uid, .. } => {
            world.accounts.iter().any(|it| it.uid == *uid)
        }
    }
}

async fn live(seed: u64) {
    let mut life = Life::new(seed);
    for _ in 0..RUNS {
        for _ in 0..life.random.u8(..3) {
            life.commit();
        }
        for _ in 0..life.random.u8(..3) {
            life.hand();
        }
        life.run().await;
        life.check();
        let leap = [1, 5, 15, 60, 600, 1500][life.random.usize(..6)];
        life.pass(leap);
    }
    *life.bad.lock().unwrap() = false;
    // Every ladder comes to its end within weeks.
    for _ in 0..60 {
        life.run().await;
        life.check();
        life.pass(24 * 60 + 1);
    }
    let report = life.run().await;
    assert_ne!(report.status(), Status::Failed, "{report:?}");
    let applied = report.applied().unwrap();
    assert_eq!(applied.plan.changes().len(), applied.verdict.held.len(), "{report:?}");
    let standings = applied.plan.findings().iter().map(|finding| finding.kind.standing());
    assert!(standings.into_iter().all(|it| it != Standing::Settling), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn whole_lives_keep_every_promise() {
    let asked = std::env::var("ROSTERD_LIVES").ok().and_then(|seeds| seeds.parse().ok());
    for seed in 0..asked.unwrap_or(SEEDS) {
        let life = tokio::spawn(live(seed));
        assert!(life.await.is_ok(), "seed {seed}");
    }
}
