//! The history by run, also after old entries have been pruned.

use std::collections::BTreeMap;

use rosterd::action::Action;
use rosterd::directory::Uid;
use rosterd::email::Email;
use rosterd::memory::Memory;
use rosterd::memory::entry::{
    Anchor, AttemptStatus, Entry, OutcomeEntry, Record, Rename, RenameSign, RosterRecord,
    RunRecord, Seen,
};
use rosterd::memory::events::{EventKind, events, of_workspace};
use rosterd::memory::runs::runs;
use rosterd::memory::scope::Scope;
use rosterd::memory::timeline::timeline;
use rosterd::role::Role;

use rosterd::status::RunStatus::{Converged, Failed, Held, Interrupted};
use rosterd::status::{Health, RunCounts, RunStatus, Trigger};

use crate::support::world::{World, hours, intent, now};

fn records(entries: impl IntoIterator<Item = Entry>) -> Vec<Record> {
    let records = (1..).zip(entries).map(|(seq, entry)| {
        let at = hours(i64::try_from(seq).unwrap());
        Record { seq, at, entry }
    });
    records.collect()
}

fn run(status: RunStatus) -> Entry {
    Entry::Run(Box::new(RunRecord {
        trigger: Trigger::Schedule,
        started: now(),
        status,
        roster: String::new(),
        commit: None,
        stale: false,
        plan: None,
        counts: RunCounts::default(),
        failure: None,
    }))
}

fn invite(name: &str) -> Entry {
    intent(name, Action::Invite { role: Role::Business })
}

fn closed(of: u64) -> Entry {
    Entry::Outcome(OutcomeEntry { of, status: AttemptStatus::Done, detail: None })
}

#[test]
fn each_run_has_its_events() {
    let entries = records([
        invite("zoe"),    // 1
        closed(1),        // 2
        run(Converged),   // 3
        invite("yan"),    // 4: killed before the end of the run
        closed(4),        // 5: settled by the next one
        invite("ada"),    // 6
        run(Held),        // 7
        run(Interrupted), // 8
    ]);
    let listed = |before, most| -> Vec<(u64, Vec<String>)> {
        let names = |it: &rosterd::memory::runs::Run| {
            let done = it.events.iter().filter(|event| match &event.kind {
                EventKind::Change(change) => change.status == AttemptStatus::Done || event.seq == 6,
                _ => false,
            });
            done.map(|event| event.email.folded()).collect()
        };
        runs(&entries, before, most, |_| true).iter().map(|it| (it.seq, names(it))).collect()
    };
    let name = |name: &str| format!("{name}@acme.io");
    let all = [(8, vec![]), (7, vec![name("yan"), name("ada")]), (3, vec![name("zoe")])];
    assert_eq!(listed(None, 50), all);
    assert_eq!(listed(None, 2), all[..2]);
    assert_eq!(listed(Some(8), 1), all[1..2], "what it did does not depend on how many are asked");
    assert_eq!(listed(Some(3), 5), []);
    let held = runs(&entries, None, 50, |run| run.status == Held);
    assert_eq!((held.len(), held[0].seq), (1, 7));
    assert_eq!(held[0].events, runs(&entries, Some(8), 1, |_| true)[0].events);
}

#[test]
fn runs_with_the_same_status_are_a_streak() {
    let streak = |entries: &[Entry]| {
        let mut memory = Memory::of_ledger();
        for record in &records(entries.iter().cloned()) {
            memory.fold(record);
        }
        [Health::InSync, Health::Held, Health::Failing, Health::Stale]
            .map(|health| memory.health_since(health))
            .map(|since| since.map(|at| at.duration_since(now()).as_hours()))
    };
    assert_eq!(streak(&[]), [None; 4]);
    let failing = [run(Converged), run(Failed), run(Interrupted), run(Failed)];
    assert_eq!(streak(&failing), [None, None, Some(2), None]);
    let Entry::Run(mut fact) = run(Converged) else { panic!("a run") };
    fact.stale = true;
    let stale = Entry::Run(fact);
    assert_eq!(streak(&[run(Converged), stale.clone(), stale]), [None, None, None, Some(2)]);
}

/// An old key, which names endpoint and API key.
const KEY: &str = "https://api.acme.io/graphql#key-1";

#[test]
fn an_anchor_keeps_what_is_needed_of_dropped_entries() {
    let world = World::converged();
    let before = world.clone().seen(-900);
    let kept = BTreeMap::from([
        (KEY.to_owned(), before.memory.clone()),
        ("another".to_owned(), Memory::of_ledger()),
    ]);
    let roster = RosterRecord {
        workspace: "acme".into(),
        digest: String::new(),
        files: Vec::new(),
        revision: None,
    };
    let changed = world.no_member("matt").account("zoe", Role::Business);
    let mut changed = changed;
    changed.memory = before.memory.clone();
    let seen = changed.clone().seen(2);
    let observed = rosterd::memory::observe::observe(
        &before.memory,
        &changed.snapshot(),
        &changed.roster(),
        hours(2),
    );
    assert_ne!(seen.memory, before.memory);
    let mut all: Vec<(String, Record)> =
        vec![(KEY.into(), Record { seq: 41, at: hours(1), entry: Entry::Roster(roster) })];
    for (seq, entry) in (42..).zip(observed) {
        all.push((KEY.into(), Record { seq, at: hours(2), entry }));
    }
    all.push(("another".into(), Record { seq: 60, at: hours(3), entry: run(Failed) }));
    let anchor = Anchor { through: 40, hash: String::new(), kept };
    all.push((
        String::new(),
        Record { seq: 61, at: hours(4), entry: Entry::Anchor(Box::new(anchor)) },
    ));

    let ours = of_workspace(all, &Scope::of_name("acme"));
    assert_eq!(ours[0].seq, 40, "what was dropped comes first");
    assert!(ours.iter().all(|noted| noted.seq != 60), "another workspace's");
    let people: Vec<usize> =
        timeline(&ours).counts.iter().map(|(_, roles)| roles.values().sum()).collect();
    assert_eq!(people, [5, 6], "those who were there before are counted");
    let appeared = events(&ours, Some(&[crate::support::world::email("alexandra")]));
    assert!(appeared.is_empty(), "alexandra is not new: {appeared:?}");
}

/// Somebody disabled the account by hand and enables it again: it still may be the member's.
#[test]
fn the_sign_of_another_address_outlives_the_account() {
    let (uid, zoe) = (Uid("elsewhere".into()), Email::parse("zoe@acme.io").unwrap());
    let account = (Email::parse("else@acme.io").unwrap(), uid.clone(), Role::Business);
    let seen =
        |accounts: Vec<_>, gone: Vec<Uid>| Entry::Seen(Seen { accounts, gone, ..Seen::default() });
    let sign = RenameSign::Arrival;
    let rename = Rename { sign, accounts: vec![uid.clone()], members: vec![zoe] };
    let mut memory = Memory::of_ledger();
    for record in
        records([seen(vec![account], vec![]), Entry::Rename(rename), seen(vec![], vec![uid])])
    {
        memory.fold(&record);
    }
    memory.prune(hours(24 * 500));
    assert_eq!(memory.renames().len(), 1);
}
