//! The page: what a person sees. Rendered here, so that it works without a script; a little one
//! keeps it up to date.

mod overview;
mod people;
mod runs;
mod view_models;
mod workspace;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use jiff::Timestamp;

use super::AppState;
use super::snapshot_view::SnapshotView;
use super::status::{LoadErrors, WorkspaceStatus};
use view_models::When;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(overview::show))
        .route("/workspaces/{name}", get(workspace::show))
        .route("/workspaces/{name}/people", get(people::list))
        .route("/workspaces/{name}/people/{email}", get(people::person))
        .route("/workspaces/{name}/runs", get(runs::show))
        .route("/assets/style.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/assets/live.js", get(async || asset("text/javascript; charset=utf-8", LIVE)))
        .route("/assets/icon.svg", get(async || asset("image/svg+xml", ICON)))
}

const STYLE: &str = include_str!("../assets/style.css");
const LIVE: &str = include_str!("../assets/live.js");
const ICON: &str = include_str!("../assets/icon.svg");

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}

/// What is around every page.
struct Layout {
    /// The number of the last change; a browser compares.
    version: u64,
    release: &'static str,
    now: When,
    names: Vec<String>,
    current: String,
    trouble: Option<LoadErrors>,
}

impl Layout {
    /// `current` is the workspace that is shown. It comes before anything is read, so that nothing
    /// newer is taken for it.
    fn new(site: &AppState, current: &str) -> Self {
        let version = *site.board.subscribe().borrow();
        let now = site.clock.now();
        Self {
            version,
            release: env!("CARGO_PKG_VERSION"),
            now: When::of(now, now),
            names: site.board.places().into_iter().map(|place| place.name).collect(),
            current: current.to_owned(),
            trouble: site.board.trouble(),
        }
    }
}

/// Where there is nothing to show.
#[derive(Template)]
#[template(path = "missing.html", config = "src/web/askama.toml")]
struct ErrorPage {
    frame: Layout,
    head: &'static str,
    words: String,
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be rendered\n").into_response()
        }
    }
}

fn missing(frame: Layout, status: StatusCode, head: &'static str, words: &str) -> Response {
    let page = page(&ErrorPage { frame, head, words: words.to_owned() });
    (status, page).into_response()
}

/// The workspace of a page, and what is around it.
struct PageContext {
    frame: Layout,
    place: WorkspaceStatus,
    now: Timestamp,
}

impl PageContext {
    fn to(site: &AppState, name: &str) -> Result<Self, Response> {
        let frame = Layout::new(site, name);
        let now = site.clock.now();
        match site.board.place(name) {
            Some(place) => Ok(Self { frame, place, now }),
            None => Err(missing(
                frame,
                StatusCode::NOT_FOUND,
                "There is no such workspace",
                "The configuration names no workspace of this name.",
            )),
        }
    }

    /// The same where there has been a reading.
    fn read(self) -> Result<(Self, std::sync::Arc<SnapshotView>), Response> {
        match self.place.observation.clone() {
            Some(shown) => Ok((self, shown)),
            None => Err(missing(
                self.frame,
                StatusCode::SERVICE_UNAVAILABLE,
                "Nothing has been read yet",
                "No run has read this workspace since the daemon started.",
            )),
        }
    }

    fn unread(self, why: &str) -> Response {
        let head = "The ledger cannot be read";
        missing(self.frame, StatusCode::SERVICE_UNAVAILABLE, head, why)
    }
}
