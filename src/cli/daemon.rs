//! `rosterd` without a command: the daemon.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::args::Global;
use super::context::Context;
use super::exit::{self, Stop};
use super::once;
use super::progress::Progress;
use crate::client::Client;
use crate::clock::SystemClock;
use crate::config::{Config, WorkspaceConfig};
use crate::daemon::{self, Hooks};
use crate::diagnostic::Sources;
use crate::reconcile::{InputOutage, Loaded, Look};
use crate::report::{Failure, RunReport};
use crate::telemetry;

/// Runs until SIGTERM or SIGINT.
pub async fn run(global: &Global) -> Result<u8, Stop> {
    let (context, config) = Context::start(global).await?;
    let shown = global.sandbox || std::io::stdout().is_terminal();
    let hooks = World { context, shown, global: global.clone(), bars: Mutex::default() };
    daemon::serve(Arc::new(hooks), config, Arc::new(SystemClock))
        .await
        .map_err(|failure| Stop::Failed(failure.message))?;
    Ok(exit::OK)
}

/// What the daemon reaches the world through.
struct World {
    context: Context,
    /// Plans and their ends are printed, beside the log.
    shown: bool,
    global: Global,
    bars: Mutex<HashMap<String, Progress>>,
}

impl Hooks for World {
    type Directory = Client;

    fn connect(&self, workspace: &WorkspaceConfig) -> Result<Client, Failure> {
        self.context.connect(workspace)
    }

    fn reload(&self) -> Result<Config, InputOutage> {
        self.context.reload().map_err(|invalid| InputOutage {
            sources: invalid.sources,
            diagnostics: invalid.diagnostics,
        })
    }

    fn seen(&self, workspace: &str, loaded: &Loaded, look: &Look) {
        if self.shown {
            once::show_plan(workspace, loaded, look, self.global.verbose > 0);
        }
    }

    fn progress(&self, workspace: &str, done: usize, of: usize) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.entry(workspace.to_owned()).or_default().update(done, of);
    }

    fn finished(&self, report: &RunReport, sources: &Sources) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.remove(&report.workspace);
        drop(bars);
        if self.shown {
            once::tell(report, sources, &self.global);
        } else {
            telemetry::log_run(report, sources);
        }
    }
}
