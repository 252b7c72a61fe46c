//! A ledger in a file that runs have been recorded in, and hands that harm it.

use std::fs;
use std::path::{Path, PathBuf};

use rosterd::ledger::{Ledger, Location};
use rosterd::report::{Failure, RunReport, RunStatus};
use rosterd::role::Role;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::directory::Fake;
use crate::support::run::Run;
use crate::support::world::World;
use rosterd::failure::FailureKind;

pub struct Bench {
    pub folder: TempDir,
    pub path: PathBuf,
    /// The ledger as one long-lived process has it.
    pub ledger: Ledger,
    /// So many rows it has.
    pub rows: u64,
    world: World,
}

impl Bench {
    /// After two runs. There is a copy from between them, `earlier`, and one from now, `good`; the
    /// world wants one thing more.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/ledger.db");
        let ledger = Ledger::at(Location::File(path.clone()));
        let world = World::converged();
        let mut bench = Self { folder, path, ledger, rows: 0, world };
        bench.step("matt", Role::Analyst);
        bench.save("earlier");
        bench.step("max", Role::Analyst);
        bench.save("good");
        bench.rows = bench.ledger.verify(None).unwrap().rows;
        bench.world = bench.world.clone().member("john", Role::Analyst);
        bench
    }

    /// One run that gives somebody a role.
    fn step(&mut self, name: &str, role: Role) {
        let world = self.world.clone().member(name, role);
        let fake = Fake::new(&world);
        let report = Run::of(&world).ledger(&self.ledger).blocking(&fake);
        assert_eq!(report.status(), RunStatus::Converged);
        self.world = fake.world();
    }

    /// One run of what is wanted; the directory hears of it, or not.
    pub fn run(&self, ledger: &Ledger) -> (Result<RunReport, Failure>, Fake) {
        let fake = Fake::new(&self.world);
        (Run::of(&self.world).ledger(ledger).attempt_blocking(&fake), fake)
    }

    /// Nothing is sent, and the error names the location.
    pub fn stays_still(&self, ledger: &Ledger, name: &str, says: &str) {
        let (report, fake) = self.run(ledger);
        assert!(fake.sent().is_empty(), "{name}: something was sent");
        // Where there was nothing to write before the intents, there is a plan.
        let failure = report.map_or_else(Some, |report| report.failure().cloned());
        let Failure { kind, message } = failure.expect(name);
        assert_eq!(kind, FailureKind::Ledger, "{name}");
        let place = self.path.display().to_string();
        assert!(message.contains(says) && message.contains(&place), "{name}: {message}");
    }

    /// With the good file back, the process that saw it harmed goes on.
    pub fn goes_on(&self, name: &str) {
        self.restore("good");
        let (report, fake) = self.run(&self.ledger);
        let report = report.unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        assert_eq!((report.status(), fake.sent().len()), (RunStatus::Converged, 1), "{name}");
        assert!(self.ledger.verify(None).unwrap().rows > self.rows);
    }

    fn save(&self, name: &str) {
        assert!(!beside(&self.path, "-wal").exists(), "a run leaves one file behind");
        fs::copy(&self.path, self.folder.path().join(name)).unwrap();
    }

    /// Puts a copy back, whatever is there now.
    pub fn restore(&self, name: &str) {
        let state = self.path.parent().unwrap();
        if !fs::symlink_metadata(state).is_ok_and(|it| it.is_dir()) {
            let _ = fs::remove_file(state);
        }
        let _ = fs::remove_dir_all(state);
        fs::create_dir_all(state).unwrap();
        fs::copy(self.folder.path().join(name), &self.path).unwrap();
    }

    pub fn write(&self, bytes: &[u8]) {
        fs::write(&self.path, bytes).unwrap();
    }

    /// The second half is lost.
    pub fn cut(&self) {
        let bytes = fs::read(&self.path).unwrap();
        self.write(&bytes[..bytes.len() / 2]);
    }

    /// Changes one letter of the last place at which `text` stands.
    pub fn flip(&self, text: &str) {
        let mut bytes = fs::read(&self.path).unwrap();
        let found = bytes.windows(text.len()).rposition(|part| part == text.as_bytes()).unwrap();
        bytes[found + text.len() - 2] ^= 1;
        self.write(&bytes);
    }

    pub fn sql(&self, sql: &str) {
        Connection::open(&self.path).unwrap().execute_batch(sql).unwrap();
    }

    /// Permissions mean nothing to root. A database takes a file for read-only that says it was
    /// written by a much later version, whoever opens it.
    pub fn make_read_only(&self) {
        let mut bytes = fs::read(&self.path).unwrap();
        bytes[18] = 3;
        self.write(&bytes);
    }

    pub fn replace_by_folder(&self) {
        fs::remove_file(&self.path).unwrap();
        fs::create_dir(&self.path).unwrap();
    }

    pub fn replace_folder(&self) {
        let folder = self.path.parent().unwrap();
        fs::remove_dir_all(folder).unwrap();
        fs::write(folder, "").unwrap();
    }

    pub fn replace_by_another(&self) {
        fs::remove_file(&self.path).unwrap();
        let world = World::converged();
        let another = Ledger::at(Location::File(self.path.clone()));
        Run::of(&world).ledger(&another).blocking(&Fake::new(&world));
    }

    /// The copy from before, and other runs since.
    pub fn fork(&self) {
        self.restore("earlier");
        let world = World::converged().crowd(1);
        let another = Ledger::at(Location::File(self.path.clone()));
        while another.verify(None).unwrap().rows < self.rows {
            Run::of(&world).ledger(&another).blocking(&Fake::new(&world));
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
