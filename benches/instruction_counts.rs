//! Instructions for each user in each part of a run: almost the same on every machine and at every
//! load. A part fails above its bound, 1.5 times the count when the bound was set. Needs Valgrind
//! and `gungraun-runner`.

use std::hint::black_box;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use rosterd::diagnostic::Sources;
use rosterd::directory::Snapshot;
use rosterd::guard::Verdict;
use rosterd::memory::entry::Entry;
use rosterd::plan::{self as plans, Plan};
use rosterd::render;
use rosterd::roster::{Digest, Roster};
use rosterd_benches::{Fixture, Scenario, evaluate, load, new_entries, plan, read, sources};

/// Enough users to show a cost that grows faster than their number.
const USERS: usize = 10_000;

/// Maximum number of instructions for each user.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions * USERS as u64)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn converged() -> Fixture {
    Fixture::new(USERS, Scenario::Converged)
}

fn empty() -> Fixture {
    Fixture::new(USERS, Scenario::Empty)
}

fn files() -> Sources {
    sources(USERS, Scenario::Converged)
}

#[library_benchmark(config = at_most(47_000))]
#[bench::of(setup = files)]
fn roster(sources: Sources) -> (Roster, Sources) {
    (black_box(load(&sources)), sources)
}

#[library_benchmark(config = at_most(7_000))]
#[bench::of(setup = converged)]
fn listing(fixture: Fixture) -> (Snapshot, Fixture) {
    (black_box(read(&fixture.answer)), fixture)
}

#[library_benchmark(config = at_most(3_200))]
#[bench::of(setup = converged)]
fn memory(fixture: Fixture) -> (Vec<Entry>, Fixture) {
    (black_box(new_entries(&fixture.memory, &fixture.snapshot, &fixture.roster)), fixture)
}

#[library_benchmark(config = at_most(2_800))]
#[bench::of(setup = converged)]
fn plan_nothing(fixture: Fixture) -> (Plan, Fixture) {
    (black_box(plan(&fixture.roster, &fixture.snapshot, &fixture.memory)), fixture)
}

#[library_benchmark(config = at_most(12_500))]
#[bench::of(setup = empty)]
fn plan_everything(fixture: Fixture) -> (Plan, Fixture) {
    (black_box(plan(&fixture.roster, &fixture.snapshot, &fixture.memory)), fixture)
}

#[library_benchmark(config = at_most(6_000))]
#[bench::of(setup = empty)]
fn guards(fixture: Fixture) -> (Verdict, Fixture) {
    (black_box(evaluate(&fixture.plan, &fixture.memory)), fixture)
}

#[library_benchmark(config = at_most(10_000))]
#[bench::of(setup = empty)]
fn fingerprint(fixture: Fixture) -> (Digest, Fixture) {
    (black_box(plans::fingerprint(fixture.plan.roster, fixture.plan.changes())), fixture)
}

#[library_benchmark(config = at_most(13_500))]
#[bench::of(setup = empty)]
fn text(fixture: Fixture) -> (String, Fixture) {
    (black_box(render::text::plan(&fixture.view(), render::table::Screen::default())), fixture)
}

#[library_benchmark(config = at_most(37_000))]
#[bench::of(setup = empty)]
fn json(fixture: Fixture) -> (String, Fixture) {
    (black_box(render::json::write(&[fixture.view()])), fixture)
}

#[library_benchmark(config = at_most(4_700))]
#[bench::of(setup = empty)]
fn diff(fixture: Fixture) -> (String, Fixture) {
    (black_box(render::unified::diff(&fixture.view())), fixture)
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
