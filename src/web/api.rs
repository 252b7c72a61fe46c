//! The API: the page's own numbers, for programs. [`super::openapi`] describes it.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, routing};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AppState;
use super::problem::problem;
use super::shapes::{
    Accepted, Events, Overview, Page, People, PersonShape, Problems, RunShape, Runs, TimelineShape,
    Workspace,
};
use super::snapshot_view::SnapshotView;
use super::status::WorkspaceStatus;
use crate::email::Email;
use crate::render::{access, history, json, why};

/// What a list gives at most, and where nothing is said.
pub(super) const MOST: usize = 1000;
const USUAL: usize = 100;

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

/// Which people.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct PeopleQuery {
    /// A part of the address or of the name.
    pub q: String,
    /// This role alone.
    pub role: String,
    /// This status alone: as `rosterd access` calls it.
    pub status: String,
    /// Only those whose access ends within 14 days.
    #[serde(deserialize_with = "flag")]
    pub expiring: bool,
    /// So many are left out at the beginning.
    pub offset: usize,
    /// So many are given, 1 to 1000; 100 where nothing is said.
    pub limit: Option<usize>,
}

/// A box of a form says `on`.
fn flag<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    let text = String::deserialize(value)?;
    match text.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" | "" => Ok(false),
        _ => Err(serde::de::Error::custom("write true or false")),
    }
}

/// Which runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunsQuery {
    /// Only runs before this one.
    pub before: Option<u64>,
    /// So many are given, 1 to 1000; 100 where nothing is said.
    pub limit: Option<usize>,
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EventsQuery {
    /// Only this person.
    pub email: Option<String>,
    /// Only from this instant on: RFC 3339.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// So many are left out at the beginning; the newest come first.
    pub offset: usize,
    /// So many are given, 1 to 1000; 100 where nothing is said.
    pub limit: Option<usize>,
}

fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(USUAL).clamp(1, MOST)
}

async fn overview(State(site): State<AppState>) -> Json<Overview> {
    Json(Overview {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_problems: site.board.trouble().as_ref().map(Problems::of),
        workspaces: site.board.places().iter().map(Workspace::of).collect(),
    })
}

async fn workspace(
    State(site): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let place = place(&site, &name)?;
    Ok(Json(Workspace::of(&place)).into_response())
}

async fn plan(
    State(site): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let place = place(&site, &name)?;
    let shown = shown(&place)?;
    let text = json::write(&[shown.observation.view(&place.name)]);
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

/// Ready to paste; nothing where an approval releases nothing.
async fn approvals(
    State(site): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let place = place(&site, &name)?;
    let block = shown(&place)?.observation.evaluation.verdict.approvals().unwrap_or_default();
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], block).into_response())
}

async fn people(
    State(site): State<AppState>,
    Path(name): Path<String>,
    Query(wanted): Query<PeopleQuery>,
) -> Result<Json<People>, Response> {
    let place = place(&site, &name)?;
    let shown = shown(&place)?;
    shown.ensure_rendered().await;
    let (total, found) = wanted.of(shown.access());
    let items = found.into_iter().cloned().collect();
    Ok(Json(Page { total, offset: wanted.offset, items }))
}

impl PeopleQuery {
    /// How many match, and the part of them that is asked for.
    pub(super) fn of<'a>(&self, rows: &'a [access::Row]) -> (usize, Vec<&'a access::Row>) {
        let part = self.q.trim().to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&part);
        let matches = |row: &&access::Row| {
            (part.is_empty() || has(&row.email) || row.name.as_deref().is_some_and(has))
                && (self.role.is_empty() || row.role == self.role)
                && (self.status.is_empty() || row.status == self.status)
                && (!self.expiring || row.expiring)
        };
        let all: Vec<&access::Row> = rows.iter().filter(matches).collect();
        let part = all.iter().copied().skip(self.offset).take(limit(self.limit));
        (all.len(), part.collect())
    }
}

async fn person(
    State(site): State<AppState>,
    Path((name, email)): Path<(String, String)>,
) -> Result<Json<PersonShape>, Response> {
    let place = place(&site, &name)?;
    let shown = shown(&place)?;
    let email = Email::remote(&email);
    let view = shown.observation.view(&place.name);
    let (_, addresses) = why::person(&view, &email);
    let events = site.pasts.story(&place, addresses).await.map_err(unread)?;
    let sections = why::sections(&view, &shown.observation.memory, &email);
    let [roster, workspace, invitations, next] = sections.map(|(_, lines)| lines);
    let history = history::rows(&place.name, &events);
    let email = email.as_str().to_owned();
    Ok(Json(PersonShape { email, roster, workspace, invitations, next, history }))
}

async fn runs(
    State(site): State<AppState>,
    Path(name): Path<String>,
    Query(asked): Query<RunsQuery>,
) -> Result<Json<Runs>, Response> {
    let place = place(&site, &name)?;
    let most = limit(asked.limit);
    let row = asked.before.unwrap_or(u64::MAX);
    let found = site.pasts.before(&place, row, most).await.map_err(unread)?;
    let next = found.last().filter(|_| found.len() == most).map(|run| run.seq);
    let items = found.iter().map(|run| RunShape::of(&place.name, run)).collect();
    Ok(Json(Runs { items, next }))
}

async fn events(
    State(site): State<AppState>,
    Path(name): Path<String>,
    Query(asked): Query<EventsQuery>,
) -> Result<Json<Events>, Response> {
    let place = place(&site, &name)?;
    let events = match &asked.email {
        Some(email) => site.pasts.story(&place, vec![Email::remote(email)]).await,
        None => site.pasts.events(&place).await,
    };
    let mut events = events.map_err(unread)?;
    events.retain(|event| asked.since.is_none_or(|since| event.at >= since));
    events.reverse();
    let (total, most) = (events.len(), limit(asked.limit));
    let part: Vec<_> = events.into_iter().skip(asked.offset).take(most).collect();
    let items = history::rows(&place.name, &part);
    Ok(Json(Page { total, offset: asked.offset, items }))
}

async fn timeline(
    State(site): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<TimelineShape>, Response> {
    let place = place(&site, &name)?;
    let past = site.pasts.of(&place).await.map_err(unread)?;
    Ok(Json(TimelineShape::of(&past)))
}

async fn reconcile(
    State(site): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    match site.handle.request_run(&name).await {
        Some(true) => {
            let answer = Accepted { workspace: name, status: "accepted".to_owned() };
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
        Some(false) => Err(unknown(&name)),
        None => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer")),
    }
}

fn place(site: &AppState, name: &str) -> Result<WorkspaceStatus, Response> {
    site.board.place(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Response {
    let name = crate::escape::escape(name);
    problem(StatusCode::NOT_FOUND, format!("there is no workspace `{name}`"))
}

fn shown(place: &WorkspaceStatus) -> Result<&Arc<SnapshotView>, Response> {
    place.observation.as_ref().ok_or_else(|| {
        let words = "no run has read this workspace yet";
        problem(StatusCode::SERVICE_UNAVAILABLE, words)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it takes an error")]
fn unread(why: String) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, format!("the ledger cannot be read: {why}"))
}
