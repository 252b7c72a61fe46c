//! What needs more than a Rust toolchain: Python and its package registry, a Docker engine, the
//! images and the package that `.ci/docker` and `deploy/systemd/package` make.

mod container;
mod systemd;

use std::path::Path;
use std::process::Command;

#[test]
fn the_vendors_python_client_works_against_the_sandbox() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/run");
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk-venv");
    let ran = Command::new(script).arg(env!("CARGO_BIN_EXE_rosterd")).arg(venv).output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ran.status.success(), "{}", said.join("\n"));
}
