//! What the API answers, as types: the document that describes it is made from them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::history_cache::Past;
use super::status::{LastRun, LoadErrors, WorkspaceHealth, WorkspaceStatus};
use crate::action::Class;
use crate::memory::runs::Run;
use crate::render::time::exact;
use crate::render::{Summary, access, history, rows};

/// Everything at a glance. Every instant is RFC 3339, UTC.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// The version of rosterd.
    pub version: String,
    /// What is wrong with the configuration as it is now; the last good one is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_problems: Option<Problems>,
    pub workspaces: Vec<Workspace>,
}

/// One workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Workspace {
    pub name: String,
    /// `starting`, `in_sync`, `changing`, `held`, `failing` or `stale`.
    pub state: String,
    /// Since when it is so.
    pub since: String,
    /// A roster could be used since the start.
    pub ready: bool,
    /// When a reading last showed the workspace as the roster says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converged: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Ended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Next>,
    /// How far the run in progress is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What the last reading still asks for, in numbers; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Summary>,
    /// The commit of the roster in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The lines of the roster that would release what is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<String>,
    /// What is wrong with the roster as it is now; the last good one is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roster_problems: Option<Problems>,
}

/// The last run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ended {
    /// `start`, `schedule`, `file`, `signal`, `http`, `boundary` or `retry`.
    pub trigger: String,
    pub started: String,
    pub finished: String,
    /// `converged`, `held` or `failed`.
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The next run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Next {
    pub at: String,
    /// `schedule`, `boundary` or `retry`.
    pub trigger: String,
}

/// Changes that have an outcome, of how many.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Progress {
    pub done: usize,
    pub of: usize,
}

/// Files that cannot be used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problems {
    pub errors: usize,
    /// As `rosterd check` draws them.
    pub text: String,
}

/// Part of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page<T> {
    /// How many there are that match.
    pub total: usize,
    /// How many of them come before these.
    pub offset: usize,
    pub items: Vec<T>,
}

/// The last runs, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Runs {
    pub items: Vec<RunShape>,
    /// Ask for those before this one to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One run, from the ledger.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub struct RunShape {
    /// The number of its row in the ledger.
    pub id: u64,
    pub trigger: String,
    pub started: String,
    pub finished: String,
    /// `converged`, `held`, `failed` or `early`.
    pub status: String,
    /// The fingerprint of its plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// An earlier roster was in force.
    pub stale: bool,
    pub done: usize,
    pub rejected: usize,
    pub unknown: usize,
    pub not_sent: usize,
    pub held: usize,
    pub in_sync: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it changed, and what it began or ceased to hold.
    pub events: Vec<history::Row>,
}

/// The past in numbers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Timeline")]
pub struct TimelineShape {
    /// How many accounts had each role from an instant on.
    pub people: Vec<Count>,
    /// What rosterd changed.
    pub changes: Vec<Changed>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Count {
    pub at: String,
    pub roles: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Changed {
    pub at: String,
    /// `grant`, `demote`, `disable`, `invite` or `reinvite`.
    pub class: String,
}

/// One person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PersonShape {
    pub email: String,
    /// What the roster says.
    pub roster: Vec<String>,
    /// What the workspace shows.
    pub workspace: Vec<String>,
    /// What was sent to them.
    pub invitations: Vec<String>,
    /// What comes next.
    pub next: Vec<String>,
    /// What happened.
    pub history: Vec<history::Row>,
}

/// A run has been asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Accepted {
    pub workspace: String,
    /// Always `accepted`: the run follows, or is part of one that waits already.
    pub status: String,
}

/// People with access.
pub type People = Page<access::Row>;
/// What happened.
pub type Events = Page<history::Row>;

impl Workspace {
    pub fn of(place: &WorkspaceStatus) -> Self {
        let (fares, since) = place.fares();
        let observation = place.observation.as_deref().map(|shown| &shown.observation);
        let plan = observation.map(|observation| {
            let rows = rows::of_view(&observation.view(&place.name));
            Summary::of(&observation.evaluation.plan, &rows)
        });
        let revision = observation.and_then(|observation| observation.loaded.revision.as_ref());
        Self {
            name: place.name.clone(),
            state: fares.key().to_owned(),
            since: exact(since),
            ready: place.is_loaded,
            converged: place.converged.map(exact),
            last_run: place.last.as_ref().map(Ended::of),
            next_run: place
                .next
                .map(|due| Next { at: exact(due.at), trigger: due.trigger.as_str().to_owned() }),
            progress: place.progress.map(|(done, of)| Progress { done, of }),
            plan,
            commit: revision.map(|revision| revision.commit.clone()),
            approvals: observation
                .and_then(|observation| observation.evaluation.verdict.approvals()),
            roster_problems: place.trouble.as_ref().map(Problems::of),
        }
    }
}

impl Ended {
    fn of(last: &LastRun) -> Self {
        Self {
            trigger: last.trigger.as_str().to_owned(),
            started: exact(last.started),
            finished: exact(last.finished),
            status: last.status.as_str().to_owned(),
            failure: last.failure.clone(),
        }
    }
}

impl Problems {
    pub fn of(trouble: &LoadErrors) -> Self {
        Self { errors: trouble.errors, text: trouble.text.clone() }
    }
}

impl RunShape {
    pub fn of(workspace: &str, run: &Run) -> Self {
        let fact = run.record.clone();
        Self {
            id: run.seq,
            trigger: fact.trigger,
            started: exact(fact.started),
            finished: exact(run.at),
            status: fact.status,
            plan: fact.plan,
            commit: fact.commit,
            stale: fact.stale,
            done: fact.done,
            rejected: fact.rejected,
            unknown: fact.unknown,
            not_sent: fact.not_sent,
            held: fact.held,
            in_sync: fact.in_sync,
            failure: fact.failure,
            events: history::rows(workspace, &run.events),
        }
    }
}

impl TimelineShape {
    pub fn of(past: &Past) -> Self {
        let count = |(at, roles): &(Timestamp, BTreeMap<crate::role::Role, usize>)| Count {
            at: exact(*at),
            roles: roles.iter().map(|(role, count)| (role.as_str().to_owned(), *count)).collect(),
        };
        let changed =
            |(at, class): &(Timestamp, Class)| Changed { at: exact(*at), class: word(*class) };
        Self {
            people: past.timeline.counts.iter().map(count).collect(),
            changes: past.timeline.changes.iter().map(changed).collect(),
        }
    }
}

fn word(class: Class) -> String {
    let word = match class {
        Class::Grant => "grant",
        Class::Demote => "demote",
        Class::Disable => "disable",
        Class::Invite => "invite",
        Class::Reinvite => "reinvite",
    };
    word.to_owned()
}

impl WorkspaceHealth {
    /// The name in the API.
    pub fn key(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            other => other.as_str(),
        }
    }
}
