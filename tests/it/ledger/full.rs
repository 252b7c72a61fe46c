//! A disk that fills at any point of a run.

use std::process::{Command, Stdio};

use rosterd::ledger::LedgerError;

use super::scenario::Scenario;

/// The seed of the roster and of where the room ends.
const SEED: u64 = 20;

/// Limits every file to this number of blocks of 512 bytes. A write beyond it fails, as on a full
/// disk.
fn once_within(scenario: &Scenario, blocks: u32) -> Command {
    let once = scenario.once();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"])
        .arg(once.get_program())
        .args(once.get_args())
        .current_dir(once.get_current_dir().unwrap())
        .env_clear()
        .envs(once.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null());
    command
}

#[test]
fn a_disk_that_fills_during_a_run_stops_the_sending_and_loses_nothing() {
    let mut scenario = Scenario::new(SEED, "0ms");
    let (mut before, mut during) = (0, 0);
    for _ in 0..25 {
        scenario.change_the_roster();
        let (blocks, executed) = (scenario.random.u32(..260), scenario.executed());
        let ran = once_within(&scenario, blocks).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        scenario.chain_holds();
        scenario.ledger_is_true();
        if ran.status.code() == Some(0) {
            continue;
        }
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains("ledger.db") && said.contains("full"), "{blocks}: {said}");
        *(if scenario.executed() == executed { &mut before } else { &mut during }) += 1;
        let next = scenario.once().stderr(Stdio::piped()).output().unwrap();
        // A request that was on its way when the run stopped may take effect only now.
        let goes_on = next.status.success() || scenario.run().0 == 0;
        assert!(goes_on, "{}; before: {said}", String::from_utf8_lossy(&next.stderr));
        assert_eq!(scenario.workspace_equals_roster(), 0);
    }
    assert!(before > 1 && during > 1, "{before} before anything was sent, {during} in the middle");
    scenario.ledger_is_true();
    scenario.file_is_sound();
}

#[test]
fn a_full_disk_is_reported_as_such() {
    let file = rusqlite::Connection::open_in_memory().unwrap();
    file.execute_batch("CREATE TABLE t (a); PRAGMA max_page_count = 3").unwrap();
    let error = file.execute("INSERT INTO t VALUES (zeroblob(100000))", []).unwrap_err();
    assert!(matches!(LedgerError::from(error), LedgerError::Full));
    let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(matches!(LedgerError::from(error), LedgerError::Full));
}
