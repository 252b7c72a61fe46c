//! Checks every input of the fuzzers' corpus again, so that what a fuzzer found stays fixed.

use std::fs;
use std::panic::catch_unwind;

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// The check of a fuzz target; it panics if a property does not hold.
type Check = fn(&[u8]);

#[test]
fn every_input_of_the_corpus_passes_its_check() {
    let targets: [(&str, Check); 5] = [
        ("roster", fuzz::roster::check),
        ("config", fuzz::config::check),
        ("response", fuzz::response::check),
        ("plan_file", fuzz::plan_file::check),
        ("cron", fuzz::cron::check),
    ];
    let mut failed = Vec::new();
    for (target, check) in targets {
        let inputs: Vec<_> = fs::read_dir(format!("tests/fuzz/corpus/{target}")).unwrap().collect();
        assert!(inputs.len() >= 10, "{target} has a corpus");
        for input in inputs {
            let path = input.unwrap().path();
            let data = fs::read(&path).unwrap();
            if catch_unwind(|| check(&data)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
