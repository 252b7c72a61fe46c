//! One workspace: how it fares, what is planned, what is held, who has access, what happened.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::overview::sentence;
use super::view_models::{Last, NextRun, Row, RunRow, State as WorkspaceHealth, When, encoded};
use super::{Layout, PageContext, page};
use crate::escape::escape;
use crate::reconcile::Observation;
use crate::render::plot::{Plot, plot};
use crate::render::{Summary, rows};
use crate::web::AppState;
use crate::web::snapshot_view::SnapshotView;
use crate::web::status::LoadErrors;

/// So many rows of a plan are shown; the rest is in the API.
const ROWS: usize = 200;
/// A longer block is behind a link.
const LONGEST_BLOCK: usize = 8_000;
/// So many of the last runs.
const RUNS: usize = 10;

#[derive(Template)]
#[template(path = "workspace.html", config = "src/web/askama.toml")]
struct Workspace {
    frame: Layout,
    name: String,
    state: WorkspaceHealth,
    sentence: String,
    since: When,
    progress: Option<String>,
    last: Option<Last>,
    next: Option<NextRun>,
    converged: Option<When>,
    roster: Option<String>,
    failure: Option<String>,
    trouble: Option<LoadErrors>,
    held: Vec<Row>,
    held_caption: String,
    violations: Vec<Violation>,
    approvals: Option<String>,
    /// The block of approvals is a long one.
    is_long: bool,
    rows: Vec<Row>,
    caption: String,
    nothing: &'static str,
    roles: Vec<Role>,
    plot: Option<Plot>,
    no_past: String,
    runs: Vec<RunRow>,
}

struct Violation {
    guard: String,
    message: String,
    hint: String,
}

/// How many have a role.
struct Role {
    link: String,
    count: usize,
    word: String,
}

pub(super) async fn show(
    State(site): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let PageContext { frame, place, now } = PageContext::to(&site, &name)?;
    let (fares, since) = place.fares();
    let past = site.pasts.of(&place).await;
    if let Some(shown) = &place.observation {
        shown.ensure_rendered().await;
    }
    let shown = place.observation.as_deref();
    let plan =
        shown.map_or_else(PeopleQuery::default, |shown| PeopleQuery::of(&name, &shown.observation));
    let (plot, runs, no_past) = match &past {
        Ok(past) => (
            plot(&past.timeline, now),
            past.runs.iter().take(RUNS).map(|run| RunRow::of(&name, run, now)).collect(),
            "Nothing has been recorded yet.".to_owned(),
        ),
        Err(why) => (None, Vec::new(), format!("The ledger cannot be read: {}", escape(why))),
    };
    let nothing = match shown {
        Some(_) => "Nothing is to be done: everybody is as the roster says.",
        None => "Nothing has been read yet.",
    };
    Ok(page(&Workspace {
        frame,
        state: WorkspaceHealth::of(fares),
        sentence: sentence(&place, plan.summary.as_ref()),
        since: When::of(since, now),
        progress: place.progress.map(|(done, of)| format!("{done} of {of} changes")),
        last: place.last.as_ref().map(|last| Last::of(last, now)),
        next: place.next.map(|due| NextRun::of(due, now)),
        converged: place.converged.map(|at| When::of(at, now)),
        roster: shown.map(|shown| roster(&shown.observation)),
        failure: place.last.as_ref().and_then(|last| last.failure.clone()),
        trouble: place.trouble,
        held_caption: counted("held", plan.held.len(), plan.all_held),
        held: plan.held,
        violations: plan.violations,
        is_long: plan.approvals.as_ref().is_some_and(|block| block.len() > LONGEST_BLOCK),
        approvals: plan.approvals,
        caption: plan.summary.as_ref().map(ToString::to_string).unwrap_or_default(),
        rows: plan.rows,
        nothing,
        roles: shown.map(roles).unwrap_or_default(),
        plot,
        no_past,
        runs,
        name,
    }))
}

/// What the last reading asks for.
#[derive(Default)]
struct PeopleQuery {
    summary: Option<Summary>,
    rows: Vec<Row>,
    held: Vec<Row>,
    all_held: usize,
    violations: Vec<Violation>,
    approvals: Option<String>,
}

impl PeopleQuery {
    fn of(name: &str, observation: &Observation) -> Self {
        let view = observation.view(name);
        let all = rows::of_view(&view);
        let summary = Summary::of(view.plan, &all);
        let all_held = summary.held;
        let (held, others): (Vec<_>, Vec<_>) =
            all.iter().partition(|row| row.kind == rows::Kind::Held);
        let draw = |rows: Vec<&rows::Row>| {
            let rows = rows.into_iter().take(ROWS);
            rows.map(|row| Row::of(name, &row.email, row, view.sources)).collect()
        };
        let violations = view.verdict.violations.iter().map(|refusal| Violation {
            guard: refusal.guard.to_string(),
            message: escape(&refusal.message).into_owned(),
            hint: escape(&refusal.hint).into_owned(),
        });
        Self {
            summary: Some(summary),
            rows: draw(others),
            held: draw(held),
            all_held,
            violations: violations.collect(),
            approvals: view.verdict.approvals(),
        }
    }
}

fn counted(word: &str, shown: usize, all: usize) -> String {
    if shown == all { format!("{all} {word}") } else { format!("{shown} of {all} {word}") }
}

/// The files, the commit, and how many members.
fn roster(observation: &Observation) -> String {
    let loaded = &observation.loaded;
    let files: Vec<_> = loaded.sources.iter().map(|(_, file)| escape(&file.name)).collect();
    let files = match files.len() {
        0..=3 => files.join(", "),
        more => format!("{more} files"),
    };
    let commit = loaded.revision.as_ref().map(|revision| {
        let author = revision.author.as_deref().map(|it| format!(" by {it}"));
        let subject = revision.subject.as_deref().map(|it| format!(": {it}"));
        let words = [author, subject].map(Option::unwrap_or_default).concat();
        escape(&format!(" @ {revision}{words}")).into_owned()
    });
    let members = loaded.roster.members().len();
    format!("{files}{}, {members} members", commit.unwrap_or_default())
}

/// How many have which role, and how many hold an invitation.
fn roles(shown: &SnapshotView) -> Vec<Role> {
    let mut roles: BTreeMap<&str, usize> = BTreeMap::new();
    let mut invited = 0;
    for row in shown.access() {
        *roles.entry(&row.role).or_default() += 1;
        invited += usize::from(row.status == "pending");
    }
    let people = format!("/workspaces/{}/people", shown.workspace);
    let link = |key: &str, value: &str| format!("{people}?{key}={}", encoded(value));
    let each = roles.into_iter().map(|(role, count)| Role {
        link: link("role", role),
        count,
        word: escape(role).into_owned(),
    });
    let mut all: Vec<Role> = each.collect();
    if invited > 0 {
        let word = "not yet accepted".to_owned();
        all.push(Role { link: link("status", "pending"), count: invited, word });
    }
    let expiring = shown.access().iter().filter(|row| row.expiring).count();
    if expiring > 0 {
        let word = "ending within 14 days".to_owned();
        all.push(Role { link: format!("{people}?expiring=true"), count: expiring, word });
    }
    all
}
