//! Tests that need more than a Rust toolchain: Python and its package registry, Chromium, Prometheus, a
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

#[test]
fn the_pipeline_templates_are_valid() {
    run("pipelines", &[ROSTERD]);
}
