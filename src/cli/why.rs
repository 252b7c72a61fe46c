//! `rosterd why EMAIL`: explains one user's access.

use serde_json::json;

use super::args::{StatusFormat, WhyArgs};
use super::{CliError, Context, Global, exit, history, output, plan};
use crate::email::Email;
use crate::escape::escape;
use crate::memory::events::events;
use crate::reconcile;
use crate::render::{json, why};

/// Shows line and commit, live state, invitations, holds, what comes next, and what happened: of
/// several workspaces, in those that know the person.
pub async fn run(global: &Global, args: &WhyArgs) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    let email = Email::remote(&args.email);
    if !args.email.contains('@') {
        return Err(CliError::Usage(format!("`{}` is not a valid email address", args.email)));
    }
    let (mut texts, mut people, mut others, mut meant) = (vec![], vec![], vec![], None);
    let screen = output::screen(global, false);
    for workspace in &config.workspaces {
        let (loaded, evaluation, memory) = plan::evaluate(global, &context, workspace).await?;
        let name = &workspace.target.workspace;
        let view = evaluation.view(name, &loaded);
        let ledger =
            context.ledger(workspace).map_err(|it| plan::failed(workspace, &it.message))?;
        let addresses = why::addresses(&view, &email);
        let events = events(&history::entries(&ledger, &workspace.scope())?, Some(&addresses));
        if why::is_known(&view, &events, &email) {
            let members = why::member(&view, &email).map_or(&[][..], std::slice::from_ref);
            let lines = reconcile::lines(&workspace.target, &loaded, members, evaluation.plan.now);
            let line = lines.into_values().next();
            let person = why::person(&view, &memory, &events, &email, line.as_ref());
            texts.push(why::text(&view, &person, memory.is_known(), screen));
            people.push(json!({ "workspace": name, "person": person }));
            continue;
        }
        others.push(name.as_str());
        if let Some(closest) = why::closest_address(&view, &email) {
            meant.get_or_insert_with(|| closest.to_owned());
        }
    }
    if people.is_empty() {
        let hint = meant.map(|meant| format!("; did you mean {meant}?"));
        let message = format!("no user has the address {}{}", args.email, hint.unwrap_or_default());
        return Err(CliError::Failed(message));
    }
    if !others.is_empty() && args.format == StatusFormat::Text {
        texts.push(format!("not known in {}\n", escape(&others.join(", "))));
    }
    output::result(&match args.format {
        StatusFormat::Json => json::pretty(&people),
        StatusFormat::Text => texts.join("\n"),
    })?;
    Ok(exit::OK)
}
