//! The hands behind the API's back: accept, expire, edit, and choose what goes wrong.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::auth;
use super::faults::FaultRate;
use super::server::{Shared, errors, is_json};
use super::world::{AccountType, Refusal, World};

/// What a hand does; only `what` decides which of these it needs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Edit {
    /// The name or the uid of the workspace; the first one where nothing is said.
    workspace: Option<String>,
    email: Option<String>,
    account_type: Option<AccountType>,
    name: Option<String>,
    /// The address after a rename.
    to: Option<String>,
    /// Faults from now on, as on the command line: `throttle=0.1`.
    faults: Option<Vec<String>>,
}

/// `GET /control/state`: everything, the disabled users too.
pub async fn state(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = permitted(&shared, &headers) {
        return refusal;
    }
    axum::Json(&*shared.world.lock()).into_response()
}

/// `POST /control/{what}`.
pub async fn change(
    State(shared): State<Arc<Shared>>,
    Path(what): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = permitted(&shared, &headers) {
        return refusal;
    }
    if !is_json(&headers) {
        let why = "send content-type: application/json";
        return errors(StatusCode::UNSUPPORTED_MEDIA_TYPE, why, "BAD_REQUEST");
    }
    let edit: Edit = match serde_json::from_slice(&body) {
        Ok(edit) => edit,
        Err(error) => return errors(StatusCode::BAD_REQUEST, &error.to_string(), "BAD_REQUEST"),
    };
    if what == "faults" {
        return set_faults(&shared, &edit);
    }
    let done = apply(&mut shared.world.lock(), &what, &edit, shared.clock.now());
    match done {
        Ok(Ok(())) => {
            if let Err(error) = shared.keep() {
                return errors(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string(), "NOT_KEPT");
            }
            axum::Json(json!({ "ok": true })).into_response()
        }
        Ok(Err(refusal)) => errors(StatusCode::CONFLICT, &refusal.to_string(), refusal.code()),
        Err(why) => errors(StatusCode::BAD_REQUEST, why, "BAD_REQUEST"),
    }
}

/// What is missing in the request, or what the world says to it.
fn apply(
    world: &mut World,
    what: &str,
    edit: &Edit,
    now: jiff::Timestamp,
) -> Result<Result<(), Refusal>, &'static str> {
    let first = world.workspaces.first().map(|it| it.uid.clone()).unwrap_or_default();
    let which = edit.workspace.clone().unwrap_or(first);
    let email = edit.email.as_deref().ok_or("`email` is missing")?;
    let account_type = || edit.account_type.ok_or("`accountType` is missing");
    Ok(match what {
        "accept" => world.accept(&which, email, now),
        "expire" => world.expire(&which, email),
        "account" => world.add(&which, email, edit.name.clone(), account_type()?),
        "role" => {
            let account_type = account_type()?;
            world.by_email(&which, email).map(|account| account.account_type = account_type)
        }
        "rename" => {
            let to = edit.to.clone().ok_or("`to` is missing")?;
            world.by_email(&which, email).map(|account| account.email = to)
        }
        "enable" => world.by_email(&which, email).map(|account| account.disabled = false),
        "remove" => world.remove(&which, email),
        _ => return Err("known are accept, expire, account, role, rename, enable, remove, faults"),
    })
}

fn set_faults(shared: &Shared, edit: &Edit) -> Response {
    let odds: Result<Vec<FaultRate>, String> =
        edit.faults.iter().flatten().map(|written| written.parse()).collect();
    match odds {
        Ok(odds) => {
            shared.faults.lock().set(odds);
            axum::Json(json!({ "ok": true })).into_response()
        }
        Err(why) => errors(StatusCode::BAD_REQUEST, &why, "BAD_REQUEST"),
    }
}

/// Only the admin key, and no page of another site.
fn permitted(shared: &Shared, headers: &HeaderMap) -> Result<(), Response> {
    if headers.contains_key(header::ORIGIN) {
        return Err(errors(StatusCode::FORBIDDEN, "not from a browser", "FORBIDDEN"));
    }
    match auth::caller(headers, &shared.world.lock()) {
        Ok(caller) if caller.is_admin() => Ok(()),
        Ok(_) => Err(errors(StatusCode::FORBIDDEN, "the admin key is needed", "FORBIDDEN")),
        Err(denied) => {
            Err(errors(StatusCode::UNAUTHORIZED, &denied.to_string(), "UNAUTHENTICATED"))
        }
    }
}
