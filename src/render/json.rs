//! The plan as JSON, a documented format. [`super::saved`] reads it.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{Summary, View, findings, rows, time};
use crate::diagnostic::{Place, Sources};
use crate::escape::is_hostile;
use crate::guard::Held;
use crate::memory::entry::Key;
use crate::plan::change::Change;
use crate::plan::{Finding, Plan};
use crate::revision::Revision;

/// The version that is written, and the only one that is supported.
pub const FORMAT_VERSION: u64 = 2;

/// The plans of one invocation, one for each workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedPlans {
    /// Always 2. Readers must reject any other version.
    pub format_version: u64,
    /// In the order of the configuration.
    pub workspaces: Vec<SavedPlan>,
}

/// The plan of one workspace. Addresses and names are verbatim, not escaped for a terminal.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedPlan {
    /// The name of the workspace in the configuration.
    pub workspace: String,
    /// The roster that the plan is based on.
    pub roster: SavedRoster,
    /// SHA-256, in hexadecimal, over the roster digest and the set of (kind, email, uid, from,
    /// to). It identifies the plan and approves nothing.
    pub fingerprint: String,
    /// When the plan was made: RFC 3339, UTC.
    pub made_at: String,
    /// All changes, in order of execution, including held ones.
    pub changes: Vec<SavedChange>,
    /// The findings, sorted by address.
    pub findings: Vec<SavedFinding>,
    /// Why changes are held.
    pub violations: Vec<SavedViolation>,
    /// The `approvals:` block, in YAML, that would approve the held changes; absent if none would.
    pub approvals: Option<String>,
    /// Whether the plan is based on a ledger. Without one, backoff times and used budgets are
    /// unknown.
    #[serde(default)]
    pub has_ledger: bool,
    pub summary: Summary,
}

/// The files of a roster.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedRoster {
    /// SHA-256 over the contents of the files, in hexadecimal.
    pub digest: String,
    pub files: Vec<String>,
    /// The last commit that changed the files, if known, followed by `+` if they have uncommitted
    /// changes.
    pub commit: Option<String>,
    /// The page of the commit at the git forge.
    pub commit_url: Option<String>,
}

/// One change.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedChange {
    /// `invite`, `reinvite`, `update_role` or `disable`.
    pub kind: String,
    /// The order class: `grant`, `demote`, `disable`, `invite` or `reinvite`.
    pub class: String,
    pub email: String,
    /// Absent for an invitation.
    pub uid: Option<String>,
    /// The role before; absent for an invitation.
    pub from: Option<String>,
    /// The role after; absent for a disable.
    pub to: Option<String>,
    /// A short reason for people.
    pub reason: String,
    /// The account's or the member's name.
    pub name: Option<String>,
    /// For a disable, the members whose address that of the account resembles; for an invitation,
    /// the accounts and invitations whose address resembles the member's. Absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resembles: Vec<String>,
    /// The place in the roster; absent for an account that is not in it.
    pub place: Option<SavedPlace>,
    /// The names of the guards that hold it; empty if it is approved.
    pub held_by: Vec<String>,
    /// When it was first held: RFC 3339, UTC.
    pub held_since: Option<String>,
    /// Where it was approved, why, and by which commit; absent if it needs no approval.
    pub approval: Option<String>,
}

/// A fact that the plan reports without a change.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedFinding {
    /// A stable name, for example `invited` or `unexpected_invitation`.
    pub kind: String,
    /// `pending`, `propagating`, `needs_action`, `drift` or `info`.
    pub status: String,
    /// A message for people.
    pub message: String,
    pub email: String,
    /// The current role, or the role in the roster if the user has none.
    pub role: String,
    /// When it began, if the ledger knows it: RFC 3339, UTC.
    pub since: Option<String>,
    /// When rosterd acts on it next, if it will: RFC 3339, UTC.
    pub next: Option<String>,
    /// The place in the roster.
    pub place: Option<SavedPlace>,
}

/// A place in a file of the roster.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedPlace {
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Its page at the git forge, if a commit has the line.
    pub url: Option<String>,
}

/// Why one guard holds changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedViolation {
    /// The stable name, for example `disable-budget`.
    pub guard: String,
    pub message: String,
    /// How to approve the changes.
    pub hint: String,
}

/// Writes plans. Deterministic. Control and invisible characters are written as `\u` escapes.
pub fn write(views: &[View<'_>]) -> String {
    let plans = SavedPlans {
        format_version: FORMAT_VERSION,
        workspaces: views.iter().map(SavedPlan::of).collect(),
    };
    pretty(&plans)
}

/// The JSON Schema of the format.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(SavedPlans))
}

/// Pretty-printed JSON with a final newline, safe for a terminal.
pub fn pretty(value: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut text = String::with_capacity(json.len() + 1);
    // Outside of strings, the only such characters are the newlines of the layout.
    let hostile = |character| is_hostile(character) && character != '\n';
    let mut rest = json.as_str();
    while let Some((at, character)) = rest.char_indices().find(|(_, it)| hostile(*it)) {
        text.push_str(&rest[..at]);
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
        rest = &rest[at + character.len_utf8()..];
    }
    text.push_str(rest);
    text.push('\n');
    text
}

impl SavedPlans {
    pub fn workspace(&self, name: &str) -> Option<&SavedPlan> {
        self.workspaces.iter().find(|plan| plan.workspace == name)
    }
}

impl SavedPlan {
    fn of(view: &View<'_>) -> Self {
        let View { workspace, sources, plan, verdict, .. } = *view;
        // The held changes are in the order of the plan, so one pass finds each.
        let mut held = verdict.held.iter().peekable();
        let changes = plan.changes().iter().map(|change| {
            let held = held.next_if(|held| held.change == *change);
            let release = verdict.overridden.get(&Key::of(&change.action, &change.email));
            let approval = release.map(|release| rows::approved(&release.by));
            SavedChange { approval, ..SavedChange::of(change, held, sources) }
        });
        let findings = plan.findings().iter().map(|it| SavedFinding::of(it, plan, sources));
        let violations = verdict.violations.iter().map(|it| SavedViolation {
            guard: it.guard.to_string(),
            message: it.message.clone(),
            hint: it.hint.clone(),
        });
        Self {
            workspace: workspace.to_owned(),
            roster: SavedRoster {
                digest: plan.roster.hex(),
                files: sources.iter().map(|(_, file)| file.name.clone()).collect(),
                commit: view.revision.map(Revision::full),
                commit_url: view.revision.and_then(|it| sources.commit_url(&it.commit)),
            },
            fingerprint: plan.fingerprint.hex(),
            made_at: plan.now.to_string(),
            changes: changes.collect(),
            findings: findings.collect(),
            violations: violations.collect(),
            approvals: verdict.approvals(None),
            has_ledger: plan.has_history,
            summary: Summary::of(plan, &rows::of_view(view)),
        }
    }
}

impl SavedChange {
    pub(super) fn of(change: &Change, held: Option<&Held>, sources: &Sources) -> Self {
        let held_by = held.iter().flat_map(|held| &held.by).map(ToString::to_string).collect();
        Self {
            kind: change.action.kind().to_owned(),
            class: change.action.class().as_str().to_owned(),
            email: change.email.as_str().to_owned(),
            uid: change.action.uid().map(ToString::to_string),
            from: change.action.from().map(ToString::to_string),
            to: change.action.to().map(ToString::to_string),
            reason: change.reason.description().to_owned(),
            name: change.name.as_deref().map(str::to_owned),
            resembles: change.resembles.iter().map(ToString::to_string).collect(),
            place: change.place.map(|place| SavedPlace::of(place, sources)),
            held_by,
            held_since: held.and_then(|held| held.since).map(time::exact),
            approval: None,
        }
    }
}

impl SavedFinding {
    fn of(finding: &Finding, plan: &Plan, sources: &Sources) -> Self {
        Self {
            kind: finding.kind.as_str().to_owned(),
            status: finding.kind.category().as_str().to_owned(),
            message: findings::message(finding, plan.now, &plan.zone),
            email: finding.email.as_str().to_owned(),
            role: finding.role.as_str().to_owned(),
            since: finding.since.map(time::exact),
            next: finding.next.map(time::exact),
            place: finding.place.map(|place| SavedPlace::of(place, sources)),
        }
    }
}

impl SavedPlace {
    fn of(place: Place, sources: &Sources) -> Self {
        let Place { file, line, column, .. } = place;
        let url = sources.line_url(place);
        Self { file: sources.name(file).to_owned(), line, column, url }
    }
}
