//! The JSON API. It serves the same data as the page; [`super::openapi`] describes it.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, routing};

use super::queries::{EventsQuery, PeopleQuery, RunsQuery, limit};
use super::responses::{
    Accepted, Events, Overview, Page, People, RunResponse, Runs, TimelineResponse,
    WorkspaceResponse, problem,
};
use super::snapshot_view::SnapshotView;
use super::status::WorkspaceStatus;
use super::{AppState, Named};
use crate::email::Email;
use crate::reconcile::Observation;
use crate::render::{approve, history, json, why};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/openapi.json", routing::get(super::openapi::serve))
        .route("/api/v1/events", routing::get(super::live::events))
        .route("/api/v1/workspaces", routing::get(overview))
        .route("/api/v1/workspaces/{name}", routing::get(workspace))
        .route("/api/v1/workspaces/{name}/plan", routing::get(plan))
        .route("/api/v1/workspaces/{name}/approvals", routing::get(approvals))
        .route("/api/v1/workspaces/{name}/people", routing::get(people))
        .route("/api/v1/workspaces/{name}/people/{email}", routing::get(person))
        .route("/api/v1/workspaces/{name}/runs", routing::get(runs))
        .route("/api/v1/workspaces/{name}/history", routing::get(events))
        .route("/api/v1/workspaces/{name}/timeline", routing::get(timeline))
        .route("/api/v1/workspaces/{name}/reconcile", routing::post(reconcile))
}

async fn overview(State(app): State<AppState>) -> Json<Overview> {
    Json(Overview {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_problems: app.statuses.config_errors(),
        workspaces: app.statuses.workspaces().iter().map(WorkspaceResponse::new).collect(),
    })
}

async fn workspace(at: Named) -> Result<Json<WorkspaceResponse>, Response> {
    Ok(Json(WorkspaceResponse::new(&at.find()?)))
}

async fn plan(at: Named) -> Result<Response, Response> {
    let workspace = at.find()?;
    let text = json::write(&[snapshot(&workspace)?.observation.view(&at.name)]);
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

/// The lines of `approvals:` for the roster; empty if nothing can be approved.
async fn approvals(at: Named) -> Result<Response, Response> {
    let workspace = at.find()?;
    let Observation { evaluation, loaded, .. } = &*snapshot(&workspace)?.observation;
    let lines = approve::lines(&evaluation.verdict, &loaded.sources).unwrap_or_default();
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], lines).into_response())
}

async fn people(at: Named, Query(query): Query<PeopleQuery>) -> Result<Json<People>, Response> {
    let workspace = at.find()?;
    let snapshot = snapshot(&workspace)?;
    snapshot.ensure_rendered().await;
    let found = query.matches(snapshot.access());
    let items = found.iter().skip(query.offset).take(limit(query.limit)).copied().cloned();
    Ok(Json(Page { total: found.len(), offset: query.offset, items: items.collect() }))
}

async fn person(
    State(app): State<AppState>,
    Path((name, email)): Path<(String, String)>,
) -> Result<Json<why::Person>, Response> {
    let at = Named { app, name };
    let workspace = at.find()?;
    let snapshot = snapshot(&workspace)?;
    let email = Email::remote(&email);
    let view = snapshot.observation.view(&at.name);
    let addresses = why::addresses(&view, &email);
    let events = at.app.history.events(&workspace, Some(addresses)).await.map_err(ledger_error)?;
    Ok(Json(why::person(&view, &snapshot.observation.memory, &events, &email, None)))
}

async fn runs(at: Named, Query(query): Query<RunsQuery>) -> Result<Json<Runs>, Response> {
    let workspace = at.find()?;
    let limit = limit(query.limit);
    let found = at.app.history.runs(&workspace, query, limit).await.map_err(ledger_error)?;
    let next = found.last().filter(|_| found.len() == limit).map(|run| run.seq);
    let items = found.iter().map(|run| RunResponse::new(&at.name, run)).collect();
    Ok(Json(Runs { items, next }))
}

async fn events(at: Named, Query(query): Query<EventsQuery>) -> Result<Json<Events>, Response> {
    let workspace = at.find()?;
    let addresses = query.email.as_deref().map(|email| vec![Email::remote(email)]);
    let mut events = at.app.history.events(&workspace, addresses).await.map_err(ledger_error)?;
    events.retain(|event| query.since.is_none_or(|since| event.at >= since));
    events.reverse();
    let total = events.len();
    let page: Vec<_> = events.into_iter().skip(query.offset).take(limit(query.limit)).collect();
    Ok(Json(Page { total, offset: query.offset, items: history::rows(&at.name, &page) }))
}

async fn timeline(at: Named) -> Result<Json<TimelineResponse>, Response> {
    let history = at.app.history.get(&at.find()?).await.map_err(ledger_error)?;
    Ok(Json(TimelineResponse::new(&history.timeline)))
}

async fn reconcile(Named { app, name }: Named) -> Result<(StatusCode, Json<Accepted>), Response> {
    match app.daemon.request_run(&name).await {
        Some(true) => {
            let response = Accepted { workspace: name, status: "accepted".to_owned() };
            Ok((StatusCode::ACCEPTED, Json(response)))
        }
        Some(false) => Err(unknown_workspace(&name)),
        None => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon does not respond")),
    }
}

impl Named {
    fn find(&self) -> Result<WorkspaceStatus, Response> {
        self.app.statuses.workspace(&self.name).ok_or_else(|| unknown_workspace(&self.name))
    }
}

fn unknown_workspace(name: &str) -> Response {
    let name = crate::escape::escape(name);
    problem(StatusCode::NOT_FOUND, format!("there is no workspace `{name}`"))
}

fn snapshot(workspace: &WorkspaceStatus) -> Result<&Arc<SnapshotView>, Response> {
    workspace.snapshot.as_ref().ok_or_else(|| {
        let message = "no run has read this workspace yet";
        problem(StatusCode::SERVICE_UNAVAILABLE, message)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
fn ledger_error(why: String) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, format!("the ledger cannot be read: {why}"))
}
