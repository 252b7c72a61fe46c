//! A daemon with 256 MiB of memory survives hostile files and answers, one after the other.

use std::path::Path;
use std::time::Duration;

use super::container::{Container, IMAGE, docker, until};
use super::image::{CONFINED, folder, mount, write};
use crate::support::scripted::{Act, Scripted, answer, gzip, json};

const SOON: Duration = Duration::from_mins(1);
const MEMORY: [&str; 2] = ["--memory=256m", "--memory-swap=256m"];

fn roster(members: usize) -> String {
    let rows = (0..members).map(|n| format!("  - email: user{n}@acme.io\n    role: ANALYST\n"));
    format!("# {members}\nversion: 1\nusers:\n{}", rows.collect::<String>())
}

/// A listing with this number of accounts, all of them members.
fn listing(accounts: usize) -> Vec<u8> {
    let row = |n| {
        let email = format!(r#""email":"user{n}@acme.io""#);
        format!(r#"{{"uid":"{n:064x}",{email},"name":"User {n}","accountType":"ANALYST"}}"#)
    };
    let rows = (0..accounts).map(row).collect::<Vec<_>>().join(",");
    let lists = format!(r#""activeUsers":[{rows}],"invitedUsers":[]"#);
    format!(r#"{{"data":{{"listUsers":{{"ok":true,{lists}}}}}}}"#).into_bytes()
}

fn zipped(body: &[u8]) -> Act {
    answer(200, &["Content-Type: application/json", "Content-Encoding: gzip"], &gzip(body))
}

/// An error whose `extensions` hold this number of objects.
fn error_with(objects: usize) -> Vec<u8> {
    let objects = vec![r#"{"":[]}"#; objects].join(",");
    format!(r#"{{"errors":[{{"message":"traced","extensions":{{"trace":[{objects}]}}}}]}}"#)
        .into_bytes()
}

/// Puts this at the place of the roster.
fn replace(folder: &Path, make: impl FnOnce(&Path)) {
    let (path, beside) = (folder.join("users.yaml"), folder.join(".beside"));
    make(&beside);
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_little_memory_survives_hostile_files_and_answers() {
    let api = Scripted::start([json(&String::from_utf8(listing(40)).unwrap())]).await;
    let folder = folder();
    let config = std::fs::read_to_string(folder.path().join("rosterd.yaml")).unwrap();
    let config = config.replace("http://127.0.0.1:8787/graphql", &api.url());
    write(folder.path(), "rosterd.yaml", &config);
    write(folder.path(), "users.yaml", &roster(40));
    let mounted = mount(folder.path(), "/etc/rosterd");
    let secrets = mount(&folder.path().join("secrets"), "/run/secrets");
    let network = "--network=host";
    let options = [&CONFINED[..], &MEMORY, &[network, "--volume=/var/lib/rosterd"]].concat();
    let daemon = Container::run(&[&options[..], &[&mounted, &secrets, IMAGE]].concat());
    until(SOON, "the first run", || daemon.logs().contains("converged"));
    // What the daemon logs from `action` on contains the text.
    let after = |what: &str, action: &dyn Fn(), text: &str| {
        let logged = daemon.logs().len();
        action();
        docker(&["kill", "--signal=HUP", daemon.id()]).expect(0);
        until(SOON, &format!("{what}: {text}"), || {
            assert_eq!(daemon.inspect("{{.State.Status}}"), "running", "{what}");
            daemon.logs().get(logged..).is_some_and(|logs| logs.contains(text))
        });
        assert_eq!(daemon.exec(&["/usr/bin/rosterd", "health"]).code, 0, "{what}");
    };

    let many = vec![r#"{"uid":""}"#; 6_000_000].join(",");
    let rows = format!(r#"{{"data":{{"listUsers":{{"ok":true,"activeUsers":[{many}]}}}}}}"#);
    let answers = [
        ("an error with a long trace", error_with(8_000_000), "traced"),
        ("a long value", vec![b' '; 40 << 20], "of more than 512 KiB"),
        ("an error beyond the limit", error_with(9_000_000), "limits.response"),
        ("small rows", rows.into_bytes(), "missing field"),
        ("too many users", listing(160_000), "at most 150000 are supported"),
        ("foreign users", listing(90_000), "may differ by at most 20000"),
    ];
    for (what, body, text) in answers {
        after(what, &|| api.react(zipped(&body)), text);
    }
    after("after the answers", &|| api.react(zipped(&listing(40))), "converged");

    let is_link = |to| {
        replace(folder.path(), |path| std::os::unix::fs::symlink(to, path).unwrap());
    };
    let is = |text: &str| write(folder.path(), "users.yaml", text);
    after("a link", &|| is_link("/proc/self/environ"), "users.yaml is not read: it leads out");
    after("no link", &|| is(&roster(40)), "the roster is valid again");
    after("another link", &|| is_link("/run/secrets/api_secret"), "users.yaml is not read");
    let pipe = |path: &Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    after("a pipe", &|| replace(folder.path(), pipe), "users.yaml is not a regular file");
    let large = format!("{}# {}", roster(40), "x".repeat(17 << 20));
    after("a large file", &|| is(&large), "the roster is larger than 16MiB");
    let values = format!("{}unmanaged: [{}]\n", roster(40), "a@acme.io,".repeat(700_000));
    after("many values", &|| is(&values), "more than 600000 values");
    let everyone = "the roster 195000 members; they may differ by at most 20000";
    after("everyone is invited", &|| is(&roster(195_000)), everyone);
    after("many are invited", &|| is(&roster(19_900)), "held=198");
    let edit = || {
        api.react(zipped(&listing(95_000)));
        is(&roster(95_000));
    };
    after("all in sync", &edit, "in_sync=95000");
    assert!(!daemon.logs().contains("sandbox-secret"));
}
