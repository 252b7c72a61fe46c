//! `rosterd apply PLAN.json`: applies a saved plan if it is still the plan of the workspace.

use std::io::Read as _;
use std::path::Path;

use super::args::ApplyArgs;
use super::{CliError, Context, Global, exit, once, output, shutdown};
use crate::failure::FailureKind;
use crate::guard::Override;
use crate::reconcile::Evaluation;
use crate::render::json::SavedPlans;
use crate::render::saved;
use crate::report::Failure;

/// Maximum size of a plan. A plan with 100,000 changes is a quarter of it.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Plans again from the present roster and a new listing. If both plans have the same changes, the
/// new plan is applied, never the file; otherwise the differences are reported.
pub async fn run(global: &Global, args: &ApplyArgs) -> Result<u8, CliError> {
    if args.reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        return Err(CliError::Usage("--reason is empty".into()));
    }
    let (plans, path) = (read(&args.plan)?, args.plan.display());
    let (context, config) = Context::start(global).await?;
    let cancel = shutdown::on_signal(shutdown::AT_A_BOUNDARY)?;
    // The two options require each other.
    let overrides = match &args.reason {
        Some(reason) => Override::All { reason: reason.trim().to_owned() },
        None => Override::None,
    };
    let mut codes = Vec::new();
    for workspace in &config.workspaces {
        let name = &workspace.target.workspace;
        let Some(plan) = plans.workspace(name) else {
            if config.workspaces.len() == 1 || !global.workspace.is_empty() {
                let message = format!("{path}: no plan for the workspace {name}");
                codes.push(output::exit_code(global, Err(CliError::Failed(message))));
            }
            continue;
        };
        let is_current = |evaluation: &Evaluation| {
            let differences = plan.differences(&evaluation.plan);
            if differences.is_empty() {
                return Ok(());
            }
            Err(Failure::new(FailureKind::Stale, saved::stale(&differences)))
        };
        let run = once::one(&context, workspace, &cancel, global, &overrides, &is_current);
        codes.push(output::exit_code(global, run.await));
    }
    if codes.is_empty() {
        let message = format!("{path}: none of its workspaces is configured here");
        return Err(CliError::Failed(message));
    }
    Ok(exit::worst(codes))
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
