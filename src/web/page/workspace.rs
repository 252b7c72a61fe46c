//! The page of one workspace: health, held changes, plan, access, timeline and runs.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;

use super::overview::headline;
use super::view_models::{PlanRow, RunRow, When, encoded, last_run, next_run};
use super::{Layout, PageContext, page};
use crate::escape::escape;
use crate::reconcile::Observation;
use crate::render::plot::{Plot, plot};
use crate::render::{Summary, approve, rows};
use crate::web::Named;
use crate::web::snapshot_view::SnapshotView;
use crate::web::status::{LastRun, WorkspaceHealth, WorkspaceStatus};

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
    status: WorkspaceStatus,
    health: WorkspaceHealth,
    headline: String,
    since: When,
    last_run: Option<(When, String)>,
    next_run: Option<(When, &'static str)>,
    converged: Option<When>,
    /// None before the first listing.
    roster: Option<String>,
    plan: PlanView,
    roles: Vec<PeopleLink>,
    plot: Option<Plot>,
    /// Why the ledger cannot be read.
    ledger_error: Option<String>,
    runs: Vec<RunRow>,
}

/// A link to some of the people: path, number of people, label.
type PeopleLink = (String, usize, String);

pub(super) async fn show(Named { app, name }: Named) -> Result<Response, Response> {
    let PageContext { layout, status, now } = PageContext::new(&app, &name)?;
    let (health, since) = status.health();
    let history = app.history.get(&status).await;
    if let Some(snapshot) = &status.snapshot {
        snapshot.ensure_rendered().await;
    }
    let (snapshot, zone) = (status.snapshot.as_deref(), status.zone());
    let plan = snapshot.map(|it| PlanView::new(&name, &it.observation)).unwrap_or_default();
    let (plot, runs, ledger_error) = match &history {
        Ok(history) => {
            let runs =
                history.runs.iter().take(RUNS).map(|run| RunRow::new(&name, run, now, &zone));
            (plot(&history.timeline, now), runs.collect(), None)
        }
        Err(why) => (None, Vec::new(), Some(escape(why).into_owned())),
    };
    Ok(page(&Workspace {
        layout,
        health,
        headline: headline(&status, plan.summary.as_ref()),
        since: When::new(since, now, &zone),
        last_run: status.last_run.as_ref().map(|run| last_run(run, now, &zone)),
        next_run: status.next_run.map(|next| next_run(next, now, &zone)),
        converged: status.converged.map(|at| When::new(at, now, &zone)),
        roster: snapshot.map(|snapshot| roster(&snapshot.observation)),
        plan,
        roles: snapshot.map(people_links).unwrap_or_default(),
        plot,
        ledger_error,
        runs,
        name,
        status,
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
    /// Guard, message and hint.
    violations: Vec<[String; 3]>,
    approvals: Option<String>,
    /// What to do with them.
    instruction: String,
}

impl PlanView {
    fn new(name: &str, observation: &Observation) -> Self {
        let view = observation.view(name);
        let all = rows::of_view(&view);
        let summary = Summary::of(view.plan, &all);
        let (held, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|row| row.kind == rows::Kind::Held);
        let held_caption = match held.len() {
            count if count > MAX_ROWS => format!("{MAX_ROWS} of {count} held"),
            count => format!("{count} held"),
        };
        let rows = |rows: Vec<rows::Row>| -> Vec<PlanRow> {
            let rows = rows.into_iter().take(MAX_ROWS);
            rows.map(|row| PlanRow::new(name, row, view.sources)).collect()
        };
        let violations = view.verdict.violations.iter().map(|violation| {
            let [message, hint] = [&violation.message, &violation.hint].map(|it| escape(it));
            [violation.guard.to_string(), message.into_owned(), hint.into_owned()]
        });
        let approvals = approve::lines(view.verdict, view.sources);
        Self {
            caption: summary.to_string(),
            summary: Some(summary),
            rows: rows(others),
            held: rows(held),
            held_caption,
            violations: violations.collect(),
            instruction: approvals.as_deref().map(approve::instruction).unwrap_or_default(),
            approvals,
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
    let links = links.map(|(key, value, count, label)| {
        let path = format!("/workspaces/{}/people?{key}={}", snapshot.workspace, encoded(value));
        (path, count, label.into_owned())
    });
    links.collect()
}
