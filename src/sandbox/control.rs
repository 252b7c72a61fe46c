//! The control API: actions of people (accept, expire, edit), and fault injection.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::executed::AccountType;
use super::faults::FaultRate;
use super::shared::{Shared, bad_request, error_response, require_json};
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
pub async fn state(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    require_admin(&shared, &headers)?;
    Ok(Json(&*shared.world.lock()).into_response())
}

/// `POST /control/{action}`.
pub async fn change(
    State(shared): State<Arc<Shared>>,
    Path(action): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Response> {
    require_admin(&shared, &headers)?;
    require_json(&headers)?;
    let edit: Edit = serde_json::from_slice(&body).map_err(bad_request)?;
    if action == "faults" {
        let rates = edit.faults.iter().flatten().map(|text| text.parse());
        let rates: Vec<FaultRate> = rates.collect::<Result<_, String>>().map_err(bad_request)?;
        shared.faults.lock().set(rates);
    } else {
        apply(&mut shared.world.lock(), &action, &edit, shared.clock.now())
            .map_err(bad_request)?
            .map_err(|why| error_response(StatusCode::CONFLICT, why, why.code()))?;
        shared.save().map_err(|error| {
            error_response(StatusCode::INTERNAL_SERVER_ERROR, error, "NOT_SAVED")
        })?;
    }
    Ok(Json(json!({ "ok": true })))
}

const UNKNOWN_ACTION: &str =
    "unknown action: use accept, expire, account, role, rename, enable, remove, faults";

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
        _ => return Err(UNKNOWN_ACTION),
    })
}

/// Requires the admin key, and rejects requests of web pages.
fn require_admin(shared: &Shared, headers: &HeaderMap) -> Result<(), Response> {
    let forbidden = |why| Err(error_response(StatusCode::FORBIDDEN, why, "FORBIDDEN"));
    if headers.contains_key(header::ORIGIN) {
        return forbidden("requests from a browser are not allowed");
    }
    if shared.authenticate(headers)?.is_admin {
        return Ok(());
    }
    forbidden("the admin key is required")
}
