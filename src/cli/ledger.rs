//! `rosterd ledger`: starts a new ledger, verifies its chain, backs it up, restores it.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::args::{LedgerArgs, LedgerCommand};
use super::{CliError, Global, context, exit, output};
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::ledger::{Ledger, LedgerError, Verified};

/// Standard input or output instead of a file.
const STREAM: &str = "-";

pub fn run(global: &Global, args: &LedgerArgs) -> Result<u8, CliError> {
    // All workspaces of a configuration have one ledger.
    let all = Global { workspace: Vec::new(), ..global.clone() };
    let workspaces = context::read_files(&all)??.config.workspaces;
    let Some(workspace) = workspaces.first() else { return Ok(exit::OK) };
    let ledger = context::ledger(global, workspace)?;
    let failed = |error: LedgerError| CliError::Failed(format!("{}: {error}", ledger.place()));
    match &args.command {
        LedgerCommand::Init => {
            ledger.init(SystemClock.now()).map_err(failed)?;
            output::result(&format!("{}: started a new ledger\n", ledger.place()))?;
        }
        LedgerCommand::Verify { head, retention } => {
            let head = head.as_deref();
            let verified = ledger.verify(head).map_err(failed)?;
            output::result(&summary(&ledger.place().to_string(), &verified))?;
            let retention = retention.unwrap_or(workspace.retention);
            let kept = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
            if let Some(oldest) = verified.falls_short(kept, SystemClock.now()) {
                return Err(CliError::Failed(dropped(&ledger, retention, oldest)));
            }
            if !verified.contains_head {
                return Err(CliError::Failed(lost(&ledger, &verified, head)));
            }
        }
        LedgerCommand::Backup { file } => {
            let to = (file != Path::new(STREAM)).then_some(&**file);
            let (copy, verified) = ledger.copy(to).map_err(failed)?;
            let written = match to {
                Some(file) => copy.persist_noclobber(file).map(drop).map_err(|it| it.error),
                None => {
                    copy.reopen().and_then(|mut it| io::copy(&mut it, &mut io::stdout())).map(drop)
                }
            };
            let shown = file.display().to_string();
            written.map_err(|error| CliError::Failed(format!("{shown}: {error}")))?;
            output::note(&summary(&shown, &verified));
        }
        LedgerCommand::Restore { file } => restore(&ledger, &workspaces, file)?,
    }
    Ok(exit::OK)
}

/// Replaces the ledger while no run is in progress.
fn restore(ledger: &Ledger, workspaces: &[WorkspaceConfig], file: &Path) -> Result<(), CliError> {
    let failed = |error: &dyn Display| CliError::Failed(format!("{}: {error}", file.display()));
    let from: Box<dyn Read> = match file {
        stream if stream == Path::new(STREAM) => Box::new(io::stdin()),
        file => Box::new(File::open(file).map_err(|error| failed(&error))?),
    };
    let mut locks = Vec::new();
    for workspace in workspaces {
        let lock = ledger.lock(&workspace.scope().key, "`rosterd ledger restore`");
        let lock = lock.map_err(|error| failed(&error))?;
        let busy = |by| format!("not restored: a run is in progress, by {by}; try again later");
        locks.push(lock.map_err(|by| failed(&busy(by)))?);
    }
    let restored = ledger.restore(from, SystemClock.now());
    let (verified, replaced) =
        restored.map_err(|error| failed(&format!("not restored: {error}")))?;
    output::note(&summary(&ledger.place().to_string(), &verified));
    if replaced.exists() {
        output::note(&format!("the replaced ledger is {}", replaced.display()));
    }
    Ok(())
}

fn summary(place: &str, verified: &Verified) -> String {
    let Verified { rows, dropped, head, .. } = verified;
    let before = match dropped {
        0 => String::new(),
        dropped => format!(", {dropped} older rows dropped by retention"),
    };
    format!("{place}: {rows} rows{before}, chain verified\nhead {} {}\n", head.seq, head.hash)
}

fn dropped(ledger: &Ledger, retention: Duration, oldest: Timestamp) -> String {
    format!(
        "{}: rows are missing that rosterd would not have dropped: the oldest is of {oldest:.0}, \
         and retention is {} d; if it was shorter earlier, repeat this with --retention",
        ledger.place(),
        retention.as_secs() / 86_400
    )
}

fn lost(ledger: &Ledger, verified: &Verified, head: Option<&str>) -> String {
    let dropped = match verified.dropped {
        0 => "",
        _ => " (or the row was dropped by retention)",
    };
    format!(
        "{}: the chain does not contain the head {}: rows were removed from the end, or the chain \
         was rewritten{dropped}",
        ledger.place(),
        head.unwrap_or_default()
    )
}
