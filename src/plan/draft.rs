//! A plan being written: what becomes of each row of the table before it stands in the plan.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::change::{Action, Change, Reason};
use super::matching::Matching;
use super::{Facts, Finding, FindingKind, Fingerprint, PendingApproval, Plan};
use crate::action::BudgetName;
use crate::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use crate::email::Email;
use crate::memory::entry::{AttemptStatus, End, EndKind};
use crate::memory::{self, Attempt, Memory, Target, backoff};
use crate::role::Role;
use crate::roster::{Member, Roster};

/// A plan being written.
pub(super) struct Draft<'m> {
    pub now: Timestamp,
    pub memory: &'m Memory,
    /// What may have happened so shortly before that the reading need not show it.
    pub settling: HashMap<Target<'m>, &'m Attempt>,
    pub losing_admin: HashSet<&'m Uid>,
    changes: Vec<Change>,
    pub findings: Vec<Finding>,
    pub facts: Facts,
    /// When something that waits now may be acted on.
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
            managed: matching.managed(),
            accounts: accounts.len(),
            admins: accounts.iter().filter(|account| account.role.is_admin()).count(),
            server_time: snapshot.server_time(),
            ..Facts::default()
        };
        Self {
            now,
            memory,
            settling: memory.propagating(now),
            losing_admin: memory.losing_admin(now),
            changes: Vec::new(),
            findings: Vec::new(),
            facts,
            next: None,
        }
    }

    pub fn change(
        &mut self,
        member: &Member,
        account: Option<&Account>,
        action: Action,
        reason: Reason,
    ) {
        let theirs = account.map(|account| &account.email).filter(|email| **email != member.email);
        let aliases = member.aliases.iter().filter(|alias| Some(*alias) != theirs);
        let scheduled = self.is_foreseen(member, reason);
        self.propose(Change {
            action,
            email: member.email.clone(),
            also: theirs.into_iter().chain(aliases).cloned().collect(),
            reason,
            place: Some(member.place),
            name: account.and_then(|a| a.name.clone()).or_else(|| member.name.clone()),
            dated: member.time.is_some(),
            scheduled,
        });
    }

    /// Whether an earlier run saw the end that asks for this while it lay ahead.
    fn is_foreseen(&self, member: &Member, reason: Reason) -> bool {
        let (kind, at) = match reason {
            Reason::Expired => {
                (EndKind::Expires, member.time.as_deref().and_then(|period| period.ends))
            }
            Reason::ElevationEnded => {
                (EndKind::Elevation, member.elevation().map(|elevation| elevation.until))
            }
            _ => return false,
        };
        at.is_some_and(|at| {
            self.memory.is_known_end(&End { email: member.email.clone(), kind, at })
        })
    }

    /// Plans a change, unless it may have happened a moment ago or was refused too recently.
    pub fn propose(&mut self, change: Change) {
        if let Some(attempt) = self.settling.get(&memory::target(&change.action, &change.email)) {
            let (at, answered) = (attempt.at, attempt.status == AttemptStatus::Done);
            let next = at.saturating_add(memory::SETTLING).unwrap_or(at);
            self.wait_for(next);
            let kind = FindingKind::Propagating { answered };
            return self.instead(&change, kind, Some(at), Some(next));
        }
        let Some(refused) = self.memory.rejection(&change.action, &change.email) else {
            return self.changes.push(change);
        };
        let (since, why) = (Some(refused.last), refused.why.clone());
        let next = backoff::next(&backoff::REJECTIONS, refused.times, refused.last);
        match next.filter(|_| change.reason != Reason::Readded) {
            Some(next) if next <= self.now => self.changes.push(change),
            Some(next) => {
                self.wait_for(next);
                self.instead(&change, FindingKind::Refused { why }, since, Some(next));
            }
            None => self.instead(&change, FindingKind::NeedsPerson { why }, since, None),
        }
    }

    fn instead(
        &mut self,
        change: &Change,
        kind: FindingKind,
        since: Option<Timestamp>,
        next: Option<Timestamp>,
    ) {
        let role = change.to().or(change.from()).cloned();
        let Some(role) = role else { return };
        let (email, place) = (change.email.clone(), change.place);
        self.findings.push(Finding { kind, email, role, place, since, next });
    }

    pub fn settles(&mut self, member: &Member, at: Timestamp) {
        let next = at.saturating_add(memory::SETTLING).unwrap_or(at);
        self.wait_for(next);
        let theirs =
            |attempt: &&&Attempt| member.addresses().any(|address| *address == attempt.email);
        let invitations = self.settling.values().filter(|attempt| attempt.action.class().invites());
        let answered =
            invitations.filter(theirs).any(|attempt| attempt.status == AttemptStatus::Done);
        let kind = FindingKind::Propagating { answered };
        self.push(member, kind, member.role.clone(), Some(at), Some(next));
    }

    pub fn wait_for(&mut self, next: Timestamp) {
        self.next = Some(self.next.map_or(next, |earlier| earlier.min(next)));
    }

    pub fn finding(&mut self, member: &Member, kind: FindingKind) {
        let role = member.role_at(self.now).clone();
        self.push(member, kind, role, None, None);
    }

    pub fn push(
        &mut self,
        member: &Member,
        kind: FindingKind,
        role: Role,
        since: Option<Timestamp>,
        next: Option<Timestamp>,
    ) {
        let (email, place) = (member.email.clone(), Some(member.place));
        self.findings.push(Finding { kind, email, role, place, since, next });
    }

    pub fn of_invitation(
        &mut self,
        kind: FindingKind,
        invitation: &Invitation,
        member: Option<&Member>,
        since: Option<Timestamp>,
    ) {
        self.unknown_status(invitation, member);
        self.findings.push(Finding {
            kind,
            email: invitation.email.clone(),
            role: invitation.role.clone(),
            place: member.map(|member| member.place),
            since,
            next: None,
        });
    }

    pub fn unknown_status(&mut self, invitation: &Invitation, member: Option<&Member>) {
        if let InviteStatus::Unknown(status) = &invitation.status {
            self.findings.push(Finding {
                kind: FindingKind::UnknownStatus { status: status.clone() },
                email: invitation.email.clone(),
                role: invitation.role.clone(),
                place: member.map(|member| member.place),
                since: None,
                next: None,
            });
        }
    }

    /// The lines of `approvals:`, and what of them is over or leads to nothing.
    fn approvals(&mut self, roster: &Roster) -> Vec<PendingApproval> {
        let mut granted = Vec::new();
        if roster.approvals().is_empty() {
            return granted;
        }
        let wanted = wanted(&self.changes);
        for approval in roster.approvals() {
            let budget = approval.budget;
            for (email, place) in &approval.people {
                let used = self.memory.approval_used(budget, email);
                let kind = if used.is_some() {
                    FindingKind::ApprovalUsed { budget }
                } else {
                    granted.push(PendingApproval { budget, email: email.clone() });
                    if wanted.contains(&(budget, email)) {
                        continue;
                    }
                    FindingKind::ApprovalIdle { budget }
                };
                self.findings.push(Finding {
                    kind,
                    email: email.clone(),
                    role: Role::Other(Box::default()),
                    place: Some(*place),
                    since: used,
                    next: None,
                });
            }
        }
        granted
    }

    pub fn finish(mut self, roster: &Roster) -> Plan {
        let granted = self.approvals(roster);
        self.changes.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        self.findings.sort_by(|a, b| (&a.email, &a.kind).cmp(&(&b.email, &b.kind)));
        Plan {
            fingerprint: Fingerprint::of(roster.digest(), &self.changes),
            roster: roster.digest(),
            changes: self.changes,
            findings: self.findings,
            facts: self.facts,
            granted,
            next: self.next,
            has_history: self.memory.is_known(),
            now: self.now,
        }
    }
}

/// What each change would be released by.
fn wanted(changes: &[Change]) -> HashSet<(BudgetName, &Email)> {
    let of = |change: &'_ Change, budget: BudgetName| budget.counts(&change.action);
    let mut wanted = HashSet::new();
    for change in changes {
        for budget in BudgetName::ALL.into_iter().filter(|budget| of(change, *budget)) {
            wanted.extend(change.addresses().map(|email| (budget, email)));
        }
    }
    wanted
}
