//! `rosterd apply PLAN.json`: what was planned then, if it is still what would be planned now.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::args::{ApplyArgs, Global};
use super::context::Context;
use super::exit::{self, Stop};
use super::progress::Progress;
use super::{once, output, plan, stop};
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::reconcile::{self, Carry, Setting};
use crate::render::json::{self, SavedPlan, SavedPlans};
use crate::report::{End, RunReport, Trigger};

/// A larger file is no plan of ours: a hundred thousand changes are a quarter of it.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Plans anew from the present roster and a fresh reading. Equal sets are applied (the new plan,
/// never the file), unequal ones are refused with the differences.
pub async fn run(global: &Global, args: &ApplyArgs) -> Result<u8, Stop> {
    let saved = read(&args.plan)?;
    let (context, config) = Context::start(global).await?;
    let cancel = stop::on_signal(stop::AT_A_BOUNDARY)?;
    let mut codes = Vec::new();
    for workspace in &config.workspaces {
        let name = &workspace.target.workspace;
        let Some(saved) = saved.workspace(name) else {
            if config.workspaces.len() == 1 || !global.workspace.is_empty() {
                output::stop(
                    global,
                    &Stop::Failed(format!(
                        "{}: it has no plan for the workspace {name}",
                        args.plan.display()
                    )),
                );
                codes.push(exit::FAILED);
            }
            continue;
        };
        codes.push(one(&context, workspace, saved, &cancel, global).await.unwrap_or_else(|stop| {
            output::stop(global, &stop);
            stop.code()
        }));
    }
    if codes.is_empty() {
        return Err(Stop::Failed(format!(
            "{}: none of its workspaces is configured here",
            args.plan.display()
        )));
    }
    Ok(exit::worst(codes))
}

async fn one(
    context: &Context,
    workspace: &WorkspaceConfig,
    saved: &SavedPlan,
    cancel: &CancellationToken,
    global: &Global,
) -> Result<u8, Stop> {
    let started = SystemClock.now();
    let loaded = plan::load(global, workspace)?;
    let directory =
        context.connect(workspace).map_err(|failure| plan::failed(workspace, &failure.message))?;
    let reading = reconcile::look(&directory, &workspace.target, &loaded.roster, started);
    let look = tokio::select! {
        look = reading => look.map_err(|error| plan::failed(workspace, &error.message))?,
        () = cancel.cancelled() => {
            return Err(plan::failed(workspace, "ended before the plan; nothing was sent"));
        }
    };
    let differences = saved.differences(&look.plan);
    if !differences.is_empty() {
        return Err(stale(workspace, &differences));
    }
    once::show_plan(&workspace.target.workspace, &loaded, &look, global);
    let progress = Progress::default();
    let setting = Setting {
        clock: &SystemClock,
        cancel,
        seen: &|_| {},
        progress: &|done, of| progress.update(done, of),
    };
    let mut carry = Carry::default();
    let applied =
        reconcile::enact(&directory, &workspace.target, &loaded.roster, look, &mut carry, &setting)
            .await;
    drop(progress);
    let report = RunReport {
        workspace: workspace.target.workspace.clone(),
        trigger: Trigger::Start,
        started,
        finished: SystemClock.now(),
        stale: false,
        end: End::Applied(Box::new(applied)),
    };
    once::tell(&report, &loaded.sources, global);
    Ok(exit::of(report.status()))
}

fn stale(workspace: &WorkspaceConfig, differences: &[json::Difference]) -> Stop {
    const SHOWN: usize = 20;
    let mut text = String::from("the plan is stale, and nothing was changed:");
    for difference in differences.iter().take(SHOWN) {
        let _ = write!(text, "\n  {difference}");
    }
    if let Some(more) = differences.len().checked_sub(SHOWN + 1) {
        let _ = write!(text, "\n  and {} more differences", more + 1);
    }
    text.push_str("\nhint: look at a new plan and save that: rosterd --plan --format json --out …");
    plan::failed(workspace, &text)
}

fn read(path: &Path) -> Result<SavedPlans, Stop> {
    let failed = |why: String| Stop::Failed(format!("{}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    // A device or a pipe tells no size.
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(format!("it is too large for a plan, limit {MAX_BYTES} bytes")));
    }
    json::read(&text).map_err(|error| failed(error.to_string()))
}
