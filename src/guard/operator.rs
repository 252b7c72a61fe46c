//! What needs an operator's decision: until then a run uses nothing of a listing.

use jiff::Timestamp;

use super::clock;
use crate::directory::Snapshot;
use crate::memory::Memory;
use crate::memory::entry::Acceptable;
use crate::memory::place::OtherChain;
use crate::memory::scope::Scope;
use crate::roster::Digest;

/// Something that waits for `rosterd accept`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorHold {
    pub what: Acceptable,
    pub message: String,
    /// Identifies what is accepted.
    pub digest: String,
}

impl OperatorHold {
    pub fn new(what: Acceptable, message: String, contents: &[&str]) -> Self {
        let contents = std::iter::once(what.as_str()).chain(contents.iter().copied());
        let digest = Digest::of(contents).hex().chars().take(12).collect();
        Self { what, message, digest }
    }

    /// The command that accepts it.
    pub fn command(&self, workspace: &str) -> String {
        let (what, digest) = (self.what.as_str(), &self.digest);
        format!("rosterd accept {what} --workspace {workspace} --digest {digest} --reason TEXT")
    }
}

/// Why nothing of a listing may be used: it may be that of another workspace, or incomplete.
pub fn admission(
    memory: &Memory,
    scope: &Scope,
    others: &[OtherChain],
    snapshot: &Snapshot,
) -> Option<OperatorHold> {
    place(memory, scope, others, snapshot).or_else(|| listing(memory, snapshot))
}

fn place(
    memory: &Memory,
    scope: &Scope,
    others: &[OtherChain],
    snapshot: &Snapshot,
) -> Option<OperatorHold> {
    let place = scope.place.as_ref()?;
    let (message, known) = match memory.place() {
        Some(known) if known.matches(place) => return None,
        Some(known) => {
            let message = format!(
                "the ledger of `{}` is of the workspace at {known}, but the configuration names \
                 {place}",
                scope.name
            );
            (message, known.to_string())
        }
        None => {
            let other = others.iter().find(|other| other.is_at(place, snapshot))?;
            let name = &other.name;
            let hint = if *name == scope.name {
                "it comes from a configuration file: select it with -c".to_owned()
            } else {
                format!("after a renaming, write `formerly: {name}`")
            };
            let message = format!("the workspace at {place} has the ledger of `{name}`; {hint}");
            (message, name.clone())
        }
    };
    let contents = [&*scope.key, &*place.to_string(), &*known];
    Some(OperatorHold::new(Acceptable::Place, message, &contents))
}

/// Compares the accounts with those of the last accepted listing, without those that rosterd may
/// have disabled.
fn listing(memory: &Memory, snapshot: &Snapshot) -> Option<OperatorHold> {
    let expected = memory.expected_accounts();
    let mut listed: Vec<&str> =
        snapshot.accounts().iter().map(|account| account.uid.as_str()).collect();
    let there = snapshot.accounts().iter().filter(|it| expected.contains(&it.uid)).count();
    if 2 * there >= expected.len() {
        return None;
    }
    let message = format!(
        "the listing has {there} of the {} accounts of the last one that rosterd has not disabled: \
         is it incomplete, or of another workspace?",
        expected.len()
    );
    listed.sort_unstable();
    Some(OperatorHold::new(Acceptable::Listing, message, &listed))
}

/// Rows of the ledger from the future, which a clock that was ahead has left.
/// The newest row of the ledger is in the future of this machine's clock.
pub fn ledger_ahead(memory: &Memory, now: Timestamp) -> Option<OperatorHold> {
    let newest = memory.newest()?.to_string();
    let message = clock::ahead(memory, now)?;
    Some(OperatorHold::new(Acceptable::Clock, message, &[&newest]))
}
