//! The runs of a workspace and their events.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::view_models::RunRow;
use super::{Layout, PageContext, page};
use crate::web::AppState;
use crate::web::queries::RunsQuery;

/// Number of runs on one page.
const PAGE_SIZE: usize = 50;

#[derive(Template)]
#[template(path = "runs.html", config = "src/web/askama.toml")]
struct RunsPage {
    layout: Layout,
    name: String,
    runs: Vec<RunRow>,
    older: Option<u64>,
}

pub(super) async fn show(
    State(app): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Response> {
    let context = PageContext::new(&app, &name)?;
    let found = match app.history.runs(&context.status, query.before, PAGE_SIZE).await {
        Ok(found) => found,
        Err(why) => return Err(context.ledger_error(&why)),
    };
    let older = found.last().filter(|_| found.len() == PAGE_SIZE).map(|run| run.seq);
    let zone = context.status.zone();
    let runs = found.iter().map(|run| RunRow::new(&name, run, context.now, &zone)).collect();
    Ok(page(&RunsPage { layout: context.layout, name, runs, older }))
}
