//! The table with history: every roster line, every directory state, every past.

use jiff::SignedDuration;
use rosterd::action::Action;
use rosterd::directory::Account;
use rosterd::email::Email;
use rosterd::memory::Memory;
use rosterd::memory::entry::{AttemptStatus, Entry, LedgerCreated, OutcomeEntry, Record, Seen};
use rosterd::plan::OnRemoved;
use rosterd::role::Role;

use super::{MODES, abbreviated, table};
use crate::support::states::{LINES, Line, Shown, Who, shown};
use crate::support::world::{World, disable, email, intent, now, plan_rows, uid};

/// The history of a person in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// A new ledger.
    Fresh,
    /// The account was seen two days ago, and removed outside rosterd a day later.
    Vanished,
    /// The same, after a disable by rosterd with this status.
    Disabled(AttemptStatus),
    /// The same, and the API rejected an invitation an hour ago.
    DisabledAndRejected,
    /// The account vanished after a disable that was certainly not executed.
    NotDisabled(AttemptStatus),
    /// The expired invitation was first seen this many hours ago.
    ExpiredFor(i64),
    /// The needed change was tried `times` times with this status, the last time `minutes` ago.
    Tried { status: AttemptStatus, times: usize, minutes: i64 },
}

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
/// `PROPAGATION_TIME` in minutes.
const PROPAGATION: i64 = 10;

/// Every past, with the backoff limits just before and just after they expire.
fn pasts() -> Vec<Past> {
    let mut pasts = vec![
        Past::Fresh,
        Past::Vanished,
        Past::Disabled(AttemptStatus::Done),
        Past::Disabled(AttemptStatus::Open),
        Past::Disabled(AttemptStatus::Unknown),
        Past::DisabledAndRejected,
        Past::NotDisabled(AttemptStatus::Rejected),
        Past::NotDisabled(AttemptStatus::NotSent),
        Past::ExpiredFor(23),
        Past::ExpiredFor(24),
    ];
    let mut tried = |status, times, minutes: &[i64]| {
        pasts.extend(minutes.iter().map(|minutes| Past::Tried {
            status,
            times,
            minutes: *minutes,
        }));
    };
    for status in [AttemptStatus::Done, AttemptStatus::Open, AttemptStatus::Unknown] {
        tried(status, 1, &[0, 1, 9, 10, 11, DAY - 1, DAY]);
        tried(status, 2, &[3 * DAY - 1, 3 * DAY]);
        tried(status, 3, &[7 * DAY - 1, 7 * DAY]);
        tried(status, 4, &[7 * DAY, 400 * DAY]);
    }
    tried(AttemptStatus::Rejected, 1, &[HOUR - 1, HOUR]);
    tried(AttemptStatus::Rejected, 2, &[6 * HOUR - 1, 6 * HOUR]);
    tried(AttemptStatus::Rejected, 3, &[DAY - 1, DAY]);
    tried(AttemptStatus::Rejected, 4, &[DAY, 400 * DAY]);
    tried(AttemptStatus::NotSent, 3, &[0, DAY]);
    pasts
}

/// Adds entries to the history, `minutes` before now.
fn record(world: &mut World, minutes: i64, entries: impl IntoIterator<Item = Entry>) {
    for entry in entries {
        let at = now() - SignedDuration::from_mins(minutes);
        let seq = world.memory.through() + 1;
        world.memory.fold(&Record { seq, at, entry });
    }
}

fn closing(world: &World, status: AttemptStatus) -> Option<Entry> {
    let of = world.memory.through();
    (status != AttemptStatus::Open).then_some(Entry::Outcome(OutcomeEntry {
        of,
        status,
        detail: None,
    }))
}

fn seen(accounts: Vec<&str>, gone: Vec<&str>) -> Entry {
    let account = |name| (email(name), uid(name), Role::Developer);
    Entry::Seen(Seen {
        accounts: accounts.into_iter().map(account).collect(),
        gone: gone.into_iter().map(uid).collect(),
        ..Seen::default()
    })
}

/// Adds this past of `name` to the world.
fn with(mut world: World, name: &str, past: Past) -> World {
    let begun = Entry::LedgerCreated(LedgerCreated { by_operator: false, version: String::new() });
    record(&mut world, 500 * DAY, [begun]);
    let gone = |world: &mut World, minutes| record(world, minutes, [seen(vec![], vec![name])]);
    match past {
        Past::Fresh => {}
        Past::Vanished => {
            record(&mut world, 2 * DAY, [seen(vec![name], vec![])]);
            gone(&mut world, DAY);
        }
        Past::Disabled(status) | Past::NotDisabled(status) => {
            record(&mut world, 2 * DAY, [seen(vec![name], vec![])]);
            record(&mut world, DAY + 1, [intent(name, disable(name))]);
            let of = world.memory.through();
            let closing = closing(&world, status);
            record(&mut world, DAY + 1, closing);
            gone(&mut world, DAY);
            if let Past::Disabled(_) = past {
                record(&mut world, DAY, [Entry::Shown { of: vec![of] }]);
            }
        }
        Past::DisabledAndRejected => {
            world = with(world, name, Past::Disabled(AttemptStatus::Done));
            let action = Action::Invite { role: Role::Developer };
            tried(&mut world, &action, name, (AttemptStatus::Rejected, 1, HOUR));
        }
        Past::ExpiredFor(hours) => {
            let rows = world.invitations.iter().filter(|it| it.email == email(name));
            let rows = rows.map(|it| (it.email.clone(), it.role.clone(), true)).collect();
            let seen = Entry::Seen(Seen { invitations: rows, ..Seen::default() });
            record(&mut world, hours * HOUR, [seen]);
        }
        Past::Tried { status, times, minutes } => {
            let plan = World { memory: Memory::default(), ..world.clone() }.plan();
            let alias = email(&format!("{name}-alt"));
            let theirs = |address: &Email| *address == email(name) || *address == alias;
            let mut invitations = world.invitations.iter().filter(|it| theirs(&it.email));
            let lapsed = invitations.any(|it| !it.status.is_pending());
            let changes = plan.changes().iter();
            for change in changes.filter(|change| change.addresses().any(theirs)) {
                tried(&mut world, &change.action, change.email.as_str(), (status, times, minutes));
            }
            // Without a history, an expired invitation is a finding and not a change.
            let member = world.members.iter().find(|member| theirs(&member.email)).cloned();
            if lapsed && let Some(member) = member {
                let action = Action::Reinvite { role: member.role.clone() };
                tried(&mut world, &action, member.email.as_str(), (status, times, minutes));
            }
        }
    }
    world
}

fn tried(
    world: &mut World,
    action: &Action,
    name: &str,
    (status, times, minutes): (AttemptStatus, usize, i64),
) {
    for time in (0..times).rev() {
        let age = minutes + i64::try_from(time).unwrap() * DAY;
        record(world, age, [intent(name, action.clone())]);
        let closing = closing(world, status);
        record(world, age, closing);
    }
}

/// The expected rows with this past, derived from the rows without history.
fn expected(line: Line, shown: Shown, past: Past, mode: OnRemoved) -> Vec<String> {
    let rows = table(line, shown, mode);
    let row = |row: String| match row.as_str() {
        "InvitationExpired" => expired(line, past),
        _ if row.starts_with("invite ") => missing(&row, past),
        _ if row.starts_with("role ") || row.starts_with("disable") => changed(&row, past),
        _ => row,
    };
    rows.into_iter().map(row).collect()
}

/// A member with neither account nor invitation.
fn missing(invite: &str, past: Past) -> String {
    let role = invite.trim_start_matches("invite ").split(':').next().unwrap();
    match past {
        Past::Vanished | Past::NotDisabled(_) => format!("invite {role}: account vanished"),
        Past::Disabled(_) => format!("invite {role}: re-added after a disable"),
        Past::DisabledAndRejected => "ManualActionRequired".into(),
        Past::Tried {
            status: AttemptStatus::Done | AttemptStatus::Open | AttemptStatus::Unknown,
            times,
            minutes,
        } => {
            if minutes < 10 {
                return "Propagating".into();
            }
            let again = format!("reinvite {role}: invitation missing");
            reinvited(again, "InvitationMissing", times, minutes)
        }
        Past::Tried { status: AttemptStatus::Rejected, times, minutes } => {
            rejected(invite.to_owned(), times, minutes)
        }
        _ => invite.to_owned(),
    }
}

/// A member whose invitation has expired.
fn expired(line: Line, past: Past) -> String {
    let Line::Member(who) = line else {
        return expired(Line::Member(Who::Developer), past);
    };
    let again = format!("reinvite {}: invitation expired", who.role());
    match past {
        Past::ExpiredFor(hours) => reinvited(again, "InvitationExpired", 1, hours * HOUR),
        Past::Tried {
            status: AttemptStatus::Done | AttemptStatus::Open | AttemptStatus::Unknown,
            times,
            minutes,
        } => reinvited(again, "InvitationExpired", times, minutes),
        _ => "InvitationExpired".into(),
    }
}

fn reinvited(reinvite: String, pending: &str, times: usize, minutes: i64) -> String {
    match [DAY, 3 * DAY, 7 * DAY].get(times - 1) {
        Some(wait) if minutes >= *wait => reinvite,
        Some(_) => pending.to_owned(),
        None => "InvitationsExhausted".to_owned(),
    }
}

fn rejected(change: String, times: usize, minutes: i64) -> String {
    match [HOUR, 6 * HOUR, DAY].get(times - 1) {
        Some(wait) if minutes >= *wait => change,
        Some(_) => "Rejected".to_owned(),
        None => "ManualActionRequired".to_owned(),
    }
}

/// A change of an existing account.
fn changed(change: &str, past: Past) -> String {
    match past {
        Past::Tried {
            status: AttemptStatus::Done | AttemptStatus::Open | AttemptStatus::Unknown,
            minutes,
            ..
        } if minutes < 10 => "Propagating".into(),
        // Each confirmed change that no snapshot has shown counts as rejected from now on.
        Past::Tried { status: AttemptStatus::Done, times, .. } => {
            rejected(change.to_owned(), times, 0)
        }
        Past::Tried { status: AttemptStatus::Rejected, times, minutes } => {
            rejected(change.to_owned(), times, minutes)
        }
        _ => change.to_owned(),
    }
}

#[test]
fn the_plan_for_one_person_with_any_past_follows_the_table() {
    let mut rows = 0;
    for line in LINES {
        for shown in shown() {
            for past in pasts() {
                for mode in MODES {
                    let mut world = World::default().person("matt", line, shown);
                    world.on_removed = mode;
                    let mut plan = abbreviated(&with(world, "matt", past).seen(0));
                    let mut expected = expected(line, shown, past, mode);
                    plan.sort();
                    expected.sort();
                    assert_eq!(plan, expected, "{line:?}, {shown:?}, {past:?}, {mode:?}");
                    rows += 1;
                }
            }
        }
    }
    assert_eq!(rows, 11 * 33 * 59 * 2);
}

#[test]
fn the_pasts_of_two_people_are_independent() {
    let states = [
        (Line::Member(Who::Developer), Shown::Nothing),
        (Line::Member(Who::Developer), Shown::Lapsed(Who::Admin)),
        (Line::Member(Who::Business), Shown::Account(Who::Developer)),
        (Line::Expired, Shown::Account(Who::Admin)),
        (Line::Absent, Shown::Account(Who::Developer)),
    ];
    // Accounts have been there for long: no new one may be somebody who was invited.
    let old = |world: World| {
        let accounts = world.accounts.iter().map(|it| {
            let Account { email, uid, role, .. } = it.clone();
            (email, uid, role)
        });
        let seen = Seen { accounts: accounts.collect(), ..Seen::default() };
        world.remember(-9_000, [Entry::Seen(seen)])
    };
    let alone = |name: &str, (line, shown): (Line, Shown), past| {
        let world = old(World::default().person(name, line, shown));
        plan_rows(&with(world, name, past).seen(0).plan())
    };
    for a in states {
        for b in states {
            for (one, two) in pasts().into_iter().zip(pasts().into_iter().rev()) {
                let world = World::default().person("matt", a.0, a.1).person("max", b.0, b.1);
                let both = with(with(old(world), "matt", one), "max", two).seen(0);
                let mut together = plan_rows(&both.plan());
                let mut apart = [alone("matt", a, one), alone("max", b, two)].concat();
                together.sort();
                apart.sort();
                assert_eq!(together, apart, "{a:?} {one:?}, {b:?} {two:?}");
            }
        }
    }
}

#[test]
fn an_account_with_a_changed_address_still_matches_its_member() {
    for (line, expected) in [
        (Line::Member(Who::Developer), vec!["EmailDiffers"]),
        (
            Line::Member(Who::Admin),
            vec!["role DEVELOPER > ADMIN: role differs from the roster", "EmailDiffers"],
        ),
        (Line::Expired, vec!["disable: expired", "EmailDiffers"]),
        (Line::Absent, vec!["disable: not in the roster"]),
    ] {
        let before = World::default().person("matt", line, Shown::Account(Who::Developer)).seen(-1);
        let moved = World { accounts: Vec::new(), ..before };
        let moved = moved.account_as("matt", "matthew", Role::Developer).seen(0);
        assert_eq!(abbreviated(&moved), expected, "{line:?}");
        // If the new address is unmanaged, the member has no account any more.
        let expected = match line {
            Line::Member(who) => vec![format!("invite {}: account vanished", who.role())],
            _ => vec![],
        };
        assert_eq!(abbreviated(&moved.unmanaged("matthew@acme.io")), expected, "{line:?}");
    }
}

/// The plan for a member without account, after these attempts at an invitation: the action, the
/// status, and how many minutes ago.
fn after(past: Past, attempts: &[(Action, AttemptStatus, i64)]) -> Vec<String> {
    let mut world = with(World::default().member("matt", Role::Developer), "matt", past);
    for (action, status, minutes) in attempts {
        tried(&mut world, action, "matt", (*status, 1, *minutes));
    }
    abbreviated(&world.seen(0))
}

#[test]
fn one_rejected_invitation_of_a_disabled_user_is_the_last() {
    let invite = |role| Action::Invite { role };
    let again = Action::Reinvite { role: Role::Developer };
    let rejections = [invite(Role::Developer), invite(Role::Admin), again];
    let before = [
        vec![],
        vec![(invite(Role::Developer), AttemptStatus::Unknown, DAY - 1)],
        vec![(invite(Role::Developer), AttemptStatus::Done, DAY - 1)],
    ];
    for status in [AttemptStatus::Done, AttemptStatus::Open, AttemptStatus::Unknown] {
        for rejected in &rejections {
            for before in &before {
                for minutes in [0, HOUR, 6 * HOUR, DAY - 2] {
                    let last = (rejected.clone(), AttemptStatus::Rejected, minutes);
                    let attempts = [before.clone(), vec![last]].concat();
                    let plan = after(Past::Disabled(status), &attempts);
                    assert_eq!(plan, ["ManualActionRequired"], "{status:?}, {attempts:?}");
                }
            }
        }
    }
    let rejected = [(invite(Role::Developer), AttemptStatus::Rejected, HOUR - 1)];
    assert_eq!(after(Past::Fresh, &rejected), ["Rejected"]);
    assert_eq!(after(Past::Vanished, &rejected), ["Rejected"]);
}

#[test]
fn a_disabled_user_who_had_come_back_is_invited_again() {
    let rejected =
        with(World::default().member("matt", Role::Developer), "matt", Past::DisabledAndRejected);
    for (minutes, expected) in [
        (PROPAGATION, "invite DEVELOPER: re-added after a disable"),
        // A stale listing showed it for a moment.
        (PROPAGATION - 1, "ManualActionRequired"),
    ] {
        let mut world = rejected.clone();
        record(&mut world, HOUR / 2, [seen(vec!["matt"], vec![])]);
        record(&mut world, HOUR / 2 - minutes, [intent("matt", disable("matt"))]);
        let done = closing(&world, AttemptStatus::Done);
        record(&mut world, HOUR / 2 - minutes, done);
        record(&mut world, HOUR / 2 - minutes, [seen(vec![], vec!["matt"])]);
        assert_eq!(abbreviated(&world.seen(0)), [expected], "{minutes}");
    }
}
