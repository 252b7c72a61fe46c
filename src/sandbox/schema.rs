//! The GraphQL schema: exactly the documented operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::{
    Context, EmptySubscription, Enum, Error, ErrorExtensions as _, Object, Result, Schema,
    SimpleObject,
};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::auth::Caller;
use super::world::{AccountType, Invitation, Refusal, World};

pub type Api = Schema<Query, Mutation, EmptySubscription>;

/// A mutation with more root fields than this is refused by every server.
pub const MAX_FIELDS: usize = 1000;

/// What one request works on.
pub struct Request {
    pub world: Arc<Mutex<World>>,
    /// What a listing shows, where that is not the world as it is.
    pub shown: Option<World>,
    pub caller: Caller,
    pub now: Timestamp,
    /// How an invitation that can be accepted is called.
    pub pending: InviteStatus,
    /// Every field answers `ok: false`, and nothing happens.
    pub not_ok: bool,
    /// The first field that fails ends the rest.
    pub abort: bool,
    pub failed: AtomicBool,
    /// Something was changed.
    pub changed: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum InviteStatus {
    Active,
    Sent,
    Expired,
}

#[derive(SimpleObject)]
struct ActiveUser {
    uid: String,
    email: String,
    name: Option<String>,
    account_type: AccountType,
}

#[derive(SimpleObject)]
struct InvitedUser {
    email: String,
    account_type: AccountType,
    invite_status: InviteStatus,
}

#[derive(SimpleObject)]
struct ListUsers {
    ok: bool,
    active_users: Vec<ActiveUser>,
    invited_users: Vec<InvitedUser>,
}

#[derive(SimpleObject)]
struct WorkspaceItem {
    uid: String,
    name: String,
}

#[derive(SimpleObject)]
struct ListWorkspaces {
    ok: bool,
    workspaces: Vec<WorkspaceItem>,
}

#[derive(SimpleObject)]
struct InviteUser {
    ok: bool,
}

#[derive(SimpleObject)]
struct UpdateUserAccountType {
    ok: bool,
}

#[derive(SimpleObject)]
struct DisableUser {
    ok: bool,
}

pub struct Query;
pub struct Mutation;

pub fn api() -> Api {
    Schema::build(Query, Mutation, EmptySubscription).finish()
}

/// The schema as text.
pub fn sdl() -> String {
    api().sdl()
}

#[expect(clippy::unused_async, reason = "the macro wants resolvers to be async")]
#[Object]
impl Query {
    /// All the active and invited users of the workspace.
    async fn list_users(&self, context: &Context<'_>) -> Result<ListUsers> {
        let request = context.data::<std::sync::Arc<Request>>()?;
        let workspace = request.caller.workspace()?;
        if request.not_ok {
            return Ok(ListUsers { ok: false, active_users: vec![], invited_users: vec![] });
        }
        let world = request.world.lock();
        let world = request.shown.as_ref().unwrap_or(&world);
        let workspace = world.workspace(workspace).ok_or_else(|| refused(Refusal::NoWorkspace))?;
        let active_users = workspace.active().map(|account| ActiveUser {
            uid: account.uid.clone(),
            email: account.email.clone(),
            name: account.name.clone(),
            account_type: account.account_type,
        });
        let invited_users = workspace.invitations.iter().map(|it| InvitedUser {
            email: it.email.clone(),
            account_type: it.account_type,
            invite_status: request.status(it),
        });
        Ok(ListUsers {
            ok: true,
            active_users: active_users.collect(),
            invited_users: invited_users.collect(),
        })
    }

    /// The workspaces that the key may see.
    async fn list_workspaces(&self, context: &Context<'_>) -> Result<ListWorkspaces> {
        let request = context.data::<std::sync::Arc<Request>>()?;
        let world = request.world.lock();
        let seen = world.workspaces.iter().filter(|it| request.caller.sees(&it.uid));
        let workspaces =
            seen.map(|it| WorkspaceItem { uid: it.uid.clone(), name: it.name.clone() }).collect();
        Ok(ListWorkspaces { ok: !request.not_ok, workspaces })
    }
}

#[expect(clippy::unused_async, reason = "the macro wants resolvers to be async")]
#[Object]
impl Mutation {
    /// Invites somebody to the workspace.
    async fn invite_user(
        &self,
        context: &Context<'_>,
        email: String,
        account_type: AccountType,
    ) -> Result<InviteUser> {
        let request = context.data::<std::sync::Arc<Request>>()?;
        let ok = request.change(|world, workspace| {
            world.invite(workspace, &email, account_type, request.now)
        })?;
        Ok(InviteUser { ok })
    }

    /// Changes what an active user may do.
    async fn update_user_account_type(
        &self,
        context: &Context<'_>,
        uid: String,
        account_type: AccountType,
    ) -> Result<UpdateUserAccountType> {
        let request = context.data::<std::sync::Arc<Request>>()?;
        let ok = request.change(|world, workspace| {
            world.set_account_type(workspace, &uid, account_type, request.now)
        })?;
        Ok(UpdateUserAccountType { ok })
    }

    /// Takes a user's access away.
    async fn disable_user(&self, context: &Context<'_>, uid: String) -> Result<DisableUser> {
        let request = context.data::<std::sync::Arc<Request>>()?;
        let ok = request.change(|world, workspace| world.disable(workspace, &uid, request.now))?;
        Ok(DisableUser { ok })
    }
}

impl Request {
    fn status(&self, invitation: &Invitation) -> InviteStatus {
        if invitation.is_expired(self.now) { InviteStatus::Expired } else { self.pending }
    }

    /// One field of a mutation.
    fn change(
        &self,
        effect: impl FnOnce(&mut World, &str) -> std::result::Result<(), Refusal>,
    ) -> Result<bool> {
        if self.abort && self.failed.load(Ordering::SeqCst) {
            return Err(Error::new("an earlier field failed"));
        }
        let done = self.caller.writable().and_then(|workspace| {
            if self.not_ok {
                return Ok(false);
            }
            effect(&mut self.world.lock(), workspace).map_err(refused)?;
            self.changed.store(true, Ordering::SeqCst);
            Ok(true)
        });
        if done.is_err() {
            self.failed.store(true, Ordering::SeqCst);
        }
        done
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::new(refusal.to_string()).extend_with(|_, e| e.set("code", refusal.code()))
}
