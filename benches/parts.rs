//! The parts of a run by themselves, at several sizes: time, and users a second.
//!
//! `ROSTERD_BENCH_USERS=1000,1000000` measures other sizes.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use jiff::SignedDuration;
use rosterd::ledger::{Ledger, Place};
use rosterd::memory::Memory;
use rosterd::plan::fingerprint::Fingerprint;
use rosterd::render;
use rosterd_benches::{Crowd, Scene, evaluate, load, notice, now, plan, read};

type Group<'a> = BenchmarkGroup<'a, WallTime>;
type Part = (&'static str, fn(&Crowd));

/// What a run does where nothing differs.
const SETTLED: [Part; 8] = [
    ("roster", |it| drop(black_box(load(&it.sources)))),
    ("listing", |it| drop(black_box(read(&it.answer)))),
    ("memory", |it| drop(black_box(notice(&it.memory, &it.snapshot, &it.roster)))),
    // What a run does first where the page still shows what the last one remembered.
    ("copied", |it| drop(black_box(it.memory.clone()))),
    ("plan", |it| drop(black_box(plan(&it.roster, &it.snapshot, &it.memory)))),
    ("guards", |it| drop(black_box(evaluate(&it.plan, &it.memory)))),
    ("text", |it| drop(black_box(render::text::plan(&it.view(), false)))),
    ("access", |it| {
        let within = SignedDuration::from_hours(14 * 24);
        let rows = render::access::rows(&it.view(), &it.memory, within);
        drop(black_box(render::access::as_json(&rows)));
    }),
];

/// The same where every user is a change.
const EMPTY: [Part; 8] = [
    ("plan", |it| drop(black_box(plan(&it.roster, &it.snapshot, &Memory::empty())))),
    ("guards", |it| drop(black_box(evaluate(&it.plan, &it.memory)))),
    ("fingerprint", |it| {
        black_box(Fingerprint::of(it.plan.roster(), it.plan.changes()));
    }),
    ("text", |it| drop(black_box(render::text::plan(&it.view(), false)))),
    ("diff", |it| drop(black_box(render::unified::diff(&it.view())))),
    ("json", |it| drop(black_box(render::json::write(&[it.view()])))),
    ("markdown", |it| drop(black_box(render::markdown::plan(&it.view())))),
    ("github", |it| drop(black_box(render::github::plan(&it.view())))),
];

fn sizes() -> Vec<usize> {
    let wanted = std::env::var("ROSTERD_BENCH_USERS");
    let wanted = wanted.unwrap_or_else(|_| "1000,10000,100000".to_owned());
    wanted.split(',').map(|size| size.parse().expect("a number of users")).collect()
}

/// Every part at every size, named `NAME/PART/USERS`.
fn measure(criterion: &mut Criterion, name: &str, scene: Scene, parts: &[Part]) {
    for users in sizes() {
        let crowd = Crowd::new(users, scene);
        for (part, run) in parts {
            let mut group = group(criterion, &format!("{name}/{part}"), users);
            let id = BenchmarkId::from_parameter(users);
            group.bench_with_input(id, &crowd, |bencher, crowd| bencher.iter(|| run(crowd)));
        }
    }
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, elements: usize) -> Group<'a> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group
}

/// Intents of one batch, written and flushed, in a ledger that knows ten thousand users.
fn ledger(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let place = Location::File(folder.path().join("ledger.db"));
    let mut book = Ledger::at(place).open("acme", now()).expect("a ledger");
    let crowd = Crowd::new(10_000, Scene::Settled);
    let seen = notice(book.memory(), &crowd.snapshot, &crowd.roster);
    runtime.block_on(book.write(seen, now())).expect("it is written");
    let all = Crowd::new(1_001, Scene::Empty).intents();
    for changes in [1, 50, 1_000] {
        let id = BenchmarkId::from_parameter(changes);
        group(criterion, "ledger/append", changes).bench_function(id, |bencher| {
            let batch = || all.iter().take(changes).cloned().collect::<Vec<_>>();
            let write = |batch| runtime.block_on(book.write(batch, now())).expect("it is written");
            bencher.iter_batched(batch, write, BatchSize::PerIteration);
        });
    }
}

fn parts(criterion: &mut Criterion) {
    measure(criterion, "settled", Scene::Settled, &SETTLED);
    measure(criterion, "drifted", Scene::Drifted, &SETTLED[4..7]);
    measure(criterion, "empty", Scene::Empty, &EMPTY);
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
