//! The runs of a workspace and their events.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;

use super::view_models::{EventsPage, FEW_EVENTS, RunRow, encoded};
use super::{Layout, PageContext, error_page, page};
use crate::web::queries::RunsQuery;
use crate::web::{AppState, Named};

/// Number of runs on one page.
const PAGE_SIZE: usize = 50;
/// Number of events on the page of one run.
const EVENTS: usize = 200;

#[derive(Template)]
#[template(path = "runs.html", config = "src/web/askama.toml")]
struct RunsPage {
    layout: Layout,
    name: String,
    changed: bool,
    runs: Vec<RunRow>,
    older: Option<u64>,
}

pub(super) async fn list(
    Named { app, name }: Named,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Response> {
    let context = PageContext::new(&app, &name)?;
    let RunsQuery { before, changed, .. } = query;
    let found = match app.history.runs(&context.status, before, changed, PAGE_SIZE).await {
        Ok(found) => found,
        Err(why) => return Err(context.ledger_error(&why)),
    };
    let older = found.last().filter(|_| found.len() == PAGE_SIZE).map(|run| run.seq);
    let PageContext { layout, now, .. } = context;
    let row = |run| RunRow::new(&name, run, (0, FEW_EVENTS), now, layout.shown());
    let runs = found.iter().map(row).collect();
    Ok(page(&RunsPage { layout, name, changed, runs, older }))
}

#[derive(Template)]
#[template(path = "run.html", config = "src/web/askama.toml")]
struct RunPage {
    layout: Layout,
    name: String,
    run: RunRow,
}

pub(super) async fn one(
    State(app): State<AppState>,
    Path((name, id)): Path<(String, u64)>,
    Query(query): Query<EventsPage>,
) -> Result<Response, Response> {
    let context = PageContext::new(&app, &name)?;
    let found = match app.history.runs(&context.status, id.checked_add(1), false, 1).await {
        Ok(found) => found.into_iter().find(|run| run.seq == id),
        Err(why) => return Err(context.ledger_error(&why)),
    };
    let PageContext { layout, now, .. } = context;
    let Some(found) = found else {
        let message = "The ledger has no run with this number.";
        return Err(error_page(layout, StatusCode::NOT_FOUND, "Run not found", message));
    };
    let run = RunRow::new(&name, &found, (query.offset, EVENTS), now, layout.shown());
    Ok(page(&RunPage { layout, name, run }))
}

#[derive(Deserialize)]
pub(super) struct RequestForm {
    token: SecretString,
}

/// Requests a run if the form has the token. The page of the workspace shows the result.
pub(super) async fn request(Named { app, name }: Named, Form(form): Form<RequestForm>) -> Response {
    let result = if !app.auth.is_token(form.token) {
        "denied"
    } else if app.daemon.request_run(&name).await == Some(true) {
        "requested"
    } else {
        "unavailable"
    };
    Redirect::to(&format!("/workspaces/{}?run={result}", encoded(&name))).into_response()
}
