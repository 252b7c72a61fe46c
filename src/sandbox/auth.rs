//! Who is asking: the published credentials, and what each may do.

use async_graphql::{Error, ErrorExtensions as _, Result};
use axum::http::HeaderMap;

use super::world::World;

/// The key and the secret that may do everything in the first workspace.
pub const ADMIN_KEY: &str = "sandbox-key";
pub const ADMIN_SECRET: &str = "sandbox-secret";
/// The key and the secret that may only read the first workspace.
pub const VIEWER_KEY: &str = "sandbox-viewer-key";
pub const VIEWER_SECRET: &str = "sandbox-viewer-secret";
/// The token of the first workspace.
pub const WORKSPACE_TOKEN: &str = "prdm_wsp_sandbox";
/// The token of the company; the header `X-Paradime-Workspace` says which workspace is meant.
pub const COMPANY_TOKEN: &str = "prdm_cmp_sandbox";

/// The header with the uid of a workspace.
pub const WORKSPACE_HEADER: &str = "x-paradime-workspace";

/// Somebody with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The workspace that is meant; a company token may leave it open.
    workspace: Option<String>,
    is_company: bool,
    is_admin: bool,
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("no API key: send X-API-KEY and X-API-SECRET, or Authorization: Bearer")]
    NoKey,
    #[error("the API key or its secret is wrong")]
    WrongKey,
    #[error("there is no workspace with the uid in X-Paradime-Workspace")]
    NoWorkspace,
}

/// Tells who is asking from the headers.
pub fn caller(headers: &HeaderMap, world: &World) -> std::result::Result<Caller, Denied> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let first = world.workspaces.first().map(|it| it.uid.clone());
    if let Some(token) = header("authorization") {
        return match token.strip_prefix("Bearer ").map(str::trim) {
            Some(WORKSPACE_TOKEN) => {
                Ok(Caller { workspace: first, is_company: false, is_admin: true })
            }
            Some(COMPANY_TOKEN) => {
                let workspace = match header(WORKSPACE_HEADER) {
                    Some(uid) if world.workspaces.iter().any(|it| it.uid == uid) => {
                        Some(uid.to_owned())
                    }
                    Some(_) => return Err(Denied::NoWorkspace),
                    None => None,
                };
                Ok(Caller { workspace, is_company: true, is_admin: true })
            }
            _ => Err(Denied::WrongKey),
        };
    }
    let is_admin = match (header("x-api-key"), header("x-api-secret")) {
        (Some(ADMIN_KEY), Some(ADMIN_SECRET)) => true,
        (Some(VIEWER_KEY), Some(VIEWER_SECRET)) => false,
        (None, None) => return Err(Denied::NoKey),
        _ => return Err(Denied::WrongKey),
    };
    Ok(Caller { workspace: first, is_company: false, is_admin })
}

impl Caller {
    /// The workspace that is read.
    pub fn workspace(&self) -> Result<&str> {
        self.workspace.as_deref().ok_or_else(|| {
            coded("a company token needs the header X-Paradime-Workspace", "UNAUTHENTICATED")
        })
    }

    /// The workspace that is changed, by those who may.
    pub fn writable(&self) -> Result<&str> {
        if self.is_admin {
            return self.workspace();
        }
        Err(coded("this API key lacks the capability User Management Admin", "FORBIDDEN"))
    }

    pub fn sees(&self, uid: &str) -> bool {
        self.is_company || self.workspace.as_deref() == Some(uid)
    }

    /// Whether this is somebody who may turn the knobs of the sandbox.
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }
}

fn coded(message: &str, code: &str) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}
