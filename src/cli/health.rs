//! `rosterd health`: asks a daemon on this machine how it fares. For whoever has no curl, as in a
//! container.

use std::net::SocketAddr;

use super::args::{Global, HealthArgs};
use super::exit::{self, CliError};
use super::{context, output};
use crate::escape::escape;
use crate::web::health_client;

pub async fn run(global: &Global, args: &HealthArgs) -> Result<u8, CliError> {
    let path = if args.ready { "/readyz" } else { "/livez" };
    let asked = health_client::get(address(global)?, path).await;
    let (status, said) =
        asked.map_err(|why| CliError::Failed(format!("{why}; does a daemon run here?")))?;
    if status != 200 {
        return Err(CliError::Failed(
            said.trim_end().lines().map(escape).collect::<Vec<_>>().join("; "),
        ));
    }
    output::result("ok\n")?;
    Ok(exit::OK)
}

/// What a daemon was told in its environment is told here too: its configuration may have become
/// unreadable meanwhile, and then it goes on with the one before.
fn address(global: &Global) -> Result<SocketAddr, CliError> {
    if let Some(address) = global.listen {
        return Ok(address);
    }
    let loaded = context::read_files(global)?;
    let config = loaded.map_err(|invalid| CliError::Invalid {
        sources: invalid.sources,
        diagnostics: invalid.diagnostics,
    })?;
    config.config.listen.ok_or_else(|| {
        CliError::Usage("the daemon listens nowhere: write `listen:`, or set ROSTERD_LISTEN".into())
    })
}
