//! The list of all workspaces.

use std::cmp::Reverse;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;

use super::view_models::{When, next_run};
use super::{Layout, page};
use crate::render::Summary;
use crate::web::AppState;
use crate::web::responses::WorkspaceResponse;
use crate::web::status::{WorkspaceHealth, WorkspaceStatus};

#[derive(Template)]
#[template(path = "overview.html", config = "src/web/askama.toml")]
struct Overview {
    layout: Layout,
    title: String,
    cards: Vec<Card>,
}

struct Card {
    name: String,
    health: WorkspaceHealth,
    since: When,
    next_run: Option<(When, &'static str)>,
    headline: String,
}

pub(super) async fn show(State(app): State<AppState>) -> Response {
    let layout = Layout::new(&app, "");
    let now = app.clock.now();
    let mut statuses = app.statuses.workspaces();
    statuses.sort_by_key(|status| Reverse(status.health().0));
    let cards: Vec<Card> = statuses.iter().map(|status| Card::new(status, now)).collect();
    let in_sync = statuses.iter().filter(|it| it.health().0 == WorkspaceHealth::InSync).count();
    let title = match (in_sync, cards.len()) {
        (1, 1) => "The workspace is in sync".to_owned(),
        (_, 1) => "The workspace is not in sync".to_owned(),
        (in_sync, all) => format!("{in_sync} of {all} workspaces are in sync"),
    };
    page(&Overview { layout, title, cards })
}

impl Card {
    fn new(status: &WorkspaceStatus, now: Timestamp) -> Self {
        let (health, since) = status.health();
        Self {
            name: status.name.clone(),
            health,
            since: When::new(since, now, &status.zone()),
            next_run: status.next_run.map(|next| next_run(next, now, &status.zone())),
            headline: headline(status, WorkspaceResponse::new(status).plan.as_ref()),
        }
    }
}

/// The most important fact about a workspace, in one sentence.
pub(super) fn headline(status: &WorkspaceStatus, plan: Option<&Summary>) -> String {
    let plan = plan.map(ToString::to_string).unwrap_or_default();
    match status.health().0 {
        WorkspaceHealth::Starting if !status.is_ready => {
            "No valid roster yet, so no changes are made.".to_owned()
        }
        WorkspaceHealth::Starting => "The first run is in progress.".to_owned(),
        WorkspaceHealth::Failing => {
            let failure = status.last_run.as_ref().and_then(|run| run.failure.clone());
            failure.unwrap_or(plan)
        }
        WorkspaceHealth::Stale => format!("An earlier roster is in use: {plan}"),
        WorkspaceHealth::Changing => {
            let (done, total) = status.progress.unwrap_or_default();
            format!("{done} of {total} changes completed.")
        }
        WorkspaceHealth::InSync | WorkspaceHealth::Held => plan,
    }
}
