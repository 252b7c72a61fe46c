//! HTTP around the world: authentication, latency, faults, GraphQL.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::{Response as Answer, Value};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::ResetHandle;
use super::faults::{Fault, Faults};
use super::schema::{Api, InviteStatus, Request, api};
use super::world::World;
use super::{Options, auth, control, state};
use crate::clock::Clock;

/// A request may have so many bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// A request that is never answered is let go after so long.
const SILENCE: Duration = Duration::from_mins(10);

/// What every request shares.
pub(super) struct Shared {
    pub options: Options,
    pub clock: Arc<dyn Clock>,
    pub world: Arc<Mutex<World>>,
    pub faults: Mutex<Faults>,
    /// Cancelled when the sandbox stops.
    pub stop: CancellationToken,
    /// The world before the last change, which a stale listing shows; kept only while one may come.
    before: Mutex<Option<World>>,
    /// When the requests of the last second came.
    recent: Mutex<Vec<Instant>>,
    api: Api,
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

    /// Writes the world to its file, if it has one. The world is locked meanwhile, so that an
    /// earlier state never overwrites a later one.
    pub fn keep(&self) -> io::Result<()> {
        let Some(path) = &self.options.state else { return Ok(()) };
        let world = self.world.lock();
        state::save(path, &world)
    }

    /// The world as it is, if a later listing may show it: copying costs a time that grows with it.
    fn copy_for_stale(&self) -> Option<World> {
        let may = self.faults.lock().expects(Fault::Stale);
        may.then(|| self.world.lock().clone())
    }

    /// No answer, until the sandbox stops or the connection ends after [`SILENCE`].
    async fn hang(&self, switch: &ResetHandle) {
        let _ = tokio::time::timeout(SILENCE, self.stop.cancelled()).await;
        switch.reset();
    }

    /// Whether this request is one too many.
    fn over_the_limit(&self) -> bool {
        let Some(limit) = self.options.rate_limit else { return false };
        let now = Instant::now();
        let mut recent = self.recent.lock();
        recent.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        let over = recent.len() >= limit as usize;
        if !over {
            recent.push(now);
        }
        over
    }
}

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/graphql", post(graphql).get(explorer))
        .route("/control/state", get(control::state))
        .route("/control/{what}", post(control::change))
        .fallback(any(nothing_here))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response_with_state(Arc::clone(&shared), dated))
        .with_state(shared)
}

/// `Date` by the clock of the sandbox, which need not be the system's.
async fn dated(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    let now = shared.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(now) = HeaderValue::try_from(now) {
        response.headers_mut().insert(header::DATE, now);
    }
    response
}

/// A page that sends requests by hand. It loads nothing from elsewhere.
async fn explorer() -> Html<&'static str> {
    Html(include_str!("explorer.html"))
}

async fn nothing_here() -> Response {
    errors(StatusCode::NOT_FOUND, "nothing is here: the API is at /graphql", "NOT_FOUND")
}

/// One GraphQL request.
async fn graphql(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(switch): ConnectInfo<ResetHandle>,
    headers: HeaderMap,
    request: HttpRequest,
) -> Response {
    let asked = match read(request).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let caller = match auth::caller(&headers, &shared.world.lock()) {
        Ok(caller) => caller,
        Err(denied) => {
            return errors(StatusCode::UNAUTHORIZED, &denied.to_string(), "UNAUTHENTICATED");
        }
    };
    if shared.over_the_limit() {
        return throttled();
    }
    let (is_mutation, fields) = weigh(asked.0.as_ref(), asked.1.operation_name.as_deref());
    if is_mutation && fields > shared.options.max_batch {
        let most = shared.options.max_batch;
        return errors(StatusCode::OK, &format!("more than {most} fields"), "TOO_COMPLEX");
    }
    let fault = shared.faults.lock().draw(is_mutation);
    let field_time = shared.options.latency_per_field * u32::try_from(fields).unwrap_or(u32::MAX);
    tokio::time::sleep(shared.options.latency + field_time).await;
    if let Some(response) = before(&shared, fault, &switch).await {
        return response;
    }
    let was = if is_mutation { shared.copy_for_stale() } else { None };
    let answer = execute(&shared, caller, asked.1, fault, was).await;
    after(&shared, fault, &switch, answer).await
}

/// The faults that keep a request from running.
async fn before(shared: &Shared, fault: Option<Fault>, switch: &ResetHandle) -> Option<Response> {
    match fault? {
        Fault::Throttle => Some(throttled()),
        Fault::Unavailable => {
            Some(errors(StatusCode::SERVICE_UNAVAILABLE, "try again later", "UNAVAILABLE"))
        }
        Fault::TimeoutBefore => {
            shared.hang(switch).await;
            Some(StatusCode::OK.into_response())
        }
        Fault::ResetBefore => {
            switch.reset();
            Some(StatusCode::OK.into_response())
        }
        Fault::Html => Some(Html("<html><body>A page of a proxy.</body></html>").into_response()),
        _ => None,
    }
}

/// The faults that keep an answer from arriving.
async fn after(
    shared: &Shared,
    fault: Option<Fault>,
    switch: &ResetHandle,
    answer: Answer,
) -> Response {
    match fault {
        Some(Fault::TimeoutAfter) => shared.hang(switch).await,
        Some(Fault::ResetAfter) => switch.reset(),
        Some(Fault::Truncate) => return truncated(&answer),
        _ => {}
    }
    axum::Json(answer).into_response()
}

/// Runs the fields one after the other. `was` is the world before them, where it is still needed.
async fn execute(
    shared: &Shared,
    caller: auth::Caller,
    asked: async_graphql::Request,
    fault: Option<Fault>,
    was: Option<World>,
) -> Answer {
    let request = Arc::new(Request {
        world: Arc::clone(&shared.world),
        shown: if fault == Some(Fault::Stale) { shared.before.lock().clone() } else { None },
        caller,
        now: shared.clock.now(),
        pending: if shared.options.sent { InviteStatus::Sent } else { InviteStatus::Active },
        not_ok: fault == Some(Fault::NotOk),
        abort: shared.options.abort_batches,
        failed: AtomicBool::new(false),
        changed: AtomicBool::new(false),
    });
    let mut answer = shared.api.execute(asked.data(Arc::clone(&request))).await;
    if request.changed.load(Ordering::SeqCst) {
        *shared.before.lock() = was;
        if let Err(error) = shared.keep() {
            tracing::error!(%error, "the state of the sandbox is not kept");
        }
    }
    if request.abort && request.failed.load(Ordering::SeqCst) {
        answer.data = Value::Null;
        answer.errors.truncate(1);
    }
    answer
}

type Asked = (Option<ExecutableDocument>, async_graphql::Request);

/// Reads the body as a GraphQL request; the document is there if it is one.
async fn read(request: HttpRequest) -> Result<Asked, Response> {
    if !is_json(request.headers()) {
        let why = "send content-type: application/json";
        return Err(errors(StatusCode::UNSUPPORTED_MEDIA_TYPE, why, "BAD_REQUEST"));
    }
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_BODY).await else {
        return Err(errors(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large", "TOO_LARGE"));
    };
    if !body.trim_ascii_start().starts_with(b"{") {
        let why = "not a GraphQL request: send one JSON object";
        return Err(errors(StatusCode::BAD_REQUEST, why, "BAD_REQUEST"));
    }
    let mut asked: async_graphql::Request = serde_json::from_slice(&body).map_err(|error| {
        errors(StatusCode::BAD_REQUEST, &format!("not a GraphQL request: {error}"), "BAD_REQUEST")
    })?;
    let document = asked.parsed_query().ok().cloned();
    Ok((document, asked))
}

/// Whether the body is called JSON; a browser sends anything else across sites without asking.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|it| it.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Whether it is a mutation, and how many root fields it has.
fn weigh(document: Option<&ExecutableDocument>, name: Option<&str>) -> (bool, usize) {
    let Some(document) = document else { return (false, 0) };
    let mut operations = document.operations.iter();
    let operation = operations
        .find(|(known, _)| name.is_none() || known.map(async_graphql::Name::as_str) == name);
    let Some((_, operation)) = operation else { return (false, 0) };
    let fields = root_fields(document, &operation.node.selection_set.node);
    (operation.node.ty == OperationType::Mutation, fields)
}

/// Fragments count by what is in them, each of them once: they are not validated yet and may
/// contain themselves.
fn root_fields(document: &ExecutableDocument, root: &SelectionSet) -> usize {
    let (mut count, mut open, mut seen) = (0, vec![root], HashSet::new());
    while let Some(set) = open.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(_) => count += 1,
                Selection::InlineFragment(inline) => open.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = document.fragments.get(name).filter(|_| seen.insert(name));
                    open.extend(fragment.map(|it| &it.node.selection_set.node));
                }
            }
        }
    }
    count
}

fn throttled() -> Response {
    let body = errors(StatusCode::TOO_MANY_REQUESTS, "too many requests", "THROTTLED");
    ([(header::RETRY_AFTER, "1")], body).into_response()
}

/// The length of the whole answer, and half of it.
fn truncated(answer: &Answer) -> Response {
    let text = serde_json::to_vec(answer).unwrap_or_default();
    let half = text[..text.len() / 2].to_vec();
    let parts = stream::iter([Ok(half)]).chain(stream::once(async {
        // The server throws away what it has not written when the body fails.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    }));
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, text.len().to_string()),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

/// An answer in the shape of a GraphQL error.
pub(super) fn errors(status: StatusCode, message: &str, code: &str) -> Response {
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code } }] });
    (status, axum::Json(body)).into_response()
}
