//! A daemon with 256 MiB of memory survives hostile files and answers, one after the other.

use std::path::Path;
use std::time::Duration;

use super::container::{Container, IMAGE, docker, until};
use super::image::{CONFINED, folder, mount, write};
use crate::support::scripted::{Act, Scripted, answer, gzip, json};

const SOON: Duration = Duration::from_mins(1);
const MEMORY: [&str; 2] = ["--memory=256m", "--memory-swap=256m"];

fn roster(members: usize) -> String {
    let members = (0..members).map(|n| format!("  - email: user{n}@acme.io\n    role: ANALYST\n"));
    format!("version: 1\nusers:\n{}", members.collect::<String>())
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

/// An error whose `extensions` hold this number of lists.
fn error_with(lists: usize) -> Vec<u8> {
    let lists = vec!["[[]]"; lists].join(",");
    format!(r#"{{"errors":[{{"message":"traced","extensions":{{"trace":[{lists}]}}}}]}}"#)
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
    let expect = |what: &str, text: &str| {
        let logged = daemon.logs().len();
        docker(&["kill", "--signal=HUP", daemon.id()]).expect(0);
        until(SOON, &format!("{what}: {text}"), || {
            assert_eq!(daemon.inspect("{{.State.Status}}"), "running", "{what}");
            daemon.logs().get(logged..).is_some_and(|logs| logs.contains(text))
        });
        assert_eq!(daemon.exec(&["/usr/bin/rosterd", "health"]).code, 0, "{what}");
    };

    let many = vec!["{}"; 4_000_000].join(",");
    let rows = format!(r#"{{"data":{{"listUsers":{{"ok":true,"activeUsers":[{many}]}}}}}}"#);
    let answers = [
        ("an error with a long trace", error_with(12_000_000), "traced"),
        ("an error beyond the limit", error_with(16_000_000), "limits.response"),
        ("small rows", rows.into_bytes(), "missing field"),
        ("too many users", listing(160_000), "at most 150000 are supported"),
        ("foreign users", listing(90_000), "more than two for each member are supported"),
    ];
    for (what, body, text) in answers {
        api.react(zipped(&body));
        expect(what, text);
    }
    api.react(zipped(&listing(40)));
    expect("after the answers", "converged");

    let is_link = |to: &'static str| {
        move |path: &Path| {
            std::os::unix::fs::symlink(to, path).unwrap();
        }
    };
    replace(folder.path(), is_link("/proc/self/environ"));
    expect("a link to the environment", "users.yaml is not read");
    replace(folder.path(), is_link("/run/secrets/api_secret"));
    expect("a link to a secret", "users.yaml is not read");
    replace(folder.path(), |path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    });
    expect("a pipe", "users.yaml is not a regular file");
    write(folder.path(), "users.yaml", &format!("{}# {}", roster(40), "x".repeat(17 << 20)));
    expect("a large file", "the roster is larger than 16MiB");
    let values = format!("{}unmanaged: [{}]\n", roster(40), "a@acme.io,".repeat(700_000));
    write(folder.path(), "users.yaml", &values);
    expect("many values", "more than 600000 values");
    let members = roster(95_000);
    write(folder.path(), "users.yaml", &members);
    api.react(zipped(&listing(95_000)));
    expect("just below the limits", "in_sync=95000");
    assert!(!daemon.logs().contains("sandbox-secret"));
}
