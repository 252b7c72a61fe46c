//! The access review: every status, and users whose access ends soon.

use jiff::{SignedDuration, Timestamp};
use rosterd::memory::Memory;
use rosterd::memory::entry::Record;
use rosterd::memory::observe::observe;
use rosterd::render::access::{Lines, Row, rows};
use rosterd::role::Role;
use rosterd::roster::{Elevation, Member, Period};

use super::{World, account, invitation, member, now};

fn hours(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

fn during(starts: Option<i64>, ends: Option<i64>, email: &str) -> Member {
    let (starts, ends) = (starts.map(hours), ends.map(hours));
    let period = Period { starts, ends, elevate: None };
    Member { time: Some(Box::new(period)), ..member(email, Role::Developer, 3) }
}

fn elevated(until: i64, email: &str) -> Member {
    let elevate = Some(Elevation { role: Role::Admin, until: hours(until), reason: None });
    let period = Period { elevate, ..Period::default() };
    Member { time: Some(Box::new(period)), ..member(email, Role::Developer, 3) }
}

fn reviewed(world: &World, within: i64) -> Vec<Row> {
    rows(&world.view(), &Memory::of_ledger(), &Lines::new(), SignedDuration::from_hours(within))
}

fn statuses(world: &World) -> Vec<String> {
    let short = |row: Row| format!("{} {}", row.email.replace("@acme.io", ""), row.status);
    reviewed(world, 0).into_iter().map(short).collect()
}

#[test]
fn every_account_and_invitation_has_a_status() {
    let world = World::new(
        vec![
            member("a-member@acme.io", Role::Developer, 3),
            member("b-other@acme.io", Role::Admin, 4),
            elevated(1, "c-elevated@acme.io"),
            elevated(1, "d-not-yet-elevated@acme.io"),
            elevated(0, "e-elevation-is-over@acme.io"),
            during(None, Some(0), "f-expired@acme.io"),
            during(Some(1), None, "g-later@acme.io"),
            member("h-invited@acme.io", Role::Developer, 5),
            member("i-missing@acme.io", Role::Developer, 6),
        ],
        vec![
            account("a-member@acme.io", Role::Developer),
            account("b-other@acme.io", Role::Developer),
            account("c-elevated@acme.io", Role::Admin),
            account("d-not-yet-elevated@acme.io", Role::Developer),
            account("e-elevation-is-over@acme.io", Role::Developer),
            account("f-expired@acme.io", Role::Developer),
            account("g-later@acme.io", Role::Developer),
            account("stranger@acme.io", Role::Developer),
            account("bolt@paradime.io", Role::Admin),
        ],
        vec![
            invitation("h-invited@acme.io", Role::Developer, "SENT"),
            invitation("stale@acme.io", Role::Developer, "EXPIRED"),
            invitation("bolt2@paradime.io", Role::Admin, "SENT"),
        ],
    );
    assert_eq!(
        statuses(&world),
        [
            "a-member member",
            "b-other other role",
            "bolt2@paradime.io unmanaged",
            "bolt@paradime.io unmanaged",
            "c-elevated elevated",
            "d-not-yet-elevated other role",
            "e-elevation-is-over member",
            "f-expired expired",
            "g-later not started",
            "h-invited pending",
            "stale invitation expired",
            "stranger not in roster",
        ]
    );
}

#[test]
fn a_future_end_is_shown_and_marked_when_it_is_near() {
    let world = World::new(
        vec![
            during(None, Some(48), "matt@acme.io"),
            elevated(24, "max@acme.io"),
            elevated(0, "yan@acme.io"),
            during(None, Some(72), "zoe@acme.io"),
        ],
        vec![
            account("matt@acme.io", Role::Developer),
            account("max@acme.io", Role::Admin),
            account("yan@acme.io", Role::Developer),
        ],
        vec![invitation("zoe@acme.io", Role::Developer, "SENT")],
    );
    let ends: Vec<_> =
        reviewed(&world, 48).into_iter().map(|row| (row.until, row.expiring)).collect();
    let day = |day: &str| Some(format!("2026-11-{day}T12:00:00Z"));
    let expected = [(day("27"), true), (day("26"), true), (None, false), (day("28"), false)];
    assert_eq!(ends, expected);
}

#[test]
fn a_row_tells_everything_that_is_known_of_a_person() {
    let named = Member { name: Some("Matt".into()), ..member("matt@acme.io", Role::Developer, 3) };
    let world = World::new(
        vec![named, member("zoe@acme.io", Role::Analyst, 4)],
        vec![account("matt@acme.io", Role::Developer)],
        vec![invitation("zoe@acme.io", Role::Analyst, "SENT")],
    );
    let mut memory = Memory::of_ledger();
    for entry in observe(&memory, &world.snapshot, &world.roster, hours(-48)) {
        memory.fold(&Record { seq: memory.through() + 1, at: hours(-48), entry });
    }
    let since = || Some("2026-11-23T12:00:00Z".to_owned());
    let members = world.roster.members();
    let place_of = |email: &str| {
        members.iter().find(|it| it.email.as_str() == email).map(|member| member.place)
    };
    let row = |email: &str, role: &str, status: &str, line: u32| Row {
        workspace: "acme".into(),
        email: email.into(),
        role: role.into(),
        status: status.into(),
        since: since(),
        place: Some(format!("users.yaml:{line}")),
        member: place_of(email),
        was_there: true,
        ..Row::default()
    };
    let matt = row("matt@acme.io", "DEVELOPER", "member", 3);
    let matt = Row { name: Some("matt".into()), role_since: since(), ..matt };
    let zoe = Row { is_invitation: true, ..row("zoe@acme.io", "ANALYST", "pending", 4) };
    assert_eq!(rows(&world.view(), &memory, &Lines::new(), SignedDuration::ZERO), [matt, zoe]);
}
