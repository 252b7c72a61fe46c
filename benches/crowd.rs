//! A workspace of any size, as every step of a run sees it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rosterd::client::answer::{ErrorContext, Response};
use rosterd::client::{Credentials, interpret};
use rosterd::diagnostic::Sources;
use rosterd::directory::Snapshot;
use rosterd::guard::{self, Limits, Override, Verdict};
use rosterd::memory::Memory;
use rosterd::memory::entry::{Entry, Intent, Noted};
use rosterd::memory::observe::observe;
use rosterd::plan::{self, OnRemoved, Plan};
use rosterd::render::View;
use rosterd::roster::{Roster, checks, raw};

/// A file has a limit; larger rosters are a folder of files of so many members.
const MEMBERS_PER_FILE: usize = 100_000;
/// An account with another role than the roster says, one without a line, a line without an
/// account: each of them so many times in a hundred thousand, where something is to be done.
const DRIFT: usize = 400;

/// What the two sides say of the same people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// There is nothing to do.
    Settled,
    /// Every hundredth person or so is to be changed.
    Drifted,
    /// Nobody of the roster is there yet.
    Empty,
}

/// A roster and an answer of the API, as text; what a run makes of them, step by step.
pub struct Crowd {
    pub sources: Sources,
    pub answer: Response,
    pub roster: Roster,
    pub snapshot: Snapshot,
    /// What the ledger remembers after one run that looked at this.
    pub memory: Memory,
    pub plan: Plan,
    pub verdict: Verdict,
}

/// The instant of every plan.
pub fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("a timestamp")
}

/// The n-th person's address, role and name.
fn person(n: usize) -> (String, &'static str, String) {
    let role = match n % 50 {
        0 => "ADMIN",
        1..10 => "ANALYST",
        10..20 => "BUSINESS",
        _ => "DEVELOPER",
    };
    (format!("user{n}@acme.io"), role, format!("User {n}"))
}

/// The files of a roster.
pub fn sources(users: usize, scene: Scene) -> Sources {
    let mut sources = Sources::default();
    for first in (0..users).step_by(MEMBERS_PER_FILE) {
        let mut text = "version: 1\nusers:\n".to_owned();
        let last = users.min(first + MEMBERS_PER_FILE);
        for n in (first..last).filter(|n| scene != Scene::Drifted || n % DRIFT != 1) {
            let (email, role, name) = person(n);
            text += &format!("- email: {email}\n  role: {role}\n  name: {name}\n");
        }
        sources.add(format!("users{}.yaml", first / MEMBERS_PER_FILE), text);
    }
    sources
}

/// The answer to `listUsers`.
pub fn answer(users: usize, scene: Scene) -> Response {
    let rows: Vec<String> = (0..users)
        .filter(|n| match scene {
            Scene::Settled => true,
            Scene::Drifted => n % DRIFT != 2,
            Scene::Empty => *n == 0,
        })
        .map(|n| {
            let (email, mut role, name) = person(n);
            if scene == Scene::Drifted && n % DRIFT == 3 {
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

/// The files become a roster.
pub fn load(sources: &Sources) -> Roster {
    let (roster, problems) = checks::validate(raw::read(sources), sources, &TimeZone::UTC, now());
    roster.unwrap_or_else(|| panic!("{problems:?}"))
}

/// The answer becomes a reading.
pub fn read(answer: &Response) -> Snapshot {
    let credentials = Credentials::Token("prdm_wsp_of-a-benchmark".into());
    let telling = ErrorContext::new("https://api.acme.io/graphql", &credentials);
    interpret::listing(answer, &telling).expect("a reading")
}

/// What is to be written down of a reading.
pub fn notice(memory: &Memory, snapshot: &Snapshot, roster: &Roster) -> Vec<Entry> {
    observe(memory, snapshot, roster, now())
}

pub fn plan(roster: &Roster, snapshot: &Snapshot, memory: &Memory) -> Plan {
    plan::plan(roster, snapshot, memory, OnRemoved::default(), now())
}

pub fn evaluate(plan: &Plan, memory: &Memory) -> Verdict {
    guard::evaluate(plan, &Limits::default(), memory, Override::None)
}

impl Crowd {
    pub fn new(users: usize, scene: Scene) -> Self {
        let (sources, answer) = (sources(users, scene), answer(users, scene));
        let (roster, snapshot) = (load(&sources), read(&answer));
        let mut memory = Memory::of_ledger();
        for (seq, entry) in (1..).zip(notice(&memory, &snapshot, &roster)) {
            memory.fold(&Noted { seq, at: now(), entry });
        }
        let plan = plan(&roster, &snapshot, &memory);
        let verdict = evaluate(&plan, &memory);
        Self { sources, answer, roster, snapshot, memory, plan, verdict }
    }

    pub fn view(&self) -> View<'_> {
        let Self { sources, roster, snapshot, plan, verdict, .. } = self;
        View { workspace: "acme", sources, roster, snapshot, plan, verdict, revision: None }
    }

    /// What is written before the changes of a plan are sent.
    pub fn intents(&self) -> Vec<Entry> {
        let changes = self.plan.changes().iter();
        let intents = changes.map(|change| Intent {
            action: change.action.clone(),
            email: change.email.clone(),
            also: Vec::new(),
            reason: "the roster says so".to_owned(),
            place: Some("users0.yaml:14".to_owned()),
            scheduled: false,
            revision: None,
            lifted: Vec::new(),
            batch: 50,
        });
        intents.map(|intent| Entry::Intent(Box::new(intent))).collect()
    }
}
