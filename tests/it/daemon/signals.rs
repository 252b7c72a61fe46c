//! Real signals, sent to a process of its own: this test binary again, as a daemon.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rosterd::clock::SystemClock;
use rosterd::daemon::{self, Inbox};

use super::fakes::World;

const CHILD: &str = "ROSTERD_TEST_SERVES";

/// The child: serves, and says when it runs and what it has done.
#[tokio::test]
async fn serves_as_a_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let world = World::new();
    let config = world.state().config.clone().unwrap();
    let looking_on = world.clone();
    tokio::spawn(async move {
        while looking_on.state().reports.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("running");
    });
    let ended =
        daemon::serve(Arc::new(world.clone()), config, Arc::new(SystemClock), Inbox::open()).await;
    let triggers: Vec<_> = world.state().reports.iter().map(|run| run.trigger.as_str()).collect();
    println!("ended {ended:?} {}", triggers.join(" "));
}

#[test]
fn sighup_triggers_a_run_and_sigterm_exits() {
    for end in ["-TERM", "-INT"] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "daemon::signals::serves_as_a_child", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let id = child.id().to_string();
        let signal = |name: &str| Command::new("kill").args([name, id.as_str()]).status().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with("running")));
        signal("-HUP");
        std::thread::sleep(Duration::from_millis(300));
        let asked = Instant::now();
        signal(end);
        let last = lines.find(|line| line.starts_with("ended")).unwrap();
        assert_eq!(last, "ended Ok(()) start signal");
        assert!(child.wait().unwrap().success());
        assert!(asked.elapsed() < Duration::from_secs(8));
    }
}
