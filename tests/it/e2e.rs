//! Tests that need more than a Rust toolchain: Python and its package registry, Chromium, Prometheus, a
//! Docker engine, the image that `.ci/docker` makes, and the package of `deploy/systemd/package`,
//! whose path is in `ROSTERD_PACKAGE`.

mod compose;
mod container;
mod engine;
mod git;
mod hostile;
mod image;
#[cfg(feature = "otlp")]
mod spans;
mod systemd;

use std::path::Path;
use std::process::Command;

const ROSTERD: &str = env!("CARGO_BIN_EXE_rosterd");

/// Runs `tests/NAME/run` with these arguments and a folder for its tools.
fn run(name: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name).join("run");
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let ran = Command::new(script).args(arguments).arg(tools).output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ran.status.success(), "{}", said.join("\n"));
}

#[test]
fn the_vendors_python_client_works_against_the_sandbox() {
    run("sdk", &[ROSTERD]);
}

#[test]
fn the_kubernetes_manifests_are_valid() {
    run("kubernetes", &[ROSTERD]);
}

#[test]
fn the_page_works_in_a_real_browser() {
    run("page", &[ROSTERD]);
}

#[test]
fn a_real_prometheus_scrapes_the_metrics() {
    run("prometheus", &[ROSTERD]);
}

#[test]
fn the_api_conforms_to_its_document() {
    run("api", &[ROSTERD]);
}

/// Needs root, who can give files away.
#[test]
fn a_repository_of_another_user_is_not_read() {
    use crate::support::repository::Repository;
    use rosterd::source::RosterSource;
    use rosterd::source::revision::{LastCommit, Trust};

    let mut repository = Repository::new();
    repository.write("users.yaml", "version: 1\nusers: []\n");
    repository.commit("Matt", "Begin");
    let (users, base) = (vec!["users.yaml".to_owned()], repository.folder());
    let source = RosterSource::new(users, base.to_owned());
    let sources = source.load().unwrap();
    let found = |trust: &Trust| {
        let source = RosterSource { trust: trust.clone(), ..source.clone() };
        let revision = source.revision(&sources, &|_| None);
        let last = source.last_commit(&sources);
        let versions = source.versions(&sources).count();
        (revision.is_some(), versions, matches!(last, LastCommit::Untrusted))
    };
    let nobody = 65_534;
    for part in ["", ".git"] {
        std::os::unix::fs::chown(repository.path(part), Some(nobody), None).unwrap();
        assert_eq!(found(&Trust::default()), (false, 0, true), "{part}");
        assert!(source.is_in_work_tree());
        let owner = Trust { owner: Some(nobody), ..Trust::default() };
        let listed = Trust { safe_directories: vec![base.to_owned()], ..Trust::default() };
        for trust in [owner, listed] {
            assert_eq!(found(&trust), (true, 1, false), "{part}");
        }
        std::os::unix::fs::chown(repository.path(part), Some(0), None).unwrap();
    }
    // What cannot be believed is not opened: a pipe would never answer.
    std::fs::remove_file(repository.path(".git/config")).unwrap();
    let pipe = repository.path(".git/config");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    std::os::unix::fs::chown(repository.path(".git"), Some(nobody), None).unwrap();
    assert_eq!(found(&Trust::default()), (false, 0, true));
}

#[test]
fn the_pipeline_templates_are_valid() {
    run("pipelines", &[ROSTERD]);
}
