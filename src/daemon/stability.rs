//! Decides when the files of a roster are complete. Pure: what was read, and the clock, are
//! arguments.
//!
//! Contents of a commit are complete, and so are those that a rename placed. Anything else was
//! written in place, and is complete once it has not changed for a while. A roster is used only if
//! all its files are complete.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::diagnostic::{FileIdentity, SourceFile, Sources};
use crate::roster::Digest;
use crate::source::in_place::MAX_WAITS;

/// How the contents of a file came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Commit,
    /// By a rename or a link that this process saw, and nothing was written since.
    Rename,
    InPlace,
}

/// Whether a roster can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Complete,
    Waiting(Waiting),
    /// These files have not stood still for [`MAX_WAITS`] times the time to wait.
    Overdue(Waiting),
}

/// Files that must not change until then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub until: Instant,
    pub files: Vec<String>,
}

/// The files of one roster, as they were read last.
#[derive(Debug, Default)]
pub(super) struct Stability {
    files: BTreeMap<String, FileState>,
    /// Since when some file has been incomplete.
    waiting_since: Option<Instant>,
}

#[derive(Debug)]
struct FileState {
    /// None if the file is gone.
    digest: Option<Digest>,
    /// When these contents were seen first.
    since: Instant,
    is_complete: bool,
    /// The file that had the last complete contents. If it is still this one, what is new in it
    /// was written in place.
    complete_in: Option<FileIdentity>,
}

impl Stability {
    /// Takes what was read at `now`. `origin` is called only for contents that are not known to be
    /// complete.
    pub fn observe(
        &mut self,
        sources: &Sources,
        in_place: Duration,
        now: Instant,
        origin: impl Fn(&SourceFile) -> Origin,
    ) -> Verdict {
        // Nothing was read: an error that is reported at once. What returns is judged anew.
        if sources.is_empty() {
            *self = Self::default();
            return Verdict::Complete;
        }
        let mut before = std::mem::take(&mut self.files);
        let mut waiting = Waiting { until: now, files: Vec::new() };
        for (_, file) in sources.iter() {
            let digest = Some(Digest::of([file.text.as_str()]));
            let old = before.remove(&file.name);
            let unchanged = old.as_ref().filter(|old| old.digest == digest);
            let (since, known) = unchanged.map_or((now, false), |old| (old.since, old.is_complete));
            let (identity, complete_in) =
                (file.stamp.map(|stamp| stamp.file), old.and_then(|old| old.complete_in));
            let until = since + in_place;
            let is_complete = known
                || until <= now
                || match origin(file) {
                    Origin::Commit => true,
                    Origin::Rename => identity != complete_in,
                    Origin::InPlace => false,
                };
            if !is_complete {
                waiting.until = waiting.until.max(until);
                waiting.files.push(file.name.clone());
            }
            let complete_in = if is_complete { identity } else { complete_in };
            let state = FileState { digest, since, is_complete, complete_in };
            self.files.insert(file.name.clone(), state);
        }
        for (name, old) in before {
            // It may be on its way back: many programs remove a file and write it anew.
            let since = if old.digest.is_none() { old.since } else { now };
            if since + in_place > now {
                waiting.until = waiting.until.max(since + in_place);
                waiting.files.push(name.clone());
                let state = FileState { digest: None, since, is_complete: false, ..old };
                self.files.insert(name, state);
            }
        }
        if waiting.files.is_empty() {
            self.waiting_since = None;
            return Verdict::Complete;
        }
        let began = *self.waiting_since.get_or_insert(now);
        if now.duration_since(began) >= in_place * MAX_WAITS {
            return Verdict::Overdue(waiting);
        }
        Verdict::Waiting(waiting)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::diagnostic::Stamp;
    use Origin::{Commit, InPlace, Rename};

    const IN_PLACE: Duration = Duration::from_secs(5);

    /// Second, then each file: name, inode, contents, origin.
    type Row<'a> = (u64, &'a [(&'a str, u64, &'a str, Origin)], Expected<'a>);

    #[derive(Debug, PartialEq)]
    enum Expected<'a> {
        Complete,
        /// Until this second, for these files.
        Waits(u64, &'a [&'a str]),
        Overdue,
    }
    use Expected::{Complete, Overdue, Waits};

    #[track_caller]
    fn observe_each(in_place: Duration, rows: &[Row<'_>]) {
        let (start, mut stability) = (Instant::now(), Stability::default());
        for (second, files, expected) in rows {
            let mut sources = Sources::default();
            for (name, inode, text, _) in *files {
                let stamp = Stamp { file: (1, *inode), modified: Timestamp::MIN };
                let (name, text) = ((*name).to_owned(), (*text).to_owned());
                sources.push(SourceFile { name, text, stamp: Some(stamp) });
            }
            let origin =
                |file: &SourceFile| files.iter().find(|(name, ..)| *name == file.name).unwrap().3;
            let now = start + Duration::from_secs(*second);
            let found = stability.observe(&sources, in_place, now, origin);
            let names: Vec<&str>;
            let found = match &found {
                Verdict::Complete => Complete,
                Verdict::Overdue(_) => Overdue,
                Verdict::Waiting(waiting) => {
                    names = waiting.files.iter().map(String::as_str).collect();
                    Waits(waiting.until.duration_since(start).as_secs(), &names)
                }
            };
            assert_eq!(&found, expected, "second {second}");
        }
    }

    #[test]
    fn a_file_that_was_gone_is_judged_anew() {
        observe_each(
            IN_PLACE,
            &[
                (0, &[("a", 1, "x", Commit)], Complete),
                (10, &[], Complete),
                (20, &[("a", 1, "x", InPlace)], Waits(25, &["a"])),
            ],
        );
    }

    #[test]
    fn what_is_written_in_place_waits_until_it_stands_still() {
        observe_each(
            IN_PLACE,
            &[
                (0, &[("a", 1, "x", InPlace)], Waits(5, &["a"])),
                (3, &[("a", 1, "xy", InPlace)], Waits(8, &["a"])),
                (6, &[("a", 1, "xy", InPlace)], Waits(8, &["a"])),
                (8, &[("a", 1, "xy", InPlace)], Complete),
                (9, &[("a", 1, "xy", InPlace)], Complete),
                // Every change waits, also one that a new file at the same place brings.
                (10, &[("a", 1, "", InPlace)], Waits(15, &["a"])),
                (11, &[("a", 2, "xyz", InPlace)], Waits(16, &["a"])),
                (16, &[("a", 2, "xyz", InPlace)], Complete),
                (17, &[("a", 3, "xyz", InPlace)], Complete),
            ],
        );
    }

    #[test]
    fn commits_and_renames_are_complete_at_once() {
        observe_each(
            IN_PLACE,
            &[
                (0, &[("a", 1, "x", Commit)], Complete),
                (1, &[("a", 1, "xy", InPlace)], Waits(6, &["a"])),
                (2, &[("a", 1, "xyz", Commit)], Complete),
                (3, &[("a", 2, "1", Rename)], Complete),
                // The rename was seen, and then the renamed file was written in place.
                (4, &[("a", 2, "12", Rename)], Waits(9, &["a"])),
                // It was read before the rename was seen.
                (5, &[("a", 3, "123", InPlace)], Waits(10, &["a"])),
                (6, &[("a", 3, "123", Rename)], Complete),
            ],
        );
    }

    #[test]
    fn a_roster_waits_for_all_its_files() {
        observe_each(
            IN_PLACE,
            &[
                (0, &[("a", 1, "x", Commit), ("b", 2, "y", Commit)], Complete),
                (1, &[("a", 1, "x2", InPlace), ("b", 2, "y", Commit)], Waits(6, &["a"])),
                (4, &[("a", 1, "x2", InPlace), ("b", 2, "y2", InPlace)], Waits(9, &["a", "b"])),
                (6, &[("a", 1, "x2", InPlace), ("b", 2, "y2", InPlace)], Waits(9, &["b"])),
                // A rename beside it neither ends the wait nor begins it anew.
                (
                    7,
                    &[("a", 3, "x3", Rename), ("b", 2, "y2", InPlace), ("c", 4, "z", Rename)],
                    Waits(9, &["b"]),
                ),
                (
                    9,
                    &[("a", 3, "x3", Rename), ("b", 2, "y2", InPlace), ("c", 4, "z", Rename)],
                    Complete,
                ),
            ],
        );
    }

    #[test]
    fn a_file_that_is_gone_may_be_on_its_way_back() {
        observe_each(
            IN_PLACE,
            &[
                (0, &[("a", 1, "x", Commit), ("b", 2, "y", Commit)], Complete),
                (1, &[("b", 2, "y", Commit)], Waits(6, &["a"])),
                (2, &[("a", 3, "", InPlace), ("b", 2, "y", Commit)], Waits(7, &["a"])),
                (3, &[("a", 3, "x", Commit), ("b", 2, "y", Commit)], Complete),
                (4, &[("a", 3, "x", Commit)], Waits(9, &["b"])),
                (8, &[("a", 3, "x", Commit)], Waits(9, &["b"])),
                (9, &[("a", 3, "x", Commit)], Complete),
                (10, &[("a", 3, "x", Commit)], Complete),
            ],
        );
    }

    #[test]
    fn a_file_that_never_stands_still_is_overdue() {
        observe_each(
            IN_PLACE,
            &[
                (0, &[("a", 1, "0", InPlace)], Waits(5, &["a"])),
                (25, &[("a", 1, "1", InPlace)], Waits(30, &["a"])),
                (49, &[("a", 1, "2", InPlace)], Waits(54, &["a"])),
                (50, &[("a", 1, "3", InPlace)], Overdue),
                (54, &[("a", 1, "3", InPlace)], Overdue),
                (55, &[("a", 1, "3", InPlace)], Complete),
                (56, &[("a", 1, "4", InPlace)], Waits(61, &["a"])),
            ],
        );
    }

    #[test]
    fn zero_is_off() {
        observe_each(Duration::ZERO, &[(0, &[("a", 1, "x", InPlace)], Complete)]);
    }
}
