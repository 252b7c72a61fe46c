//! Remembers what was placed by a rename or a link while this process watched: a file that came
//! to its name complete.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind};
use parking_lot::Mutex;

use crate::diagnostic::Stamp;
use crate::source;

/// Maximum number of links that are followed from a file.
const MAX_LINKS: u8 = 8;

/// The paths that a rename or a link placed, as they were at that time.
#[derive(Clone, Debug, Default)]
pub struct Renames(Arc<Mutex<HashMap<PathBuf, Stamp>>>);

impl Renames {
    /// Takes an event of a watched folder.
    pub(super) fn on_event(&self, event: &Event) {
        let mut placed = self.0.lock();
        if event.need_rescan() {
            placed.clear();
        }
        for path in &event.paths {
            let is_placed = match event.kind {
                EventKind::Modify(ModifyKind::Name(RenameMode::To)) => true,
                // `Both` follows `To`.
                EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Name(RenameMode::Both))
                | EventKind::Access(_) => continue,
                EventKind::Create(_) => path.is_symlink(),
                _ => false,
            };
            match stamp(path).filter(|_| is_placed) {
                Some(stamp) => placed.insert(path.clone(), stamp),
                None => placed.remove(path),
            };
        }
    }

    /// Forgets what has changed since.
    pub(super) fn prune(&self) {
        self.0.lock().retain(|path, placed| stamp(path) == Some(*placed));
    }

    /// Whether the file that was read, or a link or folder on the way to it, was placed by a rename
    /// or a link, and nothing was written since.
    pub fn placed(&self, path: &Path, read: Stamp) -> bool {
        let placed = self.0.lock();
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        !placed.is_empty() && stamp(&path) == Some(read) && leads_over(&placed, &path, MAX_LINKS)
    }
}

fn leads_over(placed: &HashMap<PathBuf, Stamp>, path: &Path, links: u8) -> bool {
    path.ancestors().any(|part| {
        let is_placed = || placed.get(part).is_some_and(|known| stamp(part) == Some(*known));
        let target = |left| {
            let target = part.parent()?.join(fs::read_link(part).ok()?);
            Some(leads_over(placed, &target, left))
        };
        is_placed() || links.checked_sub(1).and_then(target).unwrap_or(false)
    })
}

/// Links are followed, so that writing to what they point at is a change.
fn stamp(path: &Path) -> Option<Stamp> {
    Some(source::stamp(&fs::metadata(path).ok()?))
}
