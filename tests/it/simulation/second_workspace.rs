//! A second workspace, in some of the simulations. Its roster never changes, its network has no
//! faults and its budgets are never exceeded: whatever happens to the first workspace, rosterd
//! keeps this one converged.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rosterd::client::http::{HttpRequest, HttpResponse, HttpTransport, TransportError};
use rosterd::config::WorkspaceConfig;
use rosterd::guard::{Budget, BudgetName, Limits};
use rosterd::memory::entry::Entry;
use rosterd::reconcile::WorkspaceSpec;
use rosterd::roster::policy::Policy;
use rosterd::sandbox::executed::{Executed, Kind};
use rosterd::sandbox::world::{AccountType, Workspace};
use rosterd::source::RosterSource;

use super::invariants::role_name;
use super::process::Process;
use super::scenario::ENDPOINTS;
use super::sim_state::SimState;
use crate::support::in_process::ask;

pub const SECOND_WORKSPACE: &str = "beta";

const FILE: &str = "beta.yaml";
const PEOPLE: [(&str, AccountType); 3] = [
    ("boss@beta.acme.io", AccountType::Admin),
    ("dev@beta.acme.io", AccountType::Developer),
    ("eve@beta.acme.io", AccountType::Analyst),
];

/// Maximum time until a change by an operator is reverted.
const REPAIR_TIMEOUT: SignedDuration = SignedDuration::from_hours(30);

/// What the simulation records about it.
pub struct SecondWorkspace {
    pub uid: String,
    /// The true time before which it must have converged.
    deadline: Option<Timestamp>,
    intents: usize,
    effects: usize,
}

/// Its network: latency, but no faults.
pub struct ReliableNet(pub Arc<Process>);

impl HttpTransport for ReliableNet {
    fn post(
        &self,
        mut request: HttpRequest,
    ) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        let Process { shared, api, epoch, .. } = &*self.0;
        Box::pin(async move {
            shared.crash_point(*epoch, "before a request of the second workspace").await;
            let (outbound, inbound) = {
                let mut state = shared.state();
                (state.latency(), state.latency())
            };
            tokio::time::sleep(outbound).await;
            let response = {
                let server = api.server.lock().await;
                let response = ask(&server, &mut request).await;
                shared.state().check_second_workspace_effects();
                response
            };
            tokio::time::sleep(inbound).await;
            shared.crash_point(*epoch, "after a request of the second workspace").await;
            Ok(response)
        })
    }
}

/// Its configuration, derived from that of the first.
pub fn workspace(first: &WorkspaceConfig, second: &SecondWorkspace) -> WorkspaceConfig {
    let window = SignedDuration::from_hours(24);
    let budget = Budget { percent: 100, floor: 50, max: 50, window };
    let limits = Limits {
        min_admins: 1,
        budgets: BudgetName::ALL.into_iter().map(|name| (name, budget)).collect(),
        ..Limits::default()
    };
    let target = WorkspaceSpec {
        workspace: SECOND_WORKSPACE.into(),
        source: RosterSource::new(vec![FILE.into()], first.target.source.base.clone()),
        on_removed: rosterd::plan::OnRemoved::Disable,
        approvals_in_file: true,
        limits,
        policy: Policy::default(),
        ..first.target.clone()
    };
    let connection = rosterd::client::Settings {
        endpoint: ENDPOINTS[0].parse().unwrap(),
        workspace_uid: Some(second.uid.clone()),
        ..first.connection.clone()
    };
    WorkspaceConfig { target, connection, ..first.clone() }
}

impl SimState {
    /// Creates its accounts and its roster.
    pub fn add_second_workspace(&mut self) {
        let mut text = "version: 1\nusers:\n".to_owned();
        let uid = {
            let mut world = self.world.lock();
            for (email, role) in PEOPLE {
                let role_name = role_name(role);
                let _ = writeln!(text, "  - {{ email: {email}, role: {role_name} }}");
                world.add(SECOND_WORKSPACE, email, None, role).unwrap();
            }
            world.workspaces[1].uid.clone()
        };
        std::fs::write(self.folder.join(FILE), text).unwrap();
        self.second_workspace =
            Some(SecondWorkspace { uid, deadline: None, intents: 0, effects: 0 });
    }

    /// An operator changes it directly.
    pub fn edit_second_workspace(&mut self, which: usize) {
        let now = self.clocks.true_now();
        let Some(second) = &mut self.second_workspace else { return };
        let mut world = self.world.lock();
        let role = [AccountType::Business, AccountType::WorkspaceAdmin][which % 2];
        if which.is_multiple_of(3) {
            let guest = format!("guest{which}@beta.acme.io");
            let _ = world.add(SECOND_WORKSPACE, &guest, None, role);
        } else {
            let email = PEOPLE[1 + which % 2].0;
            let accounts = &mut world.workspaces[1].accounts;
            let account = accounts.iter_mut().find(|account| account.email == email);
            account.unwrap().account_type = role;
        }
        second.deadline.get_or_insert(now + REPAIR_TIMEOUT);
        drop(world);
        self.log_event("operator in the second workspace", "");
    }

    /// Resets its deadline, if it has one, after a start of the daemon or a change of its clock.
    pub fn reset_second_workspace_deadline(&mut self) {
        let deadline = self.clocks.true_now() + REPAIR_TIMEOUT;
        if let Some(second) = &mut self.second_workspace {
            second.deadline = second.deadline.map(|_| deadline);
        }
    }

    /// One of its rows has been written into the ledger.
    pub fn second_workspace_written(&mut self, entry: &Entry) {
        if let (Some(second), Entry::Intent(_)) = (&mut self.second_workspace, entry) {
            second.intents += 1;
        }
    }

    /// Checks every effect of a request of the second workspace.
    fn check_second_workspace_effects(&mut self) {
        let Some(second) = &mut self.second_workspace else { return };
        let world = Arc::clone(&self.world);
        let world = world.lock();
        let new: Vec<Executed> =
            world.executed.iter().skip(self.tracker.checked_effects).cloned().collect();
        self.tracker.checked_effects += new.len();
        second.effects += new.len();
        let (effects, intents) = (second.effects, second.intents);
        for executed in new {
            self.log_event("EFFECT in the second workspace", &format!("{executed:?}"));
            if let Err(why) = is_expected(&executed, &world.workspaces[1]) {
                self.fail(format!("second workspace, {executed:?}: {why}"));
            }
        }
        if effects > intents {
            self.fail(format!("second workspace, {effects} effects and {intents} intents"));
        }
    }

    /// It converges before its deadline.
    pub fn check_second_workspace(&mut self) {
        let now = self.clocks.true_now();
        let is_converged = is_converged(&self.world.lock().workspaces);
        let Some(second) = &mut self.second_workspace else { return };
        if is_converged {
            second.deadline = None;
        }
        if let Some(deadline) = second.deadline.filter(|deadline| *deadline < now) {
            self.fail(format!("the second workspace has not converged before {deadline}"));
        }
    }
}

fn is_expected(executed: &Executed, workspace: &Workspace) -> Result<(), &'static str> {
    let mut accounts = workspace.accounts.iter();
    let account = accounts.find(|account| account.uid == executed.target);
    let account = account.ok_or("not an account of this workspace")?;
    let member = PEOPLE.iter().find(|(email, _)| *email == account.email);
    match (executed.kind, member) {
        (Kind::DisableUser, None) => Ok(()),
        (Kind::UpdateUserAccountType, Some((_, role))) if executed.account_type == Some(*role) => {
            Ok(())
        }
        _ => Err("not what its roster says"),
    }
}

/// Whether the accounts of the second workspace are as its roster says.
fn is_converged(workspaces: &[Workspace]) -> bool {
    workspaces.get(1).is_none_or(|workspace| {
        let accounts = workspace.active();
        let mut active: Vec<_> =
            accounts.map(|account| (account.email.as_str(), account.account_type)).collect();
        active.sort_by_key(|(email, _)| *email);
        active == PEOPLE
    })
}
