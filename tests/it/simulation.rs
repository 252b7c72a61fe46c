//! Thousands of bad days, each from one number: the real daemon, run, guards, client, ledger and
//! API, with nothing simulated but time, the network, the disk and the power switch.
//!
//! `ROSTERD_SEED=7 cargo test --test it simulation::one -- --nocapture` tells one story again, and
//! `ROSTERD_SEED=7:3,12` no more of it than these steps, which is what a failure prints.
//! `ROSTERD_SEEDS=1000..5000` makes `simulation::many` tell these instead of its own, as many of them
//! as `ROSTERD_MINUTES` allow; `ROSTERD_BRIEF=1` ends it at the first broken promise, told unshrunk.

mod chance;
mod checks;
mod coverage;
mod ending;
mod expected_roster;
mod invariants;
mod machine;
mod network;
mod operators;
mod process;
mod scenario;
mod second_workspace;
mod sim_state;
mod simulate;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coverage::REACHED;
use scenario::Scenario;
use simulate::{Told, tell};

/// The seeds of every `cargo test`.
const SEEDS: Range<u64> = 0..240;

/// So many lines of a story are shown, up to the broken promise.
const TIMELINE: usize = 40;

/// One story, whatever it does.
fn told(scenario: &Scenario) -> Told {
    let told = std::panic::catch_unwind(|| tell(scenario));
    told.unwrap_or_else(|_| Told {
        counts: BTreeMap::new(),
        log: Vec::new(),
        wrong: Some("it panicked".into()),
    })
}

fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("ROSTERD_SEEDS") else { return SEEDS };
    let range =
        asked.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.expect("ROSTERD_SEEDS=FROM..TO")
}

/// No story begins later than this.
fn longest() -> Duration {
    let minutes = std::env::var("ROSTERD_MINUTES").ok();
    minutes.map_or(Duration::MAX, |minutes| {
        Duration::from_secs_f64(minutes.parse::<f64>().unwrap().max(0.0) * 60.0)
    })
}

/// How many broken promises are told, and whether each is looked into.
fn telling() -> (usize, bool) {
    if std::env::var_os("ROSTERD_BRIEF").is_some() { (1, false) } else { (3, true) }
}

#[test]
fn many() {
    let (seeds, found) = (seeds(), Mutex::new(Vec::new()));
    let (most, shrinks) = telling();
    let (next, began, longest) = (AtomicU64::new(seeds.start), Instant::now(), longest());
    let counts = Mutex::new(BTreeMap::<String, u64>::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if began.elapsed() > longest {
                        break;
                    }
                    if seed >= seeds.end || found.lock().unwrap().len() >= most {
                        break;
                    }
                    let told = told(&Scenario::new(seed));
                    for (what, times) in told.counts {
                        *counts.lock().unwrap().entry(what).or_default() += times;
                    }
                    if let Some(wrong) = told.wrong {
                        found.lock().unwrap().push((seed, wrong));
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let found = found.into_inner().unwrap();
    let found: Vec<String> =
        found.iter().map(|(seed, wrong)| replay(*seed, wrong, shrinks)).collect();
    let stories = next.into_inner().min(seeds.end) - seeds.start;
    // Past the capture of the test harness: `cargo test` shows how many there were.
    let _ = writeln!(std::io::stderr(), "simulation::many: {stories} simulations");
    for (what, times) in &counts {
        println!("{times:>8}  {what}");
    }
    assert!(found.is_empty(), "broken promises:\n{}", found.join("\n"));
    // Fewer stories need not have come through everything.
    let enough = stories >= SEEDS.end;
    let is_missed = |what: &&&str| enough && !counts.contains_key(**what);
    let missed: Vec<_> = REACHED.iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}

/// The broken promise, the command that tells the story again, and how it ends: of the shortest one
/// that breaks a promise, if that is asked for.
fn replay(seed: u64, wrong: &str, shrinks: bool) -> String {
    let command = "cargo test --test it simulation::one -- --nocapture";
    if !shrinks {
        return format!("{wrong}\n    ROSTERD_SEED={seed} {command}");
    }
    let whole = Scenario::new(seed);
    let steps = shrunk(&whole);
    let log = told(&whole.keep(&steps)).log;
    let end = log.iter().position(|line| line.contains("WRONG")).map_or(log.len(), |at| at + 1);
    let timeline = log[end.saturating_sub(TIMELINE)..end].join("\n    ");
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let story = format!("{seed}:{}", steps.join(","));
    format!("{wrong}\n    ROSTERD_SEED={story} {command}\n\n    {timeline}\n")
}

/// As few steps as still break a promise.
fn shrunk(whole: &Scenario) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..whole.steps.len()).collect();
    let mut size = kept.len();
    while size > 0 {
        let mut at = 0;
        while at < kept.len() {
            let end = (at + size).min(kept.len());
            let fewer = [&kept[..at], &kept[end..]].concat();
            if told(&whole.keep(&fewer)).wrong.is_some() {
                kept = fewer;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    kept
}

/// The story that is asked for.
fn asked() -> Scenario {
    let asked = std::env::var("ROSTERD_SEED").unwrap_or_else(|_| "0".into());
    let number = |text: &str| text.parse::<u64>().expect("ROSTERD_SEED=SEED or SEED:STEP,STEP");
    let Some((seed, steps)) = asked.split_once(':') else { return Scenario::new(number(&asked)) };
    let steps = steps.split(',').filter(|step| !step.is_empty());
    let steps: Vec<usize> = steps.map(|step| step.parse().unwrap()).collect();
    Scenario::new(number(seed)).keep(&steps)
}

#[test]
fn one() {
    let scenario = asked();
    let first = told(&scenario);
    println!("{}", first.log.join("\n"));
    let again = told(&scenario);
    let differs = first.log.iter().zip(&again.log).find(|(one, other)| one != other);
    assert_eq!(differs, None, "a seed tells the same story every time");
    assert_eq!(first.log.len(), again.log.len(), "and ends it at the same place");
    assert_eq!(first.wrong, None);
}

#[test]
fn fewer_steps_leave_time_as_it_was() {
    let whole = Scenario::new(3);
    let time = |scenario: &Scenario| scenario.steps.iter().map(|step| step.wait).sum::<Duration>();
    let last = whole.steps.len() - 1;
    let kept = whole.keep(&[1, last]);
    assert_eq!((kept.steps.len(), time(&kept)), (2, time(&whole)));
}
