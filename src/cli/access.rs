//! `rosterd access`: the access review for an auditor.

use jiff::SignedDuration;

use super::args::{AccessArgs, TableFormat};
use super::{CliError, Context, Global, exit, output, plan};
use crate::render::{access, json, table};

/// Reviews a new listing and the ledger. Without a complete listing there is no review.
pub async fn run(global: &Global, args: &AccessArgs) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    let within = SignedDuration::from_hours(24 * i64::from(args.expiring));
    let mut rows = Vec::new();
    for (position, workspace) in config.workspaces.iter().enumerate() {
        let (loaded, evaluation, memory) = plan::evaluate(global, &context, workspace).await?;
        let name = &workspace.target.workspace;
        let found = access::rows(&evaluation.view(name, &loaded), &memory, within);
        if args.format == TableFormat::Text {
            let gap = if position > 0 { "\n" } else { "" };
            output::result(&format!("{gap}{}", access::as_text(name, &found, within)))?;
        }
        rows.extend(found);
    }
    match args.format {
        TableFormat::Text => {}
        TableFormat::Json => output::result(&json::pretty(&rows))?,
        TableFormat::Csv => output::result(&table::csv(access::HEADER, &rows))?,
    }
    Ok(exit::OK)
}
