//! The page of one workspace: health, held changes, plan, access, timeline and runs.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use super::overview::headline;
use super::view_models::{
    FEW_EVENTS, Linked, Paged, PlanRow, RunRow, When, encoded, last_run, next_run,
};
use super::{Layout, PageContext, page};
use crate::escape::escape;
use crate::reconcile::{Loaded, Observation};
use crate::render::plot::{Plot, plot};
use crate::render::rows::{self, Kind};
use crate::render::{Summary, access, approve};
use crate::web::Named;
use crate::web::snapshot_view::SnapshotView;
use crate::web::status::{LastRun, WorkspaceHealth, WorkspaceStatus};

/// Number of rows on one page of the held changes, of what needs action, and of the plan.
const PAGE_SIZE: usize = 25;
/// Maximum length in bytes of the `approvals:` block; a longer one is linked instead.
const MAX_APPROVALS: usize = 8_000;
/// Number of recent runs.
const RUNS: usize = 10;

#[derive(Template)]
#[template(path = "workspace.html", config = "src/web/askama.toml")]
struct Workspace {
    layout: Layout,
    name: String,
    status: WorkspaceStatus,
    health: WorkspaceHealth,
    headline: String,
    since: When,
    last_run: Option<(When, String)>,
    next_run: Option<(When, &'static str)>,
    converged: Option<When>,
    /// Files, commit and number of members; None before the first listing.
    roster: Option<(String, Option<Linked>, usize)>,
    plan: PlanView,
    can_request: bool,
    /// The result of a request for a run.
    requested: String,
    access: String,
    people: Vec<PeopleLink>,
    plot: Option<Plot>,
    /// Why the ledger cannot be read.
    ledger_error: Option<String>,
    runs: Vec<RunRow>,
}

/// A link to some of the people: path, label, and how many they are.
type PeopleLink = (String, String, String);

/// Which page of each list is shown, and the result of a request for a run.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WorkspaceQuery {
    held: usize,
    action: usize,
    plan: usize,
    run: String,
}

pub(super) async fn show(
    Named { app, name }: Named,
    Query(query): Query<WorkspaceQuery>,
) -> Result<Response, Response> {
    let PageContext { layout, status } = PageContext::new(&app, &name)?;
    let (health, since) = status.health();
    let history = app.history.get(&status).await;
    if let Some(snapshot) = &status.snapshot {
        snapshot.ensure_rendered().await;
    }
    let snapshot = status.snapshot.as_deref();
    let plan = snapshot.map(|it| PlanView::new(&name, &it.observation, &query));
    let plan = plan.unwrap_or_default();
    let (plot, runs, ledger_error) = match &history {
        Ok(history) => {
            let row = |run| RunRow::new(run, (0, FEW_EVENTS), &layout);
            let runs = history.runs.iter().take(RUNS).map(row).collect();
            (plot(&history.timeline, layout.now, &layout.zone), runs, None)
        }
        Err(why) => (None, Vec::new(), Some(escape(why).into_owned())),
    };
    Ok(page(&Workspace {
        health,
        headline: headline(&status, plan.summary.as_ref()),
        since: layout.when(since),
        last_run: status.last_run.as_ref().map(|run| last_run(run, &layout)),
        next_run: status.next_run.map(|next| next_run(next, layout.now, &layout.zone)),
        converged: status.converged.map(|at| layout.when(at)),
        roster: snapshot.map(|snapshot| roster(&snapshot.observation)),
        plan,
        can_request: app.auth.has_token(),
        requested: query.run,
        access: snapshot.map(|it| access::count(it.access().iter())).unwrap_or_default(),
        people: snapshot.map(people_links).unwrap_or_default(),
        plot,
        ledger_error,
        runs,
        name,
        layout,
        status,
    }))
}

/// The plan. What needs a person is apart.
#[derive(Default)]
struct PlanView {
    summary: Option<Summary>,
    rows: Rows,
    held: Rows,
    needs_action: Rows,
    /// Guard, message and hint.
    violations: Vec<[String; 3]>,
    /// The lines that approve what is held, and what to do with them.
    approvals: Option<String>,
    instruction: String,
}

/// One page of some rows of the plan.
type Rows = Option<(Vec<PlanRow>, Paged)>;

impl PlanView {
    fn new(name: &str, observation: &Observation, query: &WorkspaceQuery) -> Self {
        let view = observation.view(name);
        let all = rows::of_view(&view);
        let summary = Summary::of(view.plan, &all);
        let of = |kind| all.iter().filter(|row| row.kind == kind).collect();
        let others = all.iter().filter(|row| !matches!(row.kind, Kind::Held | Kind::NeedsAction));
        let page = |part: usize, noun, rows: Vec<&rows::Row>| {
            let mut offsets = [query.held, query.action, query.plan];
            let shown = rows.iter().skip(offsets[part]).take(PAGE_SIZE);
            let shown = shown.map(|row| PlanRow::new(name, (*row).clone(), view.sources));
            let shown: Vec<PlanRow> = shown.collect();
            let paged = Paged::new((offsets[part], PAGE_SIZE, rows.len()), noun, |offset| {
                offsets[part] = offset;
                let ([held, action, plan], anchor) = (offsets, ["held", "action", "plan"][part]);
                format!("/workspaces/{name}?held={held}&action={action}&plan={plan}#{anchor}")
            });
            (!rows.is_empty()).then_some((shown, paged))
        };
        let violations = view.verdict.violations.iter().map(|violation| {
            let [message, hint] = [&violation.message, &violation.hint].map(|it| escape(it));
            [violation.guard.to_string(), message.into_owned(), hint.into_owned()]
        });
        let approvals = approve::lines(view.verdict, view.sources);
        Self {
            held: page(0, "held", of(Kind::Held)),
            needs_action: page(1, "to act on", of(Kind::NeedsAction)),
            rows: page(2, "changes and findings", others.collect()),
            summary: Some(summary),
            violations: violations.collect(),
            instruction: approvals.as_deref().map(approve::instruction).unwrap_or_default(),
            approvals,
        }
    }
}

/// The files, the commit, and the number of members.
fn roster(observation: &Observation) -> (String, Option<Linked>, usize) {
    let Loaded { sources, roster, revision, .. } = &*observation.loaded;
    let files: Vec<_> = sources.iter().map(|(_, file)| escape(&file.name)).collect();
    let files = if files.len() > 3 { format!("{} files", files.len()) } else { files.join(", ") };
    let commit = revision.as_ref();
    let commit =
        commit.map(|it| Linked::commit(&it.full(), &[&it.author, &it.subject], Some(sources)));
    (files, commit, roster.members().len())
}

/// Links by role, and to people with an invitation or expiring access.
fn people_links(snapshot: &SnapshotView) -> Vec<PeopleLink> {
    let people = snapshot.access();
    let roles: BTreeSet<&str> = people.iter().map(|person| &*person.role).collect();
    let roles = roles.into_iter().map(|role| ("role", role, escape(role)));
    let others = [
        ("status", "pending", "pending".into()),
        ("status", "invitation expired", "expired".into()),
        ("expiring", "true", "ending within 14 days".into()),
    ];
    let links = roles.chain(others).filter_map(|(key, value, label)| {
        let is_one = |person: &&access::Row| match key {
            "role" => person.role == value,
            "status" => person.status == value,
            _ => person.expiring,
        };
        let mut found = people.iter().filter(is_one).peekable();
        found.peek()?;
        let path = format!("/workspaces/{}/people?{key}={}", snapshot.workspace, encoded(value));
        Some((path, label.into_owned(), access::count(found)))
    });
    links.collect()
}
