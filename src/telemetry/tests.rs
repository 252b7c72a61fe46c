use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::diagnostic::{Diagnostic, FileId, Place};
use crate::directory::{Account, Snapshot, Uid};
use crate::email::Email;
use crate::failure::FailureKind;
use crate::guard::{self, Limits, Override};
use crate::memory::Memory;
use crate::memory::entry::Key;
use crate::plan::Rules;
use crate::report::{Failure, Stale, Trigger};
use crate::role::Role;
use crate::roster::{Digest, Member, Roster};

const NEXT: &str = "2026-11-25T10:15:00.5Z";

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log output of `act`.
fn logged(
    format: LogFormat,
    directives: Option<&str>,
    verbosity: i8,
    act: impl FnOnce(),
) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let (filter, _) = filter(directives, verbosity);
    let subscriber = subscriber(format, filter, false, true, move || writer.clone());
    // With a single subscriber, tracing caches the interest of the thread that reaches an event
    // first, and the threads of other tests have no subscriber.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, act);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn rows(log: &str) -> Vec<serde_json::Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.add("users.yaml", "users: []");
    sources
}

/// A run that invites matt, and holds the disable of an account with a hostile email address.
fn report() -> RunReport {
    let place = Place { file: FileId(0), line: 7, column: 5, start: 0, end: 0 };
    let member = |email, role| Member {
        email: Email::parse(email).unwrap(),
        role: Role::known(role).unwrap(),
        name: None,
        aliases: Box::default(),
        time: None,
        place,
    };
    let account = |uid: &str, email: &str, role| Account {
        uid: Uid(uid.into()),
        email: Email::remote(email),
        name: None,
        role: Role::from_api(role),
    };
    let members = vec![member("alexandra@acme.io", "ADMIN"), member("matt@acme.io", "ANALYST")];
    let roster = Roster::new(members, vec![], vec![], Digest::default()).unwrap();
    let accounts = vec![
        account("a", "alexandra@acme.io", "ADMIN"),
        account("b", "evil\u{1b}[31m\n@acme.io", "DEVELOPER"),
    ];
    let snapshot = Snapshot::new(accounts, vec![], None).unwrap();
    let now = "2026-11-25T10:00:00Z".parse().unwrap();
    let plan = crate::plan::plan(&roster, &snapshot, &Memory::empty(), Rules::default(), now);
    let mut limits = Limits::default();
    let budget = limits.budgets.get_mut(&guard::BudgetName::Disable).unwrap();
    (budget.floor, budget.percent) = (0, 0);
    let verdict = guard::evaluate(&plan, &limits, &Memory::empty(), &Override::None);
    let approved = verdict.approved.changes().iter();
    let outcomes = approved.map(|change| (change.clone(), Outcome::Done)).collect();
    let verification = Verification::NotNeeded;
    let applied = Applied {
        plan: plan.into(),
        verdict: verdict.into(),
        outcomes,
        asked_by: HashMap::new(),
        revision: Some(by("9d0e3f2c", "Zoe <zoe@acme.io>")),
        verification,
        lost: 0,
        stopped: None,
        next: None,
    };
    RunReport {
        workspace: "acme".into(),
        trigger: Trigger::File,
        started: now,
        finished: "2026-11-25T10:00:01.5Z".parse().unwrap(),
        stale: None,
        key: None,
        ledger: None,
        end: End::Applied(Box::new(applied)),
    }
}

fn by(commit: &str, author: &str) -> Revision {
    let author = Some(author.to_owned());
    Revision { commit: commit.to_owned(), author, subject: None, at: None, dirty: false }
}

fn log_once(report: &RunReport, next: Option<Timestamp>) {
    log_run(report, &sources(), next, &mut Standing::default());
}

#[test]
fn what_stays_open_is_logged_when_it_begins_changes_and_ends() {
    let mut ended = report();
    if let End::Applied(applied) = &mut ended.end {
        applied.verdict = std::sync::Arc::default();
    }
    let mut standing = Standing::default();
    let mut lines = |report: &RunReport| {
        let log = logged(LogFormat::Json, None, 0, || {
            log_run(report, &sources(), None, &mut standing);
        });
        let rows = rows(&log).into_iter().map(|row| row["message"].as_str().unwrap().to_owned());
        rows.filter(|message| message != "change" && message != "run").collect::<Vec<_>>()
    };
    let begins = lines(&report());
    assert_eq!(begins.len(), 2, "the guard and the approvals: {begins:?}");
    assert!(lines(&report()).is_empty(), "nothing new");
    assert_eq!(lines(&ended), ["nothing is held any more"]);
    assert!(lines(&ended).is_empty());
    assert_eq!(lines(&report()), begins);

    let failure = Failure { kind: FailureKind::Connect, message: "refused".into() };
    let failed = RunReport { end: End::Failed(failure), ..report() };
    assert_eq!(lines(&failed), ["run failed: refused"]);
    assert_eq!(lines(&failed).len(), 1, "each run that fails has its line");
    assert_eq!(lines(&report()), ["recovered after 1 s"]);
    assert!(lines(&report()).is_empty());
}

#[test]
fn a_run_logs_a_line_per_change_and_one_for_the_run() {
    let log = logged(LogFormat::Json, None, 1, || log_once(&report(), None));
    let rows = rows(&log);
    assert_eq!(rows.len(), 5, "{log}");
    let change = &rows[0];
    assert_eq!((&change["change"], &change["email"]), (&"invite".into(), &"matt@acme.io".into()));
    assert_eq!((&change["to"], &change["outcome"]), (&"ANALYST".into(), &"done".into()));
    assert_eq!(change["place"], "users.yaml:7");
    assert_eq!(change["reason"], "not in the workspace");
    assert!(change.get("from").is_none() && change.get("error").is_none());
    assert_eq!((&rows[1]["outcome"], &rows[1]["by"]), (&"held".into(), &"disable-budget".into()));
    assert_eq!(rows[1]["email"], "evil\\u{1b}[31m\\u{a}@acme.io");
    assert_eq!((&rows[2]["level"], &rows[2]["guard"]), (&"WARN".into(), &"disable-budget".into()));
    assert!(rows[2]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    let block = "approvals: [{ disable: [\"evil\\U0000001B[31m\\U0000000A@acme.io\"] }]";
    assert_eq!(rows[3]["approvals"], block);
    let run = &rows[4];
    assert_eq!((&run["trigger"], &run["status"]), (&"file".into(), &"held".into()));
    assert_eq!((&run["done"], &run["held"], &run["in_sync"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((&run["duration_ms"], &run["stale"]), (&1500.into(), &false.into()));
    assert_eq!(run["plan"].as_str().map(str::is_empty), Some(false));
}

#[test]
fn a_change_is_logged_with_the_commit_that_asked_for_it() {
    let mut report = report();
    let End::Applied(applied) = &mut report.end else { panic!("no plan") };
    let changes = |report: &RunReport| {
        let rows = rows(&logged(LogFormat::Json, None, 1, || log_once(report, None)));
        let rows = rows.into_iter().filter(|row| row["message"] == "change");
        rows.map(|row| (row["commit"].clone(), row["author"].clone())).collect::<Vec<_>>()
    };
    let (change, _) = &applied.outcomes[0];
    let key = Key::of(&change.action, &change.email);
    applied.asked_by.insert(key, by("3f2c1abd", "Matt\u{1b} <matt@acme.io>"));
    let of_files = ("9d0e3f2c".into(), "Zoe <zoe@acme.io>".into());
    let asked = ("3f2c1abd".into(), "Matt\\u{1b} <matt@acme.io>".into());
    assert_eq!(changes(&report), [asked, of_files], "the held one has only the file's");
}

#[test]
fn text_format_has_the_same_lines_and_no_escape_sequences() {
    let log = logged(LogFormat::Text, None, 0, || log_once(&report(), None));
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(!log.contains('\u{1b}'));
    let change = log.lines().next().unwrap();
    assert!(change.starts_with("<6>ts=2"), "{log}");
    let fields = " level=info message=change workspace=acme change=invite email=matt@acme.io \
                  to=ANALYST outcome=done reason=\"not in the workspace\" place=users.yaml:7";
    assert!(change.contains(fields), "{log}");
}

#[test]
fn a_failed_run_is_logged_as_an_error() {
    let failure = Failure { kind: FailureKind::Connect, message: "no\u{1b}connection".into() };
    let stale = Stale { why: "invalid".into(), url: None };
    let report = RunReport { end: End::Failed(failure), stale: Some(stale), ..report() };
    let rows = rows(&logged(LogFormat::Json, None, 0, || {
        log_once(&report, Some(NEXT.parse().unwrap()));
    }));
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["level"], &rows[0]["kind"]), (&"ERROR".into(), &"connect".into()));
    assert_eq!(rows[0]["message"], "run failed: no\\u{1b}connection");
    assert_eq!(rows[0]["stale"], true);
    assert_eq!(rows[0]["next"], "2026-11-25T10:15:00Z");
}

#[test]
fn rejected_changes_are_errors_and_unknown_ones_warnings() {
    let mut report = report();
    let levels = [
        (Outcome::Rejected("no".into()), "ERROR"),
        (Outcome::Unknown("no answer".into()), "WARN"),
        (Outcome::NotSent("later".into()), "WARN"),
    ];
    for (outcome, level) in levels {
        if let End::Applied(applied) = &mut report.end {
            applied.outcomes[0].1 = outcome;
        }
        let rows = rows(&logged(LogFormat::Json, None, 0, || {
            log_once(&report, Some(NEXT.parse().unwrap()));
        }));
        assert_eq!(rows[0]["level"], level);
        assert!(rows[0]["error"].is_string());
    }
}

#[test]
fn a_stopped_run_logs_its_error_once() {
    let mut report = report();
    if let End::Applied(applied) = &mut report.end {
        applied.outcomes[0].1 = Outcome::NotSent("forbidden".into());
        applied.verdict = std::sync::Arc::default();
        applied.stopped =
            Some(Failure { kind: FailureKind::Forbidden, message: "forbidden".into() });
    }
    let rows = |verbosity| {
        let log = logged(LogFormat::Json, None, verbosity, || log_once(&report, None));
        rows(&log)
    };
    let at_info = rows(0);
    assert_eq!(at_info.len(), 1, "{at_info:?}");
    assert_eq!((&at_info[0]["not_sent"], &at_info[0]["error"]), (&1.into(), &"forbidden".into()));
    assert_eq!(rows(1).len(), 2);
}

#[test]
fn an_interrupted_run_is_not_an_error() {
    let failure = Failure { kind: FailureKind::Cancelled, message: "interrupted".into() };
    let mut stopped = report();
    if let End::Applied(applied) = &mut stopped.end {
        applied.stopped = Some(failure.clone());
    }
    let failed = RunReport { end: End::Failed(failure), ..report() };
    for report in [stopped, failed] {
        let rows = rows(&logged(LogFormat::Json, None, 0, || log_once(&report, None)));
        let run = rows.last().unwrap();
        assert_eq!((&run["message"], &run["status"]), (&"run".into(), &"interrupted".into()));
        assert_eq!(run["level"], "INFO");
    }
}

#[test]
fn diagnostics_have_a_place_and_a_hint() {
    let place = Place { file: FileId(0), line: 3, column: 1, start: 0, end: 0 };
    let problems = [
        Diagnostic::error("bad-address", "not an address").at(place).hint("write one"),
        Diagnostic::warning("expired", "has expired"),
    ];
    let log =
        logged(LogFormat::Json, None, 0, || log_diagnostics(Some("acme"), &sources(), &problems));
    let rows = rows(&log);
    assert_eq!((&rows[0]["level"], &rows[0]["code"]), (&"ERROR".into(), &"bad-address".into()));
    assert_eq!(
        (&rows[0]["place"], &rows[0]["hint"]),
        (&"users.yaml:3:1".into(), &"write one".into())
    );
    assert_eq!(rows[1]["level"], "WARN");
}

#[test]
fn debug_events_of_libraries_are_never_logged() {
    let log_events = || {
        tracing::trace!("ours");
        tracing::debug!(target: "rosterd::client", "ours too");
        tracing::debug!(target: "rosterd_like", "secret");
        for _ in 0..2 {
            tracing::trace!(target: "h2::codec", "secret");
            tracing::debug!(target: "hyper_util::client", "secret");
            tracing::trace!(target: "reqwest::connect", "secret");
        }
        tracing::warn!(target: "rustls", "worth knowing");
        tracing::warn!(target: "notify::inotify", "a folder that is gone needs no watch");
    };
    for directives in ["trace", "trace,h2=trace,hyper_util=debug", "reqwest=trace,h2[{x}]=trace"] {
        let log = logged(LogFormat::Text, Some(directives), 0, log_events);
        assert!(!log.contains("secret"), "{directives}: {log}");
    }
    let default = logged(LogFormat::Text, None, 0, log_events);
    assert!(default.contains("worth knowing") && !default.contains("watch"), "{default}");
    let all = logged(LogFormat::Text, Some("trace"), 0, log_events);
    assert!(all.contains("ours too") && all.contains("worth knowing"), "{all}");
}

#[test]
fn lines_for_the_journal_begin_with_their_priority() {
    let log = logged(LogFormat::Text, None, 2, || {
        tracing::error!("e");
        tracing::warn!("w");
        tracing::info!("i");
        tracing::debug!("d");
        tracing::trace!("t");
    });
    let priorities: Vec<&str> = log.lines().map(|line| &line[..3]).collect();
    assert_eq!(priorities, ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    let json = logged(LogFormat::Json, None, 0, || tracing::error!("e"));
    assert!(json.starts_with('{'), "{json}");
}

#[test]
fn rust_log_takes_precedence_over_verbosity() {
    let log_events = || {
        tracing::error!("e1");
        tracing::warn!("w1");
        tracing::info!("i1");
        tracing::debug!("d1");
        tracing::trace!("t1");
    };
    let count = |directives, verbosity| {
        logged(LogFormat::Text, directives, verbosity, log_events).lines().count()
    };
    assert_eq!([-2, -1, 0, 1, 2].map(|verbosity| count(None, verbosity)), [1, 2, 3, 4, 5]);
    assert_eq!(count(Some("error"), 2), 1);
    assert_eq!(count(Some("=="), 0), 3, "an invalid RUST_LOG is ignored");
    assert!(filter(Some("rosterd=loud"), 0).1.is_some());
}

#[test]
fn color_follows_the_option() {
    assert!(is_colored(Color::Always));
    assert!(!is_colored(Color::Never));
}
