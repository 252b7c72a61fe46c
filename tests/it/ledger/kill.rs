//! `kill -9` at any instant loses no row and repeats no mutation: the real binary, killed at
//! hundreds of random instants, against sandboxes on bad days.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use super::site::Site;

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
        let sites: Vec<_> =
            (0..SITES).map(|site| (site, scope.spawn(move || whole(seed + site)))).collect();
        let ended = sites.into_iter().map(|(site, thread)| {
            thread.join().unwrap_or_else(|_| panic!("ROSTERD_KILL_SEED={seed}, site {site}"))
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

/// The life of one site. The answer is the number of processes that were killed.
fn whole(seed: u64) -> usize {
    // What is slow is found under way; what is fast is there before anything that comes too late.
    let latency = if seed.is_multiple_of(2) { "5ms" } else { "0ms" };
    let mut site = Site::new(seed, latency);
    let mut killed = beginnings(&mut site);
    site.change_the_roster();
    let (code, length) = site.run();
    assert_eq!(code, 0, "without faults and kills one run does it");
    assert_eq!(site.workspace_equals_roster(), 0);
    site.faults(&FAULTS);
    for _ in 0..rounds() {
        site.change_the_roster();
        for _ in 0..KILLS {
            killed += usize::from(kill(&mut site, length));
        }
        if site.random.u8(..3) == 0 {
            site.run();
        }
        site.ledger_is_true();
    }
    end(&mut site);
    killed
}

/// Kills before there is a ledger, and while it is made. The roster asks for nothing yet.
fn beginnings(site: &mut Site) -> usize {
    let (code, length) = site.run();
    assert_eq!(code, 0);
    let mut killed = 0;
    for _ in 0..BEGINNINGS {
        site.forget_the_ledger();
        killed += usize::from(kill(site, length));
        assert_eq!(site.run().0, 0, "what is left of a beginning is no obstacle");
        site.chain_holds();
    }
    killed
}

/// Starts a run and kills it within `length`; whether it still ran.
fn kill(site: &mut Site, length: Duration) -> bool {
    let delay = length.mul_f64(site.random.f64());
    let mut child = site.once().spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    let ran = child.wait().unwrap().signal() == Some(9);
    site.chain_holds();
    ran
}

/// Good days: everything comes to an end.
fn end(site: &mut Site) {
    site.faults(&[]);
    let settled = (0..3).any(|_| site.run().0 == 0);
    assert!(settled, "without faults and kills a run ends well");
    let executed = site.executed();
    assert_eq!(site.run().0, 0);
    assert_eq!(site.executed(), executed, "nothing is left to do");
    site.chain_holds();
    site.ledger_is_true();
    site.workspace_equals_roster();
    site.file_is_sound();
}
