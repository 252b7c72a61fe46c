//! `rosterd --once`: one run of every selected workspace, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::args::Global;
use super::context::Context;
use super::exit::{self, CliError};
use super::progress::Progress;
use super::{output, plan, shutdown};
use crate::clock::SystemClock;
use crate::config::WorkspaceConfig;
use crate::daemon::Connected;
use crate::diagnostic::Sources;
use crate::guard::Override;
use crate::reconcile::{self, Evaluation, Loaded, Pass, Setting, WorkspaceState};
use crate::render;
use crate::report::{End, Failure, RunReport, Status, Trigger};
use crate::telemetry::{self, LogFormat};

/// Reconciles once and leaves. A workspace that fails does not stop the others.
pub async fn run(global: &Global) -> Result<u8, CliError> {
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
        let run = one(&context, workspace, &cancel, global, Override::None, &|_| Ok(()));
        codes.push(run.await.unwrap_or_else(|stop| {
            output::stop(global, &stop);
            stop.code()
        }));
    }
    Ok(exit::worst(codes))
}

/// Whether a plan may be applied, once it is known.
pub type Gate<'a> = dyn Fn(&Evaluation) -> Result<(), Failure> + Sync + 'a;

/// One run of one workspace. `gate` sees the plan before anything is shown or sent.
pub async fn one(
    context: &Context,
    workspace: &WorkspaceConfig,
    cancel: &CancellationToken,
    global: &Global,
    overrides: Override,
    gate: &Gate<'_>,
) -> Result<u8, CliError> {
    let failed = |failure: Failure| plan::failed(workspace, &failure.message);
    let mut loaded = Arc::new(plan::load(global, workspace)?);
    let Connected { directory, records } = context.connect(workspace).map_err(failed)?;
    let session = reconcile::acquire(&records, &SystemClock, cancel).await.map_err(failed)?;
    if session.waited {
        loaded = Arc::new(plan::load(global, workspace)?);
    }
    let (progress, planned) = (Progress::default(), AtomicBool::new(false));
    let setting = Setting {
        clock: &SystemClock,
        cancel,
        overrides,
        on_plan: &|evaluation| {
            gate(evaluation)?;
            planned.store(true, Ordering::Relaxed);
            show_plan(&workspace.target.workspace, &loaded, evaluation, global);
            Ok(())
        },
        progress: &|done, of| progress.update(done, of),
    };
    let mut carry = WorkspaceState::default();
    let pass = Pass { trigger: Trigger::Start, stale: false };
    let target = &workspace.target;
    let run =
        reconcile::reconcile(&directory, target, &loaded, pass, &mut carry, session, &setting);
    let report = tokio::select! {
        biased;
        report = run => report,
        () = shutdown::before(cancel, &planned) => {
            return Err(plan::failed(workspace, "ended before the plan; nothing was sent"));
        }
    };
    drop(progress);
    report_run(&report, &loaded.sources, global);
    Ok(exit::of(report.status()))
}

/// Shows the plan before anything of it is sent.
pub fn show_plan(workspace: &str, loaded: &Loaded, evaluation: &Evaluation, global: &Global) {
    if global.quiet {
        return;
    }
    let text = render::text::plan(&plan::view(workspace, loaded, evaluation), global.verbose > 0);
    // A reader that is gone must not keep the run from going on.
    let _ = output::result(&format!("{text}\n"));
}

/// Tells what became of the plan: to people, and to the log where machines read it.
pub fn report_run(report: &RunReport, sources: &Sources, global: &Global) {
    match global.log_format {
        LogFormat::Json => telemetry::log_run(report, sources, None),
        LogFormat::Text => show_failure(report, global),
    }
    show_run(report, sources, global);
}

/// Shows what became of the plan; a run without a plan has nothing to show. With `--quiet` people
/// hear only of what did not end well.
pub fn show_run(report: &RunReport, sources: &Sources, global: &Global) {
    let fine = report.status() == Status::Converged && !report.stale;
    if report.applied().is_some() && !(global.quiet && fine) {
        let _ = output::result(&render::text::run(report, sources, global.verbose > 0));
    }
}

/// Says on stderr why there is no plan.
pub fn show_failure(report: &RunReport, global: &Global) {
    if let End::Failed(failure) = &report.end {
        let message = format!("{}: {}", report.workspace, failure.message);
        output::stop(global, &CliError::Failed(message));
    }
}
