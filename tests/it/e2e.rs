//! The vendor's own Python client against the sandbox; needs Python and its package registry.

use std::path::Path;
use std::process::Command;

#[test]
fn the_vendors_python_client_works_unmodified() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/run");
    let output = Command::new(&script).arg(env!("CARGO_BIN_EXE_rosterd")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}\n{failed}", output.status);
    assert!(told.contains("works against the sandbox"), "{told}\n{failed}");
}
