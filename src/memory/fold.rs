//! Entries, one after the other, become a memory.

use std::collections::HashMap;

use jiff::Timestamp;

use super::entry::{Closing, Entry, Fate, Intent, Key, Noted, RosterFact, RunFact, Seen, Seq};
use super::{Deed, Hold, Invited, Known, Memory, Refused, SETTLING};
use crate::action::Action;
use crate::directory::Uid;
use crate::email::Email;
use crate::revision::Revision;
use crate::role::Role;

impl Memory {
    /// The memory of a ledger that says nothing of this workspace yet.
    pub fn of_ledger() -> Self {
        Self { known: true, ..Self::default() }
    }

    /// Takes in one entry of this workspace. Entries come in the order of their numbers.
    pub fn fold(&mut self, noted: &Noted) {
        let Noted { seq, at, entry } = noted;
        let at = *at;
        self.known = true;
        self.through = *seq;
        self.newest = self.newest.max(Some(at));
        match entry {
            Entry::Begun(_) | Entry::Anchor(_) => {}
            Entry::Roster(fact) => self.roster_in_force(fact),
            Entry::Seen(seen) => self.see(seen, at),
            Entry::Ends { ends } => self.ends.extend(ends.iter().cloned()),
            Entry::Intent(intent) => self.intend(*seq, at, intent),
            Entry::Outcome(closing) => self.close(closing, at),
            Entry::Shown { of } => of.iter().for_each(|seq| self.shown(*seq)),
            Entry::Held { change, by } => self.hold_anew(change, by, at),
            Entry::Released { change } => {
                self.holds.remove(change);
            }
            Entry::ApprovalUsed { budget, email } => {
                self.used.insert((*budget, email.clone()), at);
            }
            Entry::ApprovalGone { budget, email } => {
                self.used.remove(&(*budget, email.clone()));
            }
            Entry::Run(run) => self.ran(run, at),
        }
    }

    /// The newest entry is this run's own from here on: `clock` compares with what was there
    /// before.
    pub fn keep_newest(&mut self, newest: Option<Timestamp>) {
        self.newest = newest;
    }

    /// Drops what happened so long ago that no rule asks for it: what is over and older than
    /// `before`.
    pub fn forget(&mut self, before: Timestamp) {
        // What a later reading may still show is not over.
        let is_open = |deed: &Deed| !deed.shown && deed.fate.may_have_happened();
        self.deeds.retain(|deed| deed.at >= before || is_open(deed));
        self.ends.retain(|end| end.at >= before);
    }

    fn roster_in_force(&mut self, fact: &RosterFact) {
        self.workspace.clone_from(&fact.workspace);
        self.roster = Some(fact.digest.clone());
        self.revision = fact.revision.as_ref().map(|revision| self.index_of(revision));
    }

    fn index_of(&mut self, revision: &Revision) -> u32 {
        let known = self.revisions.iter().rposition(|it| it == revision);
        let index = known.unwrap_or_else(|| {
            self.revisions.push(revision.clone());
            self.revisions.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn see(&mut self, seen: &Seen, at: Timestamp) {
        for (email, uid, role) in &seen.accounts {
            self.see_account(email, uid, role, at);
        }
        let disabled = self.disables(&seen.gone);
        for uid in &seen.gone {
            self.miss_account(uid, disabled.get(uid).copied(), at);
        }
        for (email, role, expired) in &seen.invitations {
            self.see_invitation(email, role, *expired, at);
        }
        for email in &seen.ended {
            self.invitations.remove(email);
        }
    }

    fn see_account(&mut self, email: &Email, uid: &Uid, role: &Role, at: Timestamp) {
        if self.by_address.get(email) != Some(uid)
            && let Some(before) = self.by_address.insert(email.clone(), uid.clone())
        {
            let all = self.before.entry(email.clone()).or_default();
            all.retain(|it| it != uid);
            all.push(before);
        }
        if let Some(known) = self.accounts.get_mut(uid) {
            if known.gone.take().is_some() {
                known.appeared = at;
                known.disabled = false;
            }
            if known.role != *role {
                known.role = role.clone();
                known.role_since = at;
                known.by = None;
            }
            known.email = email.clone();
            return;
        }
        // An account never seen before is how an invitation ends well.
        let by = self.sent.remove(email).and_then(|sent| {
            let (seq, _) = sent.last().copied()?;
            self.deed(seq).and_then(|deed| deed.by)
        });
        self.refused.retain(|key, _| !(key.action.class().invites() && key.email == *email));
        self.accounts.insert(
            uid.clone(),
            Known {
                email: email.clone(),
                role: role.clone(),
                since: at,
                role_since: at,
                gone: None,
                disabled: false,
                appeared: at,
                by,
            },
        );
    }

    /// When each of these accounts was last disabled by us, as far as that may have happened.
    fn disables(&self, uids: &[Uid]) -> HashMap<Uid, Timestamp> {
        if uids.is_empty() {
            return HashMap::new();
        }
        let disables = self.deeds.iter().filter(|deed| {
            matches!(deed.action, Action::Disable { .. })
                && matches!(deed.fate, Fate::Open | Fate::Done | Fate::Unknown)
        });
        disables.filter_map(|deed| Some((deed.action.uid()?.clone(), deed.at))).collect()
    }

    fn miss_account(&mut self, uid: &Uid, disabled: Option<Timestamp>, at: Timestamp) {
        let Some(known) = self.accounts.get_mut(uid) else { return };
        // A listing that lags shows an account for a moment that is long gone; one that stayed
        // had really come back, and what was sent before that is over.
        let stayed = at.duration_since(known.appeared) >= SETTLING;
        if stayed && let Some(sent) = self.sent.get_mut(&known.email) {
            sent.retain(|(_, sent)| *sent > known.appeared);
            if sent.is_empty() {
                self.sent.remove(&known.email);
            }
        }
        known.gone = Some(at);
        known.disabled = disabled.is_some_and(|when| !stayed || when >= known.appeared);
    }

    fn see_invitation(&mut self, email: &Email, role: &Role, expired: bool, at: Timestamp) {
        let last = self.sent.get(email).and_then(|sent| sent.last().copied());
        let by = last.and_then(|(seq, _)| self.deed(seq).and_then(|deed| deed.by));
        // What has run out was sent when it was sent.
        let since = match self.invitations.get(email) {
            Some(before) if expired => before.since,
            Some(before) if !before.expired => before.since,
            _ => at,
        };
        let invited = Invited { role: role.clone(), expired, since, by };
        self.invitations.insert(email.clone(), invited);
    }

    fn intend(&mut self, seq: Seq, at: Timestamp, intent: &Intent) {
        let Intent { action, email, also, foreseen, batch, revision, .. } = intent;
        let by = revision.as_ref().map(|it| self.index_of(it)).or(self.revision);
        if action.class().invites() {
            self.sent.entry(email.clone()).or_default().push((seq, at));
        }
        self.deeds.push(Deed {
            seq,
            at,
            action: action.clone(),
            email: email.clone(),
            also: also.clone(),
            fate: Fate::Open,
            shown: false,
            foreseen: *foreseen,
            batch: *batch,
            by,
        });
    }

    fn deed(&self, seq: Seq) -> Option<&Deed> {
        self.deeds.binary_search_by_key(&seq, |deed| deed.seq).ok().map(|at| &self.deeds[at])
    }

    fn close(&mut self, closing: &Closing, at: Timestamp) {
        let Ok(index) = self.deeds.binary_search_by_key(&closing.of, |deed| deed.seq) else {
            return;
        };
        let deed = &mut self.deeds[index];
        deed.fate = closing.fate;
        let key = Key::of(&deed.action, &deed.email);
        if matches!(closing.fate, Fate::Rejected | Fate::NoEffect) {
            let why = closing.detail.clone().unwrap_or_default();
            let refused =
                self.refused.entry(key).or_insert(Refused { times: 0, last: at, why: why.clone() });
            *refused = Refused { times: refused.times + 1, last: at, why };
        }
        if !closing.fate.may_have_happened()
            && let Some(sent) = self.sent.get_mut(&deed.email)
        {
            sent.retain(|(seq, _)| *seq != closing.of);
            if sent.is_empty() {
                self.sent.remove(&deed.email);
            }
        }
    }

    fn shown(&mut self, seq: Seq) {
        let Ok(index) = self.deeds.binary_search_by_key(&seq, |deed| deed.seq) else { return };
        let deed = &mut self.deeds[index];
        deed.shown = true;
        deed.fate = Fate::Done;
        self.refused.remove(&Key::of(&deed.action, &deed.email));
        if let Some(known) = deed.action.uid().and_then(|uid| self.accounts.get_mut(uid)) {
            match known.gone {
                Some(_) => known.disabled |= deed.action.kind() == "disable",
                None => known.by = deed.by,
            }
        }
        if let Some(invited) = self.invitations.get_mut(&deed.email) {
            invited.by = deed.by;
        }
    }

    fn hold_anew(&mut self, change: &Key, by: &[String], at: Timestamp) {
        let hold = self.holds.entry(change.clone()).or_insert_with(|| Hold {
            since: at,
            by: Vec::new(),
            first: std::collections::BTreeMap::new(),
        });
        hold.by = by.to_vec();
        // An earlier clock may have been ahead.
        hold.since = hold.since.min(at);
        for guard in by {
            let first = hold.first.entry(guard.clone()).or_insert(at);
            *first = (*first).min(at);
        }
    }

    fn ran(&mut self, run: &RunFact, at: Timestamp) {
        if run.status == "converged" {
            self.converged = Some(at);
        }
        let word = match run.status.as_str() {
            // It says nothing of how things are.
            "early" => return,
            "failed" => "failed",
            _ if run.stale => "stale",
            word => word,
        };
        if self.streak.as_ref().is_none_or(|(known, _)| known != word) {
            self.streak = Some((word.to_owned(), at));
        }
    }
}
