//! The client against the sandbox: two readings of one API that must agree.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::client::{
    Answer, Client, Credentials, ErrorClass, ReadDirectory, Reply, Transport, WriteDirectory,
};
use rosterd::clock::{Clock as _, SystemClock};
use rosterd::directory::Uid;
use rosterd::guard::Limits;
use rosterd::plan::OnRemoved;
use rosterd::plan::change::{Action, Change};
use rosterd::reconcile::{Carry, Setting, Target, load, reconcile};
use rosterd::report::{RunReport, Status, Trigger};
use rosterd::role::Role;
use rosterd::sandbox::{self, Options, Running, auth};
use tokio_util::sync::CancellationToken;

use super::{change, invite, settings};

async fn serve(change: impl FnOnce(&mut Options)) -> Running {
    let mut options = Options::default();
    change(&mut options);
    sandbox::start(options, Arc::new(SystemClock)).await.unwrap()
}

fn client(running: &Running, credentials: Credentials, workspace: Option<String>) -> Client {
    let mut settings = settings(&running.endpoint());
    (settings.timeout, settings.workspace_uid) = (Duration::from_millis(700), workspace);
    Client::new(Arc::new(Transport::new(settings).unwrap()), credentials)
}

fn pair(key: &str, secret: &str) -> Credentials {
    Credentials::KeyPair { key: key.into(), secret: secret.into() }
}

fn admin(running: &Running) -> Client {
    client(running, pair(auth::ADMIN_KEY, auth::ADMIN_SECRET), None)
}

fn invitations(count: usize) -> Vec<Change> {
    (0..count).map(|n| invite(&format!("new{n}@acme.io"), Role::Developer)).collect()
}

async fn send(client: &Client, changes: &[Change]) -> Reply {
    client.send(&changes.iter().collect::<Vec<_>>()).await
}

/// How many were invited beside the documented two.
fn invited(running: &Running) -> usize {
    running.world().workspaces[0].invitations.len() - 2
}

#[tokio::test]
async fn what_is_changed_is_read() {
    let running = serve(|_| {}).await;
    let client = admin(&running);
    let before = client.list().await.unwrap();
    assert_eq!((before.accounts().len(), before.invitations().len()), (3, 2));
    let uid = |n: usize| Uid(running.world().workspaces[0].accounts[n].uid.as_str().into());
    let update = Action::UpdateRole { uid: uid(1), from: Role::Admin, to: Role::Business };
    let changes = [
        invite("alice@acme.io", Role::Analyst),
        change("jonny@acme.io", update),
        change("matt@acme.io", Action::Disable { uid: uid(2), role: Role::Developer }),
    ];
    assert_eq!(send(&client, &changes).await, Reply::Answered(vec![Answer::Done; 3]));
    let after = client.list().await.unwrap();
    assert_eq!((after.accounts().len(), after.invitations().len()), (2, 3));
    assert!(after.accounts().iter().any(|account| account.role == Role::Business));
    let again = send(&client, &changes).await;
    let Reply::Answered(answers) = again else { panic!("{again:?}") };
    assert!(matches!(answers[..], [Answer::Rejected(_), Answer::Done, Answer::Rejected(_)]));
}

#[tokio::test]
async fn batches_of_every_size_run_whole() {
    for count in [1, 2, 25, 1000] {
        let running = serve(|_| {}).await;
        let mut settings = settings(&running.endpoint());
        settings.timeout = Duration::from_secs(30);
        let credentials = pair(auth::ADMIN_KEY, auth::ADMIN_SECRET);
        let client = Client::new(Arc::new(Transport::new(settings).unwrap()), credentials);
        let reply = send(&client, &invitations(count)).await;
        assert_eq!(reply, Reply::Answered(vec![Answer::Done; count]));
        assert_eq!(invited(&running), count);
    }
}

#[tokio::test]
async fn every_key_gets_in_and_a_viewer_changes_nothing() {
    let running = serve(|_| {}).await;
    let workspace = running.world().workspaces[0].uid.clone();
    let token = |text: &str| Credentials::Token(text.into());
    for (credentials, workspace) in [
        (token(auth::WORKSPACE_TOKEN), None),
        (token(auth::COMPANY_TOKEN), Some(workspace)),
        (pair(auth::VIEWER_KEY, auth::VIEWER_SECRET), None),
    ] {
        let client = client(&running, credentials, workspace);
        assert_eq!(client.list().await.unwrap().accounts().len(), 3);
    }
    let wrong = client(&running, pair(auth::ADMIN_KEY, "wrong"), None);
    assert_eq!(wrong.list().await.unwrap_err().class, ErrorClass::Denied);
    let viewer = client(&running, pair(auth::VIEWER_KEY, auth::VIEWER_SECRET), None);
    for count in [1, 3] {
        let reply = send(&viewer, &invitations(count)).await;
        let Reply::NotRun { error, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.message.contains("User Management Admin"), "{error}");
    }
    assert_eq!(invited(&running), 0);
}

#[tokio::test]
async fn a_batch_that_fails_in_the_middle_is_understood() {
    let mut changes = invitations(3);
    changes.insert(1, invite("jonny@acme.io", Role::Developer));
    let running = serve(|_| {}).await;
    let Reply::Answered(answers) = send(&admin(&running), &changes).await else { panic!() };
    assert!(
        matches!(answers[..], [Answer::Done, Answer::Rejected(_), Answer::Done, Answer::Done]),
        "{answers:?}"
    );
    let running = serve(|options| options.abort_batches = true).await;
    let reply = send(&admin(&running), &changes).await;
    assert!(matches!(reply, Reply::Unknown(_)), "{reply:?}");
    assert_eq!(invited(&running), 1);
    let running = serve(|options| options.max_batch = 3).await;
    let reply = send(&admin(&running), &changes).await;
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    assert_eq!(invited(&running), 0);
}

#[tokio::test]
async fn every_fault_is_called_what_it_is() {
    for (fault, reply, ran) in [
        ("throttle", "not run", false),
        ("unavailable", "unknown", false),
        ("timeout-before", "unknown", false),
        ("timeout-after", "unknown", true),
        ("reset-before", "unknown", false),
        ("reset-after", "unknown", true),
        ("truncate", "unknown", true),
        ("not-ok", "rejected", false),
        ("html", "unknown", false),
    ] {
        let odds = format!("{fault}=1").parse().unwrap();
        let running = serve(|options| options.faults = vec![odds]).await;
        let got = match send(&admin(&running), &invitations(1)).await {
            Reply::NotRun { .. } => "not run",
            Reply::Unknown(_) => "unknown",
            Reply::Answered(answers) if matches!(answers[..], [Answer::Rejected(_)]) => "rejected",
            _ => "something else",
        };
        assert_eq!((got, invited(&running) == 1), (reply, ran), "{fault}");
    }
}

/// One run towards the documented people and so many more invitations.
async fn run(running: &Running, people: usize, carry: &mut Carry) -> RunReport {
    let folder = tempfile::tempdir().unwrap();
    let roles = [("alexandra", "ADMIN"), ("jonny", "ADMIN"), ("matt", "DEVELOPER")];
    let documented = roles.map(|(name, role)| (format!("{name}@acme.io"), role));
    let others = (0..people).map(|n| (format!("new{n}@acme.io"), "DEVELOPER"));
    let users = documented.into_iter().chain(others);
    let lines = users.map(|(email, role)| format!("  - {{ email: {email}, role: {role} }}\n"));
    let text = format!("version: 1\nusers:\n{}", lines.collect::<String>());
    std::fs::write(folder.path().join("users.yaml"), text).unwrap();
    let target = Target {
        workspace: "acme".into(),
        users: vec!["users.yaml".into()],
        base: folder.path().to_owned(),
        zone: TimeZone::UTC,
        on_removed: OnRemoved::Disable,
        limits: Limits::default(),
        sending: Sending { concurrency: 2, batch: 4 },
    };
    let loaded = load(&target, SystemClock.now()).unwrap();
    let cancel = CancellationToken::new();
    let setting =
        Setting { clock: &SystemClock, cancel: &cancel, seen: &|_| {}, progress: &|_, _| {} };
    let client = admin(running);
    reconcile(&client, &target, &loaded, false, Trigger::Start, carry, &setting).await
}

#[tokio::test]
async fn batches_that_are_refused_go_out_one_by_one() {
    let running = serve(|options| options.max_batch = 1).await;
    let report = run(&running, 10, &mut Carry::default()).await;
    assert_eq!((report.status(), invited(&running)), (Status::Converged, 10));
}

#[tokio::test]
async fn when_the_faults_stop_runs_converge_and_nothing_ran_twice() {
    for fault in ["reset-after=0.5", "truncate=0.5", "unavailable=0.5", "reset-before=0.5"] {
        let running = serve(|_| {}).await;
        let mut carry = Carry::default();
        running.fault([fault.parse().unwrap()]);
        run(&running, 12, &mut carry).await;
        running.fault([]);
        let mut last = run(&running, 12, &mut carry).await;
        for _ in 0..3 {
            if last.status() == Status::Converged {
                break;
            }
            last = run(&running, 12, &mut carry).await;
        }
        assert_eq!(last.status(), Status::Converged, "{fault}");
        let mut emails: Vec<String> =
            running.world().workspaces[0].invitations.iter().map(|it| it.email.clone()).collect();
        emails.sort();
        emails.dedup();
        assert_eq!((emails.len(), invited(&running)), (14, 12), "{fault}");
    }
}
