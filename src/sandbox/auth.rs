//! Authentication: the public credentials of the sandbox and their permissions.

use async_graphql::{Error, ErrorExtensions as _, Result};
use axum::http::HeaderMap;

use super::world::World;

/// Key and secret with full access to the first workspace.
pub const ADMIN_KEY: &str = "sandbox-key";
pub const ADMIN_SECRET: &str = "sandbox-secret";
/// Key and secret with read access to the first workspace.
pub const VIEWER_KEY: &str = "sandbox-viewer-key";
pub const VIEWER_SECRET: &str = "sandbox-viewer-secret";
/// The token of the first workspace.
pub const WORKSPACE_TOKEN: &str = "prdm_wsp_sandbox";
/// The token of the company; the header `X-Paradime-Workspace` selects the workspace.
pub const COMPANY_TOKEN: &str = "prdm_cmp_sandbox";

/// The header with the uid of a workspace.
pub const WORKSPACE_HEADER: &str = "x-paradime-workspace";

/// The authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The uid of the selected workspace; None for a company token without the header.
    workspace: Option<String>,
    is_company: bool,
    /// Whether the caller may change the workspace and use the control API.
    pub is_admin: bool,
}

/// Why authentication failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("no API key: send X-API-KEY and X-API-SECRET, or Authorization: Bearer")]
    NoKey,
    #[error("the API key or its secret is wrong")]
    WrongKey,
    #[error("there is no workspace with the uid in X-Paradime-Workspace")]
    NoWorkspace,
}

/// Authenticates a request by its headers.
pub fn authenticate(headers: &HeaderMap, world: &World) -> std::result::Result<Caller, AuthError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = header("authorization").map(|it| it.strip_prefix("Bearer ").map(str::trim));
    let is_company = token == Some(Some(COMPANY_TOKEN));
    let is_admin = match (token, header("x-api-key"), header("x-api-secret")) {
        (Some(Some(COMPANY_TOKEN | WORKSPACE_TOKEN)), ..)
        | (None, Some(ADMIN_KEY), Some(ADMIN_SECRET)) => true,
        (None, Some(VIEWER_KEY), Some(VIEWER_SECRET)) => false,
        (None, None, None) => return Err(AuthError::NoKey),
        _ => return Err(AuthError::WrongKey),
    };
    let workspace = match header(WORKSPACE_HEADER).filter(|_| is_company) {
        Some(uid) => {
            Some(world.workspaces.iter().find(|it| it.uid == uid).ok_or(AuthError::NoWorkspace)?)
        }
        None => world.workspaces.first().filter(|_| !is_company),
    };
    Ok(Caller { workspace: workspace.map(|it| it.uid.clone()), is_company, is_admin })
}

impl Caller {
    /// The uid of the workspace to read.
    pub fn workspace(&self) -> Result<&str> {
        self.workspace.as_deref().ok_or_else(|| {
            error("a company token requires the header X-Paradime-Workspace", "UNAUTHENTICATED")
        })
    }

    /// The uid of the workspace to change, if the caller may.
    pub fn writable(&self) -> Result<&str> {
        if self.is_admin {
            return self.workspace();
        }
        Err(error("this API key lacks the capability User Management Admin", "FORBIDDEN"))
    }

    pub fn can_see(&self, uid: &str) -> bool {
        self.is_company || self.workspace.as_deref() == Some(uid)
    }
}

fn error(message: &str, code: &str) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}
