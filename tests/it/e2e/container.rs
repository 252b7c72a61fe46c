//! Containers of a real Docker engine. `.ci/docker` starts the engine and builds the images.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Debian's client; PATH may have another one.
const DOCKER: &str = "/usr/bin/docker";

/// The image that `.ci/docker` builds from the Dockerfile.
pub const IMAGE: &str = "rosterd:test";

/// The result of a command.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self.out
    }
}

pub fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

pub fn docker(arguments: &[&str]) -> Ran {
    ran(&Command::new(DOCKER).args(arguments).stdin(Stdio::null()).output().unwrap())
}

/// A container; dropping it removes it.
pub struct Container(String);

impl Container {
    /// `docker run --detach` with these options, image and arguments.
    pub fn run(arguments: &[&str]) -> Self {
        let id = docker(&[&["run", "--detach"], arguments].concat()).expect(0);
        Self(id.trim().to_owned())
    }

    pub fn id(&self) -> &str {
        &self.0
    }

    pub fn exec(&self, arguments: &[&str]) -> Ran {
        docker(&[&["exec", &self.0], arguments].concat())
    }

    /// Runs a shell script in an image that has a shell.
    pub fn sh(&self, script: &str) -> Ran {
        self.exec(&["sh", "-c", script])
    }

    pub fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.0]).expect(0).trim().to_owned()
    }

    /// Standard output and standard error.
    pub fn logs(&self) -> String {
        let ran = docker(&["logs", &self.0]);
        ran.out + &ran.err
    }
}

impl Drop for Container {
    #[expect(clippy::print_stderr, reason = "needed to debug a failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.exec(&["journalctl", "--no-pager", "--lines=40"]).out;
            eprintln!("{}{journal}", self.logs());
        }
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}

/// Waits for a condition.
pub fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "timeout of {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
