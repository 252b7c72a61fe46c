//! The web page. It is rendered on the server and works without JavaScript; a small script updates
//! it when something changes.

mod overview;
mod people;
mod runs;
mod view_models;
mod workspace;

use jiff::tz::TimeZone;
use std::sync::Arc;

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
use crate::escape::escape;
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

/// The part that all pages share.
struct Layout {
    /// The version of the status store; the script compares it with that of the event stream.
    version: u64,
    release: &'static str,
    now: When,
    /// The workspaces, by name.
    names: Vec<String>,
    /// The workspace of this page, if it has one.
    current: String,
    config_errors: Option<LoadErrors>,
}

impl Layout {
    /// Call this before reading any status: the version must not be newer than the content.
    fn new(app: &AppState, current: &str) -> Self {
        let version = *app.statuses.subscribe().borrow();
        let now = app.clock.now();
        Self {
            version,
            release: env!("CARGO_PKG_VERSION"),
            now: When::new(now, now, &TimeZone::UTC),
            names: app.statuses.workspaces().into_iter().map(|it| it.name).collect(),
            current: current.to_owned(),
            config_errors: app.statuses.config_errors(),
        }
    }
}

#[derive(Template)]
#[template(path = "error.html", config = "src/web/askama.toml")]
struct ErrorPage<'a> {
    layout: Layout,
    heading: &'a str,
    message: &'a str,
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "rendering a page failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "rendering this page failed\n").into_response()
        }
    }
}

fn error_page(layout: Layout, status: StatusCode, heading: &str, message: &str) -> Response {
    (status, page(&ErrorPage { layout, heading, message })).into_response()
}

/// The layout and the workspace of a page.
struct PageContext {
    layout: Layout,
    status: WorkspaceStatus,
    now: Timestamp,
}

impl PageContext {
    fn new(app: &AppState, name: &str) -> Result<Self, Response> {
        let layout = Layout::new(app, name);
        let now = app.clock.now();
        let Some(status) = app.statuses.workspace(name) else {
            let message = "The configuration has no workspace with this name.";
            return Err(error_page(layout, StatusCode::NOT_FOUND, "Workspace not found", message));
        };
        Ok(Self { layout, status, now })
    }

    /// Adds the last snapshot, or fails if there is none yet.
    fn with_snapshot(self) -> Result<(Self, Arc<SnapshotView>), Response> {
        let Some(snapshot) = self.status.snapshot.clone() else {
            let message = "No run has read this workspace since the daemon started.";
            return Err(self.unavailable("No data yet", message));
        };
        Ok((self, snapshot))
    }

    fn ledger_error(self, why: &str) -> Response {
        self.unavailable("The ledger cannot be read", &escape(why))
    }

    fn unavailable(self, heading: &str, message: &str) -> Response {
        error_page(self.layout, StatusCode::SERVICE_UNAVAILABLE, heading, message)
    }
}
