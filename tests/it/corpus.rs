//! Every input of the fuzzers' corpus, checked again: what a fuzzer found once stays found.

use std::fs;
use std::panic::catch_unwind;

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// A fuzz target: it panics where a promise is broken.
type Check = fn(&[u8]);

#[test]
fn what_is_parsed_keeps_its_promises_for_every_input_of_the_corpus() {
    let targets: [(&str, Check); 5] = [
        ("roster", fuzz::roster::check),
        ("config", fuzz::config::check),
        ("response", fuzz::response::check),
        ("plan_file", fuzz::plan_file::check),
        ("cron", fuzz::cron::check),
    ];
    let mut broken = Vec::new();
    for (target, check) in targets {
        let inputs: Vec<_> = fs::read_dir(format!("tests/fuzz/corpus/{target}")).unwrap().collect();
        assert!(inputs.len() >= 10, "{target} has a corpus");
        for input in inputs {
            let path = input.unwrap().path();
            let data = fs::read(&path).unwrap();
            if catch_unwind(|| check(&data)).is_err() {
                broken.push(path);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}
