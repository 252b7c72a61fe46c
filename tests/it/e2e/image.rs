//! The image: no shell, no root, read-only file system.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::container::{Container, IMAGE, docker, until};

const SOON: Duration = Duration::from_secs(30);
/// Maximum size in megabytes; it holds one binary.
const MAX_SIZE: u64 = 28;
/// The least privileges.
pub const CONFINED: [&str; 3] =
    ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"];
const ROSTER: &str = "\
version: 1
users:
  - { email: alexandra@acme.io, role: ADMIN }
  - { email: alice@acme.io, role: DEVELOPER }
";
const CONFIG: &str = "\
version: 1
workspaces:
  - name: acme
    endpoint: http://127.0.0.1:8787/graphql
    credentials:
      api_key: { file: /run/secrets/api_key }
      api_secret: { file: /run/secrets/api_secret }
    users: users.yaml
";

/// A folder with a configuration, a roster and the sandbox's key, readable by the image's user.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rosterd.yaml", CONFIG);
    write(folder.path(), "users.yaml", ROSTER);
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    write(&folder.path().join("secrets"), "api_key", "sandbox-key\n");
    write(&folder.path().join("secrets"), "api_secret", "sandbox-secret\n");
    for path in ["", "secrets"] {
        open(&folder.path().join(path), 0o755);
    }
    folder
}

pub fn write(folder: &Path, name: &str, text: &str) {
    let (path, beside) = (folder.join(name), folder.join(format!(".{name}")));
    std::fs::write(&beside, text).unwrap();
    open(&beside, 0o644);
    std::fs::rename(beside, path).unwrap();
}

fn open(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub fn mount(folder: &Path, at: &str) -> String {
    format!("--volume={}:{at}:ro", folder.display())
}

/// Runs the image once with these options of Docker and arguments of rosterd.
fn once(options: &[&str], arguments: &[&str]) -> super::container::Ran {
    docker(&[&["run", "--rm"][..], &CONFINED, options, &[IMAGE], arguments].concat())
}

#[test]
fn the_image_is_small_unprivileged_and_has_no_shell() {
    let shown = |format: &str| {
        let ran = docker(&["image", "inspect", "--format", format, IMAGE]);
        ran.expect(0).trim().to_owned()
    };
    let megabytes = shown("{{.Size}}").parse::<u64>().unwrap() / 1_000_000;
    assert!(megabytes <= MAX_SIZE, "{megabytes} MB");
    assert_eq!(shown("{{.Config.User}}"), "65532:65532");
    assert_eq!(
        shown("{{json .Config.Healthcheck.Test}}"),
        r#"["CMD","/usr/bin/rosterd","health"]"#
    );
    let label = |name: &str| {
        shown(&format!("{{{{index .Config.Labels \"org.opencontainers.image.{name}\"}}}}"))
    };
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("revision").len(), 40);
    let shell = docker(&["run", "--rm", "--entrypoint", "/bin/sh", IMAGE, "-c", "true"]);
    assert_ne!(shell.code, 0, "there is no shell");
}

#[test]
fn a_plan_needs_no_network_and_no_writable_folder() {
    let folder = folder();
    let mounted = mount(folder.path(), "/etc/rosterd");
    let options = ["--network=none", &mounted];
    let plan = once(&options, &["--sandbox", "--plan", "--users", "users.yaml"]).expect(0);
    assert!(plan.contains("+ invite") && plan.contains("alice@acme.io"), "{plan}");
    let zones = "version: 1\nusers:\n  - { email: a@acme.io, role: ADMIN, expires: 2027-01-01 }\n";
    write(folder.path(), "users.yaml", zones);
    once(&options, &["check", "--users", "users.yaml"]).expect(0);
    write(folder.path(), "users.yaml", "users: [");
    once(&options, &["check", "--users", "users.yaml"]).expect(78);
}

#[test]
fn the_daemon_applies_edits_is_healthy_keeps_its_ledger_and_stops() {
    let folder = folder();
    let mounted = mount(folder.path(), "/etc/rosterd");
    let secrets = mount(&folder.path().join("secrets"), "/run/secrets");
    let volume = docker(&["volume", "create"]).expect(0);
    let state = format!("--volume={}:/var/lib/rosterd", volume.trim());
    let listen = ["sandbox", "--listen", "127.0.0.1:8787"];
    let sandbox = Container::run(&[&CONFINED[..], &[IMAGE], &listen].concat());
    let network = format!("--network=container:{}", sandbox.id());
    let often = ["--health-interval=1s", "--health-start-period=0s"];
    let options = [&CONFINED[..], &often, &[&network, &mounted, &secrets, &state]].concat();
    let history = || {
        let ran = once(&[&mounted, &secrets, &state], &["history", "--format", "csv"]);
        ran.expect(0)
    };

    let daemon = Container::run(&[&options[..], &[IMAGE]].concat());
    until(SOON, "it is healthy", || daemon.inspect("{{.State.Health.Status}}") == "healthy");
    until(SOON, "the first run", || history().contains("alice@acme.io"));
    write(
        folder.path(),
        "users.yaml",
        &format!("{ROSTER}  - {{ email: bob@acme.io, role: ANALYST }}\n"),
    );
    until(SOON, "the edit is applied", || history().contains("bob@acme.io"));
    assert_eq!(daemon.exec(&["/usr/bin/rosterd", "health", "--ready"]).code, 0);

    docker(&["stop", "--time=20", daemon.id()]).expect(0);
    assert_eq!(daemon.inspect("{{.State.ExitCode}}"), "0", "it stops on SIGTERM");
    assert!(!daemon.logs().contains("sandbox-secret"), "{}", daemon.logs());

    // A second container continues with the ledger of the first.
    let elsewhere = [IMAGE, "--listen", "0.0.0.0:9777"];
    let next = Container::run(&[&options[..], &elsewhere].concat());
    until(SOON, "the next one runs", || next.logs().contains("status=converged"));
    assert_eq!(history().matches("bob@acme.io").count(), 1, "{}", history());
    until(SOON, "it is healthy too", || next.inspect("{{.State.Health.Status}}") == "healthy");
    // Without `sqlite3`, without a shell, and while it runs.
    let ledger =
        |what: &str| next.exec(&["/usr/bin/rosterd", "ledger", what, "/var/lib/rosterd/saved"]);
    ledger("backup").expect(0);
    until(SOON, "no run holds the lock", || ledger("restore").code == 0);
    next.exec(&["/usr/bin/rosterd", "ledger", "verify"]).expect(0);
    drop(next);
    drop(daemon);
    docker(&["volume", "rm", volume.trim()]).expect(0);
}
