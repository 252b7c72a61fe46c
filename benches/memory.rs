//! Heap for each user, part by part: bytes retained, and the peak.

#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::hint::black_box;

use peak_alloc::PeakAlloc;
use rosterd::memory::Memory;
use rosterd::memory::entry::Record;
use rosterd_benches::{
    Fixture, Scenario, answer, evaluate, load, new_entries, now, plan, read, sources,
};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Runs `part`, and prints a row with its heap usage.
fn measure<T>(name: &str, users: usize, part: impl FnOnce() -> T) -> T {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let made = black_box(part());
    let each = |bytes: usize| bytes.saturating_sub(before) as f64 / users as f64;
    let (retained, peak) = (each(HEAP.current_usage()), each(HEAP.peak_usage()));
    println!("| {name} | {users} | {retained:.0} | {peak:.0} |");
    made
}

fn main() {
    println!("| part | users | bytes for each user | peak |\n|---|---|---|---|");
    for users in [1_000, 10_000, 100_000, 1_000_000] {
        let files = measure("text of the files", users, || sources(users, Scenario::Converged));
        let roster = measure("roster", users, || load(&files));
        let body = measure("text of the response", users, || answer(users, Scenario::Converged));
        let snapshot = measure("listing", users, || read(&body));
        drop(body);
        let memory = measure("memory", users, || {
            let mut memory = Memory::of_ledger();
            for (seq, entry) in (1..).zip(new_entries(&memory, &snapshot, &roster)) {
                memory.fold(&Record { seq, at: now(), entry });
            }
            memory
        });
        let plan = measure("plan", users, || plan(&roster, &snapshot, &memory));
        measure("verdict", users, || evaluate(&plan, &memory));
        drop((files, roster, snapshot, memory, plan));
        let fixture = Fixture::new(users, Scenario::Empty);
        measure("plan, invite all", users, || {
            rosterd_benches::plan(&fixture.roster, &fixture.snapshot, &fixture.memory)
        });
    }
}
