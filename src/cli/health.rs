//! `rosterd health`: asks the daemon on this machine. For containers without curl.

use std::net::SocketAddr;

use super::args::HealthArgs;
use super::{CliError, Global, context, exit, output};
use crate::web::health_client;

pub async fn run(global: &Global, args: &HealthArgs) -> Result<u8, CliError> {
    let path = if args.ready { "/readyz" } else { "/livez" };
    let (status, said) =
        health_client::get(address(global)?, path, None).await.map_err(not_running)?;
    if status != 200 {
        return Err(CliError::Failed(output::escape_lines(said.trim_end(), "; ")));
    }
    output::result("ok\n")?;
    Ok(exit::OK)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub fn not_running(why: String) -> CliError {
    CliError::Failed(format!("{why}; is the daemon running on this machine?"))
}

/// `--listen` and its variable come first, as for the daemon: the configuration may have become
/// invalid since it started.
pub fn address(global: &Global) -> Result<SocketAddr, CliError> {
    if let Some(address) = global.listen {
        return Ok(address);
    }
    let message = "the daemon has no address: set `listen` in the configuration, or ROSTERD_LISTEN";
    let config = context::read_files(global)??.config;
    config.listen.ok_or_else(|| CliError::Usage(message.into()))
}
