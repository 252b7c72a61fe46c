//! Joins the memories of several chains of one workspace.

use super::Memory;
use crate::email::Email;

impl Memory {
    /// The memory of a workspace with several chains, in any order.
    pub fn joined(chains: impl IntoIterator<Item = Self>) -> Self {
        let mut chains: Vec<Self> = chains.into_iter().collect();
        chains.sort_by_key(Self::through);
        chains
            .into_iter()
            .reduce(|earlier, later| later.after(earlier))
            .unwrap_or_else(Self::of_ledger)
    }

    /// Adds what an earlier chain of the same workspace holds. What both hold is as the later says.
    fn after(mut self, earlier: Self) -> Self {
        let indices: Vec<u32> = earlier.revisions.iter().map(|it| self.index_of(it)).collect();
        let index = |by: Option<u32>| indices.get(usize::try_from(by?).ok()?).copied();
        let has_listing = !self.accounts.is_empty();
        for (uid, mut known) in earlier.accounts {
            known.by = index(known.by);
            // Each chain had complete listings: this one showed that the account was gone.
            known.gone = known.gone.or(self.newest.filter(|_| has_listing));
            match self.accounts.get_mut(&uid) {
                Some(later) => later.since = later.since.min(known.since),
                None => drop(self.accounts.insert(uid, known)),
            }
        }
        // An address with an account has accepted its invitations.
        let is_open = |email: &Email| !self.by_address.contains_key(email);
        let open: Vec<_> = earlier.sent.into_iter().filter(|(email, _)| is_open(email)).collect();
        for (email, sent) in open {
            self.sent.entry(email).or_default().splice(0..0, sent);
        }
        for (email, uid) in earlier.by_address {
            let now = self.by_address.entry(email.clone()).or_insert_with(|| uid.clone());
            if *now != uid {
                self.before.entry(email).or_default().insert(0, uid);
            }
        }
        for (email, uids) in earlier.before {
            let all = self.before.entry(email).or_default();
            all.splice(0..0, uids);
        }
        if !has_listing {
            for (email, mut invited) in earlier.invitations {
                invited.by = index(invited.by);
                self.invitations.entry(email).or_insert(invited);
            }
            self.holds.extend(earlier.holds);
            self.sets.splice(0..0, earlier.sets);
        }
        for (key, rejection) in earlier.rejections {
            self.rejections.entry(key).or_insert(rejection);
        }
        self.attempts.extend(earlier.attempts.into_iter().map(|mut attempt| {
            attempt.by = index(attempt.by);
            attempt
        }));
        self.attempts.sort_by_key(|attempt| attempt.seq);
        for (end, at) in earlier.ends {
            self.ends.entry(end).or_insert(at);
        }
        self.renames.splice(0..0, earlier.renames);
        for (item, bound) in earlier.approvals {
            self.approvals.entry(item).or_insert(bound);
        }
        for (approval, at) in earlier.used {
            self.used.entry(approval).or_insert(at);
        }
        self.place = self.place.or(earlier.place);
        self.newest = self.newest.max(earlier.newest);
        self.converged = self.converged.max(earlier.converged);
        self.streak = self.streak.or(earlier.streak);
        self
    }
}
