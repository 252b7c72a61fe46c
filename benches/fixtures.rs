//! Workspaces of any size: the input and the result of each step of a run.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rosterd::client::answer::{ErrorContext, Response};
use rosterd::client::{Credentials, interpret};
use rosterd::diagnostic::Sources;
use rosterd::directory::Snapshot;
use rosterd::guard::{self, Limits, Override, Verdict};
use rosterd::memory::Memory;
use rosterd::memory::entry::{Entry, Intent, Record};
use rosterd::memory::observe::observe;
use rosterd::plan::{self, Plan, Rules};
use rosterd::render::View;
use rosterd::render::approve::ApproveBy;
use rosterd::roster::{Roster, checks, raw};

/// Members in one file; larger rosters are split, since the size of a file is limited.
const MEMBERS_PER_FILE: usize = 100_000;
/// In [`Scenario::Drifted`], one in this number of users has another role than the roster says, one
/// is not in the roster, and one has no account.
const DRIFT: usize = 400;

/// How the workspace differs from the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// No difference.
    Converged,
    /// About one in a hundred users needs a change.
    Drifted,
    /// It has only the first member.
    Empty,
}

/// The text of a roster and of a response, and the results of each step of a run.
pub struct Fixture {
    pub sources: Sources,
    pub answer: Response,
    pub roster: Roster,
    pub snapshot: Snapshot,
    /// The memory after one run that has recorded this listing.
    pub memory: Memory,
    pub plan: Plan,
    pub verdict: Verdict,
}

/// The instant of every plan.
pub fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("a timestamp")
}

/// Address, role and name of user `n`.
fn user(n: usize) -> (String, &'static str, String) {
    let role = match n % 50 {
        0 => "ADMIN",
        1..10 => "ANALYST",
        10..20 => "BUSINESS",
        _ => "DEVELOPER",
    };
    (format!("user{n}@acme.io"), role, format!("User {n}"))
}

/// The files of a roster.
pub fn sources(users: usize, scenario: Scenario) -> Sources {
    let mut sources = Sources::default();
    for first in (0..users).step_by(MEMBERS_PER_FILE) {
        let mut text = "version: 1\nusers:\n".to_owned();
        let last = users.min(first + MEMBERS_PER_FILE);
        for n in (first..last).filter(|n| scenario != Scenario::Drifted || n % DRIFT != 1) {
            let (email, role, name) = user(n);
            text += &format!("- email: {email}\n  role: {role}\n  name: {name}\n");
        }
        sources.add(format!("users{}.yaml", first / MEMBERS_PER_FILE), text);
    }
    sources
}

/// The response to `listUsers`.
pub fn answer(users: usize, scenario: Scenario) -> Response {
    let rows: Vec<String> = (0..users)
        .filter(|n| match scenario {
            Scenario::Converged => true,
            Scenario::Drifted => n % DRIFT != 2,
            Scenario::Empty => *n == 0,
        })
        .map(|n| {
            let (email, mut role, name) = user(n);
            if scenario == Scenario::Drifted && n % DRIFT == 3 {
                role = "FINANCE";
            }
            let who = format!(r#""uid":"{n:064x}","name":"{name}","email":"{email}""#);
            format!(r#"{{{who},"accountType":"{role}"}}"#)
        })
        .collect();
    let body = format!(
        r#"{{"data":{{"listUsers":{{"ok":true,"activeUsers":[{}],"invitedUsers":[]}}}}}}"#,
        rows.join(",")
    );
    Response {
        status: 200,
        content_type: Some("application/json".to_owned()),
        body: body.into_bytes(),
        ..Response::default()
    }
}

/// Parses and validates the files.
pub fn load(sources: &Sources) -> Roster {
    let (roster, problems) = checks::validate(raw::read(sources), sources, &TimeZone::UTC, now());
    roster.unwrap_or_else(|| panic!("{problems:?}"))
}

/// Parses the response.
pub fn read(answer: &Response) -> Snapshot {
    let credentials = Credentials::Token("prdm_wsp_of-a-benchmark".into());
    let context = ErrorContext::new("https://api.acme.io/graphql", &credentials);
    interpret::listing(answer, &context).expect("a complete listing")
}

/// The ledger entries that a run makes of a listing.
pub fn new_entries(memory: &Memory, snapshot: &Snapshot, roster: &Roster) -> Vec<Entry> {
    observe(memory, snapshot, roster, now())
}

pub fn plan(roster: &Roster, snapshot: &Snapshot, memory: &Memory) -> Plan {
    plan::plan(roster, snapshot, memory, Rules::default(), now())
}

pub fn evaluate(plan: &Plan, memory: &Memory) -> Verdict {
    guard::evaluate(plan, &Limits::default(), memory, &Override::None)
}

impl Fixture {
    pub fn new(users: usize, scenario: Scenario) -> Self {
        let (sources, answer) = (sources(users, scenario), answer(users, scenario));
        let (roster, snapshot) = (load(&sources), read(&answer));
        let mut memory = Memory::of_ledger();
        for (seq, entry) in (1..).zip(new_entries(&memory, &snapshot, &roster)) {
            memory.fold(&Record { seq, at: now(), entry });
        }
        let plan = plan(&roster, &snapshot, &memory);
        let verdict = evaluate(&plan, &memory);
        Self { sources, answer, roster, snapshot, memory, plan, verdict }
    }

    pub fn view(&self) -> View<'_> {
        let Self { sources, roster, snapshot, plan, verdict, .. } = self;
        View {
            workspace: "acme",
            sources,
            roster,
            snapshot,
            plan,
            verdict,
            revision: None,
            approve_by: ApproveBy::Commit,
        }
    }

    /// The intents of all changes of the plan.
    pub fn intents(&self) -> Vec<Entry> {
        let changes = self.plan.changes().iter();
        let intents = changes.map(|change| Intent {
            action: change.action.clone(),
            email: change.email.clone(),
            also: Vec::new(),
            reason: "the roster says so".to_owned(),
            place: Some("users0.yaml:14".to_owned()),
            scheduled: false,
            elevates: false,
            approval: None,
            approved: Vec::new(),
            revision: None,
            lifted: Vec::new(),
            batch: 50,
        });
        intents.map(|intent| Entry::Intent(Box::new(intent))).collect()
    }
}
