//! A story of bad days, made from one number: who is there, what is committed, what people do by
//! hand, what breaks. It is plain data, so that a shorter story can be told with less of it.

use std::time::Duration;

use fastrand::Rng;
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
    /// From now on these go wrong, each with its odds in percent.
    Weather([(Fault, u8); 3]),
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
    Sabotage,
    SlowDisk,
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

const EDITS: [(Edit, u8); 23] = [
    (Edit::Add, 10),
    (Edit::AddAdmin, 3),
    (Edit::Remove, 10),
    (Edit::ChangeRole, 12),
    (Edit::NewAddress, 6),
    (Edit::NewAddressWithAlias, 4),
    (Edit::Expire, 5),
    (Edit::ExpireNow, 3),
    (Edit::StartLater, 5),
    (Edit::Elevate, 5),
    (Edit::Plain, 2),
    (Edit::RemoveMany, 4),
    (Edit::RemoveAll, 1),
    (Edit::Truncate, 4),
    (Edit::Conflict, 1),
    (Edit::BadYaml, 1),
    (Edit::Duplicate, 1),
    (Edit::NotText, 1),
    (Edit::DeleteFile, 2),
    (Edit::Unmanage, 3),
    (Edit::Approve, 10),
    (Edit::ForgetApprovals, 3),
    (Edit::Repair, 6),
];

const ACTS: [(Act, u8); 13] = [
    (Act::Accept, 10),
    (Act::AcceptAll, 6),
    (Act::ExpireInvitation, 5),
    (Act::Remove, 4),
    (Act::Disable, 3),
    (Act::Enable, 4),
    (Act::AddOutsider, 4),
    (Act::AddMember, 3),
    (Act::ChangeRole, 6),
    (Act::Crown, 2),
    (Act::NewAddress, 3),
    (Act::SecondAccount, 2),
    (Act::InviteOutsider, 3),
];

pub const FAULTS: [Fault; 23] = [
    Fault::Connect,
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::TimeoutBefore,
    Fault::TimeoutAfter,
    Fault::Late,
    Fault::Throttle,
    Fault::Broken,
    Fault::BrokenAfter,
    Fault::Unavailable,
    Fault::Html,
    Fault::NotOk,
    Fault::Partly,
    Fault::Mute,
    Fault::Truncate,
    Fault::NoData,
    Fault::Stale,
    Fault::Shrunk,
    Fault::MissingList,
    Fault::Twice,
    Fault::ErrorsBeside,
    Fault::Sabotage,
    Fault::SlowDisk,
];

/// Seconds between two steps.
const WAITS: [u64; 14] =
    [1, 3, 10, 45, 130, 400, 800, 2_400, 9_000, 30_000, 50_000, 90_000, 200_000, 600_000];

/// Around the days on which clocks change, and a day on which they do not.
const STARTS: [&str; 4] = [
    "2026-10-24T20:00:00Z",
    "2027-03-27T09:00:00Z",
    "2026-11-25T10:00:00Z",
    "2026-12-30T23:00:00Z",
];
const ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "America/Los_Angeles"];
const CRONS: [&str; 3] = ["17 */6 * * *", "30 2 * * *", "5 9,21 * * *"];

impl Scenario {
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let cron = *random.choice(&CRONS).unwrap();
        let server = Server {
            aborts: random.u8(..4) == 0,
            max_batch: if random.u8(..5) == 0 { 1 } else { 100 },
            sent: random.bool(),
        };
        let knobs = Knobs {
            min_admins: random.usize(..3),
            require_first: random.u8(..4) == 0,
            budget: *random.choice(&[(20, 3), (0, 2), (50, 1), (100, 50), (0, 1)]).unwrap(),
            report: random.u8(..6) == 0,
            suspend: false,
            concurrency: random.usize(1..4),
            batch: random.usize(1..6),
            retention_days: *random.choice(&[400, 30, 2]).unwrap(),
            cron,
        };
        let steps = (0..random.usize(20..45)).map(|_| step(&mut random)).collect();
        Self {
            seed,
            start: random.choice(&STARTS).unwrap().parse().unwrap(),
            zone: random.choice(&ZONES).unwrap(),
            people: random.usize(2..12),
            server,
            knobs,
            steps,
        }
    }

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

fn step(random: &mut Rng) -> Step {
    let wait = Duration::from_secs(*random.choice(&WAITS).unwrap());
    Step { wait, what: what(random) }
}

fn what(random: &mut Rng) -> What {
    let which = random.usize(..1_000);
    match random.u8(..100) {
        0..40 => {
            let edit = weighed(random, &EDITS);
            What::Commit { edit, which, missed: random.u8(..8) == 0 }
        }
        40..66 => What::Hand { act: weighed(random, &ACTS), which },
        66..75 => {
            let mut odds = || (*random.choice(&FAULTS).unwrap(), [5, 20, 50][random.usize(..3)]);
            What::Weather([odds(), odds(), odds()])
        }
        75..79 => What::Calm,
        79..83 => What::Clock {
            seconds: *random
                .choice(&[-1_000_000, -100_000, -3_600, -20, 20, 400, 3_600, 100_000, 1_000_000])
                .unwrap(),
        },
        83 => What::ClockRight,
        84..89 => {
            let down = Duration::from_secs(*random.choice(&[1, 30, 700, 90_000]).unwrap());
            What::PowerCut { moments: random.u32(..30), down }
        }
        89 | 90 => {
            let down = Duration::from_secs(random.u64(1..900));
            What::Restart { moments: random.u32(..30), down }
        }
        91 => What::Hangup,
        92..94 => What::Knob { knob: knob(random), value: random.usize(..5) },
        94..96 => What::Key(*random.choice(&[Key::Full, Key::Viewer, Key::Refused]).unwrap()),
        96..98 => What::Rival,
        _ => What::Disk(*random.choice(&[Disk::Good, Disk::Full, Disk::Unreadable]).unwrap()),
    }
}

fn knob(random: &mut Rng) -> Knob {
    let all = [
        Knob::MinAdmins,
        Knob::RequireFirst,
        Knob::Floor,
        Knob::Report,
        Knob::Suspend,
        Knob::Batch,
        Knob::Concurrency,
        Knob::Unreadable,
    ];
    *random.choice(&all).unwrap()
}

fn weighed<T: Copy>(random: &mut Rng, choices: &[(T, u8)]) -> T {
    let total: u32 = choices.iter().map(|(_, weight)| u32::from(*weight)).sum();
    let mut left = random.u32(..total);
    for (choice, weight) in choices {
        let weight = u32::from(*weight);
        if left < weight {
            return *choice;
        }
        left -= weight;
    }
    choices[0].0
}
