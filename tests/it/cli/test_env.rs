//! A folder, a sandbox of its own and the binary in a clean environment.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The example roster of these tests: it wants one invitation and one role update of the seeded
/// workspace, and nothing else.
pub const ROSTER: &str = "\
version: 1
users:
  - { email: alexandra@acme.io, role: ADMIN }
  - { email: jonny@acme.io, role: BUSINESS }
  - { email: matt@acme.io, role: DEVELOPER }
  - { email: john@acme.io, role: ADMIN }
  - { email: alice@acme.io, role: DEVELOPER }
";

pub struct TestEnv {
    folder: TempDir,
    sandbox: Option<Child>,
    pub endpoint: String,
    variables: Vec<(String, String)>,
}

impl TestEnv {
    /// A folder with [`ROSTER`] as `users.yaml`, and a seeded sandbox beside it.
    pub fn new() -> Self {
        Self::with_sandbox(&[])
    }

    pub fn with_sandbox(flags: &[&str]) -> Self {
        let mut stage = Self {
            folder: tempfile::tempdir().unwrap(),
            sandbox: None,
            endpoint: String::new(),
            variables: Vec::new(),
        };
        stage.write("users.yaml", ROSTER);
        let mut child = stage
            .command(&["sandbox", "--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        stage.endpoint = first_endpoint(&mut child);
        stage.sandbox = Some(child);
        stage.key("sandbox-key", "sandbox-secret");
        stage
    }

    /// Which key the binary finds in its environment.
    pub fn key(&mut self, key: &str, secret: &str) {
        self.variables.retain(|(name, _)| !name.starts_with("PARADIME_"));
        for (name, value) in [
            ("PARADIME_API_ENDPOINT", self.endpoint.clone().as_str()),
            ("PARADIME_API_KEY", key),
            ("PARADIME_API_SECRET", secret),
        ] {
            self.set(name, value);
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.into(), value.into()));
    }

    /// What the binary finds in its environment.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file an hour ago, so that one-shot commands do not wait for its end.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        let file = std::fs::File::options().write(true).open(self.path(name)).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - Duration::from_hours(1)).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary, in this folder, with nothing of the environment around the test.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("XDG_STATE_HOME", self.path("state"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.command(arguments).output().unwrap())
    }

    /// A process that goes on, ended with the test.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let child =
            self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running(child)
    }

    /// A daemon that does not wait for the end of files that are written in place. `--users` and
    /// other options may follow.
    pub fn spawn_daemon(&self, arguments: &[&str]) -> Running {
        self.write("daemon.yaml", &daemon_config("0s"));
        self.spawn(&[&["-c", "daemon.yaml"], arguments].concat())
    }

    /// What the sandbox really holds.
    pub fn state(&self) -> Value {
        self.control("GET", "state", "")
    }

    /// Whether the sandbox mentions `email` at all, as account or invitation.
    pub fn knows(&self, email: &str) -> bool {
        self.state().to_string().contains(email)
    }

    pub fn control(&self, method: &str, path: &str, body: &str) -> Value {
        let base = self.endpoint.trim_end_matches("/graphql");
        let url = format!("{base}/control/{path}");
        let answer = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(request(method, &url, body.to_owned()));
        serde_json::from_str(&answer).unwrap_or(Value::String(answer))
    }
}

/// A configuration that says what the environment alone would say, but for `watch.in_place`.
pub fn daemon_config(in_place: &str) -> String {
    format!(
        "version: 1
watch: {{ in_place: {in_place} }}
workspaces:
  - name: default
    endpoint: ${{PARADIME_API_ENDPOINT}}
    credentials: {{ api_key: {{ env: PARADIME_API_KEY }}, api_secret: {{ env: PARADIME_API_SECRET }} }}
    users: users.yaml
"
    )
}

async fn request(method: &str, url: &str, body: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
        .request(method.parse().unwrap(), url)
        .header("content-type", "application/json")
        .header("x-api-key", "sandbox-key")
        .header("x-api-secret", "sandbox-secret")
        .body(body)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if let Some(mut child) = self.sandbox.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a finished process said.
pub struct Ran(pub Output);

impl Ran {
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout(),
            self.stderr()
        );
        self
    }
}

/// A process that goes on.
pub struct Running(Child);

impl Running {
    /// How often its threads have gone to sleep, all together.
    pub fn sleeps(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let status = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")));
        let of = |status: &str| {
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            count.unwrap().trim().parse::<u64>().unwrap()
        };
        // A thread may end meanwhile.
        status.flatten().map(|status| of(&status)).sum()
    }

    #[cfg(feature = "e2e")]
    /// The most memory that it has had, in bytes.
    #[cfg(feature = "e2e")]
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.0.id())])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits for the end, no longer than `limit`.
    #[track_caller]
    pub fn ended_within(mut self, limit: Duration) -> Ran {
        eventually(limit, "the process ends", || !self.is_running());
        let mut output =
            Output { status: self.0.wait().unwrap(), stdout: Vec::new(), stderr: Vec::new() };
        self.0.stdout.take().unwrap().read_to_end(&mut output.stdout).unwrap();
        self.0.stderr.take().unwrap().read_to_end(&mut output.stderr).unwrap();
        Ran(output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something holds.
#[track_caller]
pub fn eventually(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The endpoint that a sandbox prints.
fn first_endpoint(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = loop {
        let line = lines.next().expect("the sandbox prints its endpoint").unwrap();
        if let Some(at) = line.find("http://127.0.0.1:") {
            let rest = &line[at..];
            let end = rest.find(|c: char| c.is_whitespace() || c == '\'' || c == '"');
            break rest[..end.unwrap_or(rest.len())].to_owned();
        }
    };
    // Whoever writes into a closed pipe is ended by it: keep reading.
    std::thread::spawn(move || lines.for_each(drop));
    endpoint
}

/// Replaces a file as editors and git do: write beside it, rename over it.
pub fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}
