//! `rosterd sandbox`: the User Management API on this machine.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::global::{Global, duration};
use super::{CliError, context, exit, output, shutdown};
use crate::sandbox::auth::{ADMIN_KEY, ADMIN_SECRET};
use crate::sandbox::faults::FaultRate;
use crate::sandbox::{Options, Running, schema};

#[derive(Args, Debug)]
pub struct SandboxArgs {
    /// Where to listen; a loopback address, port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Number of users besides the documented ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub people: usize,
    /// The seed of uids and faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Latency of every response, such as 20ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub latency: Duration,
    /// Additional latency for each field of a request
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub latency_per_field: Duration,
    /// Inject a fault with a probability: throttle, unavailable, timeout-before, timeout-after,
    /// reset-before, reset-after, truncate, not-ok, html, stale; may be repeated
    #[arg(long, value_name = "FAULT=PROBABILITY")]
    pub fault: Vec<FaultRate>,
    /// Maximum number of requests per second; more are answered 429
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<u32>,
    /// When one field of several fails: partial (the others are executed) or abort (the rest is
    /// not executed, and `data` is null)
    #[arg(long, value_enum, value_name = "HOW", default_value = "partial")]
    #[arg(hide_possible_values = true)]
    pub batch: Batch,
    /// Maximum number of fields in a mutation; more are refused
    #[arg(long, value_name = "N", default_value_t = schema::MAX_FIELDS)]
    pub max_batch: usize,
    /// Report pending invitations as SENT, like the vendor's Python client, not as ACTIVE
    #[arg(long)]
    pub sent: bool,
}

/// What happens to the other fields of a mutation when one fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Batch {
    /// The failed field is missing from the response, the others are executed
    Partial,
    /// The rest is not executed, and `data` is null; earlier effects remain
    Abort,
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(global: &Global, args: SandboxArgs) -> Result<u8, CliError> {
    let cancel = shutdown::on_signal("the sandbox ends")?;
    let running = context::start_sandbox(options(global, args)).await?;
    output::result(&greeting(&running))?;
    cancel.cancelled().await;
    running.stop().await;
    Ok(exit::OK)
}

fn options(global: &Global, args: SandboxArgs) -> Options {
    let workspaces = match global.workspace.as_slice() {
        [] => Options::default().workspaces,
        names => names.to_vec(),
    };
    Options {
        listen: args.listen,
        state: global.state.clone(),
        workspaces,
        people: args.people,
        seed: args.seed,
        latency: args.latency,
        latency_per_field: args.latency_per_field,
        faults: args.fault,
        rate_limit: args.rate_limit,
        abort_batches: args.batch == Batch::Abort,
        max_batch: args.max_batch,
        sent: args.sent,
    }
}

fn greeting(running: &Running) -> String {
    let endpoint = running.endpoint();
    let control = format!("http://{}/control", running.address());
    let keys = format!("-H 'X-API-KEY: {ADMIN_KEY}' -H 'X-API-SECRET: {ADMIN_SECRET}'");
    let json = "-H 'Content-Type: application/json'";
    format!(
        "The User Management API is at {endpoint}

export PARADIME_API_ENDPOINT={endpoint}
export PARADIME_API_KEY={ADMIN_KEY}
export PARADIME_API_SECRET={ADMIN_SECRET}

Who is in it:
  curl -s {endpoint} {keys} {json} -d '{{\"query\": \"{{ listUsers {{ ok activeUsers {{ email \
         accountType }} }} }}\"}}'
Accept an invitation (also: expire, account, role, rename, enable, remove, faults):
  curl -s {control}/accept {keys} {json} -d '{{\"email\": \"john@acme.io\"}}'
Everything, the disabled users too:
  curl -s {control}/state {keys}
"
    )
}
