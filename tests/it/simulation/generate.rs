//! Generates a scenario from a seed.

use std::time::Duration;

use fastrand::Rng;

use super::scenario::{
    Disk, ENDPOINTS, Edit, Fault, GitEvent, Key, Operation, OperatorAction, Param, Params,
    Scenario, Server, Step,
};

const EDITS: [(Edit, u8); 30] = [
    (Edit::Add, 10),
    (Edit::AddAdmin, 3),
    (Edit::AddElsewhere, 5),
    (Edit::AddPersonalAlias, 8),
    (Edit::Remove, 10),
    (Edit::ChangeRole, 12),
    (Edit::ChangeRoles, 6),
    (Edit::NewAddress, 6),
    (Edit::NewAddressWithAlias, 4),
    (Edit::Expire, 5),
    (Edit::ExpireNow, 8),
    (Edit::StartLater, 5),
    (Edit::Elevate, 5),
    (Edit::ClearOptions, 2),
    (Edit::RemoveMany, 4),
    (Edit::RemoveAll, 1),
    (Edit::Truncate, 4),
    (Edit::MergeConflict, 1),
    (Edit::BadYaml, 1),
    (Edit::Duplicate, 1),
    (Edit::ControlCharacters, 1),
    (Edit::DeleteFile, 2),
    (Edit::Unmanage, 3),
    (Edit::Approve, 12),
    (Edit::ApproveInStock, 3),
    (Edit::EndMany, 3),
    (Edit::TakeBackEnds, 3),
    (Edit::ElevateMany, 2),
    (Edit::RemoveApprovals, 3),
    (Edit::Repair, 6),
];

const ACTIONS: [(OperatorAction, u8); 15] = [
    (OperatorAction::Accept, 10),
    (OperatorAction::AcceptAll, 6),
    (OperatorAction::AcceptElsewhere, 4),
    (OperatorAction::ExpireInvitation, 5),
    (OperatorAction::Remove, 6),
    (OperatorAction::Disable, 3),
    (OperatorAction::Enable, 4),
    (OperatorAction::AddOutsider, 4),
    (OperatorAction::AddMember, 3),
    (OperatorAction::ChangeRole, 6),
    (OperatorAction::GrantAdmin, 2),
    (OperatorAction::NewAddress, 3),
    (OperatorAction::SecondAccount, 10),
    (OperatorAction::InviteOutsider, 3),
    (OperatorAction::AddLookalike, 2),
];

const GIT_EVENTS: [(GitEvent, u8); 5] = [
    (GitEvent::PushBack, 5),
    (GitEvent::PushParallel, 5),
    (GitEvent::MergeOlder, 4),
    (GitEvent::DeleteBranch, 3),
    (GitEvent::LoseClone, 2),
];

const FAULTS: [Fault; 25] = [
    Fault::Connect,
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::TimeoutBefore,
    Fault::TimeoutAfter,
    Fault::LateEffect,
    Fault::Throttle,
    Fault::ServerError,
    Fault::ServerErrorAfter,
    Fault::Unavailable,
    Fault::HtmlPage,
    Fault::NotOk,
    Fault::PartialFailure,
    Fault::NullResults,
    Fault::Truncate,
    Fault::ErrorsOnly,
    Fault::StaleListing,
    Fault::PartialListing,
    Fault::FirstPage,
    Fault::Firewall,
    Fault::MissingList,
    Fault::DuplicateRow,
    Fault::DataWithErrors,
    Fault::ConcurrentEdit,
    Fault::SlowDisk,
];

/// Faults after which the client has wrong or incomplete information about a mutation.
const WRITE_FAULTS: [Fault; 10] = [
    Fault::ResetAfter,
    Fault::TimeoutAfter,
    Fault::LateEffect,
    Fault::ServerErrorAfter,
    Fault::Firewall,
    Fault::NotOk,
    Fault::PartialFailure,
    Fault::NullResults,
    Fault::Truncate,
    Fault::ConcurrentEdit,
];

/// Seconds between two steps.
const DELAYS: [u64; 14] =
    [1, 3, 10, 45, 130, 400, 800, 2_400, 9_000, 30_000, 50_000, 90_000, 200_000, 600_000];

/// Starts shortly before clock changes, and on ordinary days.
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
        let mut params = Params {
            min_admins: random.usize(..3),
            require_first: random.u8(..4) == 0,
            budget: *random
                .choice(&[(20, 3, 50), (0, 2, 2), (50, 1, 3), (100, 50, 50), (0, 1, 9)])
                .unwrap(),
            domain: ["", "acme.io"][random.usize(..2)],
            report: random.u8(..6) == 0,
            suspend: false,
            concurrency: random.usize(1..4),
            batch: random.usize(1..6),
            retention_days: *random.choice(&[400, 30, 2]).unwrap(),
            cron,
            endpoint: ENDPOINTS[0],
        };
        let mut steps: Vec<Step> = (0..random.usize(20..45)).map(|_| step(&mut random)).collect();
        if random.bool() {
            let at = random.usize(..steps.len());
            steps.splice(at..at, sequence(&mut random));
        }
        let git = seed % 3 == 2;
        if git {
            // A run takes longer: fewer of them.
            params.cron = CRONS[1];
            steps.truncate(25);
            add_git_events(&mut steps, seed);
        }
        Self {
            seed,
            start: random.choice(&STARTS).unwrap().parse().unwrap(),
            zone: random.choice(&ZONES).unwrap(),
            people: random.usize(2..12),
            server,
            params,
            second_workspace: random.u8(..4) == 0,
            git,
            steps,
        }
    }
}

fn step(random: &mut Rng) -> Step {
    let delay = Duration::from_secs(*random.choice(&DELAYS).unwrap());
    Step { delay, operation: operation(random) }
}

/// Steps that seldom follow each other by chance.
fn sequence(random: &mut Rng) -> Vec<Step> {
    let which = random.usize(..1_000);
    let commit = |edit| Operation::Commit { edit, which, missed: false };
    let all_but_one = Operation::Commit { edit: Edit::Approve, which: 8, missed: false };
    let jump = Operation::ClockJump { seconds: *random.choice(&[100_000, 1_000_000]).unwrap() };
    let many = [Edit::RemoveMany, Edit::EndMany, Edit::ChangeRoles, Edit::ElevateMany];
    let operations = match random.u8(..3) {
        0 => vec![commit(*random.choice(&many).unwrap()), all_but_one, commit(Edit::Add)],
        1 => vec![commit(Edit::NewAddress), jump, Operation::Reload],
        _ => {
            let removals = [commit(Edit::Remove); 5];
            let (before, after) = removals.split_at(random.usize(1..5));
            [before, &[jump], after].concat()
        }
    };
    let delay = Duration::from_secs(*random.choice(&[10, 45, 130]).unwrap());
    operations.into_iter().map(|operation| Step { delay, operation }).collect()
}

fn operation(random: &mut Rng) -> Operation {
    let which = random.usize(..1_000);
    match random.u8(..100) {
        0..31 => {
            let edit = weighted_choice(random, &EDITS);
            Operation::Commit { edit, which, missed: random.u8(..8) == 0 }
        }
        31..38 => Operation::WriteInPlace {
            edit: weighted_choice(random, &EDITS),
            which,
            parts: random.usize(1..5),
            pause: random.u64(..5),
        },
        38..40 => Operation::EditSecondWorkspace { which },
        40..66 => Operation::Operator { action: weighted_choice(random, &ACTIONS), which },
        66..75 => {
            let mut fault = |faults: &[Fault], percent: [u8; 3]| {
                (*random.choice(faults).unwrap(), percent[random.usize(..3)])
            };
            let writes = fault(&WRITE_FAULTS, [20, 50, 100]);
            let all = [fault(&FAULTS, [5, 20, 50]), fault(&FAULTS, [5, 20, 50])];
            Operation::InjectFaults { writes, all }
        }
        75..79 => Operation::ClearFaults,
        79..83 => Operation::ClockJump {
            seconds: *random
                .choice(&[-1_000_000, -100_000, -3_600, -20, 20, 400, 3_600, 100_000, 1_000_000])
                .unwrap(),
        },
        83 => Operation::ClockReset,
        84..89 => {
            let downtime = Duration::from_secs(*random.choice(&[1, 30, 700, 90_000]).unwrap());
            Operation::PowerCut { crash_points: random.u32(..30), downtime }
        }
        89 | 90 => {
            let downtime = Duration::from_secs(random.u64(1..900));
            Operation::Restart { crash_points: random.u32(..30), downtime }
        }
        91 => Operation::Reload,
        92..94 => Operation::SetParam { param: param(random), value: random.usize(..5) },
        94..96 => {
            let keys = [Key::Full, Key::Rotated, Key::Viewer, Key::Invalid];
            Operation::SetKey(*random.choice(&keys).unwrap())
        }
        96..98 => Operation::ConcurrentProcess,
        _ => Operation::SetDisk(
            *random.choice(&[Disk::Healthy, Disk::Full, Disk::Unreadable]).unwrap(),
        ),
    }
}

/// Inserts what happens to the history of the roster. Numbers of its own, so that the other steps
/// of a seed are the same with a file.
fn add_git_events(steps: &mut Vec<Step>, seed: u64) {
    let mut random = Rng::with_seed(seed ^ 0x617);
    for _ in 0..random.usize(3..10) {
        let operation = match random.u8(..100) {
            0..65 => Operation::Git {
                event: weighted_choice(&mut random, &GIT_EVENTS),
                which: random.usize(..1_000),
                missed: random.u8(..4) == 0,
            },
            _ => Operation::AcceptCommit,
        };
        let delay = Duration::from_secs(*random.choice(&DELAYS[..10]).unwrap());
        steps.insert(random.usize(..=steps.len()), Step { delay, operation });
    }
}

fn param(random: &mut Rng) -> Param {
    let all = [
        Param::MinAdmins,
        Param::RequireFirst,
        Param::Floor,
        Param::Policy,
        Param::Report,
        Param::Suspend,
        Param::Batch,
        Param::Concurrency,
        Param::Endpoint,
        Param::UnreadableConfig,
    ];
    *random.choice(&all).unwrap()
}

fn weighted_choice<T: Copy>(random: &mut Rng, choices: &[(T, u8)]) -> T {
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
