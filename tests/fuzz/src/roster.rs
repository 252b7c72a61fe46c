//! The roster: files, checked and written again.

use jiff::tz::TimeZone;
use rosterd::diagnostic::{Diagnostic, Sources, any_error};
use rosterd::directory::{Account, Snapshot, Uid};
use rosterd::roster::{Member, Roster, checks, raw, write};

use super::{now, told};

/// Parts the files of one input.
const NEXT_FILE: &str = "\n#next file\n";

/// What is said about any files: at places of them, harmless, and never a roster beside an error.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut sources = Sources::default();
    for (number, file) in text.split(NEXT_FILE).enumerate() {
        sources.add(format!("{number}.yaml"), file);
    }
    let (roster, found) = validate(&sources);
    assert_eq!(roster.is_some(), !any_error(&found), "{found:?}");
    for problem in &found {
        told::is_placed(problem, &sources);
    }
    told::renderings(&found, &sources);
    if let Some(roster) = roster {
        is_read_back(&roster);
    }
}

/// Reads the roster and tells what is wrong with it.
pub fn validate(sources: &Sources) -> (Option<Roster>, Vec<Diagnostic>) {
    checks::validate(raw::read(sources), sources, &TimeZone::UTC, now())
}

/// A workspace that is as the roster says, imported, is that roster.
fn is_read_back(roster: &Roster) {
    let accounts = roster.members().iter().enumerate().map(account).collect();
    let snapshot = Snapshot::new(accounts, Vec::new(), None).expect("members have addresses");
    let written = write::import(&snapshot, roster.unmanaged());
    assert_eq!((written.members, &*written.notes), (roster.members().len(), &[][..]));
    let mut sources = Sources::default();
    sources.add("written.yaml", written.text);
    let (again, found) = validate(&sources);
    let again = again.unwrap_or_else(|| panic!("{found:?} in {sources:?}"));
    assert_eq!(found, [], "in {sources:?}");
    assert!(members(&again).eq(members(roster)), "{again:?} and {roster:?}");
    let patterns = |it: &Roster| it.unmanaged().iter().map(|it| it.written.clone()).collect();
    let (one, other): (Vec<_>, Vec<_>) = (patterns(&again), patterns(roster));
    assert_eq!(one, other);
}

fn account((number, member): (usize, &Member)) -> Account {
    let Member { email, role, name, .. } = member.clone();
    Account { uid: Uid(format!("{number:064x}").into()), email, name, role }
}

/// What an account can show of each member, verbatim.
fn members(roster: &Roster) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    roster.members().iter().map(|it| (it.email.as_str(), it.role.as_str(), it.name.as_deref()))
}
