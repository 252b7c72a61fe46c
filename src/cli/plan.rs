//! `rosterd --plan`: what would be done, in the format that is asked for.

use super::args::{Global, PlanFormat, RunArgs};
use super::context::Context;
use super::exit::{self, Stop};
use super::output;
use crate::client::ReadDirectory as _;
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::daemon::Connected;
use crate::ledger::LedgerError;
use crate::memory::Memory;
use crate::reconcile::{self, Loaded, Look, Records};
use crate::render::{self, View};

/// Plans every selected workspace. One that fails does not keep the others from being shown.
pub async fn run(global: &Global, args: &RunArgs) -> Result<u8, Stop> {
    let (context, config) = Context::start(global).await?;
    let mut planned = Vec::new();
    let mut codes = Vec::new();
    for workspace in &config.workspaces {
        match plan(global, &context, workspace).await {
            Ok((loaded, look)) => {
                codes.push(code(&look, args.detailed_exitcode));
                planned.push((workspace, loaded, look));
            }
            Err(stop) => {
                output::stop(global, &stop);
                codes.push(stop.code());
            }
        }
    }
    let views: Vec<View<'_>> = planned
        .iter()
        .map(|(workspace, loaded, look)| view(&workspace.target.workspace, loaded, look))
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
pub fn view<'a>(workspace: &'a str, loaded: &'a Loaded, look: &'a Look) -> View<'a> {
    View {
        workspace,
        sources: &loaded.sources,
        roster: &loaded.roster,
        snapshot: &look.snapshot,
        plan: &look.plan,
        verdict: &look.verdict,
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

fn code(look: &Look, detailed: bool) -> u8 {
    match (detailed, look.verdict.approved.is_empty(), look.verdict.held.is_empty()) {
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
) -> Result<(Loaded, Look), Stop> {
    known(global, context, workspace).await.map(|(loaded, look, _)| (loaded, look))
}

/// The same, with what is remembered once the reading has been taken in.
pub async fn known(
    global: &Global,
    context: &Context,
    workspace: &WorkspaceConfig,
) -> Result<(Loaded, Look, Memory), Stop> {
    let now = SystemClock.now();
    let loaded = load(global, workspace)?;
    let Connected { directory, records } =
        context.connect(workspace).map_err(|failure| failed(workspace, &failure.message))?;
    let listed = directory.list().await;
    let snapshot = listed.map_err(|error| failed(workspace, &error.message))?;
    // Only now, so that the memory is not held together with the text of a long answer.
    let memory = remembered(workspace, &records)?;
    let Loaded { roster, .. } = &loaded;
    let (look, memory) = reconcile::look(snapshot, &workspace.target, roster, memory, now);
    Ok((loaded, look, memory))
}

/// What the ledger remembers; it is only read, and none is created.
fn remembered(workspace: &WorkspaceConfig, records: &Records) -> Result<Memory, Stop> {
    let failed =
        |error: LedgerError| failed(workspace, &format!("{}: {error}", records.ledger.place()));
    records.ledger.look(&records.scope).map_err(failed)
}

/// Reads the roster; its warnings are told on stderr.
pub fn load(global: &Global, workspace: &WorkspaceConfig) -> Result<Loaded, Stop> {
    let loaded = reconcile::load(&workspace.target, SystemClock.now()).map_err(|outage| {
        Stop::Invalid { sources: outage.sources, diagnostics: outage.diagnostics }
    })?;
    let name = Some(workspace.target.workspace.as_str());
    output::problems(global, name, &loaded.sources, &loaded.warnings);
    Ok(loaded)
}

/// A failure, with the workspace it belongs to.
pub fn failed(workspace: &WorkspaceConfig, message: &str) -> Stop {
    Stop::Failed(format!("{}: {message}", workspace.target.workspace))
}
