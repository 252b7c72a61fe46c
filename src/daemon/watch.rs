//! Notices that files may have changed.
//!
//! Folders are watched, never files: editors and `git` replace a file and Kubernetes swaps a link,
//! and either would end a watch on the file itself. An event is only a hint; the receiver compares
//! contents. A slow poll covers mounts that send no events.

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
use super::renames::Renames;
use crate::blocking::run_blocking;
use crate::clock::Clock;
use crate::config::Config;
use crate::escape::escape;
use crate::source::RosterSource;

/// Files that keep changing are read after this many times the debounce time.
const MAX_DEBOUNCES: u32 = 10;

/// A file this young may change again without a new modification time.
const RACY: SignedDuration = SignedDuration::from_secs(2);

/// What is watched: the folders of every roster, and of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    pub rosters: Vec<RosterSource>,
    pub config: Option<PathBuf>,
    /// Files are read once nothing has changed for this time.
    pub debounce: Duration,
    /// How often the folders are scanned without an event.
    pub poll: Duration,
}

impl Watched {
    pub fn of(config: &Config) -> Self {
        let targets = config.workspaces.iter().map(|workspace| &workspace.target);
        Self {
            rosters: targets.map(|target| target.source.clone()).collect(),
            config: config.path.clone(),
            debounce: config.watch.debounce,
            poll: config.watch.poll,
        }
    }

    /// The folders as they are now. A glob may match new ones.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let rosters = self.rosters.iter().flat_map(RosterSource::watched);
        let config = self.config.as_deref().and_then(Path::parent).map(|folder| {
            // A file name without a folder.
            if folder == Path::new("") { PathBuf::from(".") } else { folder.to_owned() }
        });
        rosters.chain(config).filter_map(|folder| std::path::absolute(folder).ok()).collect()
    }
}

/// Sends [`Event::FilesChanged`] at the start and whenever something may have changed, until the
/// returned sender is dropped. Send to it what is to be watched from then on. `renames` learns what
/// is renamed in the folders.
pub fn spawn(
    watched: Watched,
    clock: Arc<dyn Clock>,
    events: mpsc::Sender<Event>,
    renames: Renames,
) -> watch::Sender<Watched> {
    let (sender, receiver) = watch::channel(watched);
    tokio::spawn(keep_watch(receiver, clock, events, renames));
    sender
}

async fn keep_watch(
    mut watched: watch::Receiver<Watched>,
    clock: Arc<dyn Clock>,
    events: mpsc::Sender<Event>,
    renames: Renames,
) {
    let notify = Arc::new(Notify::new());
    let mut watcher = FolderWatcher::open(&notify, renames);
    let mut before = None;
    loop {
        let now = watched.borrow_and_update().clone();
        let (debounce, poll, time) = (now.debounce, now.poll, clock.now());
        let (opened, view) = run_blocking(move || {
            let view = watcher.scan(&now, time);
            (watcher, view)
        })
        .await;
        watcher = opened;
        // An unchanged view proves nothing if a file was written a moment before.
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

/// Waits until nothing has happened for the debounce time, or a limit is reached.
async fn quiet(notify: &Notify, debounce: Duration) {
    let silence =
        async { while tokio::time::timeout(debounce, notify.notified()).await.is_ok() {} };
    let _ = tokio::time::timeout(debounce * MAX_DEBOUNCES, silence).await;
}

/// A hash of the names, sizes and times in the folders; contents are not read.
type View = u64;

/// Watches folders with the system's events, if it has them.
struct FolderWatcher {
    watcher: Option<RecommendedWatcher>,
    /// Shared with the thread that receives events.
    folders: Arc<Mutex<BTreeSet<PathBuf>>>,
    armed: BTreeSet<PathBuf>,
    renames: Renames,
    /// The problem with the system's events was logged.
    logged: bool,
}

impl FolderWatcher {
    fn open(notify: &Arc<Notify>, renames: Renames) -> Self {
        let folders = Arc::new(Mutex::new(BTreeSet::new()));
        let (notify, within, seen) = (Arc::clone(notify), Arc::clone(&folders), renames.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            match event {
                Ok(event) if !concerns(&event, &within.lock()) => return,
                Ok(event) => seen.on_event(&event),
                Err(_) => {}
            }
            notify.notify_one();
        });
        let armed = BTreeSet::new();
        let mut this = Self { watcher: None, folders, armed, renames, logged: false };
        match watcher {
            Ok(watcher) => this.watcher = Some(watcher),
            Err(error) => this.log_problem(&error),
        }
        this
    }

    /// Sets every watch again, because a folder may have been replaced, and scans the folders. None
    /// if the scan is not reliable.
    fn scan(&mut self, watched: &Watched, now: Timestamp) -> Option<View> {
        let folders = watched.folders();
        folders.clone_into(&mut self.folders.lock());
        self.arm(&folders);
        self.renames.prune();
        view(&folders, now)
    }

    fn arm(&mut self, folders: &BTreeSet<PathBuf>) {
        // The replacement of a folder is an event of its parent.
        let above = folders.iter().filter_map(|folder| folder.parent());
        let wanted: BTreeSet<PathBuf> =
            folders.iter().map(PathBuf::as_path).chain(above).map(Path::to_owned).collect();
        let Some(watcher) = &mut self.watcher else { return };
        for folder in std::mem::take(&mut self.armed) {
            // It fails if the folder is gone, and the watch with it.
            let _ = watcher.unwatch(&folder);
        }
        let mut problem = None;
        for folder in wanted {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.armed.insert(folder);
                }
                Err(error) if folders.contains(&folder) && folder.exists() => problem = Some(error),
                // It does not exist yet, or is only a parent.
                Err(_) => {}
            }
        }
        match problem {
            Some(error) => self.log_problem(&error),
            None => self.logged = false,
        }
    }

    /// Names the limit that an operator can raise. The poll continues without events.
    fn log_problem(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.logged, true) {
            tracing::warn!(hint = hint(error), "{}; files are polled instead", describe(error));
        }
    }
}

/// Whether an event is in the folders themselves. Reads are ignored, since our own cause events.
fn concerns(event: &notify::Event, folders: &BTreeSet<PathBuf>) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    let within = |path: &PathBuf| {
        folders.contains(path) || path.parent().is_some_and(|folder| folders.contains(folder))
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(within)
}

fn describe(error: &notify::Error) -> &'static str {
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
        _ => escape(&error.to_string()).into_owned(),
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
            newest = newest.max(found.map_or(Timestamp::MIN, |(.., written)| written));
            (entry.file_name(), found).hash(&mut hasher);
        }
    }
    (newest < now.saturating_sub(RACY).unwrap_or(now)).then(|| hasher.finish())
}

/// Device, inode, links, length, and the time of the last change. A mounted file that is replaced
/// where it is mounted from only loses its link.
fn identity(path: &Path) -> Option<(u64, u64, u64, u64, Timestamp)> {
    let found = fs::metadata(path).ok()?;
    let written = Timestamp::try_from(found.modified().ok()?).unwrap_or(Timestamp::MIN);
    Some((found.dev(), found.ino(), found.nlink(), found.len(), written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_limit_is_named() {
        let limit = notify::Error::new(ErrorKind::MaxFilesWatch);
        assert!(hint(&limit).contains("fs.inotify.max_user_watches"));
        assert!(describe(&limit).contains("limit of watches"));
        let files = std::io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES);
        let watchers = notify::Error::io(files);
        assert!(hint(&watchers).contains("fs.inotify.max_user_instances"));
        assert!(describe(&watchers).contains("watchers"));
        assert_eq!(describe(&notify::Error::generic("else")), "a folder cannot be watched");
    }

    #[test]
    fn it_scans_without_events_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = FolderWatcher::open(&Arc::new(Notify::new()), Renames::default());
        watcher.watcher = None;
        let watched = Watched {
            rosters: vec![],
            config: Some(folder.path().join("rosterd.yaml")),
            debounce: Duration::ZERO,
            poll: Duration::ZERO,
        };
        let now = Timestamp::from_second(32_503_680_000).unwrap();
        let before = watcher.scan(&watched, now);
        assert!(before.is_some());
        assert_eq!(watcher.scan(&watched, now), before);
        fs::write(folder.path().join("rosterd.yaml"), "version: 1").unwrap();
        assert_ne!(watcher.scan(&watched, now), before);
        // Written a moment before the scan: it may change again without a new time.
        let written = fs::metadata(folder.path().join("rosterd.yaml")).unwrap().mtime();
        assert_eq!(watcher.scan(&watched, Timestamp::from_second(written + 1).unwrap()), None);
    }
}
