//! What needs more than a Rust toolchain: Python and its package registry, Chromium, Prometheus, a
//! Docker engine, the image that `.ci/docker` makes, and the package of `deploy/systemd/package`,
//! whose path is in `ROSTERD_PACKAGE`.

mod compose;
mod container;
mod image;
#[cfg(feature = "otlp")]
mod spans;
mod systemd;

use std::path::Path;
use std::process::Command;

const ROSTERD: &str = env!("CARGO_BIN_EXE_rosterd");

/// Runs `tests/NAME/run` with these arguments, and a folder for what it installs.
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
fn the_manifests_are_what_kubernetes_takes() {
    run("kubernetes", &[ROSTERD]);
}

#[test]
fn the_page_is_as_it_should_be_in_a_real_browser() {
    run("page", &[ROSTERD]);
}

#[test]
fn a_real_prometheus_reads_what_is_measured() {
    run("prometheus", &[ROSTERD]);
}

#[test]
fn the_api_is_as_its_document_says() {
    run("api", &[ROSTERD]);
}

#[test]
fn the_templates_are_what_their_own_tools_take() {
    run("pipelines", &[ROSTERD]);
}
