//! The roster: files are validated, and a valid roster survives an import.

use jiff::tz::TimeZone;
use rosterd::diagnostic::{Diagnostic, Sources, any_error};
use rosterd::directory::{Account, Snapshot, Uid};
use rosterd::roster::{Member, Roster, checks, raw, write};
use rosterd::yaml::MAX_VALUES;

use super::{now, output};

/// Separates the files of one input.
const NEXT_FILE: &str = "\n#next file\n";

/// Every diagnostic has a valid position and harmless renderings; an error means no roster.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut sources = Sources::default();
    for (number, file) in text.split(NEXT_FILE).enumerate() {
        sources.add(format!("{number}.yaml"), file);
    }
    let (roster, found) = validate(&sources);
    assert_eq!(roster.is_some(), !any_error(&found), "{found:?}");
    for problem in &found {
        output::is_placed(problem, &sources);
    }
    output::renderings(&found, &sources);
    if let Some(roster) = roster {
        assert!(roster.members().len() <= MAX_VALUES);
        check_import(&roster);
    }
}

/// Parses and validates the roster.
pub fn validate(sources: &Sources) -> (Option<Roster>, Vec<Diagnostic>) {
    checks::validate(raw::read(sources), sources, &TimeZone::UTC, now())
}

/// The import of a converged workspace is the same roster.
fn check_import(roster: &Roster) {
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

/// The fields of each member that an account has too.
fn members(roster: &Roster) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    roster.members().iter().map(|it| (it.email.as_str(), it.role.as_str(), it.name.as_deref()))
}
