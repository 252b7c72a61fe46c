//! `rosterd why EMAIL`: explains one user's access.

use super::args::WhyArgs;
use super::{CliError, Context, Global, exit, history, output, plan};
use crate::email::Email;
use crate::memory::events::events;
use crate::render::why;

/// Shows line and commit, live state, invitations, holds, what comes next, and what happened.
pub async fn run(global: &Global, args: &WhyArgs) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    let email = Email::remote(&args.email);
    if !args.email.contains('@') {
        return Err(CliError::Usage(format!("`{}` is not a valid email address", args.email)));
    }
    for (position, workspace) in config.workspaces.iter().enumerate() {
        let (loaded, evaluation, memory) = plan::evaluate(global, &context, workspace).await?;
        let name = &workspace.target.workspace;
        let view = evaluation.view(name, &loaded);
        let ledger =
            context.ledger(workspace).map_err(|it| plan::failed(workspace, &it.message))?;
        let (_, addresses) = why::person(&view, &email);
        let events = events(&history::entries(&ledger, &workspace.scope())?, Some(&addresses));
        let gap = if position > 0 { "\n" } else { "" };
        output::result(&format!("{gap}{}", why::text(&view, &memory, &events, &email)))?;
    }
    Ok(exit::OK)
}
