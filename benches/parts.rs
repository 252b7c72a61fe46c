//! Each part of a run at several sizes: time, and users per second.
//!
//! `ROSTERD_BENCH_USERS=1000,1000000` measures other sizes.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use jiff::SignedDuration;
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::Memory;
use rosterd::plan;
use rosterd::render;
use rosterd_benches::{Fixture, Scenario, evaluate, load, new_entries, now, plan, read};

type Group<'a> = BenchmarkGroup<'a, WallTime>;
type Part = (&'static str, fn(&Fixture));

/// The parts of a run, where nothing differs.
const CONVERGED: [Part; 8] = [
    ("roster", |fixture| drop(black_box(load(&fixture.sources)))),
    ("listing", |fixture| drop(black_box(read(&fixture.answer)))),
    ("memory", |fixture| {
        drop(black_box(new_entries(&fixture.memory, &fixture.snapshot, &fixture.roster)))
    }),
    // A run copies the memory if the page still uses that of the previous run.
    ("copy", |fixture| drop(black_box(fixture.memory.clone()))),
    ("plan", |fixture| drop(black_box(plan(&fixture.roster, &fixture.snapshot, &fixture.memory)))),
    ("guards", |fixture| drop(black_box(evaluate(&fixture.plan, &fixture.memory)))),
    ("text", |fixture| {
        drop(black_box(render::text::plan(&fixture.view(), render::table::Screen::default())))
    }),
    ("access", |fixture| {
        let within = SignedDuration::from_hours(14 * 24);
        let rows = render::access::rows(
            &fixture.view(),
            &fixture.memory,
            &render::access::Lines::new(),
            within,
        );
        drop(black_box(render::json::pretty(&rows)));
    }),
];

/// The parts of a run, where every user needs a change.
const EMPTY: [Part; 8] = [
    ("plan", |fixture| drop(black_box(plan(&fixture.roster, &fixture.snapshot, &Memory::empty())))),
    ("guards", |fixture| drop(black_box(evaluate(&fixture.plan, &fixture.memory)))),
    ("fingerprint", |fixture| {
        black_box(plan::fingerprint(fixture.plan.roster, fixture.plan.changes()));
    }),
    ("text", |fixture| {
        drop(black_box(render::text::plan(&fixture.view(), render::table::Screen::default())))
    }),
    ("diff", |fixture| drop(black_box(render::unified::diff(&fixture.view())))),
    ("json", |fixture| drop(black_box(render::json::write(&[fixture.view()])))),
    ("markdown", |fixture| drop(black_box(render::markdown::plan(&fixture.view())))),
    ("github", |fixture| drop(black_box(render::github::plan(&fixture.view())))),
];

fn sizes() -> Vec<usize> {
    let wanted = std::env::var("ROSTERD_BENCH_USERS");
    let wanted = wanted.unwrap_or_else(|_| "1000,10000,100000".to_owned());
    wanted.split(',').map(|size| size.parse().expect("a number of users")).collect()
}

/// Every part at every size, named `NAME/PART/USERS`.
fn measure(criterion: &mut Criterion, name: &str, scenario: Scenario, parts: &[Part]) {
    for users in sizes() {
        let fixture = Fixture::new(users, scenario);
        for (part, run) in parts {
            let mut group = group(criterion, &format!("{name}/{part}"), users);
            let id = BenchmarkId::from_parameter(users);
            group.bench_with_input(id, &fixture, |bencher, fixture| bencher.iter(|| run(fixture)));
        }
    }
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, elements: usize) -> Group<'a> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group
}

/// Writes and flushes the intents of one batch, in a ledger with ten thousand users.
fn ledger(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let location = Location::File(folder.path().join("ledger.db"));
    let mut writer = Ledger::at(location).open("acme", now()).expect("a ledger");
    let fixture = Fixture::new(10_000, Scenario::Converged);
    let entries = new_entries(writer.memory(), &fixture.snapshot, &fixture.roster);
    runtime.block_on(writer.write(entries, now())).expect("it is written");
    let all = Fixture::new(1_001, Scenario::Empty).intents();
    for changes in [1, 50, 1_000] {
        let id = BenchmarkId::from_parameter(changes);
        group(criterion, "ledger/append", changes).bench_function(id, |bencher| {
            let batch = || all.iter().take(changes).cloned().collect::<Vec<_>>();
            let write =
                |batch| runtime.block_on(writer.write(batch, now())).expect("it is written");
            bencher.iter_batched(batch, write, BatchSize::PerIteration);
        });
    }
}

fn parts(criterion: &mut Criterion) {
    measure(criterion, "converged", Scenario::Converged, &CONVERGED);
    measure(criterion, "drifted", Scenario::Drifted, &CONVERGED[4..7]);
    measure(criterion, "empty", Scenario::Empty, &EMPTY);
    ledger(criterion);
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! { name = all; config = short(); targets = parts }
criterion_main!(all);
