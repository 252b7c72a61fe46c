//! A second workspace, in some of the stories. Its roster never changes, nobody breaks its network
//! and no budget binds it: whatever becomes of the first one, this one is looked after.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rosterd::client::http::{HttpRequest, HttpResponse, HttpTransport, TransportError};
use rosterd::config::WorkspaceConfig;
use rosterd::guard::{Budget, BudgetName, Limits};
use rosterd::memory::entry::Entry;
use rosterd::reconcile::WorkspaceSpec;
use rosterd::sandbox::executed::{Executed, Kind};
use rosterd::sandbox::world::{AccountType, Workspace};

use super::invariants::role_name;
use super::process::Process;
use super::sim_state::Site;
use crate::support::in_process::ask;

pub const NEIGHBOUR: &str = "beta";

const FILE: &str = "beta.yaml";
const PEOPLE: [(&str, AccountType); 3] = [
    ("boss@beta.acme.io", AccountType::Admin),
    ("dev@beta.acme.io", AccountType::Developer),
    ("eve@beta.acme.io", AccountType::Analyst),
];

/// What a hand does there is undone within this.
const PATIENCE: SignedDuration = SignedDuration::from_hours(30);

/// What a story knows of it.
pub struct Neighbour {
    pub uid: String,
    due: Option<Timestamp>,
    intents: usize,
    effects: usize,
}

/// Its network: slow at times, and never wrong.
pub struct QuietNet(pub Arc<Process>);

impl HttpTransport for QuietNet {
    fn post(&self, mut post: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        let Process { shared, api, epoch, .. } = &*self.0;
        Box::pin(async move {
            shared.moment(*epoch, "before a request next door").await;
            let (there, back) = {
                let mut site = shared.site();
                (site.latency(), site.latency())
            };
            tokio::time::sleep(there).await;
            let answer = {
                let server = api.server.lock().await;
                let answer = ask(&server, &mut post).await;
                shared.site().executed_next_door();
                answer
            };
            tokio::time::sleep(back).await;
            shared.moment(*epoch, "after a request next door").await;
            Ok(answer)
        })
    }
}

/// Its part of the configuration, beside that of the first.
pub fn workspace(first: &WorkspaceConfig, neighbour: &Neighbour) -> WorkspaceConfig {
    let budget = Budget { percent: 100, floor: 50, window: SignedDuration::from_hours(24) };
    let limits = Limits {
        min_admins: 1,
        budgets: BudgetName::ALL.into_iter().map(|name| (name, budget)).collect(),
        ..Limits::default()
    };
    let target = WorkspaceSpec {
        workspace: NEIGHBOUR.into(),
        users: vec![FILE.into()],
        on_removed: rosterd::plan::OnRemoved::Disable,
        limits,
        ..first.target.clone()
    };
    let connection = rosterd::client::Settings {
        workspace_uid: Some(neighbour.uid.clone()),
        ..first.connection.clone()
    };
    WorkspaceConfig { target, connection, ..first.clone() }
}

impl Site {
    /// The people of its roster are there.
    pub fn neighbour_moves_in(&mut self) {
        let mut text = "version: 1\nusers:\n".to_owned();
        let uid = {
            let mut world = self.world.lock();
            for (email, role) in PEOPLE {
                let role_name = role_name(role);
                let _ = writeln!(text, "  - {{ email: {email}, role: {role_name} }}");
                world.add(NEIGHBOUR, email, None, role).unwrap();
            }
            world.workspaces[1].uid.clone()
        };
        std::fs::write(self.folder.join(FILE), text).unwrap();
        self.neighbour = Some(Neighbour { uid, due: None, intents: 0, effects: 0 });
    }

    /// Somebody acts there.
    pub fn meddle_next_door(&mut self, which: usize) {
        let now = self.clocks.truly();
        let Some(neighbour) = &mut self.neighbour else { return };
        let mut world = self.world.lock();
        let role = [AccountType::Business, AccountType::WorkspaceAdmin][which % 2];
        if which.is_multiple_of(3) {
            let guest = format!("guest{which}@beta.acme.io");
            let _ = world.add(NEIGHBOUR, &guest, None, role);
        } else {
            let email = PEOPLE[1 + which % 2].0;
            let place = &mut world.workspaces[1];
            let account = place.accounts.iter_mut().find(|it| it.email == email);
            account.unwrap().account_type = role;
        }
        neighbour.due.get_or_insert(now + PATIENCE);
        drop(world);
        self.tell("hand next door", "");
    }

    /// The daemon was started or has got another clock: it may take its time again.
    pub fn neighbour_waits_anew(&mut self) {
        let due = self.clocks.truly() + PATIENCE;
        if let Some(neighbour) = &mut self.neighbour {
            neighbour.due = neighbour.due.map(|_| due);
        }
    }

    /// A row of its part of the ledger.
    pub fn written_next_door(&mut self, entry: &Entry) {
        if let (Some(neighbour), Entry::Intent(_)) = (&mut self.neighbour, entry) {
            neighbour.intents += 1;
        }
    }

    /// Looks at every effect that a request has had there.
    fn executed_next_door(&mut self) {
        let Some(neighbour) = &mut self.neighbour else { return };
        let world = Arc::clone(&self.world);
        let world = world.lock();
        let new: Vec<Executed> =
            world.executed.iter().skip(self.record.looked_at).cloned().collect();
        self.record.looked_at += new.len();
        neighbour.effects += new.len();
        let (effects, intents) = (neighbour.effects, neighbour.intents);
        for executed in new {
            self.tell("EFFECT next door", &format!("{executed:?}"));
            if let Err(why) = is_wanted(&executed, &world.workspaces[1]) {
                self.fail(format!("next door, {executed:?}: {why}"));
            }
        }
        if effects > intents {
            self.fail(format!("next door, {effects} effects and {intents} intents"));
        }
    }

    /// What hands did there is undone in time.
    pub fn looks_after_neighbour(&mut self) {
        let now = self.clocks.truly();
        let is_right = is_right(&self.world.lock().workspaces);
        let Some(neighbour) = &mut self.neighbour else { return };
        if is_right {
            neighbour.due = None;
        }
        if let Some(due) = neighbour.due.filter(|due| *due < now) {
            self.fail(format!("nobody has looked after the neighbour until {due}"));
        }
    }
}

fn is_wanted(executed: &Executed, place: &Workspace) -> Result<(), &'static str> {
    let mut accounts = place.accounts.iter();
    let account = accounts.find(|it| it.uid == executed.target).ok_or("nobody of this place")?;
    let member = PEOPLE.iter().find(|(email, _)| *email == account.email);
    match (executed.kind, member) {
        (Kind::DisableUser, None) => Ok(()),
        (Kind::UpdateUserAccountType, Some((_, role))) if executed.account_type == Some(*role) => {
            Ok(())
        }
        _ => Err("nobody wants this"),
    }
}

/// Whether its accounts are as its roster says.
fn is_right(places: &[Workspace]) -> bool {
    places.get(1).is_none_or(|place| {
        let mut active: Vec<_> =
            place.active().map(|it| (it.email.as_str(), it.account_type)).collect();
        active.sort_by_key(|(email, _)| *email);
        active == PEOPLE
    })
}
