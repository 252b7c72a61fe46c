//! A plan under construction: filters the proposed changes and collects the findings.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::change::{Action, Change, Reason};
use super::matching::Matching;
use super::rename::Suspect;
use super::{Facts, Finding, FindingKind, Plan, Rules, fingerprint};
use crate::action::ApprovalItem;
use crate::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use crate::memory::entry::{AttemptStatus, End, EndKind};
use crate::memory::{self, Attempt, Memory, Target, backoff};
use crate::role::Role;
use crate::roster::{Approval, ApprovalState, Member, Roster};

/// A plan under construction.
/// When a finding began, and when something happens next.
type Times = (Option<Timestamp>, Option<Timestamp>);

pub(super) struct Draft<'m> {
    pub now: Timestamp,
    pub rules: Rules,
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
        rules: Rules,
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
            rules,
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
        let (end, scheduled) = self.end(member, &action, reason);
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
            end,
            scheduled,
            resembles: Box::default(),
        });
    }

    /// The end that causes a change, and whether it is scheduled. An end of access is if every
    /// roster of a whole window before it had it.
    fn end(&self, member: &Member, action: &Action, reason: Reason) -> (Option<Timestamp>, bool) {
        match reason {
            Reason::Expired => {
                let Some(at) = member.time.as_deref().and_then(|period| period.ends) else {
                    return (None, false);
                };
                let end = End { email: member.email.clone(), kind: EndKind::Expires, at };
                let since = self.memory.end_since(&end);
                let stood = |since: Timestamp| at.duration_since(since) >= self.rules.end_window;
                (Some(at), since.is_some_and(stood))
            }
            Reason::ElevationEnded => {
                let before = action.uid().and_then(|uid| self.memory.before_elevation(uid));
                let returns = before.is_some() && before == action.to();
                (member.elevation().map(|it| it.until), returns)
            }
            _ => (None, false),
        }
    }

    /// Plans a change, unless it may just have happened or a retry is not due yet.
    pub fn propose(&mut self, change: Change) {
        if let Some(attempt) = self.propagating.get(&memory::target(&change.action, &change.email))
        {
            let (at, answered) = (attempt.at, attempt.status == AttemptStatus::Done);
            let next = at.saturating_add(memory::PROPAGATION_TIME).unwrap_or(at);
            self.wait_for(next);
            let kind = FindingKind::Propagating { answered };
            return self.push_instead(&change, kind, (Some(at), Some(next)));
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
                self.push_instead(&change, FindingKind::Rejected { error }, (since, Some(next)));
            }
            None => {
                let kind = FindingKind::ManualActionRequired { error };
                self.push_instead(&change, kind, (since, None));
            }
        }
    }

    /// Adds a finding in place of a change.
    fn push_instead(&mut self, change: &Change, kind: FindingKind, (since, next): Times) {
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
        self.push(member, kind, member.role_at(self.now), (Some(since), until));
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
        self.push(member, kind, &member.role, (Some(at), Some(next)));
    }

    /// Moves [`Plan::next`] forward to `next`, if that is earlier.
    pub fn wait_for(&mut self, next: Timestamp) {
        self.next = Some(self.next.map_or(next, |earlier| earlier.min(next)));
    }

    pub fn finding(&mut self, member: &Member, kind: FindingKind) {
        self.push(member, kind, member.role_at(self.now), (None, None));
    }

    pub fn push(&mut self, member: &Member, kind: FindingKind, role: &Role, (since, next): Times) {
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

    /// The approvals that release something. Adds a finding for each other one.
    fn pending_approvals(&mut self, roster: &Roster) -> Vec<Approval> {
        let mut pending = Vec::new();
        for approval in roster.approvals() {
            let ApprovalItem { action: budget, email, .. } = approval.item.clone();
            let bound = self.memory.approval(&approval.item);
            let used =
                bound.map_or_else(|| self.memory.approval_used(budget, &email), |bound| bound.used);
            let kind = match bound {
                _ if used.is_some() => FindingKind::ApprovalUsed { budget },
                _ if approval.state != ApprovalState::Counts => {
                    FindingKind::ApprovalNotCounted { budget, why: approval.state }
                }
                Some(bound) if bound.inert => FindingKind::ApprovalInert { budget },
                _ => {
                    pending.push(approval.clone());
                    continue;
                }
            };
            let finding = Finding::new(kind, &email, &Role::none(), Some(approval.place));
            self.findings.push(Finding { since: used, ..finding });
        }
        pending
    }

    pub fn finish(mut self, roster: &Roster) -> Plan {
        let pending_approvals = self.pending_approvals(roster);
        self.changes.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        self.findings.sort_by(|a, b| (&a.email, &a.kind).cmp(&(&b.email, &b.kind)));
        Plan {
            fingerprint: fingerprint(roster.digest(), &self.changes),
            roster: roster.digest(),
            changes: self.changes,
            findings: self.findings,
            facts: self.facts,
            pending_approvals,
            next: self.next,
            has_history: self.memory.is_known(),
            now: self.now,
            zone: self.rules.zone,
        }
    }
}
