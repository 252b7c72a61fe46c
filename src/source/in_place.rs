//! Files that are written in place: what is read of them may be half of what is meant.

use std::time::Duration;

use jiff::Timestamp;

use super::RosterSource;
use crate::diagnostic::{Diagnostic, InputError, Sources};

/// Files that keep changing cannot be used after this many times `watch.in_place`.
pub const MAX_WAITS: u32 = 10;

/// How long to wait until every file that is not of a commit is `in_place` old by its time of
/// writing, and the names of those that are not.
pub fn wait<'s>(
    source: &RosterSource,
    sources: &'s Sources,
    in_place: Duration,
    now: Timestamp,
) -> (Duration, Vec<&'s str>) {
    let (left, mut names) = young(sources, in_place, now);
    if names.is_empty() {
        return (left, names);
    }
    let committed = source.committed(sources);
    names.retain(|name| !committed.contains(*name));
    (left, names)
}

/// The same without regard to commits. A time that lies ahead counts as now.
fn young(sources: &Sources, in_place: Duration, now: Timestamp) -> (Duration, Vec<&str>) {
    let mut longest = Duration::ZERO;
    let mut names = Vec::new();
    for (_, file) in sources.iter() {
        let Some(stamp) = file.stamp else { continue };
        let age = Duration::try_from(now.duration_since(stamp.modified)).unwrap_or_default();
        let left = in_place.saturating_sub(age);
        if !left.is_zero() {
            longest = longest.max(left);
            names.push(file.name.as_str());
        }
    }
    (longest, names)
}

/// The error for files that did not stand still.
pub fn still_changing(names: &str, in_place: Duration) -> InputError {
    let message = format!("{names}: the contents keep changing, never unchanged for {in_place:?}");
    let hint = "write the new contents to another file and rename it to this one; `watch.in_place` \
                sets how long a file must be unchanged";
    let diagnostics = vec![Diagnostic::error("still-changing", message).hint(hint)];
    InputError { sources: Sources::default(), diagnostics }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{SourceFile, Stamp};

    #[test]
    fn a_one_shot_waits_for_the_youngest_file() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let in_place = Duration::from_secs(5);
        for (ages, left) in [
            (&[][..], 0),
            (&[5], 0),
            (&[3600, 4], 1),
            (&[0, 3], 5),
            // Ahead of the clock: for the whole time, and no longer.
            (&[-3600], 5),
        ] {
            let mut sources = Sources::default();
            sources.add("not a file", "");
            for age in ages {
                let modified = now - jiff::SignedDuration::from_secs(*age);
                let stamp = Some(Stamp { file: (1, 1), modified });
                sources.push(SourceFile { name: age.to_string(), text: String::new(), stamp });
            }
            let names: Vec<_> = ages.iter().filter(|age| **age < 5).map(i64::to_string).collect();
            let found = young(&sources, in_place, now);
            assert_eq!(found, (Duration::from_secs(left), names.iter().map(|it| &**it).collect()));
            assert_eq!(young(&sources, Duration::ZERO, now).1, [""; 0], "0s is off");
        }
    }
}
