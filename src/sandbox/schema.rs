//! The GraphQL schema: the documented operations and no others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::{
    Context, EmptySubscription, Enum, Error, ErrorExtensions as _, Object, Result, Schema,
    SimpleObject,
};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::auth::Caller;
use super::world::{Account, AccountType, Invitation, Rejection, World};

pub type Api = Schema<Query, Mutation, EmptySubscription>;

/// The default for the maximum number of root fields of a mutation.
pub const MAX_FIELDS: usize = 1000;

/// The context of one request.
pub struct Request {
    pub world: Arc<Mutex<World>>,
    /// An earlier state that listings return instead of the current one.
    pub stale: Option<World>,
    pub caller: Caller,
    pub now: Timestamp,
    /// The status of an invitation that can be accepted.
    pub pending: InviteStatus,
    /// Every field returns `ok: false`, and nothing is executed.
    pub not_ok: bool,
    /// The first failed field aborts the rest.
    pub abort: bool,
    pub failed: AtomicBool,
    /// The state was changed.
    pub changed: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum InviteStatus {
    Active,
    Sent,
    Expired,
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
    active_users: Vec<Account>,
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

#[expect(clippy::unused_async, reason = "the macro requires async resolvers")]
#[Object]
impl Query {
    /// All the active and invited users of the workspace.
    async fn list_users(&self, context: &Context<'_>) -> Result<ListUsers> {
        let request = context.data::<Arc<Request>>()?;
        let workspace = request.caller.workspace()?;
        if request.not_ok {
            return Ok(ListUsers { ok: false, active_users: vec![], invited_users: vec![] });
        }
        let world = request.world.lock();
        let world = request.stale.as_ref().unwrap_or(&world);
        let workspace =
            world.workspace(workspace).ok_or_else(|| rejected(Rejection::NoWorkspace))?;
        let invited_users = workspace.invitations.iter().map(|invitation| InvitedUser {
            email: invitation.email.clone(),
            account_type: invitation.account_type,
            invite_status: request.status(invitation),
        });
        Ok(ListUsers {
            ok: true,
            active_users: workspace.active().cloned().collect(),
            invited_users: invited_users.collect(),
        })
    }

    /// The workspaces that the key can see.
    async fn list_workspaces(&self, context: &Context<'_>) -> Result<ListWorkspaces> {
        let request = context.data::<Arc<Request>>()?;
        let world = request.world.lock();
        let visible = world.workspaces.iter().filter(|it| request.caller.can_see(&it.uid));
        let workspaces = visible
            .map(|it| WorkspaceItem { uid: it.uid.clone(), name: it.name.clone() })
            .collect();
        Ok(ListWorkspaces { ok: !request.not_ok, workspaces })
    }
}

#[expect(clippy::unused_async, reason = "the macro requires async resolvers")]
#[Object]
impl Mutation {
    /// Invites a person to the workspace.
    async fn invite_user(
        &self,
        context: &Context<'_>,
        email: String,
        account_type: AccountType,
    ) -> Result<InviteUser> {
        let request = context.data::<Arc<Request>>()?;
        let ok = request.change(|world, workspace| {
            world.invite(workspace, &email, account_type, request.now)
        })?;
        Ok(InviteUser { ok })
    }

    /// Changes the role of an active user.
    async fn update_user_account_type(
        &self,
        context: &Context<'_>,
        uid: String,
        account_type: AccountType,
    ) -> Result<UpdateUserAccountType> {
        let request = context.data::<Arc<Request>>()?;
        let ok = request.change(|world, workspace| {
            world.set_account_type(workspace, &uid, account_type, request.now)
        })?;
        Ok(UpdateUserAccountType { ok })
    }

    /// Disables a user.
    async fn disable_user(&self, context: &Context<'_>, uid: String) -> Result<DisableUser> {
        let request = context.data::<Arc<Request>>()?;
        let ok = request.change(|world, workspace| world.disable(workspace, &uid, request.now))?;
        Ok(DisableUser { ok })
    }
}

impl Request {
    fn status(&self, invitation: &Invitation) -> InviteStatus {
        if invitation.is_expired(self.now) { InviteStatus::Expired } else { self.pending }
    }

    /// Executes one field of a mutation.
    fn change(
        &self,
        effect: impl FnOnce(&mut World, &str) -> std::result::Result<(), Rejection>,
    ) -> Result<bool> {
        if self.abort && self.failed.load(Ordering::SeqCst) {
            return Err(Error::new("an earlier field failed"));
        }
        let done = self.caller.writable().and_then(|workspace| {
            if self.not_ok {
                return Ok(false);
            }
            effect(&mut self.world.lock(), workspace).map_err(rejected)?;
            self.changed.store(true, Ordering::SeqCst);
            Ok(true)
        });
        if done.is_err() {
            self.failed.store(true, Ordering::SeqCst);
        }
        done
    }
}

fn rejected(rejection: Rejection) -> Error {
    Error::new(rejection.to_string()).extend_with(|_, e| e.set("code", rejection.code()))
}
