//! `rosterd --once`: one run of every selected workspace, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::{CliError, Context, Global, exit, output, plan, shutdown};
use crate::clock::SystemClock;
use crate::config::WorkspaceConfig;
use crate::daemon::Connected;
use crate::diagnostic::Sources;
use crate::guard::Override;
use crate::reconcile::{Evaluation, Loaded, Run, RunOptions, RunResult, RunSession};
use crate::render::approve::ApproveBy;
use crate::render::table::Screen;
use crate::render::{self, View};
use crate::report::{End, Failure, RunReport, RunStatus, Trigger};
use crate::telemetry::{self, LogFormat, Standing};

const INTERRUPTED: &str = "interrupted before the plan; nothing was sent";

/// Reconciles once and exits. A workspace that fails does not stop the others.
pub async fn run(global: &Global, screen: Screen) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    let cancel = shutdown::on_signal(shutdown::AT_A_BOUNDARY)?;
    let mut codes = Vec::new();
    for (position, workspace) in config.workspaces.iter().enumerate() {
        if position > 0 && !global.quiet {
            let _ = output::result("\n");
        }
        if cancel.is_cancelled() {
            codes.push(exit::FAILED);
            break;
        }
        let show = |evaluation: &Evaluation, loaded: &Loaded| {
            show_plan(&evaluation.view(&workspace.target.workspace, loaded), global, screen);
            Ok(())
        };
        let run = one(&context, workspace, &cancel, (global, screen), &Override::None, &show);
        codes.push(output::exit_code(global, run.await));
    }
    Ok(exit::worst(codes))
}

/// What happens to a plan before anything of it is sent. An error ends the run.
pub type OnPlan<'a> = dyn Fn(&Evaluation, &Loaded) -> Result<(), Failure> + Sync + 'a;

/// One run of one workspace.
pub async fn one(
    context: &Context,
    workspace: &WorkspaceConfig,
    cancel: &CancellationToken,
    (global, screen): (&Global, Screen),
    overrides: &Override,
    on_plan: &OnPlan<'_>,
) -> Result<u8, CliError> {
    let failed = |failure: Failure| plan::failed(workspace, &failure.message);
    let load = async || {
        tokio::select! {
            biased;
            loaded = plan::load(global, context, workspace) => loaded.map(Arc::new),
            () = cancel.cancelled() => Err(plan::failed(workspace, INTERRUPTED)),
        }
    };
    let mut loaded = load().await?;
    let Connected { directory, ledger } = context.connect(workspace).map_err(failed)?;
    let session = RunSession::acquire(&ledger, &SystemClock, cancel).await.map_err(failed)?;
    if session.waited {
        loaded = load().await?;
    }
    let (progress, planned) = (Progress::default(), AtomicBool::new(false));
    let run = Run {
        directory: &directory,
        spec: &workspace.target,
        loaded: &loaded,
        session,
        options: RunOptions { overrides: overrides.clone(), ..RunOptions::new(Trigger::Start) },
        clock: &SystemClock,
        cancel,
        on_plan: &|evaluation| {
            on_plan(evaluation, &loaded)?;
            planned.store(true, Ordering::Relaxed);
            Ok(())
        },
        on_progress: &|done, of| progress.update(done, of),
    };
    let RunResult { report, .. } = tokio::select! {
        biased;
        result = run.execute() => result,
        () = shutdown::before(cancel, &planned) => {
            return Err(plan::failed(workspace, INTERRUPTED));
        }
    };
    drop(progress);
    match global.log_format {
        LogFormat::Json => {
            telemetry::log_run(&report, &loaded.sources, None, &mut Standing::default());
        }
        LogFormat::Text => show_failure(&report, global),
    }
    show_run(&report, &loaded.sources, loaded.approve_by(), global, screen);
    Ok(report.status().exit_code())
}

/// Shows the plan before anything of it is sent.
pub fn show_plan(view: &View<'_>, global: &Global, screen: Screen) {
    if global.quiet {
        return;
    }
    let text = render::text::plan(view, screen);
    // A closed stdout must not stop the run.
    let _ = output::result(&format!("{text}\n"));
}

/// Shows the outcome of every change. A run without a plan has nothing to show; with `--quiet`,
/// neither has one that converged.
pub fn show_run(
    report: &RunReport,
    sources: &Sources,
    approve_by: ApproveBy,
    global: &Global,
    screen: Screen,
) {
    let fine = report.status() == RunStatus::Converged && !report.is_stale();
    if report.applied().is_some() && !(global.quiet && fine) {
        let _ = output::result(&render::text::run(report, sources, approve_by, screen));
    }
}

/// Shows on stderr why there is no plan.
pub fn show_failure(report: &RunReport, global: &Global) {
    if let End::Failed(failure) = &report.end {
        let message = format!("{}: {}", report.workspace, failure.message);
        output::error(global, &CliError::Failed(message));
    }
}
