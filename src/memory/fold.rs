//! Entries, one after the other, become a memory.

use std::collections::HashMap;

use jiff::Timestamp;

use super::entry::{
    AttemptStatus, Entry, Intent, Key, OutcomeEntry, Record, RosterRecord, RunRecord, Seen, Seq,
};
use super::{AccountRecord, Attempt, Hold, Invited, Memory, Refused, SETTLING};
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
    pub fn fold(&mut self, noted: &Record) {
        let Record { seq, at, entry } = noted;
        let at = *at;
        self.known = true;
        self.through = *seq;
        self.newest = self.newest.max(Some(at));
        match entry {
            Entry::LedgerCreated(_) | Entry::Anchor(_) => {}
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
    pub fn prune(&mut self, before: Timestamp) {
        // What a later reading may still show is not over.
        let is_open = |attempt: &Attempt| !attempt.shown && attempt.status.may_have_happened();
        self.attempts.retain(|attempt| attempt.at >= before || is_open(attempt));
        self.ends.retain(|end| end.at >= before);
    }

    fn roster_in_force(&mut self, fact: &RosterRecord) {
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
            self.attempt(seq).and_then(|attempt| attempt.by)
        });
        self.refused.retain(|key, _| !(key.action.class().invites() && key.email == *email));
        self.accounts.insert(
            uid.clone(),
            AccountRecord {
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
        let disables = self.attempts.iter().filter(|attempt| {
            matches!(attempt.action, Action::Disable { .. })
                && matches!(
                    attempt.status,
                    AttemptStatus::Open | AttemptStatus::Done | AttemptStatus::Unknown
                )
        });
        disables.filter_map(|attempt| Some((attempt.action.uid()?.clone(), attempt.at))).collect()
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
        let by = last.and_then(|(seq, _)| self.attempt(seq).and_then(|attempt| attempt.by));
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
        let Intent { action, email, also, scheduled, batch, revision, .. } = intent;
        let by = revision.as_ref().map(|it| self.index_of(it)).or(self.revision);
        if action.class().invites() {
            self.sent.entry(email.clone()).or_default().push((seq, at));
        }
        self.attempts.push(Attempt {
            seq,
            at,
            action: action.clone(),
            email: email.clone(),
            also: also.clone(),
            status: AttemptStatus::Open,
            shown: false,
            scheduled: *scheduled,
            batch: *batch,
            by,
        });
    }

    fn attempt(&self, seq: Seq) -> Option<&Attempt> {
        self.attempts
            .binary_search_by_key(&seq, |attempt| attempt.seq)
            .ok()
            .map(|at| &self.attempts[at])
    }

    fn close(&mut self, closing: &OutcomeEntry, at: Timestamp) {
        let Ok(index) = self.attempts.binary_search_by_key(&closing.of, |attempt| attempt.seq)
        else {
            return;
        };
        let attempt = &mut self.attempts[index];
        attempt.status = closing.status;
        let key = Key::of(&attempt.action, &attempt.email);
        if matches!(closing.status, AttemptStatus::Rejected | AttemptStatus::NoEffect) {
            let why = closing.detail.clone().unwrap_or_default();
            let refused =
                self.refused.entry(key).or_insert(Refused { times: 0, last: at, why: why.clone() });
            *refused = Refused { times: refused.times + 1, last: at, why };
        }
        if !closing.status.may_have_happened()
            && let Some(sent) = self.sent.get_mut(&attempt.email)
        {
            sent.retain(|(seq, _)| *seq != closing.of);
            if sent.is_empty() {
                self.sent.remove(&attempt.email);
            }
        }
    }

    fn shown(&mut self, seq: Seq) {
        let Ok(index) = self.attempts.binary_search_by_key(&seq, |attempt| attempt.seq) else {
            return;
        };
        let attempt = &mut self.attempts[index];
        attempt.shown = true;
        attempt.status = AttemptStatus::Done;
        self.refused.remove(&Key::of(&attempt.action, &attempt.email));
        if let Some(known) = attempt.action.uid().and_then(|uid| self.accounts.get_mut(uid)) {
            match known.gone {
                Some(_) => known.disabled |= attempt.action.kind() == "disable",
                None => known.by = attempt.by,
            }
        }
        if let Some(invited) = self.invitations.get_mut(&attempt.email) {
            invited.by = attempt.by;
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

    fn ran(&mut self, run: &RunRecord, at: Timestamp) {
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
