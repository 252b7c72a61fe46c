//! `rosterd ledger`: starts a new ledger, or verifies the chain of an existing one.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::args::{LedgerArgs, LedgerCommand};
use super::{CliError, Global, context, exit, output};
use crate::clock::{Clock as _, SystemClock};
use crate::ledger::{Ledger, LedgerError, Verified};

pub fn run(global: &Global, args: &LedgerArgs) -> Result<u8, CliError> {
    let config = context::read_files(global)??.config;
    let mut seen = BTreeSet::new();
    for workspace in &config.workspaces {
        let ledger = context::ledger(global, workspace)?;
        if !seen.insert(ledger.place().to_string()) {
            continue;
        }
        let failed = |error: LedgerError| CliError::Failed(format!("{}: {error}", ledger.place()));
        match &args.command {
            LedgerCommand::Init => {
                ledger.init(SystemClock.now()).map_err(failed)?;
                output::result(&format!("{}: started a new ledger\n", ledger.place()))?;
            }
            LedgerCommand::Verify { head, retention } => {
                let head = head.as_deref();
                let verified = ledger.verify(head).map_err(failed)?;
                output::result(&summary(&ledger, &verified))?;
                let retention = retention.unwrap_or(workspace.retention);
                let kept = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
                if let Some(oldest) = verified.falls_short(kept, SystemClock.now()) {
                    return Err(CliError::Failed(dropped(&ledger, retention, oldest)));
                }
                if !verified.contains_head {
                    return Err(CliError::Failed(lost(&ledger, &verified, head)));
                }
            }
        }
    }
    Ok(exit::OK)
}

fn summary(ledger: &Ledger, verified: &Verified) -> String {
    let Verified { rows, dropped, head, .. } = verified;
    let before = match dropped {
        0 => String::new(),
        dropped => format!(", {dropped} older rows dropped by retention"),
    };
    format!(
        "{}: {rows} rows{before}, chain verified\nhead {} {}\n",
        ledger.place(),
        head.seq,
        head.hash
    )
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
