//! The one integration-test binary: a module per topic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod accept;
mod apply;
mod approvals;
mod cli;
mod config;
mod contract;
mod corpus;
mod daemon;
mod docs;
#[cfg(feature = "e2e")]
mod e2e;
mod git_history;
mod git_server;
mod guards;
mod http;
mod ledger;
mod lookalike;
mod memory;
mod metrics;
mod notices;
mod plan;
mod plan_table;
mod properties;
mod rate_limiting;
mod reconcile;
mod render;
mod revision;
mod roster;
mod sandbox;
mod scale;
mod simulation;
mod source;
mod support;
mod tidy;
mod watch;
