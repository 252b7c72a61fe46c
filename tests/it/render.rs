//! The output formats of a plan, for a plan with every kind of row and for untrusted text.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod access;
mod diagnostics;
mod properties;
mod runs;
mod saved;
mod views;

use jiff::{SignedDuration, Timestamp};
use rosterd::diagnostic::{FileId, Place, Sources};
use rosterd::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use rosterd::email::Email;
use rosterd::guard::{Limits, Override, Verdict, evaluate};
use rosterd::memory::Memory;
use rosterd::plan::{OnRemoved, Plan, Rules, plan};
use rosterd::render::View;
use rosterd::render::approve::ApproveBy;
use rosterd::role::Role;
use rosterd::roster::{Digest, Elevation, Member, Pattern, Period, Roster};

const NOW: &str = "2026-11-25T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// One workspace: roster, snapshot, plan and verdict.
struct World {
    sources: Sources,
    roster: Roster,
    snapshot: Snapshot,
    plan: Plan,
    verdict: Verdict,
}

impl World {
    fn new(members: Vec<Member>, accounts: Vec<Account>, invitations: Vec<Invitation>) -> Self {
        Self::with(members, accounts, invitations, OnRemoved::Disable, &Limits::default())
    }

    fn with(
        members: Vec<Member>,
        accounts: Vec<Account>,
        invitations: Vec<Invitation>,
        on_removed: OnRemoved,
        limits: &Limits,
    ) -> Self {
        let mut sources = Sources::default();
        sources.add("users.yaml", "version: 1\nusers:\n");
        let unmanaged = vec![Pattern::parse("*@paradime.io", place(90)).unwrap()];
        let digest = Digest::of(["version: 1\nusers:\n"]);
        let roster = Roster::new(members, unmanaged, Vec::new(), digest).unwrap();
        let snapshot = Snapshot::new(accounts, invitations, None).unwrap();
        let memory = Memory::of_ledger();
        let plan =
            plan(&roster, &snapshot, &memory, Rules { on_removed, ..Rules::default() }, now());
        let verdict = evaluate(&plan, limits, &memory, &Override::None);
        Self { sources, roster, snapshot, plan, verdict }
    }

    fn view(&self) -> View<'_> {
        View {
            workspace: "acme",
            sources: &self.sources,
            roster: &self.roster,
            snapshot: &self.snapshot,
            plan: &self.plan,
            verdict: &self.verdict,
            revision: None,
            approve_by: ApproveBy::Commit,
        }
    }
}

fn place(line: u32) -> Place {
    Place { file: FileId(0), line, column: 12, start: 0, end: 7 }
}

fn member(email: &str, role: Role, line: u32) -> Member {
    let email = Email::parse(email).unwrap();
    Member { email, role, name: None, aliases: Box::default(), time: None, place: place(line) }
}

fn account(email: &str, role: Role) -> Account {
    let name = email.split('@').next().map(Into::into);
    Account { uid: Uid(format!("uid-{email}").into()), email: Email::remote(email), name, role }
}

fn invitation(email: &str, role: Role, status: &str) -> Invitation {
    Invitation { email: Email::remote(email), role, status: InviteStatus::from_api(status) }
}

/// Approved changes, held changes, and findings of every category but drift.
fn rich() -> World {
    let period = Period {
        elevate: Some(Elevation {
            role: Role::Admin,
            until: now() + SignedDuration::from_hours(1),
            reason: None,
        }),
        ..Period::default()
    };
    let later =
        Period { starts: Some("2026-12-01T00:00:00Z".parse().unwrap()), ..Period::default() };
    let members = vec![
        member("alexandra@acme.io", Role::Admin, 3),
        member("jonny@acme.io", Role::Business, 5),
        Member { time: Some(Box::new(period)), ..member("matt@acme.io", Role::Developer, 7) },
        member("alice@acme.io", Role::Developer, 9),
        member("john@acme.io", Role::Admin, 11),
        member("max@acme.io", Role::Business, 13),
        Member { time: Some(Box::new(later)), ..member("yan@acme.io", Role::Analyst, 15) },
    ];
    let mut accounts = vec![
        account("alexandra@acme.io", Role::Admin),
        account("jonny@acme.io", Role::Admin),
        account("matt@acme.io", Role::Developer),
        account("bolt@paradime.io", Role::Admin),
    ];
    accounts.extend((1..=12).map(|n| account(&format!("user{n}@acme.io"), Role::Developer)));
    let invitations = vec![
        invitation("john@acme.io", Role::Admin, "SENT"),
        invitation("max@acme.io", Role::Admin, "QUEUED"),
        invitation("zoe@acme.io", Role::Developer, "ACTIVE"),
    ];
    World::new(members, accounts, invitations)
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}
