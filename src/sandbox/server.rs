//! The HTTP server of the sandbox: authentication, latency, faults and GraphQL.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::{Response as GraphqlResponse, Value};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::stream::{self, StreamExt as _};

use super::connection::ResetHandle;
use super::faults::Fault;
use super::schema::{InviteStatus, Request};
use super::shared::{Shared, bad_request, error_response, require_json};
use super::world::World;
use super::{auth, control};

/// Maximum size of a request in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
const NOT_FOUND: &str = "not found: the API is at /graphql";

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        // A page to send requests by hand. It loads no external resources.
        .route("/graphql", post(graphql).get(async || Html(include_str!("explorer.html"))))
        .route("/control/state", get(control::state))
        .route("/control/{what}", post(control::change))
        .fallback(any(async || error_response(StatusCode::NOT_FOUND, NOT_FOUND, "NOT_FOUND")))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response_with_state(Arc::clone(&shared), set_date))
        .with_state(shared)
}

/// Sets `Date` from the clock of the sandbox, which may differ from the system clock.
async fn set_date(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    let now = shared.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(now) = HeaderValue::try_from(now) {
        response.headers_mut().insert(header::DATE, now);
    }
    response
}

/// One GraphQL request.
async fn graphql(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(reset): ConnectInfo<ResetHandle>,
    headers: HeaderMap,
    request: HttpRequest,
) -> Result<Response, Response> {
    let (document, query) = read(request).await?;
    let caller = shared.authenticate(&headers)?;
    if shared.exceeds_rate_limit() {
        return Err(throttled());
    }
    let (is_mutation, fields) = root_operation(document.as_ref(), query.operation_name.as_deref());
    if is_mutation && fields > shared.options.max_batch {
        let why = format!("more than {} fields", shared.options.max_batch);
        return Err(error_response(StatusCode::OK, why, "TOO_COMPLEX"));
    }
    let fault = shared.faults.lock().draw(is_mutation);
    let field_time = shared.options.latency_per_field * u32::try_from(fields).unwrap_or(u32::MAX);
    tokio::time::sleep(shared.options.latency + field_time).await;
    if let Some(response) = fault_before(&shared, fault, &reset).await {
        return Ok(response);
    }
    let before = if is_mutation { shared.copy_for_stale() } else { None };
    let response = execute(&shared, caller, query, fault, before).await;
    match fault {
        Some(Fault::TimeoutAfter) => shared.hang(&reset).await,
        Some(Fault::ResetAfter) => reset.reset(),
        Some(Fault::Truncate) => return Ok(truncated(&response)),
        _ => {}
    }
    Ok(axum::Json(response).into_response())
}

/// Faults that prevent the execution of a request.
async fn fault_before(
    shared: &Shared,
    fault: Option<Fault>,
    reset: &ResetHandle,
) -> Option<Response> {
    match fault? {
        Fault::Throttle => Some(throttled()),
        Fault::Unavailable => {
            Some(error_response(StatusCode::SERVICE_UNAVAILABLE, "try again later", "UNAVAILABLE"))
        }
        Fault::TimeoutBefore => {
            shared.hang(reset).await;
            Some(StatusCode::OK.into_response())
        }
        Fault::ResetBefore => {
            reset.reset();
            Some(StatusCode::OK.into_response())
        }
        Fault::Html => Some(Html("<html><body>A page of a proxy.</body></html>").into_response()),
        _ => None,
    }
}

/// Executes the fields in order. `before` is the world before them, if stale listings need it.
async fn execute(
    shared: &Shared,
    caller: auth::Caller,
    query: async_graphql::Request,
    fault: Option<Fault>,
    before: Option<World>,
) -> GraphqlResponse {
    let request = Arc::new(Request {
        world: Arc::clone(&shared.world),
        stale: if fault == Some(Fault::Stale) { shared.before.lock().clone() } else { None },
        caller,
        now: shared.clock.now(),
        pending: if shared.options.sent { InviteStatus::Sent } else { InviteStatus::Active },
        not_ok: fault == Some(Fault::NotOk),
        abort: shared.options.abort_batches,
        failed: AtomicBool::new(false),
        changed: AtomicBool::new(false),
    });
    let mut response = shared.api.execute(query.data(Arc::clone(&request))).await;
    if request.changed.load(Ordering::SeqCst) {
        *shared.before.lock() = before;
        if let Err(error) = shared.save() {
            tracing::error!(%error, "cannot save the state of the sandbox");
        }
    }
    if request.abort && request.failed.load(Ordering::SeqCst) {
        response.data = Value::Null;
        response.errors.truncate(1);
    }
    response
}

type Parsed = (Option<ExecutableDocument>, async_graphql::Request);

/// Parses the body; there is no document if the query has a syntax error.
async fn read(request: HttpRequest) -> Result<Parsed, Response> {
    require_json(request.headers())?;
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_BODY).await else {
        let why = "the request is too large";
        return Err(error_response(StatusCode::PAYLOAD_TOO_LARGE, why, "TOO_LARGE"));
    };
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(bad_request("not a GraphQL request: send one JSON object"));
    }
    let mut query: async_graphql::Request = serde_json::from_slice(&body)
        .map_err(|error| bad_request(format!("not a GraphQL request: {error}")))?;
    let document = query.parsed_query().ok().cloned();
    Ok((document, query))
}

/// Whether the operation is a mutation, and its number of root fields.
fn root_operation(document: Option<&ExecutableDocument>, name: Option<&str>) -> (bool, usize) {
    let Some(document) = document else { return (false, 0) };
    let mut operations = document.operations.iter();
    let operation = operations
        .find(|(known, _)| name.is_none() || known.map(async_graphql::Name::as_str) == name);
    let Some((_, operation)) = operation else { return (false, 0) };
    let fields = root_fields(document, &operation.node.selection_set.node);
    (operation.node.ty == OperationType::Mutation, fields)
}

/// Counts the fields of each fragment once: fragments are not validated yet and may be recursive.
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
                    open.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                }
            }
        }
    }
    count
}

fn throttled() -> Response {
    let body = error_response(StatusCode::TOO_MANY_REQUESTS, "too many requests", "THROTTLED");
    ([(header::RETRY_AFTER, "1")], body).into_response()
}

/// Half of the response, with the length of all of it.
fn truncated(response: &GraphqlResponse) -> Response {
    let text = serde_json::to_vec(response).unwrap_or_default();
    let half = text[..text.len() / 2].to_vec();
    let parts = stream::iter([Ok(half)]).chain(stream::once(async {
        // On an error of the body, hyper discards data that it has not written yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    }));
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, text.len().to_string()),
    ];
    (headers, Body::from_stream(parts)).into_response()
}
