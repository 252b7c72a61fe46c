//! `rosterd --plan`: what would be done, in the format that is asked for.

use super::args::{Global, PlanFormat, RunArgs};
use super::context::Context;
use super::exit::{self, CliError};
use super::output;
use crate::client::ReadDirectory as _;
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::daemon::Connected;
use crate::ledger::LedgerError;
use crate::memory::Memory;
use crate::reconcile::{self, Evaluation, LedgerConfig, Loaded};
use crate::render::{self, View};

/// Plans every selected workspace. One that fails does not keep the others from being shown.
pub async fn run(global: &Global, args: &RunArgs) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    let mut planned = Vec::new();
    let mut codes = Vec::new();
    for workspace in &config.workspaces {
        match plan(global, &context, workspace).await {
            Ok((loaded, evaluation)) => {
                codes.push(code(&evaluation, args.detailed_exitcode));
                planned.push((workspace, loaded, evaluation));
            }
            Err(stop) => {
                output::stop(global, &stop);
                codes.push(stop.code());
            }
        }
    }
    let views: Vec<View<'_>> = planned
        .iter()
        .map(|(workspace, loaded, evaluation)| {
            view(&workspace.target.workspace, loaded, evaluation)
        })
        .collect();
    let text = written(&views, args.format.unwrap_or_default(), global.verbose > 0);
    match &args.out {
        Some(path) if !views.is_empty() => output::to_file(path, &text)?,
        Some(_) => {}
        None => output::result(&text)?,
    }
    Ok(exit::worst(codes))
}

/// What the renderers look at.
pub fn view<'a>(workspace: &'a str, loaded: &'a Loaded, evaluation: &'a Evaluation) -> View<'a> {
    View {
        workspace,
        sources: &loaded.sources,
        roster: &loaded.roster,
        snapshot: &evaluation.snapshot,
        plan: &evaluation.plan,
        verdict: &evaluation.verdict,
        revision: loaded.revision.as_ref(),
    }
}

fn written(views: &[View<'_>], format: PlanFormat, verbose: bool) -> String {
    let each = |one: &dyn Fn(&View<'_>) -> String, between: &str| {
        views.iter().map(one).collect::<Vec<_>>().join(between)
    };
    match format {
        PlanFormat::Text => each(&|view| render::text::plan(view, verbose), "\n"),
        PlanFormat::Diff => each(&render::unified::diff, ""),
        PlanFormat::Json => render::json::write(views),
        PlanFormat::Markdown => each(&render::markdown::plan, "\n"),
        PlanFormat::Github => each(&render::github::plan, ""),
    }
}

fn code(evaluation: &Evaluation, detailed: bool) -> u8 {
    match (detailed, evaluation.verdict.approved.is_empty(), evaluation.verdict.held.is_empty()) {
        (true, false, _) => exit::CHANGES,
        (true, true, false) => exit::HELD,
        _ => exit::OK,
    }
}

/// Reads roster and workspace, and says what would be done.
async fn plan(
    global: &Global,
    context: &Context,
    workspace: &WorkspaceConfig,
) -> Result<(Loaded, Evaluation), CliError> {
    known(global, context, workspace).await.map(|(loaded, evaluation, _)| (loaded, evaluation))
}

/// The same, with what is remembered once the reading has been taken in.
pub async fn known(
    global: &Global,
    context: &Context,
    workspace: &WorkspaceConfig,
) -> Result<(Loaded, Evaluation, Memory), CliError> {
    let now = SystemClock.now();
    let loaded = load(global, workspace)?;
    let Connected { directory, records } =
        context.connect(workspace).map_err(|failure| failed(workspace, &failure.message))?;
    let listed = directory.list().await;
    let snapshot = listed.map_err(|error| failed(workspace, &error.message))?;
    // Only now, so that the memory is not held together with the text of a long answer.
    let memory = remembered(workspace, &records)?;
    let Loaded { roster, .. } = &loaded;
    let (evaluation, memory) = reconcile::dry_run(snapshot, &workspace.target, roster, memory, now);
    Ok((loaded, evaluation, memory))
}

/// What the ledger remembers; it is only read, and none is created.
fn remembered(workspace: &WorkspaceConfig, records: &LedgerConfig) -> Result<Memory, CliError> {
    let failed =
        |error: LedgerError| failed(workspace, &format!("{}: {error}", records.ledger.place()));
    records.ledger.read_state(&records.scope).map_err(failed)
}

/// Reads the roster; its warnings are told on stderr.
pub fn load(global: &Global, workspace: &WorkspaceConfig) -> Result<Loaded, CliError> {
    let loaded = reconcile::load(&workspace.target, SystemClock.now()).map_err(|outage| {
        CliError::Invalid { sources: outage.sources, diagnostics: outage.diagnostics }
    })?;
    let name = Some(workspace.target.workspace.as_str());
    output::problems(global, name, &loaded.sources, &loaded.warnings);
    Ok(loaded)
}

/// A failure, with the workspace it belongs to.
pub fn failed(workspace: &WorkspaceConfig, message: &str) -> CliError {
    CliError::Failed(format!("{}: {message}", workspace.target.workspace))
}
