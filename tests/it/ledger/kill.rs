//! `kill -9` at any instant loses no row and repeats no mutation: the real binary, killed at
//! hundreds of random instants, against sandboxes on bad days.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use super::scenario::Scenario;

/// Each has its own sandbox, ledger and roster.
const SITES: u64 = 4;
/// Rosters of each; `ROSTERD_KILL_ROUNDS` asks for more.
const ROUNDS: usize = 10;
/// Kills during each of these.
const KILLS: usize = 6;
/// So many kills while there is no ledger yet.
const BEGINNINGS: usize = 10;

const FAULTS: [&str; 6] = [
    "throttle=0.01",
    "unavailable=0.02",
    "timeout-after=0.01",
    "reset-before=0.04",
    "reset-after=0.04",
    "stale=0.04",
];

/// A failure names its seed: `ROSTERD_KILL_SEED=…` makes the same rosters and delays.
#[test]
fn a_kill_at_any_instant_loses_no_row_and_repeats_no_mutation() {
    let chosen = std::env::var("ROSTERD_KILL_SEED").ok();
    let seed = chosen.map_or_else(|| fastrand::u64(..1_000_000), |seed| seed.parse().unwrap());
    let killed: usize = std::thread::scope(|scope| {
        let sites: Vec<_> = (0..SITES)
            .map(|scenario| (scenario, scope.spawn(move || whole(seed + scenario))))
            .collect();
        let ended = sites.into_iter().map(|(scenario, thread)| {
            thread
                .join()
                .unwrap_or_else(|_| panic!("ROSTERD_KILL_SEED={seed}, scenario {scenario}"))
        });
        ended.sum()
    });
    println!("{killed} processes killed");
    let tried = usize::try_from(SITES).unwrap() * (BEGINNINGS + rounds() * KILLS);
    assert!(killed >= tried / 2, "only {killed} of {tried} kills found a process that ran");
}

fn rounds() -> usize {
    std::env::var("ROSTERD_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// The life of one scenario. The answer is the number of processes that were killed.
fn whole(seed: u64) -> usize {
    // What is slow is found under way; what is fast is there before anything that comes too late.
    let latency = if seed.is_multiple_of(2) { "5ms" } else { "0ms" };
    let mut scenario = Scenario::new(seed, latency);
    let mut killed = beginnings(&mut scenario);
    scenario.change_the_roster();
    let (code, length) = scenario.run();
    assert_eq!(code, 0, "without faults and kills one run does it");
    assert_eq!(scenario.workspace_equals_roster(), 0);
    scenario.faults(&FAULTS);
    for _ in 0..rounds() {
        scenario.change_the_roster();
        for _ in 0..KILLS {
            killed += usize::from(kill(&mut scenario, length));
        }
        if scenario.random.u8(..3) == 0 {
            scenario.run();
        }
        scenario.ledger_is_true();
    }
    end(&mut scenario);
    killed
}

/// Kills before there is a ledger, and while it is made. The roster asks for nothing yet.
fn beginnings(scenario: &mut Scenario) -> usize {
    let (code, length) = scenario.run();
    assert_eq!(code, 0);
    let mut killed = 0;
    for _ in 0..BEGINNINGS {
        scenario.forget_the_ledger();
        killed += usize::from(kill(scenario, length));
        assert_eq!(scenario.run().0, 0, "what is left of a beginning is no obstacle");
        scenario.chain_holds();
    }
    killed
}

/// Starts a run and kills it within `length`; whether it still ran.
fn kill(scenario: &mut Scenario, length: Duration) -> bool {
    let delay = length.mul_f64(scenario.random.f64());
    let mut child = scenario.once().spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    let ran = child.wait().unwrap().signal() == Some(9);
    scenario.chain_holds();
    ran
}

/// Good days: everything comes to an end.
fn end(scenario: &mut Scenario) {
    scenario.faults(&[]);
    let settled = (0..3).any(|_| scenario.run().0 == 0);
    assert!(settled, "without faults and kills a run ends well");
    let executed = scenario.executed();
    assert_eq!(scenario.run().0, 0);
    assert_eq!(scenario.executed(), executed, "nothing is left to do");
    scenario.chain_holds();
    scenario.ledger_is_true();
    scenario.workspace_equals_roster();
    scenario.file_is_sound();
}
