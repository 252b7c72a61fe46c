//! The runs of a workspace, with what each did.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::words::Ran;
use super::{Frame, Visit, page};
use crate::escape::escape;
use crate::web::Site;
use crate::web::api::Before;

/// So many on one page.
const MOST: usize = 50;

#[derive(Template)]
#[template(path = "runs.html", config = "src/web/askama.toml")]
struct Listed {
    frame: Frame,
    name: String,
    runs: Vec<Ran>,
    older: Option<u64>,
}

pub(super) async fn show(
    State(site): State<Site>,
    Path(name): Path<String>,
    Query(asked): Query<Before>,
) -> Result<Response, Response> {
    let visit = Visit::to(&site, &name)?;
    let row = asked.before.unwrap_or(u64::MAX);
    let found = match site.pasts.before(&visit.place, row, MOST).await {
        Ok(found) => found,
        Err(why) => return Err(visit.unread(&escape(&why))),
    };
    let older = found.last().filter(|_| found.len() == MOST).map(|run| run.seq);
    let runs = found.iter().map(|run| Ran::of(&name, run, visit.now)).collect();
    Ok(page(&Listed { frame: visit.frame, name, runs, older }))
}
