//! What is known of the files of one roster: whether they are complete.

use std::cell::LazyCell;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Environment;
use super::renames::Renames;
use super::settings::WorkspaceSettings;
use super::stability::{Origin, Stability, Verdict, Waiting};
use crate::diagnostic::{InputError, SourceFile, Sources};
use crate::source::in_place;

#[derive(Debug, Default)]
pub(super) struct RosterFiles {
    pub renames: Renames,
    stability: Mutex<Stability>,
}

/// What was read, if it can be used or reported, and what it waits for.
#[derive(Debug)]
pub(super) struct FileCheck<T> {
    /// None if the files are not complete.
    pub read: Option<T>,
    pub waiting: Option<Waiting>,
}

impl RosterFiles {
    pub fn new(renames: Renames) -> Self {
        Self { renames, ..Self::default() }
    }

    /// Decides whether the files that were read are complete. Files that keep changing are an
    /// error. It blocks.
    pub fn complete<E: Environment, T>(
        &self,
        environment: &E,
        settings: &WorkspaceSettings,
        read: Result<T, InputError>,
        sources: impl Fn(&T) -> &Sources,
    ) -> FileCheck<Result<T, InputError>> {
        let found = match &read {
            Ok(read) => sources(read),
            Err(error) => &error.sources,
        };
        let (target, in_place) = (&settings.workspace.target, settings.in_place);
        let committed = LazyCell::new(|| environment.committed(target, found));
        let is_renamed = |file: &SourceFile| {
            let path = target.source.base.join(&file.name);
            file.stamp.is_some_and(|stamp| self.renames.placed(&path, stamp))
        };
        let origin = |file: &SourceFile| match file {
            file if is_renamed(file) => Origin::Rename,
            file if committed.contains(&file.name) => Origin::Commit,
            _ => Origin::InPlace,
        };
        match self.stability.lock().observe(found, in_place, Instant::now(), origin) {
            Verdict::Complete => FileCheck { read: Some(read), waiting: None },
            Verdict::Waiting(waiting) => FileCheck { read: None, waiting: Some(waiting) },
            Verdict::Overdue(waiting) => {
                let error = in_place::still_changing(&waiting.files.join(", "), in_place);
                FileCheck { read: Some(Err(error)), waiting: Some(waiting) }
            }
        }
    }
}
