//! Chains that a workspace continues: those of old keys, and the one of its former name.

use jiff::{SignedDuration, Timestamp};
use rosterd::action::BudgetName;
use rosterd::ledger::{Ledger, Location};
use rosterd::memory::entry::{Entry, RosterRecord};
use rosterd::memory::events::{events, of_workspace};
use rosterd::memory::observe::observe;
use rosterd::memory::scope::Scope;
use rosterd::memory::timeline::timeline;

use crate::support::world::{World, disable, email, hours, intent, now, uid};

const FIRST: &str = "https://api.acme.io/graphql#key-0000000000000001";
const SECOND: &str = "https://api.acme.io/graphql#key-0000000000000002";
const OTHER: &str = "https://api.acme.io/graphql#key-0000000000000003";

/// Writes a listing of `world` and the name of the workspace into a chain.
async fn listing(ledger: &Ledger, key: &str, name: &str, world: &World, at: i64) {
    let mut writer = ledger.open(key, hours(at)).unwrap();
    let roster = RosterRecord {
        workspace: name.into(),
        digest: "d".into(),
        files: Vec::new(),
        revision: None,
    };
    let mut entries = vec![Entry::Roster(roster)];
    let seen = observe(writer.memory(), &world.snapshot(), &world.roster(), hours(at));
    entries.extend(seen);
    writer.write(entries, hours(at)).await.unwrap();
    writer.close();
}

async fn disabled(ledger: &Ledger, key: &str, who: &str, at: i64) {
    let mut writer = ledger.open(key, hours(at)).unwrap();
    writer.write(vec![intent(who, disable(who))], hours(at)).await.unwrap();
    writer.close();
}

fn disables(ledger: &Ledger, scope: &Scope) -> usize {
    let memory = ledger.read_workspace(scope).unwrap();
    memory.budget_usage(BudgetName::Disable, hours(-24)).possible.len()
}

fn file() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(Location::File(folder.path().join("ledger.db")));
    (folder, ledger)
}

/// A ledger from before names were keys: the API key of `acme` was replaced once, matt left in
/// between, and old rows were dropped.
async fn old_ledger(ledger: &Ledger) {
    let world = World::converged();
    listing(ledger, FIRST, "acme", &world, -1000).await;
    listing(ledger, OTHER, "beta", &World::default(), -900).await;
    disabled(ledger, FIRST, "zoe", -20).await;
    disabled(ledger, OTHER, "yan", -19).await;
    let mut writer = ledger.open(FIRST, hours(-18)).unwrap();
    let week = SignedDuration::from_hours(24 * 7);
    writer.prune(hours(-18), week, week).await.unwrap();
    drop(writer);
    let mut later = world;
    later.accounts.retain(|account| account.uid != uid("matt"));
    listing(ledger, SECOND, "acme", &later, -10).await;
    disabled(ledger, SECOND, "max", -9).await;
}

#[tokio::test]
async fn a_ledger_of_old_keys_is_carried_over_once_by_name() {
    let (_folder, ledger) = file();
    old_ledger(&ledger).await;
    assert!(ledger.verify(None).unwrap().dropped > 0, "there is an anchor");
    let scope = Scope::of_name("acme");
    let planned = ledger.read_workspace(&scope).unwrap();
    let writer = ledger.open_workspace(&scope, now()).unwrap();
    let memory = writer.memory().clone();
    writer.close();
    assert_eq!(memory.attempts(), planned.attempts(), "a plan remembers the same");
    assert_eq!(disables(&ledger, &scope), 2, "zoe by the first key, max by the second");
    let since = |name: &str| memory.account(&uid(name)).map(|it| (it.since, it.gone.is_some()));
    assert_eq!(since("alexandra"), Some((hours(-1000), false)));
    assert_eq!(since("matt"), Some((hours(-1000), true)), "the later listing lacks him");
    assert_eq!(memory.newest(), Some(hours(-9)), "the carrying over is no earlier entry");

    let rows = ledger.verify(None).unwrap().rows;
    for ledger in [&ledger, &ledger.reopen()] {
        ledger.open_workspace(&scope, now()).unwrap().close();
        assert_eq!(ledger.verify(None).unwrap().rows, rows, "once");
    }
    let other = ledger.read_workspace(&Scope::of_name("beta")).unwrap();
    assert_eq!(other.attempts().len(), 1, "another workspace keeps its own");
    assert_eq!(ledger.read_state(FIRST).unwrap().attempts(), [], "the old chain is closed");

    let records = of_workspace(ledger.entries().unwrap(), &scope);
    let people: Vec<_> = events(&records, None).into_iter().map(|event| event.email).collect();
    assert_eq!(people, [email("zoe"), email("max")]);
    let counts = timeline(&records).counts;
    assert_eq!(counts.last().unwrap().1.values().sum::<usize>(), 4, "{counts:?}");
}

#[tokio::test]
async fn a_former_name_is_carried_over_once() {
    let (_folder, ledger) = file();
    listing(&ledger, "sales", "sales", &World::converged(), -30).await;
    disabled(&ledger, "sales", "zoe", -3).await;
    let (old, new) = (Scope::of_name("sales"), Scope::of_name("acme"));
    let renamed = Scope { formerly: Some("sales".into()), ..new.clone() };
    assert_eq!(disables(&ledger, &new), 0, "another name is another workspace");
    let open = |scope: &Scope, at: Timestamp| ledger.open_workspace(scope, at).unwrap().close();
    open(&renamed, hours(-2));
    assert_eq!((disables(&ledger, &new), disables(&ledger, &old)), (1, 0));
    disabled(&ledger, "sales", "yan", -1).await;
    open(&renamed, now());
    assert_eq!(disables(&ledger, &renamed), 1, "the old name is free for another workspace");
    let of = |scope: &Scope| {
        let records = of_workspace(ledger.entries().unwrap(), scope);
        let people = events(&records, None).into_iter().map(|event| event.email);
        people.collect::<Vec<_>>()
    };
    assert_eq!((of(&new), of(&old)), (vec![email("zoe")], vec![email("yan")]));
}

#[tokio::test]
async fn a_run_under_the_former_name_is_waited_for() {
    let (_folder, ledger) = file();
    disabled(&ledger, "sales", "zoe", -3).await;
    let _lock = ledger.lock("sales", "a run").unwrap().unwrap();
    let renamed = Scope { formerly: Some("sales".into()), ..Scope::of_name("acme") };
    assert!(ledger.open_workspace(&renamed, now()).is_err());
}
