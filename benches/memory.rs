//! What a user takes of the heap, part by part: bytes that stay, and the most there were meanwhile.

#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::hint::black_box;

use peak_alloc::PeakAlloc;
use rosterd::memory::Memory;
use rosterd::memory::entry::Noted;
use rosterd_benches::{Crowd, Scene, answer, evaluate, load, notice, now, plan, read, sources};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Prints a line about what `part` makes, and what it took.
fn tell<T>(name: &str, users: usize, part: impl FnOnce() -> T) -> T {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let made = black_box(part());
    let each = |bytes: usize| bytes.saturating_sub(before) as f64 / users as f64;
    let (stays, most) = (each(HEAP.current_usage()), each(HEAP.peak_usage()));
    println!("| {name} | {users} | {stays:.0} | {most:.0} |");
    made
}

fn main() {
    println!("| part | users | bytes a user that stay | at most |\n|---|---|---|---|");
    for users in [1_000, 10_000, 100_000, 1_000_000] {
        let files = tell("the files' text", users, || sources(users, Scene::Settled));
        let roster = tell("roster", users, || load(&files));
        let body = tell("the answer's text", users, || answer(users, Scene::Settled));
        let snapshot = tell("listing", users, || read(&body));
        drop(body);
        let memory = tell("memory", users, || {
            let mut memory = Memory::of_ledger();
            for (seq, entry) in (1..).zip(notice(&memory, &snapshot, &roster)) {
                memory.fold(&Noted { seq, at: now(), entry });
            }
            memory
        });
        let plan = tell("plan", users, || plan(&roster, &snapshot, &memory));
        tell("verdict", users, || evaluate(&plan, &memory));
        drop((files, roster, snapshot, memory, plan));
        let crowd = Crowd::new(users, Scene::Empty);
        tell("plan, everybody to be invited", users, || {
            rosterd_benches::plan(&crowd.roster, &crowd.snapshot, &crowd.memory)
        });
    }
}
