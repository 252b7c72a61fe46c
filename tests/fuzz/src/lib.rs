//! Properties that hold for any input of a parser, one module for each target. A property that does
//! not hold is a panic, which the fuzzer reports as a crash.

pub mod config;
pub mod cron;
pub mod output;
pub mod plan_file;
pub mod response;
pub mod roster;

use jiff::Timestamp;

/// The time of every check, constant so that an input always has the same result.
fn now() -> Timestamp {
    Timestamp::constant(1_795_608_000, 0)
}
