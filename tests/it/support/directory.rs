//! A scripted in-memory directory that implements the two traits of the client.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rosterd::client::{Answer, ClientError, ReadDirectory, Reply, WriteDirectory};
use rosterd::clock::Clock;
use rosterd::directory::{Account, Invitation, InviteStatus, Snapshot};
use rosterd::failure::FailureKind;
use rosterd::plan::change::{Action, Change};
use tokio::time::Instant;

use super::world::{World, now};

/// Applies a change to the directory side of a world, as the API would.
pub fn take_effect(world: &mut World, change: &Change) {
    match &change.action {
        Action::Invite { role } | Action::Reinvite { role } => {
            world.invitations.retain(|invitation| invitation.email != change.email);
            world.invitations.push(Invitation {
                email: change.email.clone(),
                role: role.clone(),
                status: InviteStatus::Pending,
            });
        }
        Action::UpdateRole { uid, to, .. } => {
            let is_theirs = |account: &&mut Account| account.uid == *uid;
            world.accounts.iter_mut().find(is_theirs).expect("an account").role = to.clone();
        }
        Action::Disable { uid, .. } => world.accounts.retain(|account| account.uid != *uid),
    }
}

type Rule = Box<dyn Fn(usize, &[&Change], &mut World) -> Reply + Send + Sync>;
type Listing = Box<dyn Fn(usize, &World, Snapshot) -> Reading + Send + Sync>;
type Reading = Result<Snapshot, ClientError>;

/// One received request.
#[derive(Clone, Debug)]
pub struct Sent {
    pub changes: Vec<Change>,
    pub at: Instant,
    pub answered: Instant,
}

pub struct Fake {
    world: Mutex<World>,
    before: Snapshot,
    rule: Rule,
    listing: Listing,
    latency: Duration,
    requests: AtomicUsize,
    lists: AtomicUsize,
    in_flight: AtomicUsize,
    pub most_flying: AtomicUsize,
    sent: Mutex<Vec<Sent>>,
}

impl Fake {
    /// Executes every change, with a latency of 10 ms.
    pub fn new(world: &World) -> Self {
        Self {
            world: Mutex::new(world.clone()),
            before: world.snapshot(),
            rule: Box::new(|_, batch, world| done(batch, world)),
            listing: Box::new(|_, world, _| Ok(world.snapshot())),
            latency: Duration::from_millis(10),
            requests: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_flying: AtomicUsize::new(0),
            sent: Mutex::default(),
        }
    }

    /// Uses `rule` for the reply to each request; its first argument counts requests from 0.
    pub fn answer(
        mut self,
        rule: impl Fn(usize, &[&Change], &mut World) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.rule = Box::new(rule);
        self
    }

    /// Uses `rule` for each listing; its arguments are the number of the listing from 0, the world, and
    /// the initial snapshot.
    pub fn list_as(
        mut self,
        rule: impl Fn(usize, &World, Snapshot) -> Reading + Send + Sync + 'static,
    ) -> Self {
        self.listing = Box::new(rule);
        self
    }

    /// Every request, in the order of arrival.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The sizes of the requests.
    pub fn sizes(&self) -> Vec<usize> {
        self.sent().iter().map(|sent| sent.changes.len()).collect()
    }

    pub fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }

    pub fn world(&self) -> World {
        self.world.lock().unwrap().clone()
    }
}

impl ReadDirectory for Fake {
    async fn list(&self) -> Result<Snapshot, ClientError> {
        let nth = self.lists.fetch_add(1, Ordering::SeqCst);
        (self.listing)(nth, &self.world.lock().unwrap(), self.before.clone())
    }
}

impl WriteDirectory for Fake {
    async fn send(&self, batch: &[&Change]) -> Reply {
        let nth = self.requests.fetch_add(1, Ordering::SeqCst);
        let at = Instant::now();
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_flying.fetch_max(in_flight, Ordering::SeqCst);
        tokio::time::sleep(self.latency).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let changes = batch.iter().map(|change| (*change).clone()).collect();
        self.sent.lock().unwrap().push(Sent { changes, at, answered: Instant::now() });
        (self.rule)(nth, batch, &mut self.world.lock().unwrap())
    }
}

/// Executes the whole batch.
pub fn done(batch: &[&Change], world: &mut World) -> Reply {
    for change in batch {
        take_effect(world, change);
    }
    Reply::Answered(vec![Answer::Done; batch.len()])
}

pub fn error(kind: FailureKind) -> ClientError {
    ClientError { kind, message: format!("the server said {kind}") }
}

pub fn throttled(after: Option<u64>) -> Reply {
    let error = error(FailureKind::Throttled);
    Reply::NotExecuted { error, retry_after: after.map(Duration::from_secs) }
}

pub fn timed_out() -> Reply {
    Reply::Unknown(error(FailureKind::Timeout))
}

pub fn refused() -> Reply {
    Reply::Refused(error(FailureKind::Graphql))
}

pub fn denied() -> Reply {
    Reply::NotExecuted { error: error(FailureKind::Forbidden), retry_after: None }
}

/// A clock that is always [`now`].
pub struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        now()
    }
}
