//! What a workspace should look like: its settings, and the roster read from its files.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::approvals;
use crate::action::BudgetName;
use crate::apply::Sending;
use crate::diagnostic::{Diagnostic, Sources};
use crate::guard::Limits;
use crate::plan::{OnRemoved, Rules};
use crate::render::approve::ApproveBy;
use crate::revision::Revision;
use crate::roster::policy::Policy;
use crate::roster::{Roster, checks, raw};
use crate::source::deadline::{TIME_LIMIT, timed_out, within};
use crate::source::{RosterSource, env_var};

pub use crate::diagnostic::InputError;

/// Which workspace is kept equal to which roster, and within which limits.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspaceSpec {
    /// The name in the configuration.
    pub workspace: String,
    pub source: RosterSource,
    /// Maximum number of changes and findings of a plan.
    pub max_changes: usize,
    /// A date in the roster is that day in this time zone.
    pub zone: TimeZone,
    pub on_removed: OnRemoved,
    pub limits: Limits,
    /// Outside a git work tree, approvals count as the file has them.
    pub approvals_in_file: bool,
    pub policy: Policy,
    pub sending: Sending,
}

impl WorkspaceSpec {
    /// The settings of the comparison.
    pub fn rules(&self) -> Rules {
        let scheduled = self.limits.budgets.get(&BudgetName::Scheduled);
        let end_window = scheduled.map_or(SignedDuration::MAX, |budget| budget.window);
        Rules { on_removed: self.on_removed, end_window, zone: self.zone.clone() }
    }
}

/// A valid roster and the text it was read from.
#[derive(Debug)]
pub struct Loaded {
    pub roster: Roster,
    pub sources: Sources,
    pub warnings: Vec<Diagnostic>,
    /// The commit that the files come from.
    pub revision: Option<Revision>,
    /// Whether approvals can count: the files are in a work tree, or need not be.
    pub takes_approvals: bool,
    /// Why this is the last accepted commit, if the newest one cannot be used.
    pub outage: Option<InputError>,
}

impl Loaded {
    /// How a person approves what is held.
    pub fn approve_by(&self) -> ApproveBy {
        if self.takes_approvals { ApproveBy::Commit } else { ApproveBy::SavedPlan }
    }
}

/// Reads and validates the files of the roster, within [`TIME_LIMIT`].
pub fn load(spec: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
    load_within(TIME_LIMIT, spec, now)
}

/// The same within another time.
pub fn load_within(
    limit: Duration,
    spec: &WorkspaceSpec,
    now: Timestamp,
) -> Result<Loaded, InputError> {
    let spec = spec.clone();
    within(limit, move || validated(&spec, now)).unwrap_or_else(|| Err(timed_out(limit)))
}

/// Reads the files of the roster, within [`TIME_LIMIT`], without parsing them.
pub fn contents(spec: &WorkspaceSpec) -> Result<Sources, InputError> {
    let spec = spec.clone();
    within(TIME_LIMIT, move || files(&spec)).unwrap_or_else(|| Err(timed_out(TIME_LIMIT)))
}

fn files(spec: &WorkspaceSpec) -> Result<Sources, InputError> {
    spec.source
        .load()
        .map_err(|diagnostics| InputError { sources: Sources::default(), diagnostics })
}

/// The newest files; or, if those of a repository on a server cannot be used, the last ones that
/// could be, which are still in force after a restart.
fn validated(spec: &WorkspaceSpec, now: Timestamp) -> Result<Loaded, InputError> {
    match files(spec).and_then(|sources| usable(spec, sources, now)) {
        Ok(mut loaded) => {
            let accepted = spec.source.accept(&loaded.sources);
            loaded.warnings.extend(accepted.err());
            Ok(loaded)
        }
        Err(outage) => match spec.source.last_accepted() {
            Some(sources) => {
                usable(spec, sources, now).map(|it| Loaded { outage: Some(outage), ..it })
            }
            None => Err(outage),
        },
    }
}

fn usable(spec: &WorkspaceSpec, sources: Sources, now: Timestamp) -> Result<Loaded, InputError> {
    let revision = spec.source.revision(&sources, &env_var);
    let links = spec.source.links(&sources, revision.as_ref());
    let sources = sources.linked(links);
    let (roster, diagnostics) = checks::validate(raw::read(&sources), &sources, &spec.zone, now);
    match roster {
        Some(mut roster) => {
            approvals::judge(spec, &sources, &mut roster, now);
            let takes_approvals = spec.approvals_in_file || spec.source.is_in_work_tree();
            let warnings = diagnostics;
            Ok(Loaded { roster, sources, warnings, revision, takes_approvals, outage: None })
        }
        None => Err(InputError { sources, diagnostics }),
    }
}
