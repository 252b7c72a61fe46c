//! A plan under construction: filters the proposed changes and collects the findings.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::change::{Action, Change, Reason};
use super::matching::Matching;
use super::rename::Suspect;
use super::{Facts, Finding, FindingKind, Fingerprint, PendingApproval, Plan};
use crate::action::BudgetName;
use crate::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use crate::email::Email;
use crate::memory::entry::{AttemptStatus, End, EndKind};
use crate::memory::{self, Attempt, Memory, Target, backoff};
use crate::role::Role;
use crate::roster::{Member, Roster};

/// A plan under construction.
pub(super) struct Draft<'m> {
    pub now: Timestamp,
    pub memory: &'m Memory,
    /// Recent attempts that the snapshot may not show yet.
    propagating: HashMap<Target<'m>, &'m Attempt>,
    pub losing_admin: HashSet<&'m Uid>,
    pub changes: Vec<Change>,
    pub findings: Vec<Finding>,
    pub facts: Facts,
    /// The first instant at which a pending finding becomes due.
    next: Option<Timestamp>,
}

impl<'m> Draft<'m> {
    pub fn new(
        now: Timestamp,
        snapshot: &Snapshot,
        matching: &Matching<'_>,
        memory: &'m Memory,
    ) -> Self {
        let accounts = snapshot.accounts();
        let facts = Facts {
            managed: matching.managed,
            accounts: accounts.len(),
            admins: accounts.iter().filter(|account| account.role.is_admin()).count(),
            server_time: snapshot.server_time(),
            ..Facts::default()
        };
        Self {
            now,
            memory,
            propagating: memory.propagating(now),
            losing_admin: memory.losing_admin(now),
            changes: Vec::new(),
            findings: Vec::new(),
            facts,
            next: None,
        }
    }

    /// Proposes a change of a member.
    pub fn change(
        &mut self,
        member: &Member,
        account: Option<&Account>,
        action: Action,
        reason: Reason,
    ) {
        let current = account.map(|account| &account.email).filter(|email| **email != member.email);
        let aliases = member.aliases.iter().filter(|alias| Some(*alias) != current);
        let scheduled = self.is_scheduled(member, reason);
        self.propose(Change {
            action,
            email: member.email.clone(),
            listed: current.cloned(),
            aliases: aliases.cloned().collect(),
            reason,
            place: Some(member.place),
            name: account.and_then(|a| a.name.clone()).or_else(|| member.name.clone()),
            suspect: None,
            dated: member.time.is_some(),
            scheduled,
            resembles: Box::default(),
        });
    }

    /// Whether an earlier run saw the date that causes this while it was in the future.
    fn is_scheduled(&self, member: &Member, reason: Reason) -> bool {
        let ends = member.time.as_deref().and_then(|period| period.ends);
        let (kind, at) = match reason {
            Reason::Expired => (EndKind::Expires, ends),
            Reason::ElevationEnded => (EndKind::Elevation, member.elevation().map(|it| it.until)),
            _ => return false,
        };
        at.is_some_and(|at| {
            self.memory.is_known_end(&End { email: member.email.clone(), kind, at })
        })
    }

    /// Plans a change, unless it may just have happened or a retry is not due yet.
    pub fn propose(&mut self, change: Change) {
        if let Some(attempt) = self.propagating.get(&memory::target(&change.action, &change.email))
        {
            let (at, answered) = (attempt.at, attempt.status == AttemptStatus::Done);
            let next = at.saturating_add(memory::PROPAGATION_TIME).unwrap_or(at);
            self.wait_for(next);
            let kind = FindingKind::Propagating { answered };
            return self.push_instead(&change, kind, Some(at), Some(next));
        }
        let Some(rejected) = self.memory.rejection(&change.action, &change.email) else {
            return self.changes.push(change);
        };
        let (since, error) = (Some(rejected.last), rejected.why.clone());
        let next = backoff::next(&backoff::REJECTIONS, rejected.times, rejected.last);
        match next {
            Some(next) if next <= self.now => self.changes.push(change),
            Some(next) => {
                self.wait_for(next);
                self.push_instead(&change, FindingKind::Rejected { error }, since, Some(next));
            }
            None => {
                let kind = FindingKind::ManualActionRequired { error };
                self.push_instead(&change, kind, since, None);
            }
        }
    }

    /// Adds a finding in place of a change.
    fn push_instead(
        &mut self,
        change: &Change,
        kind: FindingKind,
        since: Option<Timestamp>,
        next: Option<Timestamp>,
    ) {
        let Some(role) = change.action.to().or(change.action.from()) else { return };
        let finding = Finding::new(kind, &change.email, role, change.place);
        self.findings.push(Finding { since, next, ..finding });
    }

    /// Adds a finding for the member whose the account may be.
    pub fn suspect(&mut self, suspect: &Suspect<'_>) {
        let Suspect { account, member, since, until } = *suspect;
        if let Some(until) = until {
            self.wait_for(until);
        }
        let kind = FindingKind::MaybeRenamed { account: account.email.clone() };
        self.push(member, kind, member.role_at(self.now), Some(since), until);
    }

    /// Adds a finding for an invitation that was sent at `at` and is not in the snapshot yet.
    pub fn propagating_invitation(&mut self, member: &Member, at: Timestamp) {
        let next = at.saturating_add(memory::PROPAGATION_TIME).unwrap_or(at);
        self.wait_for(next);
        let answered = self.propagating.values().any(|attempt| {
            attempt.status == AttemptStatus::Done
                && attempt.action.class().invites()
                && member.addresses().any(|address| *address == attempt.email)
        });
        let kind = FindingKind::Propagating { answered };
        self.push(member, kind, &member.role, Some(at), Some(next));
    }

    /// Moves [`Plan::next`] forward to `next`, if that is earlier.
    pub fn wait_for(&mut self, next: Timestamp) {
        self.next = Some(self.next.map_or(next, |earlier| earlier.min(next)));
    }

    pub fn finding(&mut self, member: &Member, kind: FindingKind) {
        self.push(member, kind, member.role_at(self.now), None, None);
    }

    pub fn push(
        &mut self,
        member: &Member,
        kind: FindingKind,
        role: &Role,
        since: Option<Timestamp>,
        next: Option<Timestamp>,
    ) {
        let finding = Finding::new(kind, &member.email, role, Some(member.place));
        self.findings.push(Finding { since, next, ..finding });
    }

    pub fn invitation_finding(
        &mut self,
        kind: FindingKind,
        invitation: &Invitation,
        member: Option<&Member>,
        since: Option<Timestamp>,
    ) {
        self.unknown_status(invitation, member);
        let place = member.map(|member| member.place);
        let finding = Finding::new(kind, &invitation.email, &invitation.role, place);
        self.findings.push(Finding { since, ..finding });
    }

    pub fn unknown_status(&mut self, invitation: &Invitation, member: Option<&Member>) {
        if let InviteStatus::Unknown(status) = &invitation.status {
            let kind = FindingKind::UnknownStatus { status: status.clone() };
            let place = member.map(|member| member.place);
            self.findings.push(Finding::new(kind, &invitation.email, &invitation.role, place));
        }
    }

    /// The unused approvals. Adds a finding for each that has been used or matches no change.
    fn pending_approvals(&mut self, roster: &Roster) -> Vec<PendingApproval> {
        let mut pending = Vec::new();
        if roster.approvals().is_empty() {
            return pending;
        }
        let counted = self.changes.iter().flat_map(|change| {
            let budgets = BudgetName::ALL.into_iter().filter(|it| it.counts(&change.action));
            budgets.map(|budget| (budget, &change.email))
        });
        let needed: HashSet<(BudgetName, &Email)> = counted.collect();
        for approval in roster.approvals() {
            let budget = approval.budget;
            for (email, place) in &approval.people {
                let used = self.memory.approval_used(budget, email);
                let kind = if used.is_some() {
                    FindingKind::ApprovalUsed { budget }
                } else {
                    pending.push(PendingApproval { budget, email: email.clone() });
                    if needed.contains(&(budget, email)) {
                        continue;
                    }
                    FindingKind::ApprovalIdle { budget }
                };
                let finding = Finding::new(kind, email, &Role::none(), Some(*place));
                self.findings.push(Finding { since: used, ..finding });
            }
        }
        pending
    }

    pub fn finish(mut self, roster: &Roster) -> Plan {
        let pending_approvals = self.pending_approvals(roster);
        self.changes.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        self.findings.sort_by(|a, b| (&a.email, &a.kind).cmp(&(&b.email, &b.kind)));
        Plan {
            fingerprint: Fingerprint::of(roster.digest(), &self.changes),
            roster: roster.digest(),
            changes: self.changes,
            findings: self.findings,
            facts: self.facts,
            pending_approvals,
            next: self.next,
            has_history: self.memory.is_known(),
            now: self.now,
        }
    }
}
