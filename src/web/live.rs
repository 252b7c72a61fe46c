//! Server-sent events that tell a browser to reload changed parts of the page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::time::Instant;

use super::AppState;
use super::responses::problem;
use super::server::InFlight;

/// Maximum number of concurrent event streams; below the maximum number of connections, so that
/// streams never block other requests.
pub(super) const MAX_STREAMS: usize = 32;
/// Changes within this time are sent as one.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Minimum time between two events of one stream.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of keep-alive comments; they reveal dead connections.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// `event: changed` with a growing number, now and after every change.
pub(super) async fn events(
    State(app): State<AppState>,
    Extension(in_flight): Extension<InFlight>,
) -> Response {
    let Ok(slot) = Arc::clone(&app.sse_slots).try_acquire_owned() else {
        let message = "too many event streams; try again later";
        return problem(StatusCode::SERVICE_UNAVAILABLE, message);
    };
    let mut changes = app.statuses.subscribe();
    changes.mark_changed();
    let held = (slot, in_flight);
    let state = (changes, held, Instant::now());
    let events = stream::unfold(state, |(mut changes, held, earliest)| async move {
        changes.changed().await.ok()?;
        tokio::time::sleep(DEBOUNCE).await;
        tokio::time::sleep_until(earliest).await;
        let version = changes.borrow_and_update().to_string();
        let event = Event::default().event("changed").id(version.clone()).data(version);
        Some((Ok::<_, Infallible>(event), (changes, held, Instant::now() + MIN_INTERVAL)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
