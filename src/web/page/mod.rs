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
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::Timestamp;

use super::AppState;
use super::snapshot_view::SnapshotView;
use super::status::{LoadErrors, WorkspaceHealth, WorkspaceStatus};
use crate::diagnostic::Sources;
use crate::escape::escape;
use view_models::When;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(overview::show))
        .route("/workspaces/{name}", get(workspace::show))
        .route("/workspaces/{name}/people", get(people::list))
        .route("/workspaces/{name}/people.csv", get(people::csv))
        .route("/workspaces/{name}/people/{email}", get(people::person))
        .route("/workspaces/{name}/runs", get(runs::show))
        .route("/assets/style.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/assets/live.js", get(async || asset("text/javascript; charset=utf-8", LIVE)))
        .route("/assets/icon/{state}", get(icon))
}

/// Routes that check the token themselves.
pub(super) fn public_routes() -> Router<AppState> {
    Router::new().route("/workspaces/{name}/run", post(runs::request))
}

const STYLE: &str = include_str!("../assets/style.css");
const LIVE: &str = include_str!("../assets/live.js");
/// The icon of each state.
const ICONS: [(&str, &str); 6] = [
    ("starting", include_str!("../assets/icon/starting.svg")),
    ("in_sync", include_str!("../assets/icon/in_sync.svg")),
    ("changing", include_str!("../assets/icon/changing.svg")),
    ("held", include_str!("../assets/icon/held.svg")),
    ("stale", include_str!("../assets/icon/stale.svg")),
    ("failing", include_str!("../assets/icon/failing.svg")),
];

async fn icon(State(app): State<AppState>, Path(state): Path<String>) -> Response {
    let found = ICONS.into_iter().find(|(name, _)| *name == state);
    found.map_or_else(|| not_found(&app), |(_, icon)| asset("image/svg+xml", icon))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}

/// The part that all pages share.
struct Layout {
    /// The version of the status store; the script compares it with that of the event stream.
    version: u64,
    release: &'static str,
    now: Timestamp,
    /// The time zone of all times of this page.
    zone: TimeZone,
    snapshot: Option<Arc<SnapshotView>>,
    /// What the icon and the title show: the most urgent state of the workspaces of this page.
    urgency: WorkspaceHealth,
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
        let config_errors = app.statuses.config_errors();
        let statuses = app.statuses.workspaces();
        let shown = statuses.iter().find(|status| status.name == current);
        let zone = shown.map_or(TimeZone::UTC, WorkspaceStatus::zone);
        let on_page = statuses.iter().filter(|it| shown.is_none_or(|one| one.name == it.name));
        let errors = config_errors.as_ref().map(|_| WorkspaceHealth::Stale);
        let urgency = on_page.map(WorkspaceStatus::urgency).chain(errors).max();
        Self {
            version,
            release: env!("CARGO_PKG_VERSION"),
            now: app.clock.now(),
            zone,
            snapshot: shown.and_then(|status| status.snapshot.clone()),
            urgency: urgency.unwrap_or_default(),
            current: shown.map(|status| status.name.clone()).unwrap_or_default(),
            names: statuses.into_iter().map(|it| it.name).collect(),
            config_errors,
        }
    }

    /// The roster in use. Its repository has the commits of the workspace.
    fn sources(&self) -> Option<&Sources> {
        self.snapshot.as_deref().map(|it| &it.observation.loaded.sources)
    }

    fn when(&self, at: Timestamp) -> When {
        When::new(at, self.now, &self.zone)
    }

    fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
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

pub(super) fn not_found(app: &AppState) -> Response {
    let message = "There is no page at this address.";
    error_page(Layout::new(app, ""), StatusCode::NOT_FOUND, "Page not found", message)
}

/// The layout and the workspace of a page.
struct PageContext {
    layout: Layout,
    status: WorkspaceStatus,
}

impl PageContext {
    fn new(app: &AppState, name: &str) -> Result<Self, Response> {
        let layout = Layout::new(app, name);
        let Some(status) = app.statuses.workspace(name) else {
            let message = "The configuration has no workspace with this name.";
            return Err(error_page(layout, StatusCode::NOT_FOUND, "Workspace not found", message));
        };
        Ok(Self { layout, status })
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
