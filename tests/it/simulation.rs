//! Deterministic fault-injection simulations: the real daemon, run, guards, client, ledger and API.
//! Only time, the network, the disk and the power supply are simulated. Each simulation follows
//! from one number, its seed.
//!
//! `ROSTERD_SEED=7 cargo test --test it simulation::one -- --nocapture` replays one seed, and
//! `ROSTERD_SEED=7:3,12` replays only these steps of it; a failure prints this command.
//! `ROSTERD_SEEDS=1000..5000` makes `simulation::many` run these seeds instead of its own, until
//! `ROSTERD_MINUTES` are over. `ROSTERD_BRIEF=1` stops at the first violation, without shrinking.

mod approvals;
mod checks;
mod coverage;
mod expected_roster;
mod final_state;
mod generate;
mod git_process;
mod git_server;
mod invariants;
mod machine;
mod network;
mod operators;
mod people;
mod process;
mod scenario;
mod second_workspace;
mod sim_state;
mod simulate;
mod source_checks;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coverage::REQUIRED;
use scenario::Scenario;
use simulate::{SimulationResult, simulate};

/// The seeds of every `cargo test`.
const SEEDS: Range<u64> = 0..240;

/// More seeds of every `cargo test`: what they show is rare. In 594, SIGTERM comes while a mutation
/// is in flight.
const RARE: [u64; 1] = [594];

/// Maximum number of log lines shown before a violation.
const MAX_LOG_LINES: usize = 40;

/// Runs one simulation; a panic is a violation too.
fn run(scenario: &Scenario) -> SimulationResult {
    let result = std::panic::catch_unwind(|| simulate(scenario));
    result.unwrap_or_else(|_| SimulationResult {
        counts: BTreeMap::new(),
        log: Vec::new(),
        violation: Some("it panicked".into()),
    })
}

fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("ROSTERD_SEEDS") else {
        return RARE.into_iter().chain(SEEDS).collect();
    };
    let range =
        text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.expect("ROSTERD_SEEDS=FROM..TO").collect()
}

/// No simulation starts later than this.
fn time_limit() -> Duration {
    let minutes = std::env::var("ROSTERD_MINUTES").ok();
    minutes.map_or(Duration::MAX, |minutes| {
        Duration::from_secs_f64(minutes.parse::<f64>().unwrap().max(0.0) * 60.0)
    })
}

/// The number of violations after which the search stops, and whether each is shrunk.
fn report_options() -> (usize, bool) {
    if std::env::var_os("ROSTERD_BRIEF").is_some() { (1, false) } else { (3, true) }
}

#[test]
fn many() {
    let (seeds, violations) = (seeds(), Mutex::new(Vec::new()));
    let (max_violations, shrinks) = report_options();
    let (next, started, limit) = (AtomicUsize::new(0), Instant::now(), time_limit());
    let counts = Mutex::new(BTreeMap::<String, u64>::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = seeds.get(next.fetch_add(1, Ordering::Relaxed)).copied();
                    let Some(seed) = seed.filter(|_| started.elapsed() <= limit) else { break };
                    if violations.lock().unwrap().len() >= max_violations {
                        break;
                    }
                    let result = run(&Scenario::new(seed));
                    for (event, times) in result.counts {
                        *counts.lock().unwrap().entry(event).or_default() += times;
                    }
                    if let Some(violation) = result.violation {
                        violations.lock().unwrap().push((seed, violation));
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let violations = violations.into_inner().unwrap();
    let violations: Vec<String> =
        violations.iter().map(|(seed, violation)| replay(*seed, violation, shrinks)).collect();
    let simulations = next.into_inner().min(seeds.len());
    // Written past the capture of the test harness, so that `cargo test` shows the number.
    let _ = writeln!(std::io::stderr(), "simulation::many: {simulations} simulations");
    for (event, times) in &counts {
        println!("{times:>8}  {event}");
    }
    assert!(violations.is_empty(), "violated invariants:\n{}", violations.join("\n"));
    // Fewer simulations than the default need not cover everything.
    let is_complete = simulations > SEEDS.count();
    let is_missed = |event: &&&str| is_complete && !counts.contains_key(**event);
    let missed: Vec<_> = REQUIRED.iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "not covered: {missed:?}");
}

/// The violation and the command that replays it. With `shrinks`, of the shortest scenario that
/// still violates an invariant, with the end of its log.
fn replay(seed: u64, violation: &str, shrinks: bool) -> String {
    let command = "cargo test --test it simulation::one -- --nocapture";
    if !shrinks {
        return format!("{violation}\n    ROSTERD_SEED={seed} {command}");
    }
    let scenario = Scenario::new(seed);
    let steps = shrink(&scenario);
    let log = run(&scenario.keep(&steps)).log;
    let end = log.iter().position(|line| line.contains("VIOLATION")).map_or(log.len(), |at| at + 1);
    let timeline = log[end.saturating_sub(MAX_LOG_LINES)..end].join("\n    ");
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let selection = format!("{seed}:{}", steps.join(","));
    format!("{violation}\n    ROSTERD_SEED={selection} {command}\n\n    {timeline}\n")
}

/// The smallest set of steps found that still violates an invariant.
fn shrink(scenario: &Scenario) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..scenario.steps.len()).collect();
    let mut size = kept.len();
    while size > 0 {
        let mut at = 0;
        while at < kept.len() {
            let end = (at + size).min(kept.len());
            let fewer = [&kept[..at], &kept[end..]].concat();
            if run(&scenario.keep(&fewer)).violation.is_some() {
                kept = fewer;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    kept
}

/// The scenario that `ROSTERD_SEED` selects.
fn selected_scenario() -> Scenario {
    let text = std::env::var("ROSTERD_SEED").unwrap_or_else(|_| "0".into());
    let number = |text: &str| text.parse::<u64>().expect("ROSTERD_SEED=SEED or SEED:STEP,STEP");
    let Some((seed, steps)) = text.split_once(':') else { return Scenario::new(number(&text)) };
    let steps = steps.split(',').filter(|step| !step.is_empty());
    let steps: Vec<usize> = steps.map(|step| step.parse().unwrap()).collect();
    Scenario::new(number(seed)).keep(&steps)
}

#[test]
fn one() {
    let scenario = selected_scenario();
    let first = run(&scenario);
    println!("{}", first.log.join("\n"));
    let second = run(&scenario);
    let difference = first.log.iter().zip(&second.log).find(|(one, other)| one != other);
    assert_eq!(difference, None, "two simulations of one seed have the same log");
    assert_eq!(first.log.len(), second.log.len(), "and the same length");
    assert_eq!(first.violation, None);
}

#[test]
fn removing_steps_keeps_the_total_time() {
    let scenario = Scenario::new(3);
    let time = |scenario: &Scenario| scenario.steps.iter().map(|step| step.delay).sum::<Duration>();
    let last = scenario.steps.len() - 1;
    let kept = scenario.keep(&[1, last]);
    assert_eq!((kept.steps.len(), time(&kept)), (2, time(&scenario)));
}
