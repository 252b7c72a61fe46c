//! `rosterd access`: the access review for an auditor.

use jiff::SignedDuration;

use super::args::{AccessArgs, TableFormat};
use super::{CliError, Context, Global, exit, output, plan};
use crate::reconcile;
use crate::render::{access, json, table};

/// Reviews a new listing and the ledger. Without a complete listing there is no review.
pub async fn run(global: &Global, args: &AccessArgs) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    let within = SignedDuration::from_hours(24 * i64::from(args.expiring));
    let mut rows = Vec::new();
    for (position, workspace) in config.workspaces.iter().enumerate() {
        let (loaded, evaluation, memory) = plan::evaluate(global, &context, workspace).await?;
        let name = &workspace.target.workspace;
        let (members, now) = (loaded.roster.members(), evaluation.plan.now);
        let lines = reconcile::lines(&workspace.target, &loaded, members, now);
        let view = evaluation.view(name, &loaded);
        let found = access::rows(&view, &memory, &lines, within);
        if args.format == TableFormat::Text {
            let gap = if position > 0 { "\n" } else { "" };
            let screen = output::screen(global, false);
            let text = access::as_text(&view, &found, within, screen);
            output::result(&format!("{gap}{text}"))?;
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
