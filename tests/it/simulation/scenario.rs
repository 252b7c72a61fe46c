//! A story of bad days, made from one number: who is there, what is committed, what people do by
//! hand, what breaks. It is plain data, so that a shorter story can be told with less of it.

use std::time::Duration;

use jiff::Timestamp;

/// Everything that a seed decides beforehand.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub start: Timestamp,
    pub zone: &'static str,
    pub people: usize,
    pub server: Server,
    pub knobs: Knobs,
    /// A second workspace is there.
    pub neighbour: bool,
    pub steps: Vec<Step>,
}

/// The ways in which servers differ.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// The first field that fails ends its request, and `data` is null.
    pub aborts: bool,
    pub max_batch: usize,
    /// Pending invitations are SENT.
    pub sent: bool,
}

/// The configuration, as far as it matters to safety.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knobs {
    pub min_admins: usize,
    pub require_first: bool,
    /// Percent and floor of every budget.
    pub budget: (u8, usize),
    pub report: bool,
    pub suspend: bool,
    pub concurrency: usize,
    pub batch: usize,
    pub retention_days: i64,
    pub cron: &'static str,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub wait: Duration,
    pub what: What,
}

/// What happens. A number chooses among what there is when its time has come.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Somebody commits; the daemon may miss the event.
    Commit {
        edit: Edit,
        which: usize,
        missed: bool,
    },
    /// Somebody acts in the workspace.
    Hand {
        act: Act,
        which: usize,
    },
    /// Somebody acts in the second workspace.
    NextDoor {
        which: usize,
    },
    /// From now on these go wrong, each with its odds in percent: the first with requests to
    /// change alone.
    Weather {
        changes: (Fault, u8),
        all: [(Fault, u8); 2],
    },
    Calm,
    /// The daemon's clock jumps.
    Clock {
        seconds: i64,
    },
    ClockRight,
    /// The power goes after so many moments at which it could, and comes back.
    PowerCut {
        moments: u32,
        down: Duration,
    },
    /// SIGTERM after so many moments of a run, and a start later.
    Restart {
        moments: u32,
        down: Duration,
    },
    Hangup,
    Knob {
        knob: Knob,
        value: usize,
    },
    Key(Key),
    /// A second process makes a run of its own.
    Rival,
    Disk(Disk),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit {
    Add,
    AddAdmin,
    Remove,
    ChangeRole,
    /// Everybody but the first two gets another role.
    ChangeRoles,
    NewAddress,
    NewAddressWithAlias,
    Expire,
    ExpireNow,
    StartLater,
    Elevate,
    Plain,
    RemoveMany,
    RemoveAll,
    Truncate,
    Conflict,
    BadYaml,
    Duplicate,
    NotText,
    DeleteFile,
    Unmanage,
    Approve,
    ForgetApprovals,
    Repair,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Accept,
    AcceptAll,
    ExpireInvitation,
    Remove,
    Disable,
    Enable,
    AddOutsider,
    AddMember,
    ChangeRole,
    Crown,
    NewAddress,
    SecondAccount,
    InviteOutsider,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    None,
    Connect,
    ResetBefore,
    ResetAfter,
    TimeoutBefore,
    TimeoutAfter,
    /// It takes effect only when nobody waits for it any more.
    Late,
    Throttle,
    Broken,
    /// 5xx from a gateway, and the server has done its work all the same.
    BrokenAfter,
    Unavailable,
    Html,
    NotOk,
    /// One field of the request is refused, the others are not.
    Partly,
    /// Data that does not say what became of any field, beside an error that names none.
    Mute,
    Truncate,
    /// GraphQL errors and no data; nothing ran.
    NoData,
    Stale,
    Shrunk,
    MissingList,
    Twice,
    ErrorsBeside,
    /// A hand is faster: somebody is gone when the request arrives.
    ConcurrentEdit,
    SlowDisk,
}

impl Fault {
    /// Whether this can go wrong with such a request.
    pub fn fits(self, writes: bool) -> bool {
        match self {
            Self::SlowDisk => false,
            Self::Stale | Self::Shrunk | Self::MissingList | Self::Twice | Self::ErrorsBeside => {
                !writes
            }
            Self::Late | Self::ConcurrentEdit | Self::BrokenAfter | Self::Mute | Self::Partly => {
                writes
            }
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Knob {
    MinAdmins,
    RequireFirst,
    Floor,
    Report,
    Suspend,
    Batch,
    Concurrency,
    Unreadable,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    Full,
    Viewer,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disk {
    Good,
    Full,
    Unreadable,
}

impl Scenario {
    /// The same with only these steps. Time goes on as it did.
    pub fn keep(&self, steps: &[usize]) -> Self {
        let mut kept = Vec::new();
        let mut wait = Duration::ZERO;
        for (at, step) in self.steps.iter().enumerate() {
            wait += step.wait;
            if steps.contains(&at) {
                kept.push(Step { wait, what: step.what });
                wait = Duration::ZERO;
            }
        }
        Self { steps: kept, ..self.clone() }
    }
}
