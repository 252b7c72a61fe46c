//! `rosterd ledger`: starts a new ledger, or verifies the chain of an existing one.

use std::collections::BTreeSet;

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
            LedgerCommand::Verify { head } => {
                let head = head.as_deref();
                let verified = ledger.verify(head).map_err(failed)?;
                output::result(&summary(&ledger, &verified))?;
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
