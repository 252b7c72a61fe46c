//! The package under a real systemd: install, start, edit, reload, kill, stop, remove.

use std::time::Duration;

use super::container::{Container, docker, until};

const SOON: Duration = Duration::from_secs(20);
const ROSTER: &str = "/etc/rosterd/users.yaml";

/// A container that has booted systemd.
fn machine() -> Container {
    let machine = Container::run(&[
        "--cap-add=SYS_ADMIN",
        "--cap-add=NET_ADMIN",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--cgroupns=host",
        "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
        "--tmpfs=/run",
        "--tmpfs=/tmp",
        "rosterd-test/systemd",
        "/sbin/init",
    ]);
    // As on a real machine: mounts in the namespace of a service propagate.
    machine.sh("mount --make-rshared /").expect(0);
    until(SOON, "it has booted", || {
        let state = machine.exec(&["systemctl", "is-system-running"]).out;
        matches!(state.trim(), "running" | "degraded")
    });
    machine
}

fn install(machine: &Container) {
    let package = std::env::var("ROSTERD_PACKAGE").expect("ROSTERD_PACKAGE: a Debian package");
    docker(&["cp", &package, &format!("{}:/opt/rosterd.deb", machine.id())]).expect(0);
    machine.sh("dpkg --install /opt/rosterd.deb").expect(0);
}

/// Starts a sandbox, and writes its key and a roster with one change.
fn configure(machine: &Container) {
    let sandbox = "systemd-run --unit sandbox --quiet -- \
        rosterd sandbox --listen 127.0.0.1:8787";
    machine.sh(sandbox).expect(0);
    machine.sh("echo sandbox-key >/etc/rosterd/credentials/api_key").expect(0);
    machine.sh("echo sandbox-secret >/etc/rosterd/credentials/api_secret").expect(0);
    let endpoint = "s|\\${PARADIME_API_ENDPOINT}|http://127.0.0.1:8787/graphql|";
    machine.sh(&format!("sed -i '{endpoint}' /etc/rosterd/rosterd.yaml")).expect(0);
    edit(machine, "alice");
}

/// Writes a roster with one more person.
fn edit(machine: &Container, name: &str) {
    let lines = [
        "version: 1".to_owned(),
        "users:".to_owned(),
        "  - { email: alexandra@acme.io, role: ADMIN }".to_owned(),
        format!("  - {{ email: {name}@acme.io, role: DEVELOPER }}"),
    ];
    let roster = lines.join("\\n");
    machine
        .sh(&format!("printf '{roster}\\n' >{ROSTER}.new && mv {ROSTER}.new {ROSTER}"))
        .expect(0);
}

fn shown(machine: &Container, property: &str) -> String {
    let value = format!("--property={property}");
    machine.exec(&["systemctl", "show", "--value", &value, "rosterd"]).out.trim().to_owned()
}

/// Whether the ledger has an invitation of this person.
fn invited(machine: &Container, name: &str) -> bool {
    machine.sh("cd / && rosterd history").out.contains(name)
}

#[test]
fn the_package_survives_every_systemd_operation() {
    let machine = machine();
    install(&machine);
    assert_eq!(machine.exec(&["systemctl", "is-enabled", "rosterd"]).out.trim(), "disabled");
    assert_eq!(shown(&machine, "ActiveState"), "inactive");

    let unit = machine.sh("systemd-analyze security --no-pager rosterd").expect(0);
    let exposure = unit.lines().find_map(|line| line.split("rosterd.service: ").nth(1)).unwrap();
    let exposure: f64 = exposure.split(' ').next().unwrap().parse().unwrap();
    assert!(exposure <= 1.5, "{exposure}");

    configure(&machine);
    // `start` returns when the daemon has reported that it is ready.
    machine.sh("timeout 20 systemctl start rosterd").expect(0);
    until(SOON, "the first run", || invited(&machine, "alice@acme.io"));
    until(SOON, "its status", || shown(&machine, "StatusText").contains("acme: "));
    assert_eq!(machine.exec(&["rosterd", "health", "--ready"]).code, 0);
    let owner = machine.sh("stat --format '%U %a' /var/lib/rosterd/ledger.db").expect(0);
    assert_eq!(owner.trim(), "rosterd 600");

    // As an operator types it.
    let plan = machine.sh("cd / && rosterd plan").expect(0);
    assert!(plan.contains("acme "), "{plan}");
    machine.sh("cd / && rosterd --plan && rosterd doctor && rosterd status").expect(0);
    let why = machine.sh("cd / && rosterd why alice@acme.io").expect(0);
    assert!(why.contains("users.yaml:4   DEVELOPER"), "{why}");
    machine.sh("cd / && rosterd ledger backup /var/backups/ledger").expect(0);
    let guide = "cd /usr/share/doc/rosterd && test -s docs/operations.md -a -s CHANGELOG.md* \
        -a -s deploy/prometheus/alerts.yaml -a -s deploy/ci/github.yml";
    machine.sh(guide).expect(0);

    edit(&machine, "bob");
    until(SOON, "the edit is applied", || invited(&machine, "bob@acme.io"));

    edit(&machine, "carol");
    machine.sh("systemctl reload rosterd").expect(0);
    until(SOON, "the reload is applied", || invited(&machine, "carol@acme.io"));

    machine.sh("kill -KILL $(systemctl show --value --property MainPID rosterd)").expect(0);
    until(SOON, "it is started again", || {
        shown(&machine, "NRestarts") == "1" && shown(&machine, "ActiveState") == "active"
    });

    machine.sh("systemctl stop rosterd").expect(0);
    assert_eq!(shown(&machine, "Result"), "success");

    machine.sh("dpkg --remove rosterd").expect(0);
    assert_eq!(shown(&machine, "LoadState"), "masked");
    machine.sh("test -s /var/lib/rosterd/ledger.db && test -s /etc/rosterd/rosterd.yaml").expect(0);
    let purged = machine.sh("dpkg --purge rosterd").expect(0);
    assert!(purged.contains("kept are the ledger in /var/lib/rosterd"), "{purged}");
    let kept = "test -s /var/lib/rosterd/ledger.db -a -s /etc/rosterd/users.yaml \
        -a -s /etc/rosterd/credentials/api_key && id rosterd && test ! -e /etc/rosterd/rosterd.yaml";
    machine.sh(kept).expect(0);
}

#[test]
fn a_hanging_daemon_is_restarted_and_a_misconfigured_one_is_not() {
    let machine = machine();
    install(&machine);
    configure(&machine);
    let dropped = "/etc/systemd/system/rosterd.service.d";
    let shorter =
        format!("mkdir -p {dropped} && printf '[Service]\\nWatchdogSec=2s\\n' >{dropped}/w.conf");
    machine
        .sh(&format!("{shorter} && systemctl daemon-reload && systemctl start rosterd"))
        .expect(0);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(shown(&machine, "NRestarts"), "0", "a responsive daemon is not restarted");
    machine.sh("kill -STOP $(systemctl show --value --property MainPID rosterd)").expect(0);
    until(Duration::from_mins(1), "the watchdog restarts it", || {
        shown(&machine, "NRestarts") == "1" && shown(&machine, "ActiveState") == "active"
    });

    machine.sh("systemctl stop rosterd && echo 'version: 2' >>/etc/rosterd/rosterd.yaml").expect(0);
    machine.sh("systemctl start rosterd");
    assert_eq!(shown(&machine, "ExecMainStatus"), "78");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(shown(&machine, "ActiveState"), "failed");
    let log = machine.sh("journalctl --no-pager --unit rosterd | tail -n 20").out;
    assert!(log.contains("/etc/rosterd/rosterd.yaml:"), "the log has the location:\n{log}");
    let errors = machine.sh("journalctl --no-pager --unit rosterd --identifier rosterd -p err").out;
    assert!(errors.contains("duplicate key `version`"), "{errors}");
    assert!(!errors.contains("has started"), "{errors}");

    machine.sh("sed -i '/^version: 2/d' /etc/rosterd/rosterd.yaml").expect(0);
    machine.sh(&format!("mv {ROSTER} {ROSTER}.away; timeout 20 systemctl start rosterd")).expect(0);
    until(SOON, "its status", || shown(&machine, "StatusText").contains("no valid roster yet"));
    assert_ne!(machine.exec(&["rosterd", "health", "--ready"]).code, 0);
    machine.sh(&format!("mv {ROSTER}.away {ROSTER}")).expect(0);
    until(SOON, "it is ready", || machine.exec(&["rosterd", "health", "--ready"]).code == 0);
}
