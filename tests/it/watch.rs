//! The watcher on a real file system: every way in which files come to change.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rosterd::clock::SystemClock;
use rosterd::daemon::events::Event;
use rosterd::daemon::renames::Renames;
use rosterd::daemon::watch::{self, Watched};
use rosterd::source::RosterSource;
use rosterd::source::stamp;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
use tokio::time::timeout;

const DEBOUNCE: Duration = Duration::from_millis(50);
const NEVER: Duration = Duration::from_hours(1);

/// A folder `config` with a roster in it, being watched.
struct Scene {
    root: TempDir,
    events: mpsc::Receiver<Event>,
    watched: Sender<Watched>,
    renames: Renames,
}

impl Scene {
    async fn new(poll: Duration) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("config")).unwrap();
        fs::write(root.path().join("config/users.yaml"), "first").unwrap();
        // Old enough that a look at its time can be trusted.
        age(&root.path().join("config/users.yaml"));
        let scene = Self::watching(root, vec!["users.yaml".into()], poll).await;
        assert!(scene.events.is_empty());
        scene
    }

    async fn watching(root: TempDir, users: Vec<String>, poll: Duration) -> Self {
        let rosters = vec![RosterSource::new(users, root.path().join("config"))];
        let watched = Watched { rosters, config: None, debounce: DEBOUNCE, poll };
        let (sender, events) = mpsc::channel(16);
        let renames = Renames::default();
        let watched = watch::spawn(watched, Arc::new(SystemClock), sender, renames.clone());
        let mut scene = Self { root, events, watched, renames };
        assert!(scene.hears().await, "the first look");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn users(&self) -> PathBuf {
        self.path("config/users.yaml")
    }

    async fn hears(&mut self) -> bool {
        matches!(
            timeout(Duration::from_secs(5), self.events.recv()).await,
            Ok(Some(Event::FilesChanged))
        )
    }

    /// Whether the roster is as a rename or a link placed it.
    fn is_placed(&self) -> bool {
        self.renames.placed(&self.users(), stamp(&fs::metadata(self.users()).unwrap()))
    }

    async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(400), self.events.recv()).await.is_err()
    }

    /// Does something twice: a watch that goes deaf at the first time is found at the second.
    async fn hears_each(&mut self, what: &str, act: impl Fn(&Self, usize)) {
        for round in 0..3 {
            act(self, round);
            assert!(self.hears().await, "{what}, round {round}");
            while !self.is_quiet().await {}
        }
    }
}

/// Puts a file's time of writing an hour back.
fn age(path: &Path) {
    let file = fs::File::open(path).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.set_modified(written - Duration::from_hours(1)).unwrap();
}

#[tokio::test]
async fn reads_cause_no_event() {
    let mut scene = Scene::new(NEVER).await;
    assert!(scene.is_quiet().await);
    fs::read(scene.users()).unwrap();
    fs::read_dir(scene.path("config")).unwrap().count();
    assert!(scene.is_quiet().await);
    fs::write(scene.path("neighbour"), "beside the folder").unwrap();
    assert!(scene.is_quiet().await);
}

#[tokio::test]
async fn a_file_written_in_place_is_an_event() {
    let mut scene = Scene::new(NEVER).await;
    scene
        .hears_each("write", |scene, round| {
            fs::write(scene.users(), format!("text {round}")).unwrap();
        })
        .await;
    assert!(!scene.is_placed());
}

#[tokio::test]
async fn a_rename_over_the_file_is_an_event() {
    let mut scene = Scene::new(NEVER).await;
    scene
        .hears_each("save", |scene, round| {
            fs::rename(scene.users(), scene.path("config/users.yaml~")).unwrap();
            fs::write(scene.path("config/.users.yaml.swp"), format!("text {round}")).unwrap();
            fs::rename(scene.path("config/.users.yaml.swp"), scene.users()).unwrap();
        })
        .await;
    assert!(scene.is_placed());
    fs::write(scene.users(), "written to what was renamed").unwrap();
    assert!(!scene.is_placed(), "before the event");
    assert!(scene.hears().await);
    assert!(!scene.is_placed());
}

#[tokio::test]
async fn a_git_checkout_is_an_event() {
    let mut scene = Scene::new(NEVER).await;
    scene
        .hears_each("checkout", |scene, round| {
            // git removes the file and creates it anew.
            fs::remove_file(scene.users()).unwrap();
            fs::write(scene.users(), format!("text {round}")).unwrap();
        })
        .await;
    assert!(!scene.is_placed(), "a new file at the same place may be half-written");
}

#[tokio::test]
async fn a_link_to_another_file_is_an_event() {
    let mut scene = Scene::new(NEVER).await;
    scene
        .hears_each("link", |scene, round| {
            fs::write(scene.path(&format!("{round}.yaml")), format!("text {round}")).unwrap();
            fs::remove_file(scene.users()).unwrap();
            symlink(format!("../{round}.yaml"), scene.users()).unwrap();
        })
        .await;
    assert!(scene.is_placed());
    fs::write(scene.path("2.yaml"), "written to what it points at").unwrap();
    assert!(!scene.is_placed());
}

#[tokio::test]
async fn deleting_and_restoring_a_file_are_two_events() {
    let mut scene = Scene::new(NEVER).await;
    fs::remove_file(scene.users()).unwrap();
    assert!(scene.hears().await);
    fs::write(scene.users(), "back").unwrap();
    assert!(scene.hears().await);
}

#[tokio::test]
async fn a_config_map_swap_is_an_event() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("config");
    fs::create_dir_all(folder.join("..0")).unwrap();
    fs::write(folder.join("..0/users.yaml"), "first").unwrap();
    symlink("..0", folder.join("..data")).unwrap();
    symlink("..data/users.yaml", folder.join("users.yaml")).unwrap();
    let mut scene = Scene::watching(root, vec!["users.yaml".into()], NEVER).await;
    scene
        .hears_each("swap", |scene, round| {
            let (old, new) = (format!("config/..{round}"), format!("config/..{}", round + 1));
            fs::create_dir(scene.path(&new)).unwrap();
            fs::write(scene.path(&new).join("users.yaml"), format!("text {round}")).unwrap();
            symlink(format!("..{}", round + 1), scene.path("config/..data_tmp")).unwrap();
            fs::rename(scene.path("config/..data_tmp"), scene.path("config/..data")).unwrap();
            fs::remove_dir_all(scene.path(&old)).unwrap();
        })
        .await;
    assert!(scene.is_placed());
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_watched_again() {
    let mut scene = Scene::new(NEVER).await;
    scene
        .hears_each("replace", |scene, round| {
            fs::create_dir(scene.path("new")).unwrap();
            fs::write(scene.path("new/users.yaml"), format!("text {round}")).unwrap();
            fs::rename(scene.path("config"), scene.path(&format!("old{round}"))).unwrap();
            fs::rename(scene.path("new"), scene.path("config")).unwrap();
        })
        .await;
    assert!(scene.is_placed());
    scene
        .hears_each("write after", |scene, round| {
            fs::write(scene.users(), format!("later {round}")).unwrap();
        })
        .await;
}

#[tokio::test]
async fn a_folder_that_returns_is_watched_again() {
    let mut scene = Scene::new(NEVER).await;
    fs::remove_dir_all(scene.path("config")).unwrap();
    assert!(scene.hears().await);
    while !scene.is_quiet().await {}
    fs::create_dir(scene.path("config")).unwrap();
    assert!(scene.hears().await);
    while !scene.is_quiet().await {}
    fs::write(scene.users(), "back").unwrap();
    assert!(scene.hears().await);
}

#[tokio::test]
async fn many_writes_are_debounced_to_few_events() {
    let mut scene = Scene::new(NEVER).await;
    for round in 0..20 {
        fs::write(scene.users(), format!("text {round}")).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(scene.hears().await);
    // One, but for a machine that pauses between two writes for longer than the debounce time.
    let mut more = 0;
    while !scene.is_quiet().await {
        more += 1;
    }
    assert!(more < 5, "{more} more events for 20 writes");
}

#[tokio::test]
async fn a_file_that_keeps_changing_is_an_event() {
    let mut scene = Scene::new(NEVER).await;
    let path = scene.users();
    let restless = tokio::spawn(async move {
        for round in 0.. {
            fs::write(&path, format!("text {round}")).unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(scene.hears().await);
    restless.abort();
}

#[tokio::test]
async fn the_poll_finds_changes_without_events() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = root.path().join("config/elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(elsewhere.join("users.yaml"), "first").unwrap();
    age(&elsewhere.join("users.yaml"));
    age(&elsewhere);
    // A link to a file in a folder that nobody watches.
    symlink("elsewhere/users.yaml", root.path().join("config/users.yaml")).unwrap();
    let poll = Duration::from_millis(100);
    let mut scene = Scene::watching(root, vec!["users.yaml".into()], poll).await;
    assert!(scene.is_quiet().await, "a poll that finds nothing is silent");
    fs::write(elsewhere.join("users.yaml"), "second").unwrap();
    assert!(scene.hears().await);
}

#[tokio::test]
async fn the_watched_folders_can_be_changed() {
    let mut scene = Scene::new(NEVER).await;
    fs::create_dir(scene.path("other")).unwrap();
    let rosters = vec![RosterSource::new(vec!["users.yaml".into()], scene.path("other"))];
    let watched = Watched { rosters, config: None, debounce: DEBOUNCE, poll: NEVER };
    scene.watched.send(watched).unwrap();
    assert!(scene.hears().await, "the first look at the new folders");
    while !scene.is_quiet().await {}
    fs::write(scene.path("other/users.yaml"), "text").unwrap();
    assert!(scene.hears().await);
    while !scene.is_quiet().await {}
    fs::write(scene.users(), "no longer watched").unwrap();
    assert!(scene.is_quiet().await);
}

#[tokio::test]
async fn the_folder_of_the_configuration_is_watched_too() {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("rosterd.yaml");
    let (rosters, file) = (vec![], Some(config.clone()));
    let watched = Watched { rosters, config: file, debounce: DEBOUNCE, poll: NEVER };
    let (sender, events) = mpsc::channel(16);
    let watched = watch::spawn(watched, Arc::new(SystemClock), sender, Renames::default());
    let mut scene = Scene { root, events, watched, renames: Renames::default() };
    assert!(scene.hears().await);
    fs::write(config, "version: 1").unwrap();
    assert!(scene.hears().await);
}
