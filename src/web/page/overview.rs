//! All workspaces at a glance.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;

use super::view_models::{NextRun, State as WorkspaceHealth, When};
use super::{Layout, page};
use crate::render::Summary;
use crate::web::AppState;
use crate::web::shapes::Workspace;
use crate::web::status::{self, WorkspaceStatus};

#[derive(Template)]
#[template(path = "overview.html", config = "src/web/askama.toml")]
struct Overview {
    frame: Layout,
    title: String,
    cards: Vec<Card>,
}

struct Card {
    name: String,
    state: WorkspaceHealth,
    since: When,
    next: Option<NextRun>,
    sentence: String,
}

pub(super) async fn show(State(site): State<AppState>) -> Response {
    let frame = Layout::new(&site, "");
    let now = site.clock.now();
    let mut places = site.board.places();
    // What needs somebody comes first.
    places.sort_by_key(|place| std::cmp::Reverse(urgency(place.fares().0)));
    let cards: Vec<Card> = places.iter().map(|place| Card::of(place, now)).collect();
    let well = places.iter().filter(|it| it.fares().0 == status::WorkspaceHealth::InSync).count();
    let title = match (well, cards.len()) {
        (1, 1) => "The workspace is in sync".to_owned(),
        (_, 1) => "The workspace is not in sync".to_owned(),
        (well, all) => format!("{well} of {all} workspaces are in sync"),
    };
    page(&Overview { frame, title, cards })
}

fn urgency(fares: status::WorkspaceHealth) -> u8 {
    match fares {
        status::WorkspaceHealth::InSync => 0,
        status::WorkspaceHealth::Starting => 1,
        status::WorkspaceHealth::Changing => 2,
        status::WorkspaceHealth::Held => 3,
        status::WorkspaceHealth::Stale => 4,
        status::WorkspaceHealth::Failing => 5,
    }
}

impl Card {
    fn of(place: &WorkspaceStatus, now: Timestamp) -> Self {
        let (fares, since) = place.fares();
        Self {
            name: place.name.clone(),
            state: WorkspaceHealth::of(fares),
            since: When::of(since, now),
            next: place.next.map(|due| NextRun::of(due, now)),
            sentence: sentence(place, Workspace::of(place).plan.as_ref()),
        }
    }
}

/// The one thing to know of a workspace.
pub(super) fn sentence(place: &WorkspaceStatus, plan: Option<&Summary>) -> String {
    let told = plan.map(ToString::to_string);
    match place.fares().0 {
        status::WorkspaceHealth::Starting if !place.is_loaded => {
            "No roster can be used yet, so nothing is done.".to_owned()
        }
        status::WorkspaceHealth::Starting => "The first run is under way.".to_owned(),
        status::WorkspaceHealth::Failing => {
            let failure = place.last.as_ref().and_then(|last| last.failure.clone());
            failure.unwrap_or_else(|| told.unwrap_or_default())
        }
        status::WorkspaceHealth::Stale => {
            format!("An earlier roster is in force: {}", told.unwrap_or_default())
        }
        status::WorkspaceHealth::Changing => match place.progress {
            Some((done, of)) => format!("{done} of {of} changes have an outcome."),
            None => String::new(),
        },
        status::WorkspaceHealth::InSync | status::WorkspaceHealth::Held => told.unwrap_or_default(),
    }
}
