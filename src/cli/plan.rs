//! `rosterd --plan`: prints the plan and changes nothing.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::args::{PlanArgs, PlanFormat};
use super::{CliError, Context, Global, exit, output};
use crate::blocking::run_blocking;
use crate::client::ReadDirectory as _;
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::daemon::{self, Connected};
use crate::escape::escape;
use crate::files::Mode;
use crate::guard::operator;
use crate::memory::Memory;
use crate::reconcile::{self, Evaluation, InputError, LedgerConfig, Loaded, WorkspaceSpec};
use crate::render::table::Screen;
use crate::render::{self, View};
use crate::source::in_place;

/// Plans every selected workspace. If one fails, the others are still shown.
pub async fn run(global: &Global, args: &PlanArgs) -> Result<u8, CliError> {
    let (context, mut config) = Context::start(global).await?;
    // They outlive the plans.
    let mut clones = Vec::new();
    if let Some(reference) = &args.reference {
        for workspace in &mut config.workspaces {
            clones.push(preview(workspace, reference)?);
        }
    }
    let mut planned = Vec::new();
    let mut codes = Vec::new();
    for workspace in &config.workspaces {
        let evaluated = evaluate(global, &context, workspace).await;
        let code = evaluated.map(|(loaded, evaluation, _)| {
            let code = code(&evaluation, args.detailed_exitcode);
            planned.push((workspace, loaded, evaluation));
            code
        });
        codes.push(output::exit_code(global, code));
    }
    let views: Vec<View<'_>> = planned
        .iter()
        .map(|(workspace, loaded, it)| it.view(&workspace.target.workspace, loaded))
        .collect();
    let is_stream = |path: &Path| path == Path::new("-") || path.starts_with("/dev");
    let file = args.out.as_deref().filter(|path| !is_stream(path));
    let screen = output::screen(global, args.all);
    if let Some(path) = file.filter(|_| !views.is_empty()) {
        let format = args.format.unwrap_or_else(|| of_ending(path));
        let text = rendered(&views, format, Screen { width: None, all: true });
        output::to_file(path, &text, Mode::Private)?;
    }
    // What is saved is shown all the same, as people read it.
    let format = args.format.filter(|_| file.is_none()).unwrap_or_default();
    output::result(&rendered(&views, format, screen))?;
    if let Some(path) = file.filter(|_| !views.is_empty()) {
        let path = path.to_string_lossy();
        output::note(&format!("saved the plan in {}", escape(&path)));
    }
    Ok(exit::worst(codes))
}

/// The format of a file by its name.
fn of_ending(path: &Path) -> PlanFormat {
    match path.extension().and_then(|it| it.to_str()) {
        Some("json") => PlanFormat::Json,
        Some("md") => PlanFormat::Markdown,
        Some("diff" | "patch") => PlanFormat::Diff,
        _ => PlanFormat::Text,
    }
}

fn rendered(views: &[View<'_>], format: PlanFormat, screen: Screen) -> String {
    let each = |one: &dyn Fn(&View<'_>) -> String, between: &str| {
        views.iter().map(one).collect::<Vec<_>>().join(between)
    };
    match format {
        PlanFormat::Text => each(&|view| render::text::plan(view, screen), "\n"),
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

/// Evaluates the workspace without changing it, with the memory as it would be after the listing.
pub async fn evaluate(
    global: &Global,
    context: &Context,
    workspace: &WorkspaceConfig,
) -> Result<(Loaded, Evaluation, Memory), CliError> {
    let loaded = load(global, context, workspace).await?;
    let now = SystemClock.now();
    let Connected { directory, ledger } =
        context.connect(workspace).map_err(|failure| failed(workspace, &failure.message))?;
    let listed = directory.list().await;
    let snapshot = listed.map_err(|error| failed(workspace, &error.message))?;
    reconcile::check_size(&snapshot, &loaded.roster, workspace.target.max_changes)
        .map_err(|failure| failed(workspace, &failure.message))?;
    // No ledger is created. It is opened late, so that the memory and the text of a long response
    // never exist together.
    let LedgerConfig { ledger, scope, .. } = ledger;
    let read = ledger.read_workspace(&scope).and_then(|memory| {
        let others = ledger.others(&scope, &memory)?;
        Ok((memory, others))
    });
    let (memory, others) =
        read.map_err(|error| failed(workspace, &format!("{}: {error}", ledger.place())))?;
    if let Some(hold) = operator::admission(&memory, &scope, &others, &snapshot) {
        let message = reconcile::held(&hold, &scope.name).message;
        return Err(CliError::Held(format!("{}: {message}", scope.name)));
    }
    let (evaluation, memory) =
        reconcile::dry_run(snapshot, &workspace.target, &loaded, memory, now)
            .map_err(|failure| failed(workspace, &failure.message))?;
    Ok((loaded, evaluation, memory))
}

/// Reads the roster, once its files are complete; its warnings go to stderr.
pub async fn load(
    global: &Global,
    context: &Context,
    workspace: &WorkspaceConfig,
) -> Result<Loaded, CliError> {
    fetch(workspace).await?;
    let mut loaded = complete(&workspace.target, context.in_place).await?;
    if let Some(outage) = loaded.outage.take() {
        return Err(outage.into());
    }
    let name = Some(workspace.target.workspace.as_str());
    output::problems(global, name, &loaded.sources, &loaded.warnings);
    Ok(loaded)
}

/// Fetches the roster, if it is on a git server.
pub async fn fetch(workspace: &WorkspaceConfig) -> Result<(), CliError> {
    let Some(remote) = workspace.target.source.git.clone() else { return Ok(()) };
    let fetched = run_blocking(move || remote.fetch()).await;
    fetched.map_err(|problem| failed(workspace, &problem.with_hint()))
}

/// Reads another ref from now on, in a clone in the state directory that is removed in the end.
fn preview(workspace: &mut WorkspaceConfig, reference: &str) -> Result<TempDir, CliError> {
    let name = workspace.target.workspace.clone();
    let Some(remote) = &mut workspace.target.source.git else {
        return Err(CliError::Usage(format!("--ref: the roster of {name} is on no git server")));
    };
    let clones = remote.clone.parent().unwrap_or(Path::new("."));
    let folder = std::fs::create_dir_all(clones).and_then(|()| TempDir::new_in(clones));
    let folder = folder.map_err(|error| {
        CliError::Failed(format!("a clone in {} is not possible: {error}", clones.display()))
    })?;
    *remote = remote.preview(reference, folder.path());
    Ok(folder)
}

/// Waits until files that may be written just now are as old as `in_place`, or have not changed
/// for that long. Contents of a commit are complete at once.
async fn complete(spec: &WorkspaceSpec, in_place: Duration) -> Result<Loaded, InputError> {
    let mut waited = Duration::ZERO;
    let mut before = None;
    loop {
        let now = SystemClock.now();
        let loaded = reconcile::load(spec, now);
        let sources = loaded.as_ref().map_or_else(|error| &error.sources, |it| &it.sources);
        let (left, names) = in_place::wait(&spec.source, sources, in_place, now);
        let found = daemon::digest(sources, &[]);
        if names.is_empty() || before.replace(found) == Some(found) {
            return loaded;
        }
        let names = names.join(", ");
        if waited >= in_place * in_place::MAX_WAITS {
            return Err(in_place::still_changing(&names, in_place));
        }
        let (names, seconds) = (escape(&names), left.as_secs_f32());
        output::note(&format!("{names}: written a moment ago; waiting {seconds:.1} s for its end"));
        tokio::time::sleep(left).await;
        waited += left;
    }
}

/// A failure of one workspace.
pub fn failed(workspace: &WorkspaceConfig, message: &str) -> CliError {
    CliError::Failed(format!("{}: {message}", workspace.target.workspace))
}
