//! The state that all requests of a sandbox share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::auth::{self, Caller};
use super::connection::ResetHandle;
use super::faults::{Fault, Faults};
use super::schema::{Api, api};
use super::world::World;
use super::{Options, state};
use crate::clock::Clock;

/// A request without an answer is dropped after this time.
const HANG_TIMEOUT: Duration = Duration::from_mins(10);

pub(super) struct Shared {
    pub options: Options,
    pub clock: Arc<dyn Clock>,
    pub world: Arc<Mutex<World>>,
    pub faults: Mutex<Faults>,
    /// Cancelled when the sandbox stops.
    pub stop: CancellationToken,
    /// The world before the last change, for stale listings; kept only if that fault is enabled.
    pub before: Mutex<Option<World>>,
    /// The arrival times of the requests of the last second.
    recent: Mutex<Vec<Instant>>,
    pub api: Api,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Shared {
    pub fn new(options: Options, clock: Arc<dyn Clock>, world: World) -> Self {
        let faults = Faults::new(options.faults.iter().copied(), options.seed);
        Self {
            options,
            clock,
            stop: CancellationToken::new(),
            before: Mutex::default(),
            world: Arc::new(Mutex::new(world)),
            faults: Mutex::new(faults),
            recent: Mutex::default(),
            api: api(),
        }
    }

    /// Saves the world to its file, if it has one. The world stays locked meanwhile, so that an
    /// earlier state never overwrites a later one.
    pub fn save(&self) -> io::Result<()> {
        let Some(path) = &self.options.state else { return Ok(()) };
        let world = self.world.lock();
        state::save(path, &world)
    }

    /// A copy of the world for stale listings, if that fault is enabled: copying takes time that
    /// grows with the world.
    pub fn copy_for_stale(&self) -> Option<World> {
        let is_enabled = self.faults.lock().is_enabled(Fault::Stale);
        is_enabled.then(|| self.world.lock().clone())
    }

    /// Authenticates a request by its headers.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        auth::authenticate(headers, &self.world.lock())
            .map_err(|denied| error_response(StatusCode::UNAUTHORIZED, denied, "UNAUTHENTICATED"))
    }

    /// Does not answer until the sandbox stops or [`HANG_TIMEOUT`] has passed.
    pub async fn hang(&self, reset: &ResetHandle) {
        let _ = tokio::time::timeout(HANG_TIMEOUT, self.stop.cancelled()).await;
        reset.reset();
    }

    /// Counts a request; true if it exceeds the rate limit.
    pub fn exceeds_rate_limit(&self) -> bool {
        let Some(limit) = self.options.rate_limit else { return false };
        let now = Instant::now();
        let mut recent = self.recent.lock();
        recent.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        let exceeds = recent.len() >= limit as usize;
        if !exceeds {
            recent.push(now);
        }
        exceeds
    }
}

/// Requires JSON; browsers send any other type across sites without a preflight request.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Response> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let why = "send content-type: application/json";
    Err(error_response(StatusCode::UNSUPPORTED_MEDIA_TYPE, why, "BAD_REQUEST"))
}

pub(super) fn bad_request(why: impl ToString) -> Response {
    error_response(StatusCode::BAD_REQUEST, why, "BAD_REQUEST")
}

/// A response in the form of a GraphQL error.
#[expect(clippy::needless_pass_by_value, reason = "so that texts and errors can be passed alike")]
pub(super) fn error_response(status: StatusCode, why: impl ToString, code: &str) -> Response {
    let message = why.to_string();
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code } }] });
    (status, axum::Json(body)).into_response()
}
