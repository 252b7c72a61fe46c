//! What the binary remembers, and what it tells of it.

use std::time::Duration;

use rosterd::clock::{Clock as _, SystemClock};
use rosterd::ledger::chain::Row;
use serde_json::Value;

use super::test_env::{ROSTER, TestEnv, daemon_config, eventually};
use crate::support::repository::Repository;

const ONCE: [&str; 3] = ["--once", "-u", "users.yaml"];
const PLAN: [&str; 4] = ["--plan", "-v", "-u", "users.yaml"];

/// A crowd of members, all of them in the workspace, and the roster that names them.
fn crowd(count: usize) -> (TestEnv, String) {
    let stage = TestEnv::with_sandbox(&["--people", &count.to_string()]);
    stage.run(&["import", "--yes", "-u", "users.yaml"]).expect(0);
    let roster = stage.read("users.yaml");
    (stage, roster)
}

/// The roster without the first so many people of the crowd, and their addresses.
fn without(roster: &str, count: usize) -> (String, Vec<String>) {
    let mut removed = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in roster.lines() {
        if let Some(email) = line.trim().strip_prefix("- email: ") {
            skipping = removed.len() < count && email.starts_with("user");
            if skipping {
                removed.push(email.to_owned());
            }
        }
        if !skipping {
            lines.push(line);
        }
    }
    assert_eq!(removed.len(), count, "{roster}");
    (lines.join("\n") + "\n", removed)
}

#[test]
fn a_plan_creates_no_ledger_and_says_what_it_does_not_know() {
    let stage = TestEnv::new();
    let unknown = "no ledger yet";
    assert!(stage.run(&PLAN).expect(0).stdout().contains(unknown));
    assert!(!stage.path("state").exists());
    stage.run(&ONCE).expect(0);
    assert!(stage.path("state/rosterd/ledger.db").exists());
    assert!(!stage.run(&PLAN).expect(0).stdout().contains(unknown));
}

#[test]
fn history_is_text_json_or_csv() {
    let stage = TestEnv::new();
    let nothing = stage.run(&["history", "-u", "users.yaml"]).expect(0).stdout();
    assert_eq!(nothing, "no events recorded\n");
    stage.run(&ONCE).expect(0);
    // No key is needed to read it.
    let mut stage = stage;
    stage.key("", "");
    let text = stage.run(&["history", "-u", "users.yaml"]).expect(0).stdout();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("jonny@acme.io  ADMIN → BUSINESS  done"), "{text}");
    let json = stage.run(&["history", "--format", "json", "-u", "users.yaml"]).expect(0).stdout();
    let rows: Value = serde_json::from_str(&json).unwrap();
    let invite = &rows[1];
    assert_eq!((&invite["event"], &invite["email"]), (&"invite".into(), &"alice@acme.io".into()));
    assert_eq!((&invite["outcome"], &invite["shown"]), (&"done".into(), &true.into()));
    assert_eq!(invite["place"], "users.yaml:7");
    let csv = ["history", "--format", "csv", "alice@acme.io", "-u", "users.yaml"];
    let csv = stage.run(&csv).expect(0).stdout();
    assert!(csv.starts_with("\"workspace\",\"at\",\"email\",\"event\","), "{csv}");
    assert!(csv.contains(",\"alice@acme.io\",\"invited\",") && !csv.contains("jonny"), "{csv}");
    for (since, lines) in [("1h", 3), ("2999-01-01", 1), ("2020-01-01T00:00:00Z", 3)] {
        let text = stage.run(&["history", "--since", since, "-u", "users.yaml"]).expect(0).stdout();
        assert_eq!(text.lines().count(), lines, "{since}: {text}");
    }
    stage.run(&["history", "--since", "yesterday", "-u", "users.yaml"]).expect(64);
}

#[test]
fn why_explains_one_user() {
    let stage = TestEnv::new();
    stage.run(&ONCE).expect(0);
    let why = |email: &str| stage.run(&["why", email, "-u", "users.yaml"]).expect(0).stdout();
    let alice = why("Alice@acme.io");
    for part in [
        "users.yaml:7   DEVELOPER",
        "invitation for alice@acme.io, DEVELOPER, pending, since",
        "1 sent, the last",
        "if needed, next one not before",
        "invited, acceptance pending",
        "invite   alice@acme.io",
    ] {
        assert!(alice.contains(part), "{part}\n{alice}");
    }
    let jonny = why("jonny@acme.io");
    assert!(jonny.contains("with this role since") && jonny.contains("nothing to do"), "{jonny}");
    let max = why("max@acme.io");
    assert!(max.contains("not in the roster"), "{max}");
    assert!(max.contains("invitation for max@acme.io, ADMIN, expired"), "{max}");
    let nobody = stage.run(&["why", "nobody@acme.io", "-u", "users.yaml"]).expect(1);
    assert!(
        nobody.stderr().contains("no user has the address nobody@acme.io"),
        "{}",
        nobody.stderr()
    );
    stage.run(&["why", "matt", "-u", "users.yaml"]).expect(64);
}

#[test]
fn the_access_review_names_everybody_once() {
    let stage = TestEnv::new();
    let roster = format!("{ROSTER}unmanaged: [max@acme.io]\n").replace(
        "matt@acme.io, role: DEVELOPER",
        "matt@acme.io, role: DEVELOPER, expires: 2999-12-31",
    );
    stage.write("users.yaml", &roster);
    stage.run(&ONCE).expect(0);
    let access = ["access", "--format", "json", "-u", "users.yaml"];
    let rows: Value = serde_json::from_str(&stage.run(&access).expect(0).stdout()).unwrap();
    let changes: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["email"], row["role"], row["status"]).replace('"', ""))
        .collect();
    assert_eq!(
        changes,
        [
            "alexandra@acme.io ADMIN member",
            "alice@acme.io DEVELOPER pending",
            "john@acme.io ADMIN pending",
            "jonny@acme.io BUSINESS member",
            "matt@acme.io DEVELOPER member",
            "max@acme.io ADMIN unmanaged",
        ]
    );
    let matt = &rows[4];
    assert_eq!(
        (&matt["until"], &matt["expiring"]),
        (&"3000-01-01T00:00:00Z".into(), &false.into())
    );
    assert!(matt["since"].is_string() && matt["place"] == "users.yaml:5", "{matt}");
    let csv = stage.run(&["access", "--format", "csv", "-u", "users.yaml"]).expect(0).stdout();
    assert_eq!(csv.lines().count(), 7);
    let text = stage.run(&["access", "-u", "users.yaml"]).expect(0).stdout();
    assert!(text.ends_with("3 member, 2 pending, 1 unmanaged\n"), "{text}");
}

#[test]
fn a_budget_counts_across_processes() {
    let (stage, roster) = crowd(20);
    stage.run(&ONCE).expect(0);
    // The limit is 4 of 23.
    let (fewer, _) = without(&roster, 3);
    stage.write("users.yaml", &fewer);
    stage.run(&ONCE).expect(0);
    let (fewer, _) = without(&roster, 5);
    stage.write("users.yaml", &fewer);
    let held = stage.run(&ONCE).expect(3).stdout();
    assert!(held.contains("5 of 20 accounts within 24 h, 3 of them already made"), "{held}");
}

#[test]
fn a_pasted_approval_releases_what_it_names_once() {
    let (stage, roster) = crowd(20);
    stage.run(&ONCE).expect(0);
    let mut repository = Repository::at(&stage.path(""));
    let (fewer, removed) = without(&roster, 6);
    stage.write("users.yaml", &fewer);
    repository.commit("Matt", "Remove six");
    let held = stage.run(&ONCE).expect(3).stdout();
    let block = held.split_once("commit them, or run").expect("a block").1;
    let block: String = block
        .lines()
        .skip(2)
        .take_while(|line| !line.is_empty())
        .map(|line| format!("{}\n", line.strip_prefix("  ").unwrap()))
        .collect();
    // All but one of them.
    let named = block.replace(&format!("      - {}\n", removed[5]), "");
    stage.write("users.yaml", &format!("{fewer}{named}"));
    repository.commit("Alexandra", "Paste the block");
    let plan = stage.run(&["--plan", "-u", "users.yaml"]).expect(0).stdout();
    assert!(plan.contains("5 people"), "{plan}");
    assert_eq!(plan.matches("does not count: its reason is empty").count(), 1, "{plan}");
    let named = named.replace("\"\" # write why", "they have left");
    stage.write("users.yaml", &format!("{fewer}{named}"));
    let saved = stage.run(&ONCE).expect(3).stdout();
    assert_eq!(saved.matches("✓ disable  user").count(), 0, "{saved}");
    assert!(saved.contains("does not count: the last commit does not have it"), "{saved}");
    repository.commit("Alexandra", "Approve five of them");
    let ran = stage.run(&ONCE).expect(3).stdout();
    assert_eq!(ran.matches("✓ disable  user").count(), 5, "{ran}");
    assert_eq!(ran.matches("! held").count(), 1 + 1, "in the plan and after it\n{ran}");
    let history = stage.run(&["history", &removed[0], "-u", "users.yaml"]).expect(0).stdout();
    assert!(history.contains("overrides disable-budget"), "{history}");
    assert!(history.contains("they have left (commit "), "{history}");
    assert!(history.contains("by Alexandra <alexandra@acme.io>"), "{history}");
    let check = stage.run(&["check", "-u", "users.yaml"]).expect(0).stdout();
    assert_eq!(check.matches("warning[approval-used]").count(), 5, "{check}");
    // A later leaver is not held with the one who is left of the six.
    let account = "{\"email\": \"zoe@acme.io\", \"accountType\": \"DEVELOPER\"}";
    stage.control("POST", "account", account);
    let later = stage.run(&ONCE).expect(3).stdout();
    assert_eq!(later.matches("✓ disable  zoe").count(), 1, "{later}");
    assert!(later.contains("6 of 19 accounts within 24 h, 5 of them already approved"), "{later}");
    // An approval of the last one ends the set.
    let one = format!("approvals:\n  - {{ disable: [{}], reason: he too }}\n", removed[5]);
    stage.write("users.yaml", &format!("{fewer}{one}"));
    repository.commit("Matt", "Approve the last one");
    let ran = stage.run(&ONCE).expect(0).stdout();
    assert_eq!(ran.matches("✓ disable  user").count(), 1, "{ran}");
    assert!(ran.contains("approved in users.yaml:"), "{ran}");
}

#[test]
fn include_held_applies_the_saved_plan() {
    let (stage, roster) = crowd(20);
    stage.run(&ONCE).expect(0);
    let (fewer, _) = without(&roster, 6);
    stage.write("users.yaml", &fewer);
    let save = ["--plan", "--format", "json", "--out", "plan.json", "-u", "users.yaml"];
    stage.run(&save).expect(0);
    stage.run(&["apply", "plan.json", "-u", "users.yaml"]).expect(3);
    let held = ["apply", "plan.json", "-u", "users.yaml", "--include-held"];
    stage.run(&held).expect(64);
    stage.run(&[&held[..], &["--reason", " "]].concat()).expect(64);
    stage.run(&["apply", "plan.json", "-u", "users.yaml", "--reason", "urgent"]).expect(64);
    let held = [&held[..], &["--reason", "urgent"]].concat();
    let ran = stage.run(&held).expect(0);
    assert_eq!(ran.stdout().matches("✓ disable  user").count(), 6, "{}", ran.stdout());
    let stale = stage.run(&held).expect(1);
    assert!(stale.stderr().contains("the plan is stale"), "{}", stale.stderr());
}

#[test]
fn a_user_removed_by_hand_is_not_invited_without_approval() {
    let stage = TestEnv::new();
    stage.run(&ONCE).expect(0);
    stage.control("POST", "remove", r#"{"email": "matt@acme.io"}"#);
    let held = stage.run(&ONCE).expect(3).stdout();
    assert!(held.contains("held by vanished: 1 of 1 invitations"), "{held}");
    assert!(!stage.knows("matt@acme.io"));
    let approval = "approvals:\n  - { invite: [matt@acme.io], reason: a mistake }\n";
    stage.write("users.yaml", &format!("{ROSTER}{approval}"));
    Repository::at(&stage.path("")).commit("Matt", "Invite Matt again");
    stage.run(&ONCE).expect(0);
    assert!(stage.knows("matt@acme.io"));
}

#[test]
fn a_second_process_waits_for_the_lock_and_names_its_holder() {
    let mut stage = TestEnv::with_sandbox(&["--latency", "1500ms"]);
    stage.set("RUST_LOG", "off");
    let first = stage.spawn(&ONCE);
    let locked = || {
        let files = std::fs::read_dir(stage.path("state/rosterd")).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().ends_with(".lock"))
    };
    eventually(Duration::from_secs(5), "the lock", locked);
    let second = stage.run(&["--lock-timeout", "10ms", "--once", "-u", "users.yaml"]).expect(1);
    let stderr = second.stderr();
    assert!(
        stderr.contains("another run of this workspace is in progress, by process "),
        "{stderr}"
    );
    // One that waits goes on with what the first one left.
    let third = stage.run(&ONCE).expect(0).stdout();
    assert!(third.contains("No changes: 3 in sync"), "{third}");
    first.ended_within(Duration::from_secs(20)).expect(0);
}

#[test]
fn the_chain_is_verified_and_its_head_is_in_the_log() {
    let stage = TestEnv::new();
    let verify =
        |more: &[&str]| stage.run(&[&["ledger", "verify", "-u", "users.yaml"], more].concat());
    assert!(verify(&[]).expect(1).stderr().contains("there is no ledger"));
    let log = stage.run(&["--log-format", "json", "--once", "-u", "users.yaml"]).expect(0).stderr();
    let rows = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let head = rows.filter_map(|row| row["ledger"].as_str().map(str::to_owned));
    let head = head.reduce(|_, last| last).unwrap();
    assert!(verify(&[]).expect(0).stdout().contains(&head));
    stage.run(&ONCE).expect(0);
    verify(&["--head", &head]).expect(0);
    let lost = verify(&["--head", &head.replace(['0', '1', '2', '3'], "f")]).expect(1).stderr();
    assert!(lost.contains("does not contain the head"), "{lost}");
    stage.run(&["ledger", "init", "-u", "users.yaml"]).expect(1);
    std::fs::rename(stage.path("state"), stage.path("old")).unwrap();
    stage.run(&["ledger", "init", "-u", "users.yaml"]).expect(0);
    assert!(verify(&[]).expect(0).stdout().contains("1 rows, chain verified"));
}

#[test]
fn a_forged_anchor_is_found_with_and_without_a_head_and_no_run_goes_on_from_it() {
    let stage = TestEnv::new();
    stage.run(&ONCE).expect(0);
    stage.run(&ONCE).expect(0);
    let file = rusqlite::Connection::open(stage.path("state/rosterd/ledger.db")).unwrap();
    let newest = |back: i64| -> (i64, String) {
        let sql = "SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1 OFFSET ?1";
        file.query_row(sql, [back], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let ((last, head), (through, hash)) = (newest(0), newest(1));
    let body =
        format!("{{\"kind\":\"anchor\",\"through\":{through},\"hash\":\"{hash}\",\"kept\":{{}}}}");
    let mut row = Row {
        seq: last.cast_unsigned() + 1,
        at: SystemClock.now().to_string(),
        scope: String::new(),
        kind: "anchor".into(),
        subject: None,
        body,
        hash: String::new(),
    };
    row.hash = row.hash_after(&head);
    file.execute("DELETE FROM entries WHERE seq <= ?1", [through]).unwrap();
    let values = (last + 1, &row.at, &row.body, &row.hash);
    file.execute("INSERT INTO entries VALUES (?1, ?2, '', 'anchor', NULL, ?3, ?4)", values)
        .unwrap();
    let verify = |more: &[&str]| {
        stage.run(&[&["ledger", "verify", "-u", "users.yaml"], more].concat()).expect(1).stderr()
    };
    for more in [&[][..], &["--head", &head], &["--retention", "1d"]] {
        let found = verify(more);
        assert!(found.contains("rows are missing that rosterd would not have dropped"), "{found}");
    }
    let refused = stage.run(&ONCE).expect(1);
    let refused = refused.stdout() + &refused.stderr();
    assert!(refused.contains(&format!("the rows up to {through} are missing")), "{refused}");
}

#[test]
fn a_ledger_is_backed_up_while_it_is_written_and_restored() {
    let stage = TestEnv::new();
    stage.run(&ONCE).expect(0);
    let ledger = |more: &[&str]| stage.run(&[&["ledger"], more, &["-u", "users.yaml"]].concat());
    let head = |ran: String| ran.lines().last().unwrap().to_owned();
    // A writer that is in the middle of a transaction, as the daemon may be.
    let database = stage.path("state/rosterd/ledger.db");
    let writer = rusqlite::Connection::open(&database).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM entries").unwrap();
    let saved = ledger(&["backup", "saved"]).expect(0).stderr();
    writer.execute_batch("ROLLBACK").unwrap();
    assert!(saved.starts_with("saved: ") && saved.contains("chain verified"), "{saved}");
    assert_eq!(head(saved.clone()), head(ledger(&["verify"]).expect(0).stdout()));
    let mode = std::fs::metadata(stage.path("saved")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);

    let again = ledger(&["backup", "saved"]).expect(1).stderr();
    assert!(again.contains("saved: File exists"), "{again}");
    let nowhere = ledger(&["backup", "missing/folder"]).expect(1).stderr();
    assert!(nowhere.contains("No such file or directory"), "{nowhere}");
    let piped = stage.command(&["ledger", "backup", "-", "-u", "users.yaml"]).output().unwrap();
    assert_eq!(piped.stdout, std::fs::read(stage.path("saved")).unwrap());

    // Rows that are only in the journal must not reach the restored ledger.
    drop(writer);
    let reader = rusqlite::Connection::open(&database).unwrap();
    reader.query_row("SELECT COUNT(*) FROM entries", [], |row| row.get::<_, i64>(0)).unwrap();
    stage.run(&ONCE).expect(0);
    assert!(database.with_extension("db-wal").metadata().unwrap().len() > 0);
    stage.write("damaged", "no ledger");
    let damaged = ledger(&["restore", "damaged"]).expect(1).stderr();
    assert!(damaged.contains("damaged: not restored"), "{damaged}");
    let restored = ledger(&["restore", "saved"]).expect(0).stderr();
    assert!(restored.contains(&head(saved.clone())), "{restored}");
    let kept = restored.trim().rsplit("the replaced ledger is ").next().unwrap();
    let file = rusqlite::Connection::open(kept).unwrap();
    let rows = |file: &rusqlite::Connection| -> i64 {
        file.query_row("SELECT COUNT(*) FROM entries", [], |row| row.get(0)).unwrap()
    };
    assert!(rows(&file) > rows(&rusqlite::Connection::open(stage.path("saved")).unwrap()));
    let head_of = saved.lines().last().unwrap().rsplit(' ').next().unwrap();
    ledger(&["verify", "--head", head_of]).expect(0);
    stage.run(&ONCE).expect(0);
    assert!(ledger(&["verify", "--head", head_of]).expect(0).stdout().contains("verified"));
}

#[test]
fn a_running_daemon_changes_nothing_on_a_restored_ledger_until_it_is_restarted() {
    let stage = TestEnv::new();
    stage.write("daemon.yaml", &daemon_config("0s"));
    let once = ["--once", "-c", "daemon.yaml"];
    stage.run(&once).expect(0);
    let ledger = |what: &str| stage.run(&["ledger", what, "saved", "-c", "daemon.yaml"]);
    ledger("backup").expect(0);
    let daemon = stage.spawn_daemon(&[]);
    let history = || stage.run(&["history", "-c", "daemon.yaml"]).expect(0).stdout();
    stage.write("users.yaml", &format!("{ROSTER}  - {{ email: bob@acme.io, role: ANALYST }}\n"));
    eventually(Duration::from_secs(20), "it invites", || history().contains("bob@acme.io"));
    eventually(Duration::from_secs(20), "no run holds the lock", || ledger("restore").code() == 0);
    stage.write("users.yaml", &format!("{ROSTER}  - {{ email: eve@acme.io, role: ANALYST }}\n"));
    std::thread::sleep(Duration::from_secs(4));
    assert!(!stage.knows("eve@acme.io"));
    daemon.signal("TERM");
    let log = daemon.ended_within(Duration::from_secs(8)).expect(0).stderr();
    assert!(log.contains("is missing"), "{log}");
    stage.run(&once).expect(0);
    assert!(stage.knows("eve@acme.io"));
}

#[test]
fn a_kept_sandbox_keeps_its_ledger_beside_it() {
    let stage = TestEnv::new();
    let with = |more: &[&str]| {
        stage.run(&[&["--sandbox", "--state", "kept.json", "-u", "users.yaml"], more].concat())
    };
    with(&["--once"]).expect(0);
    assert!(stage.path("kept.json.ledger.db").exists() && !stage.path("state").exists());
    assert!(with(&["history"]).expect(0).stdout().contains("alice@acme.io"));
    assert!(with(&["--plan"]).expect(0).stdout().contains("pending  alice@acme.io"));
    let alone = stage.run(&["--state", "kept.json", "--once", "-u", "users.yaml"]).expect(64);
    assert!(alone.stderr().contains("--state needs --sandbox"), "{}", alone.stderr());
}

/// A configuration of the workspace `acme` with a budget of one disable.
fn configured(endpoint: &str, credentials: &str) -> String {
    format!(
        "version: 1\nworkspaces:\n  - name: acme\n    endpoint: {endpoint}\n    credentials: \
         {credentials}\n    users: users.yaml\n    guard: {{ budgets: {{ disable: {{ percent: 0, \
         floor: 1 }} }} }}\n"
    )
}

const PAIR: &str =
    "{ api_key: { env: PARADIME_API_KEY }, api_secret: { env: PARADIME_API_SECRET } }";

#[test]
fn another_key_and_another_spelling_of_the_endpoint_empty_no_budget() {
    let (mut stage, roster) = crowd(10);
    let once = ["--once", "-c", "rosterd.yaml"];
    stage.set("TOKEN", "prdm_wsp_sandbox");
    stage.write("rosterd.yaml", &configured(&stage.endpoint, PAIR));
    stage.write("users.yaml", &without(&roster, 1).0);
    stage.run(&once).expect(0);
    let (two, removed) = without(&roster, 2);
    stage.write("users.yaml", &two);
    stage.run(&once).expect(3);
    let endpoint = stage.endpoint.replace("127.0.0.1", "localhost");
    stage.write("rosterd.yaml", &configured(&endpoint, "{ api_secret: { env: TOKEN } }"));
    stage.run(&once).expect(3);
    assert!(!stage.run(&["history", "-c", "rosterd.yaml", &removed[1]]).stdout().contains("done"));
}

#[test]
fn another_place_is_accepted_by_its_digest_and_the_reason_is_kept() {
    let (stage, other) = (TestEnv::new(), TestEnv::new());
    let once = ["--once", "-c", "rosterd.yaml"];
    stage.write("rosterd.yaml", &configured(&stage.endpoint, PAIR));
    stage.run(&once).expect(0);
    stage.write("rosterd.yaml", &configured(&other.endpoint, PAIR));
    let held = stage.run(&once).expect(3).stderr();
    let digest = held.split("--digest ").nth(1).unwrap().split(' ').next().unwrap();
    stage.run(&["--plan", "-c", "rosterd.yaml"]).expect(3);
    assert!(!other.knows("alice@acme.io"), "nothing was sent");
    let accept = |digest: &[&str]| {
        let words = ["accept", "place", "-c", "rosterd.yaml", "--reason", "moved"];
        stage.run(&[&words, digest].concat())
    };
    let asked = accept(&[]).expect(64).stderr();
    assert!(asked.contains(digest), "{asked}");
    accept(&["--digest", "0123"]).expect(1);
    accept(&["--digest", digest]).expect(0);
    accept(&["--digest", digest]).expect(1);
    stage.run(&once).expect(0);
    let history = stage.run(&["history", "-c", "rosterd.yaml"]).expect(0).stdout();
    assert!(history.contains("accepted") && history.contains("moved"), "{history}");
}
