use super::*;
use crate::failure::FailureKind;
use crate::report::{End, Failure, RunReport};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn failed(kind: FailureKind, second: i64) -> RunReport {
    RunReport {
        workspace: "acme".into(),
        trigger: Trigger::Retry,
        started: at(second - 1),
        finished: at(second),
        stale: None,
        key: None,
        ledger: None,
        end: End::Failed(Failure { kind, message: "no\u{1b}".into() }),
    }
}

#[test]
fn health_keeps_the_time_when_it_began() {
    let store = StatusStore::default();
    store.set_workspaces([("acme".to_owned(), None)], at(0));
    let changes = store.subscribe();
    let health = || store.workspace("acme").unwrap().health();
    let complete = |report: &RunReport| {
        let sources = Sources::default();
        store.on_run_completed(&RunCompleted {
            report,
            sources: &sources,
            next: None,
            observation: None,
        });
    };
    assert_eq!(health(), (WorkspaceHealth::Starting, at(0)));
    store.apply_started("acme", 3, at(5));
    assert_eq!(health(), (WorkspaceHealth::Changing, at(5)));
    store.on_progress("acme", 1, 3);
    assert_eq!(store.workspace("acme").unwrap().progress, Some((1, 3)));
    complete(&failed(FailureKind::Cancelled, 7));
    let starting = (WorkspaceHealth::Starting, at(0));
    assert_eq!(health(), starting, "an interrupted run changes no health");
    complete(&failed(FailureKind::Connect, 9));
    complete(&failed(FailureKind::Connect, 20));
    assert_eq!(health(), (WorkspaceHealth::Failing, at(9)), "since the first failure");
    let last = store.workspace("acme").unwrap().last_run.unwrap();
    assert_eq!((last.finished, last.failure.as_deref()), (at(20), Some("no\\u{1b}")));
    assert!(changes.has_changed().unwrap());
}

#[test]
fn the_daemon_is_ready_once_every_workspace_has_a_roster() {
    let store = StatusStore::default();
    let set = |names: &[&str]| {
        let names = names.iter().map(|name| ((*name).to_owned(), None));
        store.set_workspaces(names, Timestamp::UNIX_EPOCH);
    };
    let names = || store.not_ready().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(), ["daemon"], "it has adopted no configuration yet");
    set(&["acme", "beta"]);
    store.roster_loaded("acme");
    store.roster_loaded("gone");
    assert_eq!(names(), ["beta"]);
    store.roster_loaded("beta");
    assert!(names().is_empty());
    set(&["acme", "new"]);
    assert_eq!(names(), ["new"], "acme keeps its roster");
}
