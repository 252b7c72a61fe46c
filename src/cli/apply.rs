//! `rosterd apply`: applies what was seen: the plan that it shows and asks about, or a
//! saved one if it is still the plan of the workspace.

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::args::ApplyArgs;
use super::{CliError, Context, Global, exit, once, output, shutdown};
use crate::failure::FailureKind;
use crate::guard::Override;
use crate::reconcile::{Evaluation, Loaded};
use crate::render::json::SavedPlans;
use crate::render::saved;
use crate::report::Failure;

/// Maximum size of a plan. A plan with 100,000 changes is a quarter of it.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How long an answer counts: later the plan may be outdated.
const ANSWER_LIMIT: Duration = Duration::from_mins(10);

/// Plans from the present roster and a new listing. A saved plan must have the same changes: the
/// new plan is applied, never the file; otherwise the differences are reported. Without a saved
/// plan, the terminal must agree, or `--yes` says so beforehand. The workspace is locked
/// meanwhile, so that no other run changes it.
pub async fn run(global: &Global, args: &ApplyArgs) -> Result<u8, CliError> {
    if args.reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        return Err(CliError::Usage("--reason is empty".into()));
    }
    if args.plan.is_none() && !args.yes && !output::is_interactive() {
        let message = "without a terminal, name a saved plan, or say --yes";
        return Err(CliError::Usage(message.into()));
    }
    let plans = match &args.plan {
        Some(path) => Some((read(path)?, path.display())),
        None => None,
    };
    let (context, config) = Context::start(global).await?;
    let cancel = shutdown::on_signal(shutdown::AT_A_BOUNDARY)?;
    // The two options require each other.
    let overrides = match &args.reason {
        Some(reason) => Override::All { reason: reason.trim().to_owned() },
        None => Override::None,
    };
    let screen = output::screen(global, args.all);
    let (shown, mut codes) = ((global, screen), Vec::new());
    for workspace in &config.workspaces {
        let name = &workspace.target.workspace;
        let show = |evaluation: &Evaluation, loaded: &Loaded| {
            once::show_plan(&evaluation.view(name, loaded), global, screen);
        };
        let run = if let Some((plans, path)) = &plans {
            let Some(plan) = plans.workspace(name) else {
                if config.workspaces.len() == 1 || !global.workspace.is_empty() {
                    let message = format!("{path}: no plan for the workspace {name}");
                    codes.push(output::exit_code(global, Err(CliError::Failed(message))));
                }
                continue;
            };
            let is_current = |evaluation: &Evaluation, loaded: &Loaded| {
                let differences = plan.differences(&evaluation.plan);
                if !differences.is_empty() {
                    return Err(Failure::new(FailureKind::Stale, saved::stale(&differences)));
                }
                show(evaluation, loaded);
                Ok(())
            };
            once::one(&context, workspace, &cancel, shown, &overrides, &is_current).await
        } else {
            let is_agreed = |evaluation: &Evaluation, loaded: &Loaded| {
                show(evaluation, loaded);
                agree(evaluation, args)
            };
            once::one(&context, workspace, &cancel, shown, &overrides, &is_agreed).await
        };
        codes.push(output::exit_code(global, run));
    }
    match &plans {
        Some((_, path)) if codes.is_empty() => {
            let message = format!("{path}: none of its workspaces is configured here");
            Err(CliError::Failed(message))
        }
        _ => Ok(exit::worst(codes)),
    }
}

/// Asks, if there is anything to apply.
fn agree(evaluation: &Evaluation, args: &ApplyArgs) -> Result<(), Failure> {
    let (count, asked) = (evaluation.verdict.approved.len(), Instant::now());
    if count == 0 || args.yes {
        return Ok(());
    }
    let things = if count == 1 { "this change" } else { "these changes" };
    let why = match output::ask(&format!("apply {things}?")) {
        Some(true) if asked.elapsed() < ANSWER_LIMIT => return Ok(()),
        Some(true) => "not applied: the answer came after 10 minutes; plan again",
        _ => "not applied",
    };
    Err(Failure::new(FailureKind::Stale, why))
}

fn read(path: &Path) -> Result<SavedPlans, CliError> {
    let failed = |why: String| CliError::Failed(format!("{}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    // The size of a device or a pipe is unknown.
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(format!("it is too large for a plan, limit {MAX_BYTES} bytes")));
    }
    saved::read(&text).map_err(|error| failed(error.to_string()))
}
