//! Roster files: diagnostics, mutations and import.

#[path = "roster/fixtures.rs"]
mod fixtures;
#[path = "roster/import.rs"]
mod import;
#[path = "roster/mutations.rs"]
mod mutations;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::ProptestConfig;
use rosterd::diagnostic::{Diagnostic, Sources};
use rosterd::roster::{Roster, checks, raw};

use crate::support::world::now;

/// Validates the files as `rosterd check` does, at [`now`].
fn validate(sources: &Sources, zone: &TimeZone) -> (Option<Roster>, Vec<Diagnostic>) {
    let at: Timestamp = now();
    checks::validate(raw::read(sources), sources, zone, at)
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

fn one(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add("users.yaml", text);
    sources
}
