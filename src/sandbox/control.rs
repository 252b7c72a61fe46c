//! The control API: actions of people (accept, expire, edit), and fault injection.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::auth;
use super::executed::AccountType;
use super::faults::FaultRate;
use super::shared::{Shared, error_response, is_json};
use super::world::{Rejection, World};

/// The parameters of an action. Each action uses some of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Edit {
    /// The name or the uid of the workspace; the first one by default.
    workspace: Option<String>,
    email: Option<String>,
    account_type: Option<AccountType>,
    name: Option<String>,
    /// The new email address of a rename.
    to: Option<String>,
    /// The new fault rates, as on the command line: `throttle=0.1`.
    faults: Option<Vec<String>>,
}

/// `GET /control/state`: the whole state, including disabled users.
pub async fn state(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Err(response) = require_admin(&shared, &headers) {
        return response;
    }
    axum::Json(&*shared.world.lock()).into_response()
}

/// `POST /control/{action}`.
pub async fn change(
    State(shared): State<Arc<Shared>>,
    Path(action): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(response) = require_admin(&shared, &headers) {
        return response;
    }
    if !is_json(&headers) {
        let why = "send content-type: application/json";
        return error_response(StatusCode::UNSUPPORTED_MEDIA_TYPE, why, "BAD_REQUEST");
    }
    let edit: Edit = match serde_json::from_slice(&body) {
        Ok(edit) => edit,
        Err(error) => {
            return error_response(StatusCode::BAD_REQUEST, &error.to_string(), "BAD_REQUEST");
        }
    };
    if action == "faults" {
        return set_faults(&shared, &edit);
    }
    let applied = apply(&mut shared.world.lock(), &action, &edit, shared.clock.now());
    match applied {
        Ok(Ok(())) => {
            if let Err(error) = shared.save() {
                return error_response(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &error.to_string(),
                    "NOT_SAVED",
                );
            }
            axum::Json(json!({ "ok": true })).into_response()
        }
        Ok(Err(rejection)) => {
            error_response(StatusCode::CONFLICT, &rejection.to_string(), rejection.code())
        }
        Err(why) => error_response(StatusCode::BAD_REQUEST, why, "BAD_REQUEST"),
    }
}

/// Applies an action. The outer error says what is wrong with the request.
fn apply(
    world: &mut World,
    action: &str,
    edit: &Edit,
    now: jiff::Timestamp,
) -> Result<Result<(), Rejection>, &'static str> {
    let first = world.workspaces.first().map(|it| it.uid.clone()).unwrap_or_default();
    let which = edit.workspace.clone().unwrap_or(first);
    let email = edit.email.as_deref().ok_or("`email` is missing")?;
    let account_type = || edit.account_type.ok_or("`accountType` is missing");
    Ok(match action {
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
        _ => {
            return Err(
                "unknown action: use accept, expire, account, role, rename, enable, remove, faults",
            );
        }
    })
}

fn set_faults(shared: &Shared, edit: &Edit) -> Response {
    let rates: Result<Vec<FaultRate>, String> =
        edit.faults.iter().flatten().map(|text| text.parse()).collect();
    match rates {
        Ok(rates) => {
            shared.faults.lock().set(rates);
            axum::Json(json!({ "ok": true })).into_response()
        }
        Err(why) => error_response(StatusCode::BAD_REQUEST, &why, "BAD_REQUEST"),
    }
}

/// Requires the admin key, and rejects requests of web pages.
fn require_admin(shared: &Shared, headers: &HeaderMap) -> Result<(), Response> {
    if headers.contains_key(header::ORIGIN) {
        return Err(error_response(
            StatusCode::FORBIDDEN,
            "requests from a browser are not allowed",
            "FORBIDDEN",
        ));
    }
    match auth::authenticate(headers, &shared.world.lock()) {
        Ok(caller) if caller.is_admin() => Ok(()),
        Ok(_) => {
            Err(error_response(StatusCode::FORBIDDEN, "the admin key is required", "FORBIDDEN"))
        }
        Err(denied) => {
            Err(error_response(StatusCode::UNAUTHORIZED, &denied.to_string(), "UNAUTHENTICATED"))
        }
    }
}
