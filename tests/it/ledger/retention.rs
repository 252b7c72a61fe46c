//! Old entries are pruned, and an anchor replaces them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use rosterd::clock::Clock;
use rosterd::directory::InviteStatus;
use rosterd::failure::FailureKind;
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::Memory;
use rosterd::role::Role;
use tempfile::TempDir;

use crate::support::directory::{self, Fake};
use crate::support::run::{Run, SCOPE};
use crate::support::world::{World, email, hours};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Stands where it is put.
struct At(Mutex<Timestamp>);

impl Clock for At {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Weeks of runs on one ledger, with people who come, go, accept and are lost, and an API that
/// refuses and falls silent. The answer is when the last run was.
fn weeks(ledger: &Ledger, seed: u64) -> Timestamp {
    let mut random = fastrand::Rng::with_seed(seed);
    let clock = At(Mutex::new(hours(0)));
    let mut world = World::converged().crowd(20);
    for step in 0..60 {
        *clock.0.lock().unwrap() = hours(9 * step);
        perturb(&mut world, &mut random);
        let status = random.u8(..8);
        let fake = Fake::new(&world).answer(move |_, batch, world| match status {
            0 => directory::refused(),
            1 => directory::timed_out(),
            2 => {
                directory::done(batch, world);
                directory::timed_out()
            }
            _ => directory::done(batch, world),
        });
        Run::of(&world).ledger(ledger).clock(&clock).sending(2, 3).blocking(&fake);
        world = fake.world();
    }
    clock.now()
}

fn perturb(world: &mut World, random: &mut fastrand::Rng) {
    let name = format!("user{}", random.usize(..30));
    let changed = match random.u8(..6) {
        0 | 1 => world.clone().member(&name, Role::Developer),
        2 => world.clone().member(&name, Role::Business),
        3 => world.clone().no_member(&name),
        4 => {
            let mut lost = world.clone();
            lost.accounts.retain(|account| account.email != email(&name));
            lost
        }
        _ => accept(world.clone(), random),
    };
    *world = changed;
}

/// Of the invitations one is accepted, and one runs out.
fn accept(mut world: World, random: &mut fastrand::Rng) -> World {
    random.shuffle(&mut world.invitations);
    if let Some(last) = world.invitations.last_mut() {
        last.status = InviteStatus::Expired;
    }
    if world.invitations.len() > 1 {
        let accepted = world.invitations.remove(0);
        return world.account(accepted.email.as_str(), accepted.role);
    }
    world
}

fn files() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("whole.db"), folder.path().join("pruned.db"));
    (folder, one, other)
}

fn at(path: &Path) -> Ledger {
    Ledger::at(Location::File(path.to_owned()))
}

fn prune(ledger: &Ledger, now: Timestamp, retention: SignedDuration) {
    let mut book = ledger.open(SCOPE, now).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(book.prune(now, retention, DAY)).unwrap();
    book.close();
}

/// What is remembered, without what no rule asks for.
fn needed(ledger: &Ledger, now: Timestamp) -> Memory {
    let mut memory = ledger.read_state(SCOPE).unwrap();
    memory.prune(now - DAY);
    memory
}

#[test]
fn memory_does_not_depend_on_pruning() {
    for seed in [0, 1, 2, 127] {
        let (_folder, whole, pruned) = files();
        let now = weeks(&at(&whole), seed);
        std::fs::copy(&whole, &pruned).unwrap();
        let expected = needed(&at(&whole), now);
        for days in [15, 9, 4, 1] {
            prune(&at(&pruned), now, DAY * days);
            let verified = at(&pruned).verify(None).unwrap();
            assert_eq!(verified.falls_short(DAY * days, now), None, "{days} days");
            assert_eq!(verified.falls_short(DAY * 30, now), verified.oldest, "{days} days");
            assert!(needed(&at(&pruned), now) == expected, "seed {seed}, {days} days");
        }
        let (before, after) = (at(&whole).verify(None), at(&pruned).verify(None));
        let (before, after) = (before.unwrap(), after.unwrap());
        assert!(after.dropped > 0 && after.first == Some(after.dropped + 1));
        assert_eq!(after.rows + after.dropped, before.rows + 4, "four anchors");
    }
}

#[test]
fn an_anchor_keeps_later_heads_verifiable() {
    let (_folder, path, _) = files();
    let ledger = at(&path);
    let now = weeks(&ledger, 1);
    let head = ledger.verify(None).unwrap().head.hash;
    prune(&ledger, now, DAY * 10);
    assert!(ledger.verify(Some(&head)).unwrap().contains_head);
    let verified = ledger.verify(None).unwrap();
    // The row that the anchor names is gone, and its hash is still known.
    let file = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT body FROM entries WHERE kind = 'anchor'";
    let body: String = file.query_row(sql, [], |row| row.get(0)).unwrap();
    let anchor: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(anchor["through"], verified.dropped);
    assert!(ledger.verify(anchor["hash"].as_str()).unwrap().contains_head);
    // Whoever drops rows by hand has no anchor for them.
    file.execute("DELETE FROM entries WHERE seq = ?1", [verified.dropped.cast_signed() + 1])
        .unwrap();
    assert!(ledger.verify(None).is_err());
}

#[test]
fn nothing_is_pruned_before_it_spans_a_day() {
    let (_folder, path, _) = files();
    let ledger = at(&path);
    let now = weeks(&ledger, 2);
    let rows = ledger.verify(None).unwrap().rows;
    let span = now.duration_since(hours(0));
    prune(&ledger, now, span - DAY + SignedDuration::from_hours(1));
    assert_eq!(ledger.verify(None).unwrap().rows, rows);
    prune(&ledger, now, span - DAY * 2);
    assert!(ledger.verify(None).unwrap().rows < rows);
}

#[test]
fn a_clock_that_is_set_back_does_not_make_pruned_rows_missing() {
    let (_folder, path, _) = files();
    let ledger = at(&path);
    let now = weeks(&ledger, 3);
    prune(&ledger, now, DAY);
    for back in [DAY * 12, DAY * 13] {
        let clock = At(Mutex::new(now - back));
        let world = World::converged();
        let report = Run::of(&world).ledger(&ledger).clock(&clock).blocking(&Fake::new(&world));
        // The row of this run is the newest, and older than what is left of the others.
        let failure = report.failure().expect("a listing that lacks accounts");
        assert_eq!(failure.kind, FailureKind::Listing, "{failure:?}");
    }
}
