//! Histories that merge, end, or are rewritten.

use std::time::Duration;

use super::daemon::{drift, role};
use super::forge::{Forge, git};
use super::{fetch, texts};
use crate::cli::test_env::{ROSTER, TestEnv, eventually};
use crate::http::config;
use crate::support::scripted::{Scripted, answer};

const SOON: Duration = Duration::from_mins(1);

fn with(roster: &str, name: &str) -> String {
    format!("{roster}  - {{ email: {name}@acme.io, role: BUSINESS }}\n")
}

/// Each branch adds a file; all are merged at once.
#[test]
fn merges_are_read_with_the_changes_of_every_side() {
    let (forge, state) = (Forge::new(), tempfile::tempdir().unwrap());
    forge.push("teams/base.yaml", ROSTER, "Begin");
    let source = forge.source(state.path(), "main", &["teams"]);
    let mut merged = vec![("teams/base.yaml".to_owned(), ROSTER.to_owned())];
    for (count, kind) in [(1, "a fast forward"), (2, "a merge"), (4, "an octopus")] {
        let names: Vec<_> = (0..count).map(|at| format!("{count}-{at}")).collect();
        for name in &names {
            git(forge.path(), &["switch", "--quiet", "--create", name, "main"]);
            let path = format!("teams/{name}.yaml");
            forge.push(&path, kind, &format!("Add {name}"));
            merged.push((path, kind.to_owned()));
        }
        merged.sort();
        git(forge.path(), &["switch", "--quiet", "main"]);
        fetch(&source).unwrap();
        source.accept(&source.load().unwrap()).unwrap();
        let names = names.iter().map(String::as_str);
        let merge = ["merge", "--quiet", "--message", kind].into_iter().chain(names);
        git(forge.path(), &merge.collect::<Vec<_>>());
        let parents = git(forge.path(), &["rev-list", "--parents", "-1", "HEAD"]);
        let expected = if count == 1 { 1 } else { count };
        assert_eq!(parents.split(' ').count() - 1, expected, "{kind}");
        fetch(&source).unwrap();
        let found = source.load();
        let read = texts(&found);
        let read = read.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        assert_eq!(read.collect::<Vec<_>>(), merged, "{kind}");
        let found = found.unwrap();
        assert!(source.revision(&found, &|_| None).is_some(), "{kind}");
        source.accept(&found).unwrap();
    }
}

/// A branch whose last commits are replaced is used when an operator says so, and then at once.
#[test]
fn a_force_push_waits_until_an_operator_accepts_it() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let receiver = runtime.block_on(Scripted::start([answer(204, &[], b"")]));
    let (forge, env) = (Forge::new(), TestEnv::new());
    forge.push("users.yaml", ROSTER, "Begin");
    let users = format!("users: {{ git: \"{}\", path: users.yaml, poll: 1s }}", forge.url);
    let notify =
        format!("notify:\n  - {{ url: \"{}\", events: [failing, recovered] }}", receiver.url());
    env.write("rosterd.yaml", &config(&notify).replace("users: users.yaml", &users));
    let daemon = env.spawn(&[]);
    eventually(SOON, "the first run", || env.knows("alice@acme.io"));
    let accept =
        |digest: &[&str]| env.run(&[&["accept", "history", "--reason", "x"], digest].concat());
    let nothing = accept(&["--digest", "1"]).expect(1);
    assert!(nothing.stderr().contains("nothing waits"), "{}", nothing.stderr());
    forge.push("users.yaml", &with(ROSTER, "zoe"), "Let Zoe in");
    eventually(SOON, "the push is applied", || env.knows("zoe@acme.io"));

    git(forge.path(), &["reset", "--quiet", "--hard", "HEAD~1"]);
    let forced = forge.push("users.yaml", &with(ROSTER, "yan"), "Let Yan in instead");
    eventually(SOON, "it is reported", || receiver.count() > 0);
    let plan = env.run(&["--plan"]).expect(78);
    for part in ["the history was rewritten", &forced[..12], "rosterd accept history"] {
        assert!(plan.stderr().contains(part), "{}", plan.stderr());
    }
    let digest = || {
        let asked = accept(&[]).expect(64).stderr();
        asked.trim().rsplit(": ").next().unwrap().to_owned()
    };
    let before = digest();
    let wrong = accept(&["--digest", "0123456789abcdef"]).expect(1);
    assert!(wrong.stderr().contains("not accepted"), "{}", wrong.stderr());
    assert!(!env.knows("yan@acme.io") && env.knows("zoe@acme.io"));
    // Another push meanwhile is another history.
    forge.push("users.yaml", &(with(ROSTER, "yan") + "# once more\n"), "Say more");
    let moved = accept(&["--digest", &before]).expect(1);
    assert!(moved.stderr().contains("not accepted"), "{}", moved.stderr());
    accept(&["--digest", &digest()]).expect(0);
    eventually(SOON, "it is applied", || env.knows("yan@acme.io"));
    eventually(SOON, "that is reported", || receiver.count() > 1);
    let events = receiver.seen().into_iter().map(|seen| seen.json()["event"].to_string());
    assert_eq!(events.collect::<Vec<_>>(), ["\"failing\"", "\"recovered\""], "one notice only");
    let ledger = env.run(&["ledger", "verify"]).expect(0);
    assert!(ledger.stderr().is_empty(), "{}", ledger.stderr());
    daemon.signal("TERM");
    daemon.ended_within(SOON).expect(0);
}

/// Nobody is removed because a branch, or the file, is gone.
#[test]
fn a_deleted_branch_leaves_its_last_commit_in_force() {
    let (forge, env) = (Forge::new(), TestEnv::new());
    forge.push("users.yaml", ROSTER, "Begin");
    let users =
        format!("users: {{ git: \"{}\", ref: main, path: users.yaml, poll: 1s }}", forge.url);
    env.write("rosterd.yaml", &config("").replace("users: users.yaml", &users));
    let daemon = env.spawn(&[]);
    eventually(SOON, "the first run", || env.knows("alice@acme.io"));
    git(forge.path(), &["switch", "--quiet", "--create", "other"]);
    git(forge.path(), &["branch", "--delete", "--force", "main"]);
    let plan = env.run(&["--plan"]).expect(1);
    assert!(plan.stderr().contains("no branch or tag `main`"), "{}", plan.stderr());
    daemon.signal("TERM");
    let ran = daemon.ended_within(SOON).expect(0);
    assert!(ran.stderr().matches("no branch or tag").count() <= 1, "{}", ran.stderr());

    drift(&env);
    let daemon = env.spawn(&[]);
    let is_restored = || role(&env, "matt@acme.io") == "DEVELOPER";
    eventually(SOON, "the last accepted commit is applied", is_restored);
    git(forge.path(), &["branch", "main"]);
    git(forge.path(), &["switch", "--quiet", "main"]);
    forge.push("users.yaml", &with(ROSTER, "zoe"), "Let Zoe in");
    eventually(SOON, "the branch made again", || env.knows("zoe@acme.io"));
    git(forge.path(), &["rm", "--quiet", "users.yaml"]);
    forge.commit("Remove the roster");
    let plan = env.run(&["--plan"]).expect(78);
    assert!(plan.stderr().contains("users.yaml does not exist"), "{}", plan.stderr());
    assert!(env.knows("zoe@acme.io"));
    daemon.signal("TERM");
    daemon.ended_within(SOON).expect(0);
}
