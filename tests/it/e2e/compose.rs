//! The Compose files, with `docker-compose`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::container::{IMAGE, Ran, ran, until};
use crate::http::{free, request};

const SOON: Duration = Duration::from_mins(1);

/// A `docker-compose` project of one of the files.
struct Project {
    file: String,
    name: String,
    folder: tempfile::TempDir,
    /// The port of the page.
    port: u16,
}

impl Project {
    fn new(file: &str, name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose").join(file);
        let name = format!("{name}{}", std::process::id());
        let (folder, port) = (tempfile::tempdir().unwrap(), free().port());
        Self { file: file.display().to_string(), name, folder, port }
    }

    fn compose(&self, arguments: &[&str]) -> Ran {
        let command = &mut Command::new("docker-compose");
        let command = command.args(["--file", &self.file, "--project-name", &self.name]);
        let command = command.args(arguments).env("ROSTERD_IMAGE", IMAGE);
        let command = command.env("ROSTER_FOLDER", self.folder.path());
        let command = command.env("SECRETS_FOLDER", self.folder.path());
        let command = command.env("ROSTERD_PORT", self.port.to_string());
        ran(&command.env("PARADIME_API_ENDPOINT", "https://acme.io/graphql").output().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        for path in [&path, self.folder.path()] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn logs(&self) -> String {
        self.compose(&["logs", "--no-color", "rosterd"]).out
    }
}

impl Drop for Project {
    #[expect(clippy::print_stderr, reason = "needed to debug a failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.compose(&["logs", "--no-color"]).out);
        }
        self.compose(&["down", "--volumes", "--timeout", "10"]);
    }
}

const ROSTER: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";

#[test]
fn one_command_starts_rosterd_beside_a_sandbox() {
    let project = Project::new("compose.yaml", "sandbox");
    project.write("users.yaml", ROSTER);
    project.compose(&["up", "--detach", "--no-build"]).expect(0);
    until(SOON, "the first run", || project.logs().contains("status=\"converged\""));
    project.write("users.yaml", &format!("{ROSTER}  - {{ email: bob@acme.io, role: ANALYST }}\n"));
    until(SOON, "the edit is applied", || project.logs().contains("bob@acme.io"));
    let page = format!("http://127.0.0.1:{}/workspaces/default", project.port);
    until(SOON, "the page shows it", || {
        request("GET", &page, &[]).is_some_and(|response| response.body.contains("bob@acme.io"))
    });
}

#[test]
fn the_file_for_a_real_workspace_finds_its_secrets() {
    let project = Project::new("workspace.yaml", "workspace");
    project.write("users.yaml", ROSTER);
    project.write("api_key", "key-of-acme\n");
    project.write("api_secret", "secret-of-acme\n");
    let config = include_str!("../../../deploy/compose/rosterd.yaml");
    project.write("rosterd.yaml", config);
    project.compose(&["up", "--detach"]).expect(0);
    // Nothing listens there; the request shows that configuration and secrets were found.
    until(SOON, "it calls the API", || project.logs().contains("acme.io"));
    let logs = project.logs();
    assert!(!logs.contains("No such file") && !logs.contains("secret-of-acme"), "{logs}");
}
