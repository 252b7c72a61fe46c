//! How a seed chooses a scenario.

use std::time::Duration;

use fastrand::Rng;

use super::scenario::{Act, Disk, Edit, Fault, Key, Knob, Knobs, Scenario, Server, Step, What};

const EDITS: [(Edit, u8); 24] = [
    (Edit::Add, 10),
    (Edit::AddAdmin, 3),
    (Edit::Remove, 10),
    (Edit::ChangeRole, 12),
    (Edit::ChangeRoles, 6),
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

const FAULTS: [Fault; 23] = [
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
    Fault::ConcurrentEdit,
    Fault::SlowDisk,
];

/// Those that tell something about a change that is not so, or half of it.
const FAULTS_OF_CHANGES: [Fault; 9] = [
    Fault::ResetAfter,
    Fault::TimeoutAfter,
    Fault::Late,
    Fault::BrokenAfter,
    Fault::NotOk,
    Fault::Partly,
    Fault::Mute,
    Fault::Truncate,
    Fault::ConcurrentEdit,
];

/// Seconds between two steps.
const RETRY_DELAYS: [u64; 14] =
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
            neighbour: random.u8(..4) == 0,
            steps,
        }
    }
}

fn step(random: &mut Rng) -> Step {
    let wait = Duration::from_secs(*random.choice(&RETRY_DELAYS).unwrap());
    Step { wait, what: what(random) }
}

fn what(random: &mut Rng) -> What {
    let which = random.usize(..1_000);
    match random.u8(..100) {
        0..38 => {
            let edit = weighed(random, &EDITS);
            What::Commit { edit, which, missed: random.u8(..8) == 0 }
        }
        38..40 => What::NextDoor { which },
        40..66 => What::Hand { act: weighed(random, &ACTS), which },
        66..75 => {
            let mut odds = |faults: &[Fault], percent: [u8; 3]| {
                (*random.choice(faults).unwrap(), percent[random.usize(..3)])
            };
            let changes = odds(&FAULTS_OF_CHANGES, [20, 50, 100]);
            let all = [odds(&FAULTS, [5, 20, 50]), odds(&FAULTS, [5, 20, 50])];
            What::Weather { changes, all }
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
