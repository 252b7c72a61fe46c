//! Folds entries into a memory.

use std::collections::HashMap;

use jiff::Timestamp;

use super::entry::{
    Acceptable, AttemptStatus, End, EndKind, Entry, Intent, Key, OutcomeEntry, Record,
    RosterRecord, RunRecord, Seen, Seq,
};
use super::{AccountRecord, Attempt, Hold, Invited, Memory, PROPAGATION_TIME, Rejection};
use crate::action::Action;
use crate::directory::Uid;
use crate::email::Email;
use crate::revision::Revision;
use crate::role::Role;
use crate::status::{Health, RunStatus};

impl Memory {
    /// The memory of a ledger without entries of this workspace.
    pub fn of_ledger() -> Self {
        Self { known: true, ..Self::default() }
    }

    /// Adds one entry of this workspace. Entries must be in the order of their numbers.
    pub fn fold(&mut self, record: &Record) {
        let Record { seq, at, entry } = record;
        let at = *at;
        self.known = true;
        self.through = *seq;
        self.newest = self.newest.max(Some(at));
        match entry {
            Entry::LedgerCreated(_) | Entry::Anchor(_) => {}
            Entry::Roster(roster) => self.use_roster(roster),
            Entry::Seen(seen) => self.see(seen, at),
            Entry::Ends { ends, withdrawn } => self.see_ends(ends, withdrawn, at),
            Entry::Intent(intent) => self.add_intent(*seq, at, intent),
            Entry::Outcome(outcome) => self.add_outcome(outcome, at),
            Entry::Shown { of } => of.iter().for_each(|seq| self.shown(*seq, at)),
            Entry::Rename(rename) => self.add_rename(rename, at),
            Entry::Held { change, by } => self.add_hold(change, by, at),
            Entry::Released { change } => {
                self.holds.remove(change);
            }
            Entry::ApprovalUsed { budget, email } => {
                self.used.insert((*budget, email.clone()), at);
            }
            Entry::ApprovalGone { budget, email, reason } => {
                self.unbind(*budget, email, reason.as_ref());
            }
            Entry::Approval(approval) => self.bind(approval),
            Entry::Set { budget, members } => self.add_set(*seq, *budget, members),
            Entry::SetEnded { of } => self.sets.retain(|set| !of.contains(&set.seq)),
            Entry::Run(run) => self.add_run(run, at),
            Entry::Place(place) => self.place = Some(place.clone()),
            Entry::Accepted(accepted) => match accepted.what {
                // The accounts that are gone follow in an entry of their own; the clone of the
                // repository knows the commit.
                Acceptable::Listing | Acceptable::History => {}
                Acceptable::Place => self.place.clone_from(&accepted.place),
                // Earlier entries were written by a clock that was ahead.
                Acceptable::Clock => self.newest = Some(at),
            },
            Entry::Continued { memory, .. } => {
                let newest = self.newest.max(memory.newest);
                *self = Self { known: true, through: *seq, newest, ..Self::clone(memory) };
            }
            Entry::Closed { .. } => {
                *self = Self { through: *seq, newest: Some(at), ..Self::of_ledger() };
            }
        }
    }

    /// Adds what a run would write now. What is known of the ledger stays as it is.
    pub fn preview(&mut self, entries: Vec<Entry>, at: Timestamp) {
        let (known, newest) = (self.known, self.newest);
        for entry in entries {
            self.fold(&Record { seq: self.through + 1, at, entry });
        }
        (self.known, self.newest) = (known, newest);
    }

    /// Sets the time of the newest entry. The guard `clock` ignores the entries of its own run.
    pub fn keep_newest(&mut self, newest: Option<Timestamp>) {
        self.newest = newest;
    }

    /// Drops finished attempts that are older than `before`. The signs of another address stay: an
    /// account that is gone may come back.
    pub fn prune(&mut self, before: Timestamp) {
        let Self { attempts, sent, .. } = self;
        // A later listing may still show the effect, or the invitation may still be accepted.
        let is_open = |attempt: &Attempt| !attempt.shown && attempt.status.may_have_happened();
        let is_invited = |attempt: &Attempt| {
            let sent = sent.get(&attempt.email).into_iter().flatten();
            sent.map(|(seq, _)| *seq).any(|seq| seq == attempt.seq)
        };
        attempts.retain(|it| it.at >= before || is_open(it) || is_invited(it));
    }

    fn use_roster(&mut self, roster: &RosterRecord) {
        self.workspace.clone_from(&roster.workspace);
        self.roster = Some(roster.digest.clone());
        self.revision = roster.revision.as_ref().map(|revision| self.index_of(revision));
    }

    pub(super) fn index_of(&mut self, revision: &Revision) -> u32 {
        let known = self.revisions.iter().rposition(|known| known == revision);
        let index = known.unwrap_or_else(|| {
            self.revisions.push(revision.clone());
            self.revisions.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn see_ends(&mut self, ends: &[End], withdrawn: &[End], at: Timestamp) {
        self.ends.retain(|end, _| !withdrawn.contains(end));
        self.ends.extend(ends.iter().map(|end| (end.clone(), at)));
        for end in withdrawn.iter().filter(|end| end.kind == EndKind::Elevation) {
            let is_theirs = |it: &End| it.kind == EndKind::Elevation && it.email == end.email;
            if !self.ends.keys().any(is_theirs) {
                // The role is not one of an elevation any more.
                for account in self.accounts.values_mut() {
                    account.elevated.take_if(|(email, _)| *email == end.email);
                }
            }
        }
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
        self.spend_approvals(uid, Some((role, email)), at);
        if self.by_address.get(email) != Some(uid)
            && let Some(before) = self.by_address.insert(email.clone(), uid.clone())
        {
            let all = self.before.entry(email.clone()).or_default();
            all.retain(|former| former != uid);
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
                (known.by, known.elevated, known.approval) = (None, None, None);
            }
            known.email = email.clone();
            return;
        }
        // A new account is the result of an accepted invitation.
        let sent = self.sent.remove(email).unwrap_or_default();
        let inviter = self.inviter(&sent);
        let (by, approval) = inviter.map(|it| (it.by, it.approval.clone())).unwrap_or_default();
        self.drop_rejected_invitations(email);
        let account = AccountRecord {
            email: email.clone(),
            role: role.clone(),
            since: at,
            role_since: at,
            gone: None,
            disabled: false,
            appeared: at,
            elevated: None,
            by,
            approval,
        };
        self.accounts.insert(uid.clone(), account);
    }

    /// When rosterd last disabled each of these accounts, or may have.
    fn disables(&self, uids: &[Uid]) -> HashMap<Uid, Timestamp> {
        if uids.is_empty() {
            return HashMap::new();
        }
        let disables = self.attempts.iter().filter(|attempt| {
            matches!(attempt.action, Action::Disable { .. }) && attempt.is_propagating()
        });
        disables.filter_map(|attempt| Some((attempt.action.uid()?.clone(), attempt.at))).collect()
    }

    fn miss_account(&mut self, uid: &Uid, disabled: Option<Timestamp>, at: Timestamp) {
        let Some(known) = self.accounts.get_mut(uid) else { return };
        // A stale listing can show a removed account for a moment. An account that stayed longer
        // had really come back, so earlier invitations are finished.
        let (appeared, stayed) =
            (known.appeared, at.duration_since(known.appeared) >= PROPAGATION_TIME);
        known.gone = Some(at);
        known.elevated = None;
        known.disabled = disabled.is_some_and(|when| !stayed || when >= appeared);
        if stayed {
            let email = known.email.clone();
            self.retain_sent(&email, |_, sent| sent > appeared);
            self.drop_rejected_invitations(&email);
        }
        self.spend_approvals(uid, None, at);
    }

    fn see_invitation(&mut self, email: &Email, role: &Role, expired: bool, at: Timestamp) {
        self.spend_invitation(email, role, at);
        let inviter = self.sent.get(email).and_then(|sent| self.inviter(sent));
        let by = inviter.and_then(|it| it.by);
        // Expiry does not change when it was first seen.
        let since = match self.invitations.get(email) {
            Some(before) if expired => before.since,
            Some(before) if !before.expired => before.since,
            _ => at,
        };
        let invited = Invited { role: role.clone(), expired, since, by };
        self.invitations.insert(email.clone(), invited);
    }

    fn add_intent(&mut self, seq: Seq, at: Timestamp, intent: &Intent) {
        let Intent { action, email, also, scheduled, elevates, batch, revision, .. } = intent;
        let by = revision.as_ref().map(|revision| self.index_of(revision)).or(self.revision);
        if action.class().invites() {
            self.sent.entry(email.clone()).or_default().push((seq, at));
        }
        let attempt = Attempt {
            seq,
            at,
            action: action.clone(),
            email: email.clone(),
            also: also.clone(),
            status: AttemptStatus::Open,
            shown: false,
            scheduled: *scheduled,
            elevates: *elevates,
            approval: intent.approval.clone(),
            approved: intent.approved.clone(),
            batch: *batch,
            by,
        };
        self.count_in_sets(&attempt);
        self.attempts.push(attempt);
    }

    pub(super) fn index_of_attempt(&self, seq: Seq) -> Option<usize> {
        self.attempts.binary_search_by_key(&seq, |attempt| attempt.seq).ok()
    }

    /// The last of these invitations.
    fn inviter(&self, sent: &[(Seq, Timestamp)]) -> Option<&Attempt> {
        let (seq, _) = sent.last()?;
        Some(&self.attempts[self.index_of_attempt(*seq)?])
    }

    /// Keeps the invitations to an address that match.
    fn retain_sent(&mut self, email: &Email, keep: impl Fn(Seq, Timestamp) -> bool) {
        if let Some(sent) = self.sent.get_mut(email) {
            sent.retain(|(seq, at)| keep(*seq, *at));
            if sent.is_empty() {
                self.sent.remove(email);
            }
        }
    }

    fn drop_rejected_invitations(&mut self, email: &Email) {
        self.rejections.retain(|key, _| !(key.action.class().invites() && key.email == *email));
    }

    fn add_outcome(&mut self, outcome: &OutcomeEntry, at: Timestamp) {
        let Some(index) = self.index_of_attempt(outcome.of) else { return };
        let attempt = &mut self.attempts[index];
        attempt.status = outcome.status;
        let key = Key::of(&attempt.action, &attempt.email);
        if matches!(outcome.status, AttemptStatus::Rejected | AttemptStatus::NoEffect) {
            let why = outcome.detail.clone().unwrap_or_default();
            let times = self.rejections.get(&key).map_or(1, |earlier| earlier.times + 1);
            self.rejections.insert(key, Rejection { times, last: at, why });
        }
        let subject = attempt.action.subject(&attempt.email);
        if !attempt.is_propagating() {
            self.recount_in_sets(&subject);
        }
        let attempt = &self.attempts[index];
        if !outcome.status.may_have_happened() {
            let email = attempt.email.clone();
            self.retain_sent(&email, |seq, _| seq != outcome.of);
        }
    }

    fn shown(&mut self, seq: Seq, at: Timestamp) {
        let Some(index) = self.index_of_attempt(seq) else { return };
        let attempt = &mut self.attempts[index];
        attempt.shown = true;
        attempt.status = AttemptStatus::Done;
        let attempt = attempt.clone();
        self.count_in_sets(&attempt);
        self.rejections.remove(&Key::of(&attempt.action, &attempt.email));
        if let Some(known) = attempt.action.uid().and_then(|uid| self.accounts.get_mut(uid)) {
            if known.gone.is_some() {
                known.disabled |= attempt.action.kind() == "disable";
            } else {
                (known.by, known.approval) = (attempt.by, attempt.approval.clone());
                let from = attempt.action.from().filter(|_| attempt.elevates);
                known.elevated = from.map(|from| (attempt.email.clone(), from.clone()));
            }
        }
        if let Some(invited) = self.invitations.get_mut(&attempt.email) {
            invited.by = attempt.by;
        }
        self.spend_by(&attempt.action, &attempt.email, at);
    }

    fn add_hold(&mut self, change: &Key, by: &[String], at: Timestamp) {
        let new = || Hold { since: at, by: Vec::new() };
        let hold = self.holds.entry(change.clone()).or_insert_with(new);
        hold.by = by.to_vec();
        // The clock may have been ahead before.
        hold.since = hold.since.min(at);
    }

    fn add_run(&mut self, run: &RunRecord, at: Timestamp) {
        if run.status == RunStatus::Converged {
            self.converged = Some(at);
        }
        let Some(health) = Health::of(run.status, run.stale) else { return };
        if self.streak.is_none_or(|(known, _)| known != health) {
            self.streak = Some((health, at));
        }
    }
}
