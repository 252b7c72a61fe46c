//! The Compose files, with `docker-compose`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::container::{IMAGE, Ran, ran, until};
use super::engine::Engine;
use crate::http::{free, request};
use crate::support::repository::Repository;

const SOON: Duration = Duration::from_mins(1);

/// A `docker-compose` project of one of the files.
struct Project {
    file: String,
    name: String,
    folder: tempfile::TempDir,
    /// The port of the page, or the one for webhooks.
    port: u16,
    /// The engine, if it is not that of the machine.
    host: Option<String>,
}

impl Project {
    fn new(file: &str, name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose").join(file);
        let name = format!("{name}{}", std::process::id());
        let (folder, port) = (tempfile::tempdir().unwrap(), free().port());
        Self { file: file.display().to_string(), name, folder, port, host: None }
    }

    fn compose(&self, arguments: &[&str]) -> Ran {
        let command = &mut Command::new("docker-compose");
        let command = command.args(["--file", &self.file, "--project-name", &self.name]);
        let command = command.args(arguments).env("ROSTERD_IMAGE", IMAGE);
        let folders = ["ROSTER_FOLDER", "CONFIG_FOLDER", "SECRETS_FOLDER"];
        let command = command.envs(folders.map(|name| (name, self.folder.path())));
        let command = command.envs(self.host.as_ref().map(|host| ("DOCKER_HOST", host)));
        let ports = ["ROSTERD_PORT", "ROSTERD_HOOKS_PORT"];
        let command = command.envs(ports.map(|name| (name, self.port.to_string())));
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

/// A project for the real workspace, whose roster is in a repository beside its configuration.
fn workspace() -> Project {
    let project = Project::new("workspace.yaml", "workspace");
    for name in ["api_key", "api_secret", "git_token", "webhook_secret"] {
        project.write(name, &format!("{name}-of-acme\n"));
    }
    // The container can reach it.
    let mut repository = Repository::at(&project.folder.path().join("access"));
    repository.write("users.yaml", ROSTER);
    repository.commit("Matt", "Begin");
    let readable = Command::new("chmod").args(["-R", "a+rX"]).arg(repository.folder()).status();
    assert!(readable.unwrap().success());
    let config = include_str!("../../../deploy/compose/rosterd.yaml");
    let (url, local) = ("https://github.com/acme/access.git", "file:///etc/rosterd/access");
    assert!(config.contains(url), "{config}");
    project.write("rosterd.yaml", &config.replace(url, local));
    project
}

const ROSTER: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";

#[test]
fn one_command_starts_rosterd_beside_a_sandbox() {
    let project = Project::new("compose.yaml", "sandbox");
    project.write("users.yaml", ROSTER);
    project.compose(&["up", "--detach", "--no-build"]).expect(0);
    until(SOON, "the first run", || project.logs().contains("status=converged"));
    project.write("users.yaml", &format!("{ROSTER}  - {{ email: bob@acme.io, role: ANALYST }}\n"));
    until(SOON, "the edit is applied", || project.logs().contains("bob@acme.io"));
    let page = format!("http://127.0.0.1:{}/workspaces/default", project.port);
    until(SOON, "the page shows it", || {
        request("GET", &page, &[]).is_some_and(|response| response.body.contains("bob@acme.io"))
    });
}

#[test]
fn the_file_for_a_real_workspace_fetches_the_roster_and_finds_its_secrets() {
    let project = workspace();
    project.compose(&["up", "--detach"]).expect(0);
    // Nothing listens there; the request shows that roster, configuration and secrets were found.
    until(SOON, "it calls the API", || project.logs().contains("acme.io"));
    let hook = format!("http://127.0.0.1:{}/hooks/git/acme", project.port);
    let answers = |token| request("POST", &hook, &[("X-Gitlab-Token", token)]).map(|it| it.status);
    until(SOON, "a webhook is accepted", || answers("webhook_secret-of-acme") == Some(202));
    assert_eq!(answers("another"), Some(401));
    let logs = project.logs();
    assert!(!logs.contains("No such file") && !logs.contains("-of-acme"), "{logs}");
}

#[test]
fn a_restarted_engine_starts_it_again_and_an_invalid_configuration_does_not_loop() {
    let mut engine = Engine::start();
    let mut project = workspace();
    project.host = Some(engine.host());
    let config = std::fs::read_to_string(project.folder.path().join("rosterd.yaml")).unwrap();
    project.write("rosterd.yaml", "version: 2\n");
    project.compose(&["up", "--detach"]).expect(0);
    let id = project.compose(&["ps", "--quiet"]).expect(0);
    let shown = |engine: &Engine, format: &str| {
        engine.docker(&["inspect", "--format", format, id.trim()]).expect(0).trim().to_owned()
    };
    let restarts = || shown(&engine, "{{.RestartCount}}").parse::<u32>().unwrap();
    until(SOON, "it is tried again", || restarts() >= 3);
    until(SOON, "its exit code", || shown(&engine, "{{.State.ExitCode}}") == "78");
    // Each wait is twice as long as the one before, up to a minute.
    std::thread::sleep(Duration::from_secs(10));
    assert!(restarts() <= 9, "{}", restarts());
    project.write("rosterd.yaml", &config);
    until(SOON, "it runs", || project.logs().contains("rosterd has started"));
    engine.restart();
    until(SOON, "it runs again", || shown(&engine, "{{.State.Running}}") == "true");
    let began = shown(&engine, "{{.State.StartedAt}}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(shown(&engine, "{{.State.StartedAt}}"), began);
    project.compose(&["stop"]).expect(0);
    engine.restart();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(shown(&engine, "{{.State.Running}}"), "false", "an operator has stopped it");
    drop(project);
}
