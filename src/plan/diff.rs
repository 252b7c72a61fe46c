//! The comparison of roster and directory: one row of this table for every member, and for every
//! account and invitation without a member.
//!
//! | roster | directory and history | plan |
//! |---|---|---|
//! | member | nothing, never seen | invite |
//! | member | nothing; had an account, not disabled by rosterd | invite; held by `vanished` |
//! | member | nothing; had an account, disabled by rosterd | invite; once rejected, needs action |
//! | member | nothing; an invitation may have been sent | propagating, pending, then reinvite |
//! | member | account, same role | in sync |
//! | member | account, other role | update role, by uid |
//! | member | account under an alias, or with a uid seen before | as above, with a finding |
//! | member | pending invitation | pending; cannot be changed before it is accepted |
//! | member | expired invitation | reinvite with backoff |
//! | member | several accounts | needs action; no change |
//! | member, `starts` in the future | account | pending; no change until then |
//! | member, `starts` in the future | nothing, or an invitation | info; no change until then |
//! | member, expired | account (each of several) | disable, also with `on_removed: report` |
//! | member, expired | invitation | as for an invitation that is not in the roster |
//! | member | invited; a new account under another address | needs action; no invitation |
//! | not in the roster | account that may be a member's | disable; held by `rename` |
//! | not in the roster | account (each of several) | disable, or drift with `on_removed: report` |
//! | not in the roster | pending invitation | needs action: the API cannot withdraw it |
//! | not in the roster | expired invitation | info |
//! | not in the roster | account that resembles a member | as above; held by `lookalike` |
//! | member | an account or pending invitation resembles it | as above; held by `lookalike` |
//! | unmanaged | anything | ignored, not counted |
//!
//! Every change passes `Draft::propose`: a change that may just have happened is propagating, and
//! a change that the API rejected is retried with backoff.

use jiff::Timestamp;

use super::change::{Action, Change, Reason};
use super::draft::Draft;
use super::matching::{Found, Matching};
use super::rename::Suspects;
use super::{Finding, FindingKind, OnRemoved, Plan, Rules};
use crate::directory::{Account, Invitation, InviteStatus, Snapshot};
use crate::email::Email;
use crate::memory::{self, Memory, backoff};
use crate::role::Role;
use crate::roster::{Member, Phase, Roster};

/// Compares roster and snapshot. The result does not depend on the order of either.
pub fn plan(
    roster: &Roster,
    snapshot: &Snapshot,
    memory: &Memory,
    rules: Rules,
    now: Timestamp,
) -> Plan {
    let matching = Matching::new(roster, snapshot, memory);
    let mut draft = Draft::new(now, rules, snapshot, &matching, memory);
    draft.facts.members = roster.members().len();
    let suspects = Suspects::new(&matching, memory, now);
    let arrived = suspects.arrived();
    for (member, found) in matching.members() {
        // Who may have arrived under another address is not invited again.
        if !arrived.contains(&member.email) {
            draft.member(member, found);
        }
    }
    suspects.iter().for_each(|suspect| draft.suspect(suspect));
    for account in &matching.unmatched_accounts {
        draft.unmatched_account(account, &suspects);
    }
    for invitation in &matching.unmatched_invitations {
        draft.unexpected_invitation(invitation, None);
    }
    draft.lookalikes(&matching);
    for pattern in roster.idle_patterns(&matching.unmanaged) {
        let (email, kind) = (Email::remote(&pattern.written), FindingKind::UnmanagedIdle);
        draft.findings.push(Finding::new(kind, &email, &Role::none(), Some(pattern.place)));
    }
    draft.finish(roster)
}

impl Draft<'_> {
    fn member(&mut self, member: &Member, found: &Found<'_>) {
        match (&found.accounts[..], member.phase(self.now)) {
            ([], phase) => self.without_account(member, found.invitation, phase),
            ([account], phase) => self.with_account(member, account, phase),
            (several, Phase::Past) => {
                for account in several {
                    self.with_account(member, account, Phase::Past);
                }
            }
            (several, _) => {
                let accounts = several.iter().map(|account| account.email.clone()).collect();
                self.finding(member, FindingKind::SeveralAccounts { accounts });
            }
        }
    }

    fn with_account(&mut self, member: &Member, account: &Account, phase: Phase) {
        if account.email != member.email {
            self.finding(member, FindingKind::EmailDiffers { account: account.email.clone() });
        }
        let is_permanent = account.role.is_admin() && member.role.is_admin();
        if is_permanent && !self.losing_admin.contains(&account.uid) {
            self.facts.permanent_admins.insert(account.uid.clone());
        }
        match phase {
            Phase::Present => self.role(member, account),
            Phase::Past => self.change(member, Some(account), disable(account), Reason::Expired),
            Phase::Future => {
                if let Some(at) = member.time.as_deref().and_then(|period| period.starts) {
                    self.finding(member, FindingKind::ActiveBeforeStart { at });
                }
            }
        }
    }

    fn role(&mut self, member: &Member, account: &Account) {
        let wanted = member.role_at(self.now);
        if *wanted == account.role {
            self.facts.in_sync += 1;
            return;
        }
        let (uid, from, to) = (account.uid.clone(), account.role.clone(), wanted.clone());
        let action = Action::UpdateRole { uid, from, to };
        let reason = match member.elevation() {
            Some(elevation) if self.now < elevation.until => Reason::Elevated,
            Some(elevation) if elevation.role == account.role => Reason::ElevationEnded,
            _ => Reason::RoleDiffers,
        };
        self.change(member, Some(account), action, reason);
    }

    fn without_account(&mut self, member: &Member, invitation: Option<&Invitation>, phase: Phase) {
        match (phase, invitation) {
            (Phase::Future, _) => {
                if let Some(at) = member.time.as_deref().and_then(|period| period.starts) {
                    self.finding(member, FindingKind::NotStarted { at });
                }
            }
            (Phase::Past, Some(invitation)) => self.unexpected_invitation(invitation, Some(member)),
            (Phase::Past, None) => {}
            (Phase::Present, Some(invitation)) => self.invited(member, invitation),
            (Phase::Present, None) => self.missing(member),
        }
    }

    /// A member with neither account nor invitation. The history decides.
    fn missing(&mut self, member: &Member) {
        let sent = self.memory.sent(member.addresses());
        let former = self.memory.former(member.addresses());
        if former.is_some_and(|former| former.disabled)
            && let Some(rejected) = self.memory.rejected_invitation(&member.email)
        {
            let kind = FindingKind::ManualActionRequired { error: rejected.why.clone() };
            return self.push(member, kind, &member.role, (Some(rejected.last), None));
        }
        let invite = Action::Invite { role: member.role.clone() };
        let started = member.time.as_deref().is_some_and(|period| period.starts.is_some());
        let reason = match former {
            Some(former) if former.disabled => Reason::Readded,
            Some(_) => Reason::Vanished,
            None if started => Reason::Started,
            None => Reason::NotInWorkspace,
        };
        match sent {
            Some(sent) if memory::is_young(sent.last, self.now) => {
                self.propagating_invitation(member, sent.last);
            }
            Some(sent) => {
                self.reinvite(member, None, sent.times, sent.last, Reason::InvitationMissing);
            }
            None => self.change(member, None, invite, reason),
        }
    }

    fn invited(&mut self, member: &Member, invitation: &Invitation) {
        let known = self.memory.invitation(&invitation.email);
        let since = known.map(|known| known.since);
        let sent = self.memory.sent(member.addresses());
        let kind = match &invitation.status {
            InviteStatus::Expired if !self.memory.is_known() => FindingKind::InvitationExpired,
            InviteStatus::Expired => {
                // An invitation that rosterd did not send counts as sent when it was first seen.
                let times = sent.map_or(1, |sent| sent.times);
                let last = sent.map(|sent| sent.last).or(since).unwrap_or(self.now);
                self.unknown_status(invitation, Some(member));
                let reason = Reason::InvitationExpired;
                return self.reinvite(member, Some(invitation), times, last, reason);
            }
            _ if invitation.role == member.role => FindingKind::Invited,
            _ => FindingKind::InvitedWithOtherRole { wanted: member.role.clone() },
        };
        let since = sent.map(|sent| sent.last).or(since);
        self.invitation_finding(kind, invitation, Some(member), since);
    }

    /// Plans the next invitation when it is due, otherwise a finding.
    fn reinvite(
        &mut self,
        member: &Member,
        invitation: Option<&Invitation>,
        times: usize,
        last: Timestamp,
        reason: Reason,
    ) {
        let role = member.role.clone();
        let kind = match backoff::next(&backoff::INVITATIONS, times, last) {
            Some(next) if next <= self.now => {
                return self.change(member, None, Action::Reinvite { role }, reason);
            }
            Some(next) => {
                self.wait_for(next);
                let kind = match invitation {
                    Some(_) => FindingKind::InvitationExpired,
                    None => FindingKind::InvitationMissing,
                };
                return self.push(member, kind, &role, (Some(last), Some(next)));
            }
            None => FindingKind::InvitationsExhausted { times },
        };
        self.push(member, kind, &role, (Some(last), None));
    }

    /// An invitation of a user without access.
    fn unexpected_invitation(&mut self, invitation: &Invitation, member: Option<&Member>) {
        let kind = if invitation.status.is_pending() {
            FindingKind::UnexpectedInvitation
        } else {
            FindingKind::UnexpectedInvitationExpired
        };
        let known = self.memory.invitation(&invitation.email);
        self.invitation_finding(kind, invitation, member, known.map(|known| known.since));
    }

    fn unmatched_account(&mut self, account: &Account, suspects: &Suspects<'_>) {
        match self.rules.on_removed {
            OnRemoved::Disable => self.propose(Change {
                action: disable(account),
                email: account.email.clone(),
                listed: None,
                aliases: Box::default(),
                reason: Reason::NotInRoster,
                place: None,
                name: account.name.clone(),
                suspect: suspects.of(account).map(|suspect| suspect.member.email.clone()),
                dated: suspects.has_released(account),
                end: None,
                scheduled: false,
                resembles: Box::default(),
            }),
            OnRemoved::Report => {
                let kind = FindingKind::Drift;
                self.findings.push(Finding::new(kind, &account.email, &account.role, None));
            }
        }
    }
}

fn disable(account: &Account) -> Action {
    Action::Disable { uid: account.uid.clone(), role: account.role.clone() }
}
