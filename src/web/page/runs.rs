//! The runs of a workspace and their events.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse as _, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;

use super::view_models::{EventsPage, FEW_EVENTS, RunRow, encoded};
use super::{Layout, PageContext, page};
use crate::web::Named;
use crate::web::queries::RunsQuery;

/// Number of runs on one page.
const PAGE_SIZE: usize = 50;
/// Number of events of a run that is alone on its page.
const EVENTS: usize = 200;

#[derive(Template)]
#[template(path = "runs.html", config = "src/web/askama.toml")]
struct RunsPage {
    layout: Layout,
    query: RunsQuery,
    runs: Vec<RunRow>,
    older: Option<u64>,
}

pub(super) async fn show(
    Named { app, name }: Named,
    Query(query): Query<RunsQuery>,
    Query(events): Query<EventsPage>,
) -> Result<Response, Response> {
    let context = PageContext::new(&app, &name)?;
    let found = match app.history.runs(&context.status, query, PAGE_SIZE).await {
        Ok(found) => found,
        Err(why) => return Err(context.ledger_error(&why)),
    };
    let older = found.last().filter(|_| found.len() == PAGE_SIZE).map(|run| run.seq);
    let layout = context.layout;
    let size = if query.run.is_some() { EVENTS } else { FEW_EVENTS };
    let row = |run| RunRow::new(run, (events.offset, size), &layout);
    let runs = found.iter().map(row).collect();
    Ok(page(&RunsPage { layout, query, runs, older }))
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
