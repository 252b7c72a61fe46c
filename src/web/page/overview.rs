//! All workspaces at a glance.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;

use super::words::{Due, State as Fares, When};
use super::{Frame, page};
use crate::render::Summary;
use crate::web::Site;
use crate::web::board::{self, Place};
use crate::web::shapes::Workspace;

#[derive(Template)]
#[template(path = "overview.html", config = "src/web/askama.toml")]
struct Overview {
    frame: Frame,
    title: String,
    cards: Vec<Card>,
}

struct Card {
    name: String,
    state: Fares,
    since: When,
    next: Option<Due>,
    sentence: String,
}

pub(super) async fn show(State(site): State<Site>) -> Response {
    let frame = Frame::new(&site, "");
    let now = site.clock.now();
    let mut places = site.board.places();
    // What needs somebody comes first.
    places.sort_by_key(|place| std::cmp::Reverse(urgency(place.fares().0)));
    let cards: Vec<Card> = places.iter().map(|place| Card::of(place, now)).collect();
    let well = places.iter().filter(|it| it.fares().0 == board::Fares::InSync).count();
    let title = match (well, cards.len()) {
        (1, 1) => "The workspace is in sync".to_owned(),
        (_, 1) => "The workspace is not in sync".to_owned(),
        (well, all) => format!("{well} of {all} workspaces are in sync"),
    };
    page(&Overview { frame, title, cards })
}

fn urgency(fares: board::Fares) -> u8 {
    match fares {
        board::Fares::InSync => 0,
        board::Fares::Starting => 1,
        board::Fares::Changing => 2,
        board::Fares::Held => 3,
        board::Fares::Stale => 4,
        board::Fares::Failing => 5,
    }
}

impl Card {
    fn of(place: &Place, now: Timestamp) -> Self {
        let (fares, since) = place.fares();
        Self {
            name: place.name.clone(),
            state: Fares::of(fares),
            since: When::of(since, now),
            next: place.next.map(|due| Due::of(due, now)),
            sentence: sentence(place, Workspace::of(place).plan.as_ref()),
        }
    }
}

/// The one thing to know of a workspace.
pub(super) fn sentence(place: &Place, plan: Option<&Summary>) -> String {
    let told = plan.map(ToString::to_string);
    match place.fares().0 {
        board::Fares::Starting if !place.is_loaded => {
            "No roster can be used yet, so nothing is done.".to_owned()
        }
        board::Fares::Starting => "The first run is under way.".to_owned(),
        board::Fares::Failing => {
            let failure = place.last.as_ref().and_then(|last| last.failure.clone());
            failure.unwrap_or_else(|| told.unwrap_or_default())
        }
        board::Fares::Stale => {
            format!("An earlier roster is in force: {}", told.unwrap_or_default())
        }
        board::Fares::Changing => match place.progress {
            Some((done, of)) => format!("{done} of {of} changes have an outcome."),
            None => String::new(),
        },
        board::Fares::InSync | board::Fares::Held => told.unwrap_or_default(),
    }
}
