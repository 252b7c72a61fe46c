//! A Docker engine of its own, which a test stops and starts as a reboot does.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::container::{IMAGE, Ran, docker, ran, until};

const SOON: Duration = Duration::from_mins(1);

pub struct Engine {
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Engine {
    /// An engine that has the image.
    pub fn start() -> Self {
        let mut engine = Self { folder: tempfile::tempdir().unwrap(), process: None };
        engine.restart();
        let archive = engine.path("image.tar");
        docker(&["save", "--output", &archive, IMAGE]).expect(0);
        engine.docker(&["load", "--input", &archive]).expect(0);
        engine
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.path("socket"))
    }

    pub fn docker(&self, arguments: &[&str]) -> Ran {
        let command = &mut Command::new("/usr/bin/docker");
        let command = command.args(arguments).env("DOCKER_HOST", self.host());
        ran(&command.stdin(Stdio::null()).output().unwrap())
    }

    /// Stops the engine and its containers, if it runs, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        let log = std::fs::File::create(self.path("log")).unwrap();
        // Networks and rules of its own. Without a bridge it would remove that of the other engine.
        let apart = ["--iptables=false", "--ip6tables=false"];
        let engine = Command::new("dockerd")
            .args(["--data-root", &self.path("data"), "--exec-root", &self.path("exec")])
            .args(["--pidfile", &self.path("pid"), "--host", &self.host()])
            .args(apart)
            .args(["--default-address-pool", "base=10.217.0.0/16,size=24"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(engine.unwrap());
        until(SOON, "the engine answers", || self.docker(&["version"]).code == 0);
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let id = process.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        process.wait().unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}
