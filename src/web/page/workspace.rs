//! The page of one workspace: health, held changes, plan, access, timeline and runs.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::overview::headline;
use super::view_models::{HealthBadge, LastRunView, NextRunView, PlanRow, RunRow, When, encoded};
use super::{Layout, PageContext, page};
use crate::escape::escape;
use crate::reconcile::Observation;
use crate::render::plot::{Plot, plot};
use crate::render::{Summary, rows};
use crate::web::AppState;
use crate::web::snapshot_view::SnapshotView;
use crate::web::status::LoadErrors;

/// Maximum number of plan rows; the API has all of them.
const MAX_ROWS: usize = 200;
/// Maximum length in bytes of the `approvals:` block; a longer one is linked instead.
const MAX_APPROVALS: usize = 8_000;
/// Number of recent runs.
const RUNS: usize = 10;

#[derive(Template)]
#[template(path = "workspace.html", config = "src/web/askama.toml")]
struct Workspace {
    layout: Layout,
    name: String,
    health: HealthBadge,
    headline: String,
    since: When,
    progress: Option<String>,
    last_run: Option<LastRunView>,
    next_run: Option<NextRunView>,
    converged: Option<When>,
    roster: Option<String>,
    failure: Option<String>,
    roster_errors: Option<LoadErrors>,
    plan: PlanView,
    has_long_approvals: bool,
    /// The text of an empty plan.
    no_changes: &'static str,
    roles: Vec<PeopleLink>,
    plot: Option<Plot>,
    /// The text of an empty timeline.
    no_timeline: String,
    runs: Vec<RunRow>,
}

/// A link to some of the people, with their number.
struct PeopleLink {
    path: String,
    count: usize,
    label: String,
}

pub(super) async fn show(
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let PageContext { layout, status, now } = PageContext::new(&app, &name)?;
    let (health, since) = status.health();
    let history = app.history.get(&status).await;
    if let Some(snapshot) = &status.snapshot {
        snapshot.ensure_rendered().await;
    }
    let snapshot = status.snapshot.as_deref();
    let plan = snapshot.map(|it| PlanView::new(&name, &it.observation)).unwrap_or_default();
    let (plot, runs, no_timeline) = match &history {
        Ok(history) => (
            plot(&history.timeline, now),
            history.runs.iter().take(RUNS).map(|run| RunRow::new(&name, run, now)).collect(),
            "Nothing is recorded yet.".to_owned(),
        ),
        Err(why) => (None, Vec::new(), format!("The ledger cannot be read: {}", escape(why))),
    };
    Ok(page(&Workspace {
        layout,
        health: HealthBadge::new(health),
        headline: headline(&status, plan.summary.as_ref()),
        since: When::new(since, now),
        progress: status.progress.map(|(done, total)| format!("{done} of {total} changes")),
        last_run: status.last_run.as_ref().map(|run| LastRunView::new(run, now)),
        next_run: status.next_run.map(|next| NextRunView::new(next, now)),
        converged: status.converged.map(|at| When::new(at, now)),
        roster: snapshot.map(|snapshot| roster(&snapshot.observation)),
        failure: status.last_run.as_ref().and_then(|run| run.failure.clone()),
        has_long_approvals: plan.approvals.as_ref().is_some_and(|it| it.len() > MAX_APPROVALS),
        plan,
        no_changes: match snapshot {
            Some(_) => "No changes: the workspace matches the roster.",
            None => "No data yet.",
        },
        roles: snapshot.map(people_links).unwrap_or_default(),
        roster_errors: status.roster_errors,
        plot,
        no_timeline,
        runs,
        name,
    }))
}

/// The plan, with at most [`MAX_ROWS`] rows of each kind.
#[derive(Default)]
struct PlanView {
    summary: Option<Summary>,
    caption: String,
    rows: Vec<PlanRow>,
    held: Vec<PlanRow>,
    held_caption: String,
    violations: Vec<Violation>,
    approvals: Option<String>,
}

struct Violation {
    guard: String,
    message: String,
    hint: String,
}

impl PlanView {
    fn new(name: &str, observation: &Observation) -> Self {
        let view = observation.view(name);
        let all = rows::of_view(&view);
        let summary = Summary::of(view.plan, &all);
        let (held, others): (Vec<_>, Vec<_>) =
            all.iter().partition(|row| row.kind == rows::Kind::Held);
        let rows = |rows: Vec<&rows::Row>| -> Vec<PlanRow> {
            let rows = rows.into_iter().take(MAX_ROWS);
            rows.map(|row| PlanRow::new(name, row, view.sources)).collect()
        };
        let violations = view.verdict.violations.iter().map(|violation| Violation {
            guard: violation.guard.to_string(),
            message: escape(&violation.message).into_owned(),
            hint: escape(&violation.hint).into_owned(),
        });
        let held_caption = match held.len() {
            count if count > MAX_ROWS => format!("{MAX_ROWS} of {count} held"),
            count => format!("{count} held"),
        };
        Self {
            caption: summary.to_string(),
            summary: Some(summary),
            rows: rows(others),
            held: rows(held),
            held_caption,
            violations: violations.collect(),
            approvals: view.verdict.approvals(),
        }
    }
}

/// The files, the commit and the number of members.
fn roster(observation: &Observation) -> String {
    let loaded = &observation.loaded;
    let files: Vec<_> = loaded.sources.iter().map(|(_, file)| escape(&file.name)).collect();
    let files = match files.len() {
        0..=3 => files.join(", "),
        more => format!("{more} files"),
    };
    let commit = loaded.revision.as_ref().map(|revision| {
        let author = revision.author.as_deref().map(|author| format!(" by {author}"));
        let subject = revision.subject.as_deref().map(|subject| format!(": {subject}"));
        let details = [author, subject].map(Option::unwrap_or_default).concat();
        escape(&format!(" @ {revision}{details}")).into_owned()
    });
    let members = loaded.roster.members().len();
    format!("{files}{}, {members} members", commit.unwrap_or_default())
}

/// Links by role, and to people with a pending invitation or expiring access.
fn people_links(snapshot: &SnapshotView) -> Vec<PeopleLink> {
    let people = snapshot.access();
    let mut roles: BTreeMap<&str, usize> = BTreeMap::new();
    for person in people {
        *roles.entry(&person.role).or_default() += 1;
    }
    let pending = people.iter().filter(|person| person.status == "pending").count();
    let expiring = people.iter().filter(|person| person.expiring).count();
    let roles = roles.into_iter().map(|(role, count)| ("role", role, count, escape(role)));
    let others = [
        ("status", "pending", pending, "pending".into()),
        ("expiring", "true", expiring, "expiring within 14 days".into()),
    ];
    let links = roles.chain(others).filter(|(_, _, count, _)| *count > 0);
    let links = links.map(|(key, value, count, label)| PeopleLink {
        path: format!("/workspaces/{}/people?{key}={}", snapshot.workspace, encoded(value)),
        count,
        label: label.into_owned(),
    });
    links.collect()
}
