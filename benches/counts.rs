//! How many instructions a user costs in each part of a run: much the same on every machine, and
//! at every load. Above its bound, which is half as much again as was counted, a part fails.
//! Valgrind and `gungraun-runner` are needed.

use std::hint::black_box;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use rosterd::diagnostic::Sources;
use rosterd::directory::Snapshot;
use rosterd::guard::Verdict;
use rosterd::memory::entry::Entry;
use rosterd::plan::Plan;
use rosterd::plan::fingerprint::Fingerprint;
use rosterd::render;
use rosterd::roster::Roster;
use rosterd_benches::{Crowd, Scene, evaluate, load, notice, plan, read, sources};

/// Enough for anything that grows faster than the users to stand out.
const USERS: usize = 10_000;

/// At most so many instructions for each user.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions * USERS as u64)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn settled() -> Crowd {
    Crowd::new(USERS, Scene::Settled)
}

fn empty() -> Crowd {
    Crowd::new(USERS, Scene::Empty)
}

fn files() -> Sources {
    sources(USERS, Scene::Settled)
}

#[library_benchmark(config = at_most(47_000))]
#[bench::of(setup = files)]
fn roster(sources: Sources) -> (Roster, Sources) {
    (black_box(load(&sources)), sources)
}

#[library_benchmark(config = at_most(7_000))]
#[bench::of(setup = settled)]
fn listing(crowd: Crowd) -> (Snapshot, Crowd) {
    (black_box(read(&crowd.answer)), crowd)
}

#[library_benchmark(config = at_most(3_200))]
#[bench::of(setup = settled)]
fn memory(crowd: Crowd) -> (Vec<Entry>, Crowd) {
    (black_box(notice(&crowd.memory, &crowd.snapshot, &crowd.roster)), crowd)
}

#[library_benchmark(config = at_most(2_800))]
#[bench::of(setup = settled)]
fn plan_nothing(crowd: Crowd) -> (Plan, Crowd) {
    (black_box(plan(&crowd.roster, &crowd.snapshot, &crowd.memory)), crowd)
}

#[library_benchmark(config = at_most(12_500))]
#[bench::of(setup = empty)]
fn plan_everything(crowd: Crowd) -> (Plan, Crowd) {
    (black_box(plan(&crowd.roster, &crowd.snapshot, &crowd.memory)), crowd)
}

#[library_benchmark(config = at_most(6_000))]
#[bench::of(setup = empty)]
fn guards(crowd: Crowd) -> (Verdict, Crowd) {
    (black_box(evaluate(&crowd.plan, &crowd.memory)), crowd)
}

#[library_benchmark(config = at_most(10_000))]
#[bench::of(setup = empty)]
fn fingerprint(crowd: Crowd) -> (Fingerprint, Crowd) {
    (black_box(Fingerprint::of(crowd.plan.roster(), crowd.plan.changes())), crowd)
}

#[library_benchmark(config = at_most(13_500))]
#[bench::of(setup = empty)]
fn text(crowd: Crowd) -> (String, Crowd) {
    (black_box(render::text::plan(&crowd.view(), false)), crowd)
}

#[library_benchmark(config = at_most(37_000))]
#[bench::of(setup = empty)]
fn json(crowd: Crowd) -> (String, Crowd) {
    (black_box(render::json::write(&[crowd.view()])), crowd)
}

#[library_benchmark(config = at_most(4_700))]
#[bench::of(setup = empty)]
fn diff(crowd: Crowd) -> (String, Crowd) {
    (black_box(render::unified::diff(&crowd.view())), crowd)
}

library_benchmark_group!(
    name = parts,
    benchmarks = [
        roster,
        listing,
        memory,
        plan_nothing,
        plan_everything,
        guards,
        fingerprint,
        text,
        json,
        diff
    ]
);
main!(library_benchmark_groups = parts);
