//! What is known of the workspaces, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which workspaces are kept, and which of them have had a roster that can be used.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<String, bool>>);

impl Board {
    /// These are kept from now on, and no others.
    pub fn keep<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut known = self.known();
        let kept = names.into_iter().map(|name| {
            let is_loaded = known.get(name).copied().unwrap_or_default();
            (name.to_owned(), is_loaded)
        });
        *known = kept.collect();
    }

    /// A roster of this workspace could be used; it stays in force whatever becomes of the file.
    pub fn loaded(&self, name: &str) {
        if let Some(is_loaded) = self.known().get_mut(name) {
            *is_loaded = true;
        }
    }

    /// The workspaces without a roster. There is none when the daemon is ready.
    pub fn waiting(&self) -> Vec<String> {
        let known = self.known();
        known.iter().filter(|(_, is_loaded)| !**is_loaded).map(|(name, _)| name.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_whoever_has_a_roster_for_every_workspace() {
        let board = Board::default();
        board.keep(["acme", "beta"]);
        board.loaded("acme");
        board.loaded("gone");
        assert_eq!(board.waiting(), ["beta"]);
        board.loaded("beta");
        assert!(board.waiting().is_empty());
        board.keep(["acme", "new"]);
        assert_eq!(board.waiting(), ["new"], "and acme keeps its roster");
    }
}
