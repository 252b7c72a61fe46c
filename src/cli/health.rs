//! `rosterd health`: asks the daemon on this machine. For containers without curl.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;

use super::args::HealthArgs;
use super::{CliError, Global, context, exit, output};
use crate::config;
use crate::files::{self, Mode};
use crate::ledger::sqlite::{beside, create_folder_of};
use crate::ledger::{Ledger, Location};
use crate::source::env_var;
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

/// The address of the daemon: `--listen` of this command, else what the daemon has written, else
/// the environment, else the configuration. The configuration may have become invalid since the
/// daemon started.
pub fn address(global: &Global) -> Result<SocketAddr, CliError> {
    let found = global.listen.or_else(|| announced(global)).or(global.listen_of_environment);
    if let Some(address) = found {
        return Ok(address);
    }
    let message = "the daemon has no address: set `listen` in the configuration, or ROSTERD_LISTEN";
    let config = context::read_files(global)??.config;
    config.listen.ok_or_else(|| CliError::Usage(message.into()))
}

/// Writes the daemon's address beside its ledger, or removes an earlier one. Without it, other
/// commands find the address in the environment or in the configuration.
pub fn announce(global: &Global, address: Option<SocketAddr>) {
    let Some(path) = announcement(global) else { return };
    let write = |address: SocketAddr| {
        create_folder_of(&path)?;
        files::replace(&path, address.to_string().as_bytes(), Mode::Private)
    };
    let _ = address.map_or_else(|| fs::remove_file(&path), write);
}

/// The address in that file, if it is one of this machine.
fn announced(global: &Global) -> Option<SocketAddr> {
    let text = fs::read_to_string(announcement(global)?).ok()?;
    let address: SocketAddr = text.parse().ok()?;
    UdpSocket::bind((address.ip(), 0)).is_ok().then_some(address)
}

/// It is beside the ledger: the default one if the configuration is invalid.
fn announcement(global: &Global) -> Option<PathBuf> {
    let ledger = match context::read_files(global) {
        Ok(Ok(loaded)) => context::ledger(global, loaded.config.workspaces.first()?).ok(),
        _ => config::default_store(&env_var).map(Ledger::at),
    };
    match ledger?.place() {
        Location::File(path) => Some(beside(path, "-address")),
        Location::Memory => None,
    }
}
