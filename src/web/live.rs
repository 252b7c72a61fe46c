//! Tells a browser that something has changed: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::AppState;
use super::problem::problem;

/// So many listen at once; the rest of the connections is for those who ask.
const LISTENERS: usize = 32;
/// Changes within this are one.
const PAUSE: Duration = Duration::from_millis(200);
/// And nobody is told more often than this.
const BETWEEN: Duration = Duration::from_secs(1);
/// Something is said so often, so that a connection that has gone is noticed.
const ALIVE: Duration = Duration::from_secs(20);

/// The right to listen.
#[derive(Clone, Debug)]
pub(super) struct SseSlots(Arc<Semaphore>);

impl Default for SseSlots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LISTENERS)))
    }
}

/// `event: changed` with a number that grows, now and after every change.
pub(super) async fn events(State(site): State<AppState>) -> Response {
    let Ok(ear) = Arc::clone(&site.ears.0).try_acquire_owned() else {
        let words = "too many listen already; ask again later";
        return problem(StatusCode::SERVICE_UNAVAILABLE, words);
    };
    let mut news = site.board.subscribe();
    news.mark_changed();
    let told = stream::unfold((news, ear, Instant::now()), |(mut news, ear, from)| async move {
        news.changed().await.ok()?;
        tokio::time::sleep(PAUSE).await;
        tokio::time::sleep_until(from).await;
        let version = news.borrow_and_update().to_string();
        let event = Event::default().event("changed").id(version.clone()).data(version);
        Some((Ok::<_, Infallible>(event), (news, ear, Instant::now() + BETWEEN)))
    });
    Sse::new(told).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}
