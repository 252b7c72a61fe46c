//! `rosterd` keeps the users of a Paradime workspace equal to a file.
//!
//! A functional core decides and cannot do I/O; a shell does I/O and cannot decide. Each step
//! returns a type that only its module can make and the next step needs, so no step can be
//! skipped:
//!
//! ```text
//! RawRoster -> Roster                          roster
//! wire      -> Snapshot                        directory
//! (Roster, Snapshot, Memory, now) -> Plan      plan
//! Plan      -> Approved                        guard, and nobody else
//! apply(Approved) -> RunReport                 apply, reconcile
//! ```
//!
//! Modules are listed by rank: a module imports only modules of a lower rank. `ARCHITECTURE.md`
//! explains the ranks, and the test `tidy` enforces them.

// 0: value types
pub mod diagnostic;
pub mod email;
pub mod escape;
pub mod failure;
pub mod link;
pub mod order;
pub mod revision;
pub mod role;
pub mod size;
pub mod status;
// 1: desired state, actual state, what is remembered
pub mod action;
pub mod directory;
pub mod memory;
pub mod roster;
pub mod yaml;
// 2: the difference
pub mod plan;
// 3: decisions
pub mod guard;
pub mod retry;
pub mod schedule;
// 4: what is shown
pub mod notice;
pub mod render;
pub mod report;
// 5: effects
pub mod blocking;
pub mod client;
pub mod clock;
pub mod files;
pub mod ledger;
pub mod source;
// 6, 7: one run
pub mod apply;
pub mod reconcile;
// 8: settings, logs, the API's other side
pub mod config;
pub mod sandbox;
pub mod systemd;
pub mod telemetry;
// 9, 10: the loop, the commands
pub mod cli;
pub mod daemon;
pub mod metrics;
pub mod notifier;
pub mod web;
