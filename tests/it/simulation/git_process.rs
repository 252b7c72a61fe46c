//! A process of rosterd that reads the roster from a git server.

use jiff::Timestamp;
use rosterd::blocking::run_blocking;
use rosterd::client::ReadDirectory as _;
use rosterd::daemon::{self, Connected, Environment as _};
use rosterd::reconcile::{InputError, Loaded, RunSession, WorkspaceSpec};
use tokio_util::sync::CancellationToken;

use super::process::SimEnvironment;
use super::sim_state::{MachineClock, WORKSPACE};

impl SimEnvironment {
    /// Loads the roster from the clone, as the product does.
    pub fn load_commit(
        &self,
        target: &WorkspaceSpec,
        now: Timestamp,
    ) -> Result<Loaded, InputError> {
        let loaded = daemon::load(target, now);
        let mut state = self.process.shared.state();
        let mut last_good = self.process.last_good.lock().unwrap();
        let run = self.process.run();
        *last_good = state.check_load(run, &loaded, *last_good);
        state.runs[run].version = *last_good;
        loaded
    }

    /// Fetches and loads the roster, as the command line does.
    pub async fn fetch_and_load(&self, target: &WorkspaceSpec) -> Option<Loaded> {
        if !self.fetch(target).await {
            return None;
        }
        let loaded = self.load(target, self.now());
        self.roster_read(WORKSPACE, &loaded);
        loaded.ok().filter(|loaded| loaded.outage.is_none())
    }

    async fn fetch(&self, target: &WorkspaceSpec) -> bool {
        let Some(remote) = target.source.git.clone() else { return false };
        run_blocking(move || remote.fetch()).await.is_ok()
    }

    /// `rosterd accept history`.
    pub async fn accept_commit(&self) {
        let shared = &self.process.shared;
        let clock = MachineClock(shared.state().clocks.clone());
        let config = self.config();
        let workspace = &config.workspaces[0];
        if !self.fetch(&workspace.target).await {
            return;
        }
        let Ok(Connected { directory, ledger }) = self.connect(workspace) else { return };
        let cancel = CancellationToken::new();
        let session = RunSession::acquire(&ledger, &clock, &cancel).await;
        let Ok(session) = session else { return };
        let Ok(snapshot) = directory.list().await else { return };
        let source = &workspace.target.source;
        let hold = source.rewritten();
        shared.state().check_rewritten(hold.is_some());
        let Some(hold) = hold else { return };
        let written = session.accept(&hold, "agreed", &snapshot, self.now()).await;
        if written.is_ok() && source.accept_rewritten(&hold).is_ok() {
            shared.state().commit_accepted();
        }
    }
}
