//! A listing compared with a roster: the plan, and what the guards decide about it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Loaded, WorkspaceSpec, approvals, attribution};
use crate::directory::Snapshot;
use crate::failure::FailureKind;
use crate::guard::{self, Override, Verdict};
use crate::memory::Memory;
use crate::memory::entry::Entry;
use crate::memory::observe::observe;
use crate::plan::{self, Plan, rename};
use crate::render::View;
use crate::report::Failure;
use crate::roster::Roster;

/// Maximum number of changes and findings of a plan, unless the configuration says otherwise. Each
/// needs about 3 KB in plan, ledger and log.
pub const MAX_CHANGES: usize = 20_000;

/// What a listing means for a roster. The report and the observation of a run share it.
#[derive(Debug)]
pub struct Evaluation {
    pub snapshot: Snapshot,
    pub plan: Arc<Plan>,
    pub verdict: Arc<Verdict>,
}

/// The workspace at the end of a run: the last listing, what is still wanted, and the memory.
#[derive(Debug)]
pub struct Observation {
    pub loaded: Arc<Loaded>,
    pub evaluation: Evaluation,
    pub memory: Arc<Memory>,
}

impl Evaluation {
    pub(super) fn new(
        snapshot: Snapshot,
        spec: &WorkspaceSpec,
        roster: &Roster,
        memory: &Memory,
        overrides: &Override,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let plan = plan::plan(roster, &snapshot, memory, spec.rules(), now);
        let rows = plan.changes().len() + plan.findings().len();
        if rows > spec.max_changes {
            let max = spec.max_changes;
            let message = format!(
                "the plan has {rows} changes and findings; at most {max} are supported: check \
                 `users` and `endpoint`, or raise `limits.changes`"
            );
            return Err(Failure::new(FailureKind::TooLarge, message));
        }
        let plan = plan.with_required_admins(&spec.limits.required_admins, roster, &snapshot);
        let plan = plan.with_policy(&spec.policy, roster);
        let verdict = guard::evaluate(&plan, &spec.limits, memory, overrides);
        Ok(Self { snapshot, plan: Arc::new(plan), verdict: Arc::new(verdict) })
    }

    /// The input of the renderers.
    pub fn view<'a>(&'a self, workspace: &'a str, loaded: &'a Loaded) -> View<'a> {
        let Loaded { roster, sources, revision, .. } = loaded;
        let Self { snapshot, plan, verdict } = self;
        let revision = revision.as_ref();
        let approve_by = loaded.approve_by();
        View { workspace, sources, roster, snapshot, plan, verdict, revision, approve_by }
    }

    /// The first instant at which something that is pending or held may change by itself.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.plan.next.into_iter().chain(self.verdict.next).min()
    }
}

impl Observation {
    /// The input of the renderers.
    pub fn view<'a>(&'a self, workspace: &'a str) -> View<'a> {
        self.evaluation.view(workspace, &self.loaded)
    }
}

/// Fails if listing and roster are far apart in size: each difference would be remembered, and
/// would be a change or a finding, and all of them would fill the memory.
pub fn check_size(snapshot: &Snapshot, roster: &Roster, max: usize) -> Result<(), Failure> {
    let listed = snapshot.accounts().len() + snapshot.invitations().len();
    let members = roster.members().len();
    if listed.abs_diff(members) <= max {
        return Ok(());
    }
    let message = format!(
        "the listing has {listed} users and invitations, and the roster {members} members; they \
         may differ by at most {max}: check `users`, `endpoint` and `workspace_uid`, or raise \
         `limits.changes`"
    );
    Err(Failure::new(FailureKind::TooLarge, message))
}

/// Entries for everything that a listing and a roster show for the first time.
pub(super) fn news(
    memory: &Memory,
    snapshot: &Snapshot,
    roster: &Roster,
    now: Timestamp,
) -> Vec<Entry> {
    let mut entries = observe(memory, snapshot, roster, now);
    entries.extend(rename::signs(roster, snapshot, memory, now));
    entries
}

/// Evaluates a listing without changing anything: what is new in it, and in the approvals, is added
/// to the memory only, not to the ledger.
pub fn dry_run(
    snapshot: Snapshot,
    spec: &WorkspaceSpec,
    loaded: &Loaded,
    mut memory: Memory,
    now: Timestamp,
) -> Result<(Evaluation, Memory), Failure> {
    let roster = &loaded.roster;
    if memory.is_known() {
        let entries = news(&memory, &snapshot, roster, now);
        memory.preview(entries, now);
    }
    let evaluate = |snapshot, memory: &Memory| {
        Evaluation::new(snapshot, spec, roster, memory, &Override::None, now)
    };
    let evaluation = evaluate(snapshot, &memory)?;
    let unread = approvals::unread(&evaluation.plan, &memory);
    if unread.is_empty() {
        return Ok((evaluation, memory));
    }
    let commits = attribution::approvals(spec, loaded, &unread, now);
    let entries = approvals::bind(&evaluation, loaded, &memory, &commits);
    memory.preview(entries, now);
    Ok((evaluate(evaluation.snapshot, &memory)?, memory))
}
