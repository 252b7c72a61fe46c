//! The table with memory: every line of a roster, every state of the directory, every past.

use jiff::SignedDuration;
use rosterd::action::Action;
use rosterd::email::Email;
use rosterd::memory::Memory;
use rosterd::memory::entry::{AttemptStatus, Entry, LedgerCreated, OutcomeEntry, Record, Seen};
use rosterd::plan::OnRemoved;
use rosterd::role::Role;

use super::{MODES, in_short, table};
use crate::support::states::{LINES, Line, Shown, Who, shown};
use crate::support::world::{World, disable, email, intent, now, told, uid};

/// What the ledger remembers of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// There is a ledger, and it knows nothing.
    Fresh,
    /// The account was seen two days ago, and gone a day later, by another hand.
    Vanished,
    /// The same, and a disable of ours stands so in the ledger.
    Disabled(AttemptStatus),
    /// A disable of ours that certainly did not happen, and then it vanished.
    NotDisabled(AttemptStatus),
    /// The invitation was first seen so many hours ago, expired.
    ExpiredFor(i64),
    /// Whatever is wanted now was tried so often, the last time so many minutes ago, and this
    /// became of it.
    Tried { status: AttemptStatus, times: usize, minutes: i64 },
}

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// Every past; the limits of the ladders just inside and just outside.
fn pasts() -> Vec<Past> {
    let mut pasts = vec![
        Past::Fresh,
        Past::Vanished,
        Past::Disabled(AttemptStatus::Done),
        Past::Disabled(AttemptStatus::Open),
        Past::Disabled(AttemptStatus::Unknown),
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

/// Writes entries so many minutes before now.
fn note(world: &mut World, minutes: i64, entries: impl IntoIterator<Item = Entry>) {
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

/// The world with this past of `name`.
fn with(mut world: World, name: &str, past: Past) -> World {
    let begun = Entry::LedgerCreated(LedgerCreated { by_operator: false, version: String::new() });
    note(&mut world, 500 * DAY, [begun]);
    let gone = |world: &mut World, minutes| note(world, minutes, [seen(vec![], vec![name])]);
    match past {
        Past::Fresh => {}
        Past::Vanished => {
            note(&mut world, 2 * DAY, [seen(vec![name], vec![])]);
            gone(&mut world, DAY);
        }
        Past::Disabled(status) | Past::NotDisabled(status) => {
            note(&mut world, 2 * DAY, [seen(vec![name], vec![])]);
            note(&mut world, DAY + 1, [intent(name, disable(name))]);
            let of = world.memory.through();
            let closing = closing(&world, status);
            note(&mut world, DAY + 1, closing);
            gone(&mut world, DAY);
            if let Past::Disabled(_) = past {
                note(&mut world, DAY, [Entry::Shown { of: vec![of] }]);
            }
        }
        Past::ExpiredFor(hours) => {
            let rows = world.invitations.iter().filter(|it| it.email == email(name));
            let rows = rows.map(|it| (it.email.clone(), it.role.clone(), true)).collect();
            let seen = Entry::Seen(Seen { invitations: rows, ..Seen::default() });
            note(&mut world, hours * HOUR, [seen]);
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
            // Without a memory an expired invitation asks for nothing.
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
        note(world, age, [intent(name, action.clone())]);
        let closing = closing(world, status);
        note(world, age, closing);
    }
}

/// What the table says, row by row, of what it says without a memory.
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

/// A member of whom the directory shows nothing.
fn missing(invite: &str, past: Past) -> String {
    let role = invite.trim_start_matches("invite ").split(':').next().unwrap();
    match past {
        Past::Vanished | Past::NotDisabled(_) => format!("invite {role}: its account has vanished"),
        Past::Disabled(_) => format!("invite {role}: wanted again after a disable"),
        Past::Tried {
            status: AttemptStatus::Done | AttemptStatus::Open | AttemptStatus::Unknown,
            times,
            minutes,
        } => {
            if minutes < 10 {
                return "Propagating".into();
            }
            let again = format!("reinvite {role}: the invitation led to nothing");
            invited_again(again, "InvitationGone", times, minutes)
        }
        Past::Tried { status: AttemptStatus::Rejected, times, minutes } => {
            refused(invite.to_owned(), times, minutes)
        }
        _ => invite.to_owned(),
    }
}

/// A member whose invitation has expired.
fn expired(line: Line, past: Past) -> String {
    let Line::Member(who) = line else {
        return expired(Line::Member(Who::Developer), past);
    };
    let again = format!("reinvite {}: the invitation has expired", who.role());
    match past {
        Past::ExpiredFor(hours) => invited_again(again, "InvitationExpired", 1, hours * HOUR),
        Past::Tried {
            status: AttemptStatus::Done | AttemptStatus::Open | AttemptStatus::Unknown,
            times,
            minutes,
        } => invited_again(again, "InvitationExpired", times, minutes),
        _ => "InvitationExpired".into(),
    }
}

fn invited_again(again: String, waiting: &str, times: usize, minutes: i64) -> String {
    match [DAY, 3 * DAY, 7 * DAY].get(times - 1) {
        Some(wait) if minutes >= *wait => again,
        Some(_) => waiting.to_owned(),
        None => "InvitationsExhausted".to_owned(),
    }
}

fn refused(change: String, times: usize, minutes: i64) -> String {
    match [HOUR, 6 * HOUR, DAY].get(times - 1) {
        Some(wait) if minutes >= *wait => change,
        Some(_) => "Refused".to_owned(),
        None => "NeedsPerson".to_owned(),
    }
}

/// A change of an account that is there.
fn changed(change: &str, past: Past) -> String {
    match past {
        Past::Tried {
            status: AttemptStatus::Done | AttemptStatus::Open | AttemptStatus::Unknown,
            minutes,
            ..
        } if minutes < 10 => "Propagating".into(),
        // Each `ok` that no reading has shown counts as refused from now on.
        Past::Tried { status: AttemptStatus::Done, times, .. } => {
            refused(change.to_owned(), times, 0)
        }
        Past::Tried { status: AttemptStatus::Rejected, times, minutes } => {
            refused(change.to_owned(), times, minutes)
        }
        _ => change.to_owned(),
    }
}

#[test]
fn one_person_follows_the_table_whatever_was_before() {
    let mut rows = 0;
    for line in LINES {
        for shown in shown() {
            for past in pasts() {
                for mode in MODES {
                    let mut world = World::default().person("matt", line, shown);
                    world.on_removed = mode;
                    let mut plan = in_short(&with(world, "matt", past).seen(0));
                    let mut expected = expected(line, shown, past, mode);
                    plan.sort();
                    expected.sort();
                    assert_eq!(plan, expected, "{line:?}, {shown:?}, {past:?}, {mode:?}");
                    rows += 1;
                }
            }
        }
    }
    assert_eq!(rows, 11 * 29 * 58 * 2);
}

#[test]
fn two_pasts_do_not_touch_each_other() {
    let states = [
        (Line::Member(Who::Developer), Shown::Nothing),
        (Line::Member(Who::Developer), Shown::Lapsed(Who::Admin)),
        (Line::Member(Who::Business), Shown::Account(Who::Developer)),
        (Line::Expired, Shown::Account(Who::Admin)),
        (Line::Absent, Shown::Account(Who::Developer)),
    ];
    let alone = |name: &str, (line, shown): (Line, Shown), past| {
        told(&with(World::default().person(name, line, shown), name, past).seen(0).plan())
    };
    for a in states {
        for b in states {
            for (one, two) in pasts().into_iter().zip(pasts().into_iter().rev()) {
                let world = World::default().person("matt", a.0, a.1).person("max", b.0, b.1);
                let both = with(with(world, "matt", one), "max", two).seen(0);
                let mut together = told(&both.plan());
                let mut apart = [alone("matt", a, one), alone("max", b, two)].concat();
                together.sort();
                apart.sort();
                assert_eq!(together, apart, "{a:?} {one:?}, {b:?} {two:?}");
            }
        }
    }
}

#[test]
fn an_account_that_changes_its_address_stays_the_members() {
    for (line, expected) in [
        (Line::Member(Who::Developer), vec!["KnownAs"]),
        (
            Line::Member(Who::Admin),
            vec!["role DEVELOPER > ADMIN: another role in the roster", "KnownAs"],
        ),
        (Line::Expired, vec!["disable: expired", "KnownAs"]),
        (Line::Absent, vec!["disable: not in the roster"]),
    ] {
        let before = World::default().person("matt", line, Shown::Account(Who::Developer)).seen(-1);
        let moved = World { accounts: Vec::new(), ..before };
        let moved = moved.account_as("matt", "matthew", Role::Developer).seen(0);
        assert_eq!(in_short(&moved), expected, "{line:?}");
        // What covers the new address has the last word, and the member has lost the account.
        let expected = match line {
            Line::Member(who) => vec![format!("invite {}: its account has vanished", who.role())],
            _ => vec![],
        };
        assert_eq!(in_short(&moved.unmanaged("matthew@acme.io")), expected, "{line:?}");
    }
}

#[test]
fn whoever_was_disabled_and_is_refused_needs_a_person_at_once() {
    let refused = |past, minutes| {
        let world = World::default().member("matt", Role::Developer);
        let mut world = with(world, "matt", past);
        let action = Action::Invite { role: Role::Developer };
        tried(&mut world, &action, "matt", (AttemptStatus::Rejected, 1, minutes));
        in_short(&world.seen(0))
    };
    assert_eq!(refused(Past::Disabled(AttemptStatus::Done), 400 * DAY), ["NeedsPerson"]);
    assert_eq!(refused(Past::Fresh, HOUR - 1), ["Refused"]);
}
