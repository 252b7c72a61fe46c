//! The comparison: one row of the table for every member and every account that is no member's.
//!
//! | roster | directory | plan |
//! |---|---|---|
//! | member | nothing | invite |
//! | member | account, same role | in sync |
//! | member | account, other role | update role, by uid |
//! | member | account under an alias | as its row says, with a note to write the address |
//! | member | pending invitation | waiting; it cannot be corrected before it is accepted |
//! | member | expired invitation | a person has to send it again |
//! | member | several accounts | none is touched |
//! | member, `starts` ahead | account | left alone until then |
//! | member, `starts` ahead | nothing, invitation | nothing yet |
//! | member, expired | account | disable, also under `on_removed: report` |
//! | member, expired | invitation | as for nobody's invitation |
//! | nobody | account | disable, or drift under `on_removed: report` |
//! | nobody | pending invitation | unfixable: the API cannot withdraw it |
//! | nobody | expired invitation | noted |
//! | unmanaged | anything | untouched, never counted |

use jiff::Timestamp;

use super::change::{Action, Change, Reason};
use super::matching::{Found, Matching};
use super::{Facts, Finding, FindingKind, Fingerprint, OnRemoved, Plan};
use crate::directory::{Account, Invitation, InviteStatus, Snapshot};
use crate::memory::Memory;
use crate::roster::{Member, Phase, Roster};

/// Compares the two states. The result is the same, byte for byte, whatever order either came in.
pub fn plan(
    roster: &Roster,
    snapshot: &Snapshot,
    _memory: &Memory,
    on_removed: OnRemoved,
    now: Timestamp,
) -> Plan {
    let matching = Matching::new(roster, snapshot);
    let mut draft = Draft::new(now, snapshot, &matching);
    draft.facts.members = roster.members().len();
    for (member, found) in matching.members() {
        draft.member(member, found);
    }
    for account in matching.strangers() {
        draft.stranger(account, on_removed);
    }
    for invitation in matching.uninvited() {
        draft.uninvited(invitation, None);
    }
    draft.finish(roster)
}

/// A plan being written.
struct Draft {
    now: Timestamp,
    changes: Vec<Change>,
    findings: Vec<Finding>,
    facts: Facts,
}

impl Draft {
    fn new(now: Timestamp, snapshot: &Snapshot, matching: &Matching<'_>) -> Self {
        let accounts = snapshot.accounts();
        let facts = Facts {
            managed: matching.managed(),
            accounts: accounts.len(),
            admins: accounts.iter().filter(|account| account.role.is_admin()).count(),
            server_time: snapshot.server_time(),
            ..Facts::default()
        };
        Self { now, changes: Vec::new(), findings: Vec::new(), facts }
    }

    fn member(&mut self, member: &Member, found: &Found<'_>) {
        match (found.accounts(), member.phase(self.now)) {
            ([], phase) => self.without_account(member, found.invitation(), phase),
            ([account], phase) => self.with_account(member, account, phase),
            (several, _) => {
                let accounts = several.iter().map(|account| account.email.clone()).collect();
                self.finding(member, FindingKind::SeveralAccounts { accounts });
            }
        }
    }

    fn with_account(&mut self, member: &Member, account: &Account, phase: Phase) {
        if account.email != member.email {
            self.finding(member, FindingKind::KnownAs { account: account.email.clone() });
        }
        if account.role.is_admin() && member.role.is_admin() {
            self.facts.lasting_admins.insert(account.uid.clone());
        }
        match phase {
            Phase::Present => self.role(member, account),
            Phase::Past => self.change(member, Some(account), disable(account), Reason::Expired),
            Phase::Future => {
                if let Some(at) = member.time.as_deref().and_then(|period| period.starts) {
                    self.finding(member, FindingKind::StartsLater { at });
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
        let action = Action::UpdateRole {
            uid: account.uid.clone(),
            from: account.role.clone(),
            to: wanted.clone(),
        };
        self.change(member, Some(account), action, self.reason_for_role(member, account));
    }

    fn reason_for_role(&self, member: &Member, account: &Account) -> Reason {
        match member.elevation() {
            Some(elevation) if self.now < elevation.until => Reason::Elevated,
            Some(elevation) if elevation.role == account.role => Reason::ElevationEnded,
            _ => Reason::RoleDiffers,
        }
    }

    fn without_account(&mut self, member: &Member, invitation: Option<&Invitation>, phase: Phase) {
        match (phase, invitation) {
            (Phase::Future, _) => {
                if let Some(at) = member.time.as_deref().and_then(|period| period.starts) {
                    self.finding(member, FindingKind::NotYet { at });
                }
            }
            (Phase::Past, Some(invitation)) => self.uninvited(invitation, Some(member)),
            (Phase::Past, None) => {}
            (Phase::Present, Some(invitation)) => self.invited(member, invitation),
            (Phase::Present, None) => self.invite(member),
        }
    }

    fn invite(&mut self, member: &Member) {
        let started = member.time.as_deref().is_some_and(|period| period.starts.is_some());
        let reason = if started { Reason::Started } else { Reason::NotInWorkspace };
        self.change(member, None, Action::Invite { role: member.role.clone() }, reason);
    }

    fn invited(&mut self, member: &Member, invitation: &Invitation) {
        let kind = match &invitation.status {
            InviteStatus::Expired => FindingKind::InvitationExpired,
            _ if invitation.role == member.role => FindingKind::Invited,
            _ => FindingKind::InvitedWithOtherRole { wanted: member.role.clone() },
        };
        self.of_invitation(kind, invitation, Some(member));
    }

    /// An invitation of somebody who should have no access.
    fn uninvited(&mut self, invitation: &Invitation, member: Option<&Member>) {
        let kind = if invitation.status.is_pending() {
            FindingKind::UninvitedPending
        } else {
            FindingKind::UninvitedExpired
        };
        self.of_invitation(kind, invitation, member);
    }

    fn stranger(&mut self, account: &Account, on_removed: OnRemoved) {
        match on_removed {
            OnRemoved::Disable => self.changes.push(Change {
                action: disable(account),
                email: account.email.clone(),
                also: Box::default(),
                reason: Reason::NotInRoster,
                place: None,
                name: account.name.clone(),
            }),
            OnRemoved::Report => self.findings.push(Finding {
                kind: FindingKind::Drift,
                email: account.email.clone(),
                role: account.role.clone(),
                place: None,
            }),
        }
    }

    fn change(
        &mut self,
        member: &Member,
        account: Option<&Account>,
        action: Action,
        reason: Reason,
    ) {
        let theirs = account.map(|account| &account.email).filter(|email| **email != member.email);
        let aliases = member.aliases.iter().filter(|alias| Some(*alias) != theirs);
        self.changes.push(Change {
            action,
            email: member.email.clone(),
            also: theirs.into_iter().chain(aliases).cloned().collect(),
            reason,
            place: Some(member.place),
            name: account.and_then(|a| a.name.clone()).or_else(|| member.name.clone()),
        });
    }

    fn finding(&mut self, member: &Member, kind: FindingKind) {
        let role = member.role_at(self.now).clone();
        let (email, place) = (member.email.clone(), Some(member.place));
        self.findings.push(Finding { kind, email, role, place });
    }

    fn of_invitation(
        &mut self,
        kind: FindingKind,
        invitation: &Invitation,
        member: Option<&Member>,
    ) {
        let mut push = |kind| {
            self.findings.push(Finding {
                kind,
                email: invitation.email.clone(),
                role: invitation.role.clone(),
                place: member.map(|member| member.place),
            });
        };
        if let InviteStatus::Unknown(status) = &invitation.status {
            push(FindingKind::UnknownStatus { status: status.clone() });
        }
        push(kind);
    }

    fn finish(mut self, roster: &Roster) -> Plan {
        self.changes.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        self.findings.sort_by(|a, b| (&a.email, &a.kind).cmp(&(&b.email, &b.kind)));
        Plan {
            fingerprint: Fingerprint::of(roster.digest(), &self.changes),
            roster: roster.digest(),
            changes: self.changes,
            findings: self.findings,
            facts: self.facts,
            now: self.now,
        }
    }
}

fn disable(account: &Account) -> Action {
    Action::Disable { uid: account.uid.clone(), role: account.role.clone() }
}
