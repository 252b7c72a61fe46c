//! Notices that files may have changed.
//!
//! Folders are watched, never files: editors and `git` replace a file, Kubernetes swaps a link
//! beside it, and a watch on the file itself would go deaf at the first of these. What happens in
//! a folder is only a hint; whoever hears it compares contents. Behind the events of the system
//! there is a slow poll, for mounts that send none.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};

use super::events::Event;
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::config::Config;
use crate::source;

/// Files that never become quiet are looked at after so many times the settling time.
const PATIENCE: u32 = 10;

/// A file written so shortly before it was looked at may change again without a sign of it.
const RACY: SignedDuration = SignedDuration::from_secs(2);

/// What is watched: the folders of every roster, and of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Each with the folder that its paths are relative to.
    pub rosters: Vec<(Vec<String>, PathBuf)>,
    pub config: Option<PathBuf>,
    /// Files are looked at once they have been quiet for so long.
    pub debounce: Duration,
    /// How often the folders are looked at without an event.
    pub poll: Duration,
}

impl Watched {
    pub fn of(config: &Config) -> Self {
        let targets = config.workspaces.iter().map(|workspace| &workspace.target);
        Self {
            rosters: targets.map(|target| (target.users.clone(), target.base.clone())).collect(),
            config: config.path.clone(),
            debounce: config.watch.debounce,
            poll: config.watch.poll,
        }
    }

    /// The folders as they are now: a glob may have found more of them.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let rosters = self.rosters.iter().flat_map(|(users, base)| source::watched(users, base));
        let config = self.config.as_deref().map(folder_of);
        rosters.chain(config).filter_map(|folder| std::path::absolute(folder).ok()).collect()
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Sends [`Event::FilesChanged`] at first, and whenever something may have changed, until the
/// answer is
/// dropped. The answer takes what is to be watched from now on.
pub fn spawn(
    watched: Watched,
    clock: Arc<dyn Clock>,
    events: mpsc::Sender<Event>,
) -> watch::Sender<Watched> {
    let (sender, receiver) = watch::channel(watched);
    tokio::spawn(keep_watch(receiver, clock, events));
    sender
}

async fn keep_watch(
    mut watched: watch::Receiver<Watched>,
    clock: Arc<dyn Clock>,
    events: mpsc::Sender<Event>,
) {
    let notify = Arc::new(Notify::new());
    let mut eyes = FolderWatcher::open(&notify);
    let mut before = None;
    loop {
        let now = watched.borrow_and_update().clone();
        let (debounce, poll, time) = (now.debounce, now.poll, clock.now());
        let (opened, view) = run_blocking(move || {
            let view = eyes.look(&now, time);
            (eyes, view)
        })
        .await;
        eyes = opened;
        // An unchanged view proves nothing where a file was written a moment before.
        if (view.is_none() || view != before) && events.send(Event::FilesChanged).await.is_err() {
            return;
        }
        before = view;
        tokio::select! {
            changed = watched.changed() => match changed {
                Ok(()) => before = None,
                Err(_) => return,
            },
            () = notify.notified() => {
                quiet(&notify, debounce).await;
                before = None;
            }
            () = tokio::time::sleep(poll) => {}
        }
    }
}

/// Waits until nothing has happened for the time of `debounce`, within reason.
async fn quiet(notify: &Notify, debounce: Duration) {
    let silence =
        async { while tokio::time::timeout(debounce, notify.notified()).await.is_ok() {} };
    let _ = tokio::time::timeout(debounce * PATIENCE, silence).await;
}

/// What the folders look like, down to sizes and times; contents are not read.
type View = u64;

/// The system's events, as far as they are to be had.
struct FolderWatcher {
    watcher: Option<RecommendedWatcher>,
    /// Shared with the thread that hears the events.
    folders: Arc<Mutex<BTreeSet<PathBuf>>>,
    armed: BTreeSet<PathBuf>,
    /// The operator has been told that the system's limit is reached.
    told: bool,
}

impl FolderWatcher {
    fn open(notify: &Arc<Notify>) -> Self {
        let folders = Arc::new(Mutex::new(BTreeSet::new()));
        let (notify, within) = (Arc::clone(notify), Arc::clone(&folders));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let folders = within.lock();
            if event.is_err() || event.is_ok_and(|event| concerns(&event, &folders)) {
                notify.notify_one();
            }
        });
        let mut eyes = Self { watcher: None, folders, armed: BTreeSet::new(), told: false };
        match watcher {
            Ok(watcher) => eyes.watcher = Some(watcher),
            Err(error) => eyes.tell(&error),
        }
        eyes
    }

    /// Arms every watch again, since a folder may have been replaced, and looks. None where the
    /// look may not be relied upon.
    fn look(&mut self, watched: &Watched, now: Timestamp) -> Option<View> {
        let folders = watched.folders();
        folders.clone_into(&mut self.folders.lock());
        self.arm(&folders);
        view(&folders, now)
    }

    fn arm(&mut self, folders: &BTreeSet<PathBuf>) {
        // A folder that is replaced is missed in the folder above it.
        let above = folders.iter().filter_map(|folder| folder.parent());
        let wanted: BTreeSet<PathBuf> =
            folders.iter().map(PathBuf::as_path).chain(above).map(Path::to_owned).collect();
        let Some(watcher) = &mut self.watcher else { return };
        for folder in std::mem::take(&mut self.armed) {
            // It fails where the folder is gone, and the watch with it.
            let _ = watcher.unwatch(&folder);
        }
        let mut problem = None;
        for folder in wanted {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.armed.insert(folder);
                }
                Err(error) if folders.contains(&folder) && folder.exists() => problem = Some(error),
                // It does not exist yet, or is only the folder above.
                Err(_) => {}
            }
        }
        match problem {
            Some(error) => self.tell(&error),
            None => self.told = false,
        }
    }

    /// Names the limit that an operator can raise. The poll goes on without events.
    fn tell(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(hint = hint(error), "{}; files are polled instead", said(error));
        }
    }
}

/// Whether an event is one in the folders themselves. Reading is none: our own would ring the bell
/// again.
fn concerns(event: &notify::Event, folders: &BTreeSet<PathBuf>) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    let within = |path: &PathBuf| {
        folders.contains(path) || path.parent().is_some_and(|folder| folders.contains(folder))
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(within)
}

fn said(error: &notify::Error) -> &'static str {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "the system's limit of watches is reached",
        ErrorKind::Io(error) if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => {
            "the system's limit of watchers or open files is reached"
        }
        _ => "a folder cannot be watched",
    }
}

fn hint(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "raise fs.inotify.max_user_watches with sysctl".into(),
        ErrorKind::Io(error) if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => {
            "raise fs.inotify.max_user_instances with sysctl, or the limit of open files".into()
        }
        _ => error.to_string(),
    }
}

/// `EMFILE`.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// Sizes, times and identities of everything in the folders, links followed.
fn view(folders: &BTreeSet<PathBuf>, now: Timestamp) -> Option<View> {
    let mut hasher = DefaultHasher::new();
    let mut newest = Timestamp::MIN;
    for folder in folders {
        let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        identity(folder).hash(&mut hasher);
        for entry in entries {
            let found = identity(&entry.path());
            newest = newest.max(found.map_or(Timestamp::MIN, |found| found.written));
            (entry.file_name(), found).hash(&mut hasher);
        }
    }
    (newest < now.saturating_sub(RACY).unwrap_or(now)).then(|| hasher.finish())
}

#[derive(Clone, Copy, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    written: Timestamp,
}

fn identity(path: &Path) -> Option<Identity> {
    let found = fs::metadata(path).ok()?;
    let nanosecond = i32::try_from(found.mtime_nsec()).unwrap_or_default();
    Some(Identity {
        device: found.dev(),
        inode: found.ino(),
        length: found.len(),
        written: Timestamp::new(found.mtime(), nanosecond).unwrap_or(Timestamp::MIN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_reached_is_named() {
        let limit = notify::Error::new(ErrorKind::MaxFilesWatch);
        assert!(hint(&limit).contains("fs.inotify.max_user_watches"));
        assert!(said(&limit).contains("limit of watches"));
        let files = std::io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES);
        let watchers = notify::Error::io(files);
        assert!(hint(&watchers).contains("fs.inotify.max_user_instances"));
        assert!(said(&watchers).contains("watchers"));
        assert_eq!(said(&notify::Error::generic("else")), "a folder cannot be watched");
    }

    #[test]
    fn without_the_systems_events_it_still_looks() {
        let folder = tempfile::tempdir().unwrap();
        let mut eyes =
            FolderWatcher { watcher: None, ..FolderWatcher::open(&Arc::new(Notify::new())) };
        let watched = Watched {
            rosters: vec![],
            config: Some(folder.path().join("rosterd.yaml")),
            debounce: Duration::ZERO,
            poll: Duration::ZERO,
        };
        let now = Timestamp::from_second(32_503_680_000).unwrap();
        let before = eyes.look(&watched, now);
        assert!(before.is_some());
        assert_eq!(eyes.look(&watched, now), before);
        fs::write(folder.path().join("rosterd.yaml"), "version: 1").unwrap();
        assert_ne!(eyes.look(&watched, now), before);
        // Written a moment before the look: it may change again without a sign.
        let written = fs::metadata(folder.path().join("rosterd.yaml")).unwrap().mtime();
        assert_eq!(eyes.look(&watched, Timestamp::from_second(written + 1).unwrap()), None);
    }
}
