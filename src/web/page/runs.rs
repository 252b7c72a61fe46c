//! The runs of a workspace, with what each did.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::view_models::RunRow;
use super::{Layout, PageContext, page};
use crate::escape::escape;
use crate::web::AppState;
use crate::web::api::RunsQuery;

/// So many on one page.
const MOST: usize = 50;

#[derive(Template)]
#[template(path = "runs.html", config = "src/web/askama.toml")]
struct Listed {
    frame: Layout,
    name: String,
    runs: Vec<RunRow>,
    older: Option<u64>,
}

pub(super) async fn show(
    State(site): State<AppState>,
    Path(name): Path<String>,
    Query(asked): Query<RunsQuery>,
) -> Result<Response, Response> {
    let visit = PageContext::to(&site, &name)?;
    let row = asked.before.unwrap_or(u64::MAX);
    let found = match site.pasts.before(&visit.place, row, MOST).await {
        Ok(found) => found,
        Err(why) => return Err(visit.unread(&escape(&why))),
    };
    let older = found.last().filter(|_| found.len() == MOST).map(|run| run.seq);
    let runs = found.iter().map(|run| RunRow::of(&name, run, visit.now)).collect();
    Ok(page(&Listed { frame: visit.frame, name, runs, older }))
}
