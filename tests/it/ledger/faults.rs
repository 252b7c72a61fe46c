//! Damage to the file of the ledger: no changes are made, the reason is reported, and runs continue
//! once it is repaired.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rosterd::ledger::{Ledger, LedgerError, Location};
use rosterd::report::{End, Failure, Outcome, RunReport, RunStatus};
use rosterd::role::Role;
use rusqlite::Connection;

use super::bench::Bench;
use crate::support::directory::Fake;
use crate::support::run::{Run, SCOPE};
use crate::support::world::{World, now};
use rosterd::failure::FailureKind;

/// A name, what is done to a valid ledger, and what the error must contain.
type Harm = (&'static str, fn(&Bench), &'static str);

/// What neither this process nor a later one goes on with.
const HARMS: [Harm; 9] = [
    ("garbage", |it| it.write(&b"no database ".repeat(2_000)), "not a SQLite file"),
    ("cut short", |it| it.cut(), "corrupt"),
    ("another database", |it| it.sql("DROP TABLE meta"), "not a ledger of rosterd"),
    ("a newer schema", |it| it.sql("UPDATE meta SET value = '99' WHERE name = 'schema'"), "99"),
    ("no schema", |it| it.sql("DELETE FROM meta"), "not a ledger of rosterd"),
    ("a trigger", |it| it.sql(FORGET), "trigger `forget` on `entries`"),
    ("read-only", |it| it.make_read_only(), "not writable"),
    ("a folder", |it| it.replace_by_folder(), "not a ledger of rosterd"),
    ("a folder that is a file", |it| it.replace_folder(), "ledger.db"),
];

/// Budgets would forget what was done.
const FORGET: &str = "CREATE TRIGGER forget AFTER INSERT ON entries WHEN NEW.kind = 'intent' BEGIN \
                      DELETE FROM entries WHERE seq = NEW.seq; END";

/// What only a process that knew the ledger before can notice.
const CHANGELINGS: [Harm; 5] = [
    ("gone", |it| fs::remove_file(&it.path).unwrap(), "removed while rosterd was running"),
    ("empty", |it| it.write(b""), "replaced"),
    ("another ledger", |it| it.replace_by_another(), "replaced while rosterd was running"),
    ("an older copy", |it| it.restore("earlier"), "is missing"),
    ("an older copy that went on", |it| it.fork(), "does not match its hash"),
];

#[test]
fn an_unusable_ledger_prevents_all_changes() {
    for (name, harm, says) in HARMS {
        let bench = Bench::new();
        harm(&bench);
        bench.stays_still(&bench.ledger, name, says);
        bench.restore("good");
        harm(&bench);
        bench.stays_still(&Ledger::at(Location::File(bench.path.clone())), name, says);
        bench.goes_on(name);
    }
}

/// Who knows what was written goes on with that; who would have to believe it does not.
#[test]
fn a_changed_byte_is_detected() {
    let bench = Bench::new();
    bench.flip("\"status\":\"converged\"");
    let later = Ledger::at(Location::File(bench.path.clone()));
    bench.stays_still(&later, "a changed byte", "does not match its hash");
    assert!(matches!(later.read_state(SCOPE), Err(LedgerError::Broken(_))));
    assert!(matches!(later.entries(), Err(LedgerError::Broken(_))));
    let (report, _) = bench.run(&bench.ledger);
    assert_eq!(report.unwrap().status(), RunStatus::Converged);
    assert!(matches!(bench.ledger.verify(None), Err(LedgerError::Broken(_))));
}

#[test]
fn a_replaced_ledger_is_detected() {
    for (name, harm, says) in CHANGELINGS {
        let bench = Bench::new();
        harm(&bench);
        bench.stays_still(&bench.ledger, name, says);
        bench.stays_still(&bench.ledger, name, says);
        bench.goes_on(name);
    }
}

#[test]
fn an_operator_can_create_a_new_ledger() {
    let bench = Bench::new();
    assert!(matches!(bench.ledger.init(now()), Err(LedgerError::Exists)));
    fs::remove_file(&bench.path).unwrap();
    bench.stays_still(&bench.ledger, "gone", "removed");
    // From another process.
    Ledger::at(Location::File(bench.path.clone())).init(now()).unwrap();
    let (report, fake) = bench.run(&bench.ledger);
    assert_eq!((report.unwrap().status(), fake.sent().len()), (RunStatus::Converged, 1));
    let rows = bench.ledger.verify(None).unwrap().rows;
    assert!(rows < bench.rows, "it is a new one: {rows}");
}

#[test]
fn a_lock_of_another_program_is_awaited_and_reported() {
    let bench = Bench::new();
    let other = Connection::open(&bench.path).unwrap();
    // What takes a copy or repairs a file works so.
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    bench.stays_still(&bench.ledger, "locked", "locked by another program");
    drop(other);
    bench.goes_on("locked");
}

#[test]
fn two_runs_of_one_workspace_exclude_each_other() {
    let bench = Bench::new();
    let other = Ledger::at(Location::File(bench.path.clone()));
    let lock = other.lock(SCOPE, "process 7").unwrap().unwrap();
    let (report, fake) = bench.run(&bench.ledger);
    let Failure { kind, message } = report.unwrap_err();
    assert_eq!((kind, fake.lists(), fake.sent().len()), (FailureKind::Locked, 0, 0));
    assert!(message.contains("process 7"), "{message}");
    drop(lock);
    bench.goes_on("locked");
}

#[test]
fn an_interrupted_creation_is_completed() {
    let bench = Bench::new();
    bench.write(b"");
    let ledger = Ledger::at(Location::File(bench.path.clone()));
    assert!(!ledger.read_state(SCOPE).unwrap().is_known(), "nothing is known yet");
    assert!(matches!(ledger.verify(None), Err(LedgerError::None)));
    let (report, _) = bench.run(&ledger);
    assert_eq!(report.unwrap().status(), RunStatus::Converged);
    assert!(ledger.verify(None).unwrap().rows > 0);
}

#[test]
fn a_file_of_the_first_schema_is_opened() {
    let bench = Bench::new();
    let file = Connection::open(&bench.path).unwrap();
    let sql = "SELECT value FROM meta WHERE name = 'schema'";
    assert_eq!(file.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "1");
    drop(file);
    bench.goes_on("the first schema");
}

#[test]
fn only_its_owner_can_read_it() {
    let bench = Bench::new();
    for path in [&*bench.path, bench.path.parent().unwrap()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "{path:?}");
    }
}

/// The file goes while the first answers arrive: what was intended is sent, and nothing else.
#[test]
fn a_ledger_lost_during_a_run_stops_the_sending() {
    let bench = Bench::new();
    let (path, saved) = (bench.path.clone(), bench.folder.path().join("saved.db"));
    let crowd = (0..12).fold(World::converged(), |world, n| {
        let name = format!("user{n}");
        world.account(&name, Role::Business).member(&name, Role::Developer)
    });
    let (from, to) = (path.clone(), saved.clone());
    let fake = Fake::new(&crowd).answer(move |nth, batch, world| {
        if nth == 0 {
            fs::rename(&from, &to).unwrap();
        }
        crate::support::directory::done(batch, world)
    });
    let ledger = &bench.ledger;
    let report = Run::of(&crowd).ledger(ledger).attempt_blocking(&fake).unwrap();
    assert_eq!(fake.sizes(), [2, 2], "two requests were under way");
    let applied = applied(&report);
    let stopped = applied.stopped.as_ref().unwrap();
    assert_eq!((stopped.kind, report.status()), (FailureKind::Ledger, RunStatus::Failed));
    let count = |wanted: fn(&Outcome) -> bool| {
        applied.outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count()
    };
    assert_eq!(count(|it| *it == Outcome::Done), 4);
    assert_eq!(count(|it| matches!(it, Outcome::NotSent(_))), 8);
    // Back again, it knows what was under way.
    fs::rename(saved, &path).unwrap();
    let fake = Fake::new(&World { members: crowd.members.clone(), ..fake.world() });
    let report = Run::of(&crowd).ledger(ledger).attempt_blocking(&fake).unwrap();
    assert_eq!(report.status(), RunStatus::Converged);
    assert_eq!(fake.sizes().iter().sum::<usize>(), 8, "the others, and they alone");
    bench.ledger.verify(None).unwrap();
}

fn applied(report: &RunReport) -> &rosterd::report::Applied {
    match &report.end {
        End::Applied(applied) => applied,
        End::Failed(failure) => panic!("{failure:?}"),
    }
}

#[test]
fn the_path_of_a_ledger_may_be_any_path() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("a %20 b?mode=ro#c/ledger.db");
    let ledger = Ledger::at(Location::File(path.clone()));
    let world = World::converged();
    Run::of(&world).ledger(&ledger).blocking(&Fake::new(&world));
    assert!(Path::new(&path).exists());
    assert!(ledger.read_state(SCOPE).unwrap().is_known());
    let link = folder.path().join("link.db");
    symlink(&path, &link).unwrap();
    assert!(Ledger::at(Location::File(link)).verify(None).unwrap().rows > 0);
}
