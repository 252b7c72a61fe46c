//! A scenario: the initial state, and every edit, operator action and fault, generated from a seed.
//! It is plain data, so that a failure can be shrunk to fewer steps.

use std::time::Duration;

use jiff::Timestamp;

/// Spellings of one endpoint, and one of another host.
pub const ENDPOINTS: [&str; 5] = [
    "https://api.acme.io/graphql",
    "https://API.acme.io:443/graphql",
    "https://api.acme.io/graphql/",
    "https://api.acme.io./graphql?v=2",
    "https://eu.acme.io/graphql",
];

/// Everything that a seed decides in advance.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub start: Timestamp,
    pub zone: &'static str,
    pub people: usize,
    pub server: Server,
    pub params: Params,
    /// Whether there is a second workspace.
    pub second_workspace: bool,
    /// Whether the roster is read from a git server, not from a file.
    pub git: bool,
    pub steps: Vec<Step>,
}

/// The ways in which servers differ.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// The first field that fails aborts its request, and `data` is null.
    pub aborts: bool,
    pub max_batch: usize,
    /// Pending invitations have the status SENT.
    pub sent: bool,
}

/// The settings that affect safety.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    pub min_admins: usize,
    pub require_first: bool,
    /// Percent, floor and maximum of every budget.
    pub budget: (u8, usize, usize),
    /// The only domain besides `partner.com`, which is of guests; empty without a policy.
    pub domain: &'static str,
    pub report: bool,
    pub suspend: bool,
    pub concurrency: usize,
    pub batch: usize,
    pub retention_days: i64,
    pub cron: &'static str,
    pub endpoint: &'static str,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub delay: Duration,
    pub operation: Operation,
}

/// What a step does. `which` selects among the candidates that exist at that time.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// A commit to the roster; the daemon may miss the file event.
    Commit {
        edit: Edit,
        which: usize,
        missed: bool,
    },
    /// The same edit, written in place in several parts, this many seconds apart.
    WriteInPlace {
        edit: Edit,
        which: usize,
        parts: usize,
        pause: u64,
    },
    /// An operator changes the workspace directly.
    Operator {
        action: OperatorAction,
        which: usize,
    },
    /// An operator changes the second workspace directly.
    EditSecondWorkspace {
        which: usize,
    },
    /// Sets the fault profile: faults and their probability in percent. `writes` applies to
    /// mutations only.
    InjectFaults {
        writes: (Fault, u8),
        all: [(Fault, u8); 2],
    },
    ClearFaults,
    /// The daemon's clock jumps.
    ClockJump {
        seconds: i64,
    },
    ClockReset,
    /// The power fails after this number of crash points, and returns.
    PowerCut {
        crash_points: u32,
        downtime: Duration,
    },
    /// SIGTERM after this number of crash points of a run, and a start later.
    Restart {
        crash_points: u32,
        downtime: Duration,
    },
    Reload,
    SetParam {
        param: Param,
        value: usize,
    },
    SetKey(Key),
    /// A second process makes a run.
    ConcurrentProcess,
    SetDisk(Disk),
    /// Something happens to the repository of the roster or to its clone; the daemon may not be
    /// told.
    Git {
        event: GitEvent,
        which: usize,
        missed: bool,
    },
    /// An operator accepts a rewritten history.
    AcceptCommit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit {
    Add,
    AddAdmin,
    /// Adds a member with a misspelt address, or a guest, with or without `expires`.
    AddElsewhere,
    AddPersonalAlias,
    Remove,
    ChangeRole,
    /// Changes the role of every member but the first two.
    ChangeRoles,
    NewAddress,
    NewAddressWithAlias,
    Expire,
    ExpireNow,
    StartLater,
    Elevate,
    ClearOptions,
    RemoveMany,
    RemoveAll,
    Truncate,
    MergeConflict,
    BadYaml,
    Duplicate,
    ControlCharacters,
    DeleteFile,
    Unmanage,
    Approve,
    /// Approves what nobody holds.
    ApproveInStock,
    /// Sets the end of access of nearly all members to the same instant.
    EndMany,
    TakeBackEnds,
    ElevateMany,
    RemoveApprovals,
    Repair,
}

/// What happens to the repository of the roster besides commits that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GitEvent {
    /// The branch is set back to a commit that it named before.
    PushBack,
    /// The branch is set to a new commit that follows one that it named before.
    PushParallel,
    /// A merge that brings back an earlier roster.
    MergeOlder,
    /// The next commit makes the branch again.
    DeleteBranch,
    /// The clone in the state directory is deleted.
    LoseClone,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OperatorAction {
    Accept,
    AcceptAll,
    /// Somebody accepts under another address than the invited one.
    AcceptElsewhere,
    ExpireInvitation,
    Remove,
    Disable,
    Enable,
    AddOutsider,
    AddMember,
    ChangeRole,
    GrantAdmin,
    NewAddress,
    SecondAccount,
    InviteOutsider,
    /// Adds an account whose address is a member's, with an invisible character.
    AddLookalike,
}

/// The fault injected into one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    None,
    Connect,
    ResetBefore,
    ResetAfter,
    TimeoutBefore,
    TimeoutAfter,
    /// The mutation takes effect after the client's timeout.
    LateEffect,
    Throttle,
    ServerError,
    /// 5xx from a gateway, although the server executed the request.
    ServerErrorAfter,
    Unavailable,
    HtmlPage,
    NotOk,
    /// One field of the request is rejected, the others are executed.
    PartialFailure,
    /// Every field is null, and the error names no field.
    NullResults,
    Truncate,
    /// GraphQL errors and no data; nothing was executed.
    ErrorsOnly,
    StaleListing,
    PartialListing,
    /// Some of the accounts, and a sign that there are more.
    FirstPage,
    MissingList,
    DuplicateRow,
    DataWithErrors,
    /// A firewall answers 401 or 403 with a page, before the server or instead of its response.
    Firewall,
    /// An operator changes an account before the request arrives.
    ConcurrentEdit,
    SlowDisk,
}

impl Fault {
    /// Whether the fault can be injected into a mutation (`writes`) or a listing.
    pub fn applies_to(self, writes: bool) -> bool {
        match self {
            Self::SlowDisk => false,
            Self::StaleListing
            | Self::PartialListing
            | Self::FirstPage
            | Self::MissingList
            | Self::DuplicateRow
            | Self::DataWithErrors => !writes,
            Self::LateEffect
            | Self::ConcurrentEdit
            | Self::ServerErrorAfter
            | Self::NullResults
            | Self::PartialFailure => writes,
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Param {
    MinAdmins,
    RequireFirst,
    Floor,
    Policy,
    Report,
    Suspend,
    Batch,
    Concurrency,
    /// The endpoint in another spelling, or at another host.
    Endpoint,
    UnreadableConfig,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    Full,
    /// Another key of the same workspace.
    Rotated,
    Viewer,
    Invalid,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disk {
    Healthy,
    Full,
    Unreadable,
}

impl Scenario {
    /// The same scenario with only these steps. The delays of removed steps are kept.
    pub fn keep(&self, steps: &[usize]) -> Self {
        let mut kept = Vec::new();
        let mut delay = Duration::ZERO;
        for (at, step) in self.steps.iter().enumerate() {
            delay += step.delay;
            if steps.contains(&at) {
                kept.push(Step { delay, operation: step.operation });
                delay = Duration::ZERO;
            }
        }
        Self { steps: kept, ..self.clone() }
    }
}
