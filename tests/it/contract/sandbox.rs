//! The client against the sandbox: two independent implementations of the API.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rosterd::apply::Sending;
use rosterd::client::{
    Answer, Client, Credentials, ReadDirectory as _, Reply, Settings, Transport,
    WriteDirectory as _,
};
use rosterd::clock::{Clock, SystemClock};
use rosterd::diagnostic::Sources;
use rosterd::directory::{InviteStatus, Uid};
use rosterd::guard::Limits;
use rosterd::ledger::{Ledger, Location};
use rosterd::plan::OnRemoved;
use rosterd::plan::change::{Action, Change};
use rosterd::reconcile::{Loaded, Run, RunOptions, RunSession, WorkspaceSpec};
use rosterd::report::{RunReport, RunStatus, Trigger};
use rosterd::role::Role;
use rosterd::roster::policy::Policy;
use rosterd::roster::{checks, raw};
use rosterd::sandbox::world::AccountType;
use rosterd::sandbox::{self, Options, Running};
use rosterd::source::RosterSource;

use crate::support::run::records;
use rosterd::failure::FailureKind;
use tokio_util::sync::CancellationToken;

use super::{change, invite, settings};

const MATT: &str = "07673b48d2206dad7a150dd258ea1e049df036356f1730e30304e38ca648b175";

async fn started(options: Options) -> Running {
    sandbox::start(options, Arc::new(SystemClock)).await.unwrap()
}

fn pair(key: &str, secret: &str) -> Credentials {
    Credentials::KeyPair { key: key.into(), secret: secret.into() }
}

fn client_of(running: &Running, credentials: Credentials, uid: Option<String>) -> Client {
    let settings = Settings {
        workspace_uid: uid,
        timeout: Duration::from_millis(700),
        ..settings(&running.endpoint())
    };
    Client::new(Arc::new(Transport::new(&settings).unwrap()), credentials)
}

fn admin(running: &Running) -> Client {
    client_of(running, pair("sandbox-key", "sandbox-secret"), None)
}

fn disable(uid: &str) -> Change {
    change("matt@acme.io", Action::Disable { uid: Uid(uid.into()), role: Role::Developer })
}

fn failing(fault: &str) -> Options {
    Options { faults: vec![format!("{fault}=1").parse().unwrap()], ..Options::default() }
}

#[tokio::test]
async fn the_client_reads_the_listing_of_the_sandbox() {
    for sent in [false, true] {
        let running = started(Options { sent, ..Options::default() }).await;
        let read = admin(&running).list().await.unwrap();
        let accounts = read.accounts().iter().map(|it| (it.email.as_str(), &it.role));
        assert_eq!(
            accounts.collect::<Vec<_>>(),
            [
                ("alexandra@acme.io", &Role::Admin),
                ("jonny@acme.io", &Role::Admin),
                ("matt@acme.io", &Role::Developer)
            ]
        );
        let invited = read.invitations().iter().map(|it| (it.email.as_str(), &it.status));
        assert_eq!(
            invited.collect::<Vec<_>>(),
            [("john@acme.io", &InviteStatus::Pending), ("max@acme.io", &InviteStatus::Expired)]
        );
        assert!(read.server_time().is_some());
    }
}

#[tokio::test]
async fn every_role_round_trips() {
    let running = started(Options::default()).await;
    for role in Role::KNOWN {
        let email = format!("{}@acme.io", role.as_str().to_lowercase());
        let reply = admin(&running).send(&[&invite(&email, role.clone())]).await;
        assert_eq!(reply, Reply::Answered(vec![Answer::Done]));
        running.state().lock().accept("acme", &email, SystemClock.now()).unwrap();
    }
    let read = admin(&running).list().await.unwrap();
    for role in Role::KNOWN {
        let email = format!("{}@acme.io", role.as_str().to_lowercase());
        let account = read.accounts().iter().find(|it| it.email.as_str() == email).unwrap();
        assert_eq!(account.role, role);
    }
}

#[tokio::test]
async fn batches_of_every_size_are_answered_one_by_one() {
    for size in [1_usize, 2, 25, 1000] {
        let running = started(Options::default()).await;
        let changes: Vec<Change> =
            (0..size).map(|n| invite(&format!("user{n}@acme.io"), Role::Business)).collect();
        let batch: Vec<&Change> = changes.iter().collect();
        let client = client_of(&running, Credentials::Token("prdm_wsp_sandbox".into()), None);
        assert_eq!(client.send(&batch).await, Reply::Answered(vec![Answer::Done; size]));
        assert_eq!(running.world().workspaces[0].invitations.len(), 2 + size);
    }
}

#[tokio::test]
async fn one_rejection_in_a_batch_concerns_one_change() {
    let running = started(Options::default()).await;
    let (good, bad) = (invite("a@acme.io", Role::Business), invite("matt@acme.io", Role::Business));
    let Reply::Answered(answers) = admin(&running).send(&[&good, &bad, &disable(MATT)]).await
    else {
        panic!("each has its answer");
    };
    assert_eq!((&answers[0], &answers[2]), (&Answer::Done, &Answer::Done));
    assert!(matches!(&answers[1], Answer::Rejected(why) if why.contains("already active")));
}

#[tokio::test]
async fn an_aborted_batch_is_unknown_and_a_too_large_one_is_refused() {
    let running = started(Options { abort_batches: true, ..Options::default() }).await;
    let (good, bad) = (invite("a@acme.io", Role::Business), disable("unknown"));
    let reply = admin(&running).send(&[&good, &bad]).await;
    assert!(matches!(reply, Reply::Unknown(_)), "{reply:?}");
    assert_eq!(running.world().workspaces[0].invitations.len(), 3, "and it did run in part");
    let running = started(Options { max_batch: 1, ..Options::default() }).await;
    let reply = admin(&running).send(&[&good, &disable(MATT)]).await;
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    assert_eq!(running.world().workspaces[0].invitations.len(), 2);
}

#[tokio::test]
async fn every_key_has_its_permissions() {
    let names = vec!["acme".to_owned(), "other".to_owned()];
    let running = started(Options { workspaces: names, ..Options::default() }).await;
    let uid = running.world().workspaces[1].uid.clone();
    let company = || Credentials::Token("prdm_cmp_sandbox".into());
    let there = client_of(&running, company(), Some(uid));
    assert_eq!(there.list().await.unwrap().accounts().len(), 3);
    there.send(&[&invite("a@acme.io", Role::Business)]).await;
    assert_eq!(running.world().workspaces[1].invitations.len(), 3);
    for (credentials, uid) in [
        (company(), None),
        (company(), Some("nowhere".to_owned())),
        (pair("sandbox-key", "wrong"), None),
    ] {
        let error = client_of(&running, credentials, uid).list().await.unwrap_err();
        assert!(error.kind.is_denial(), "{error}");
    }
    let viewer = client_of(&running, pair("sandbox-viewer-key", "sandbox-viewer-secret"), None);
    assert!(viewer.list().await.is_ok());
    let reply = viewer.send(&[&disable(MATT), &invite("b@acme.io", Role::Business)]).await;
    let Reply::NotExecuted { error, .. } = reply else { panic!("{reply:?}") };
    assert!(error.kind.is_denial());
    assert!(error.message.contains("User Management Admin"), "{error}");
}

#[tokio::test]
async fn every_fault_is_classified() {
    for (fault, kind) in [
        ("timeout-after", FailureKind::Timeout),
        ("timeout-before", FailureKind::Timeout),
        ("reset-after", FailureKind::Reset),
        ("reset-before", FailureKind::Reset),
        ("truncate", FailureKind::Truncated),
        ("unavailable", FailureKind::Server),
        ("html", FailureKind::NotJson),
    ] {
        let running = started(failing(fault)).await;
        let reply = admin(&running).send(&[&invite("a@acme.io", Role::Business)]).await;
        assert!(
            matches!(&reply, Reply::Unknown(error) if error.kind == kind),
            "{fault}: {reply:?}"
        );
    }
    let running = started(failing("throttle")).await;
    let reply = admin(&running).send(&[&invite("a@acme.io", Role::Business)]).await;
    let asked = Some(Duration::from_secs(1));
    assert!(matches!(&reply, Reply::NotExecuted { retry_after, .. } if *retry_after == asked));
    let running = started(failing("not-ok")).await;
    let reply = admin(&running).send(&[&invite("a@acme.io", Role::Business)]).await;
    assert!(
        matches!(&reply, Reply::Answered(answers) if matches!(answers[0], Answer::Rejected(_)))
    );
    let error = admin(&running).list().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::NotOk, "no reading comes of it");
}

/// A roster that wants two dozen invitations, a role update and a disable.
fn roster() -> Arc<Loaded> {
    let mut text = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n  \
                    - { email: jonny@acme.io, role: BUSINESS }\n"
        .to_owned();
    text.extend((0..24).map(|n| format!("  - {{ email: user{n}@acme.io, role: ANALYST }}\n")));
    let mut sources = Sources::default();
    sources.add("users.yaml", text);
    let raw = raw::read(&sources);
    let (roster, found) = checks::validate(raw, &sources, &TimeZone::UTC, SystemClock.now());
    let roster = roster.unwrap_or_else(|| panic!("{found:?}"));
    Arc::new(Loaded {
        roster,
        sources,
        warnings: Vec::new(),
        revision: None,
        takes_approvals: true,
        outage: None,
    })
}

async fn run(
    running: &Running,
    loaded: &Arc<Loaded>,
    ledger: &Ledger,
    clock: &dyn Clock,
) -> RunReport {
    let target = WorkspaceSpec {
        workspace: "acme".into(),
        source: RosterSource::new(Vec::new(), std::path::PathBuf::new()),
        max_changes: rosterd::reconcile::MAX_CHANGES,
        zone: TimeZone::UTC,
        on_removed: OnRemoved::Disable,
        approvals_in_file: true,
        limits: Limits::default(),
        policy: Policy::default(),
        sending: Sending { concurrency: 3, batch: 5 },
    };
    let cancel = CancellationToken::new();
    let session = RunSession::acquire(&records(ledger), clock, &cancel).await.unwrap();
    let run = Run {
        directory: &admin(running),
        spec: &target,
        loaded,
        session,
        options: RunOptions::new(Trigger::Start),
        clock,
        cancel: &cancel,
        on_plan: &|_| Ok(()),
        on_progress: &|_, _| {},
    };
    run.execute().await.report
}

/// The system's clock, put forward.
struct After(SignedDuration);

impl Clock for After {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

#[track_caller]
fn is_equal(running: &Running) {
    let world = running.world();
    let acme = &world.workspaces[0];
    let invited = acme.invitations.iter().filter(|it| it.email.starts_with("user"));
    assert_eq!(invited.count(), 24, "each once");
    let jonny = acme.accounts.iter().find(|it| it.email == "jonny@acme.io").unwrap();
    assert_eq!(jonny.account_type, AccountType::Business);
    assert_eq!(acme.active().count(), 2);
}

#[tokio::test]
async fn a_run_converges_whatever_batches_the_server_accepts() {
    let loaded = roster();
    for options in [
        Options::default(),
        Options { abort_batches: true, ..Options::default() },
        Options { max_batch: 1, ..Options::default() },
        Options { max_batch: 3, sent: true, ..Options::default() },
    ] {
        let running = started(options).await;
        let ledger = Ledger::at(Location::Memory);
        let clock = &SystemClock;
        let report = run(&running, &loaded, &ledger, clock).await;
        assert_eq!(report.status(), RunStatus::Converged, "{report:?}");
        is_equal(&running);
        let again = run(&running, &loaded, &ledger, clock).await;
        assert!(again.applied().unwrap().plan.changes().is_empty());
    }
}

#[tokio::test]
async fn runs_converge_under_faults() {
    let loaded = roster();
    for (seed, faults) in [
        (1, "throttle=0.3 truncate=0.2"),
        (2, "reset-after=0.3 reset-before=0.05"),
        (3, "unavailable=0.05 html=0.05"),
        (4, "not-ok=0.05 stale=0.2"),
    ] {
        let faults = faults.split(' ').map(|it| it.parse().unwrap()).collect();
        let running = started(Options { faults, seed, ..Options::default() }).await;
        let (ledger, mut converged) = (Ledger::at(Location::Memory), false);
        for day in 0..60 {
            // What nobody knows waits for a day before it is tried again.
            let clock = After(SignedDuration::from_hours(25 * day));
            let report = run(&running, &loaded, &ledger, &clock).await;
            let waits = report.next().is_some();
            converged = report.status() == RunStatus::Converged && !waits;
            if converged {
                break;
            }
        }
        assert!(converged, "seed {seed}");
        is_equal(&running);
    }
}
