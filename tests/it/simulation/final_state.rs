//! The invariants at quiescence: every account is as the roster says, or the last report gives a
//! valid reason.

use rosterd::guard::Guard;
use rosterd::plan::{FindingCategory, FindingKind};
use rosterd::report::{Applied, Outcome, RunStatus, Verification};
use rosterd::sandbox::world::Account;

use super::checks::short;
use super::expected_roster::{Member, Phase};
use super::invariants::{INVISIBLE, role_name};
use super::sim_state::SimState;

impl SimState {
    pub fn check_final_state(&self) -> Result<(), String> {
        let report = self.reports.last().ok_or("no run has ended")?;
        if report.status() == RunStatus::Failed {
            return Err(format!("the last run failed: {:?}", report.failure()));
        }
        let applied = report.applied().ok_or("the last run had no plan")?;
        let (changes, held) = (applied.plan.changes().len(), applied.verdict.held.len());
        let done = applied.outcomes.iter().filter(|(_, it)| *it == Outcome::Done).count();
        if changes != held + done {
            return Err(format!("{changes} changes in the last plan, {held} held, {done} done"));
        }
        if let Verification::Read(residue) = &applied.verification
            && !residue.applicable.is_empty()
        {
            return Err("the verification found changes to apply".into());
        }
        let propagating = applied
            .plan
            .findings()
            .iter()
            .find(|it| it.kind.category() == FindingCategory::Propagating);
        if let Some(finding) = propagating {
            return Err(format!("still propagating: {finding:?}"));
        }
        self.check_accounts(applied)?;
        self.check_holds(applied)
    }

    fn check_accounts(&self, applied: &Applied) -> Result<(), String> {
        let world = self.world.lock();
        let now = self.clocks.machine_now();
        let active: Vec<&Account> = world.workspaces[0].active().collect();
        for account in &active {
            let email = account.email.as_str();
            if self.latest_roster.is_unmanaged(email) {
                continue;
            }
            let member = self.owner_of(account);
            let is_right = match member {
                None => {
                    self.params.report
                        && has_finding(applied, email, |kind| *kind == FindingKind::Drift)
                }
                Some(member) => match member.phase(now, &self.zone) {
                    Phase::Past => false,
                    Phase::Future => true,
                    Phase::Present => member.role_at(now) == role_name(account.account_type),
                },
            };
            let addresses = member.into_iter().flat_map(Member::addresses).chain([email]);
            if !is_right && !addresses.into_iter().any(|it| is_explained(applied, it)) {
                let role = role_name(account.account_type);
                return Err(format!("{email} still has {role}, and the report gives no reason"));
            }
        }
        for member in &self.latest_roster.members {
            let has_account = active.iter().any(|account| self.owner_of(account) == Some(member));
            let present = member.phase(now, &self.zone) == Phase::Present;
            if present && !has_account && !member.addresses().any(|it| is_explained(applied, it)) {
                let email = &member.email;
                return Err(format!("{email} has no account, and the report gives no reason"));
            }
        }
        Ok(())
    }

    fn owner_of(&self, account: &Account) -> Option<&Member> {
        self.tracker.owner(&self.latest_roster, &account.uid, &account.email)
    }

    /// The reason of each hold of the last report is valid.
    fn check_holds(&self, applied: &Applied) -> Result<(), String> {
        for held in &applied.verdict.held {
            let action = &held.change.action;
            let is_real = held.by.iter().any(|guard| match guard {
                Guard::Budget(name) => {
                    let changes = applied.plan.changes().iter();
                    let counted =
                        changes.filter(|change| name.counts(&change.action, change.scheduled));
                    let (_, target, _) = short(action, held.change.email.as_str());
                    let limit = self.budget_limit(applied);
                    counted.count() + self.recent_effects(name.key()) > limit
                        || self.is_held_together(name.key(), &target, limit, None)
                }
                Guard::EmptyRoster => self.latest_roster.members.is_empty(),
                Guard::MinAdmins => action.takes_admin() && self.params.min_admins > 0,
                Guard::RequiredAdmins => action.takes_admin() && self.params.require_first,
                Guard::Vanished => action.class().invites(),
                Guard::Policy => {
                    let member = self.latest_roster.member_for(held.change.email.as_str());
                    let gives = !action.class().takes_away();
                    let domain = self.params.domain;
                    gives && member.is_some_and(|member| member.is_against_policy(domain))
                }
                Guard::Lookalike => {
                    self.world.lock().workspaces[0].active().any(|it| it.email.ends_with(INVISIBLE))
                }
                Guard::Clock => self.tracker.newest > Some(self.clocks.machine_now()),
                // These holds end without an operator.
                Guard::Suspend => false,
                Guard::Rename => action.kind() == "disable" && self.someone_is_missing(applied),
            });
            if !is_real {
                return Err(format!("held without a reason: {held:?}"));
            }
        }
        Ok(())
    }

    /// Whether there is a member without an account: an unknown account may be hers. The hold of a
    /// name has ended by now.
    fn someone_is_missing(&self, applied: &Applied) -> bool {
        let world = self.world.lock();
        let now = applied.plan.now;
        self.latest_roster.members.iter().any(|member| {
            let mut active = world.workspaces[0].active();
            member.phase(now, &self.zone) == Phase::Present
                && !active.any(|account| self.owner_of(account) == Some(member))
        })
    }

    /// An upper bound of the effects of the last day that count against the budget.
    fn recent_effects(&self, budget: &str) -> usize {
        let day = self.clocks.machine_now() - jiff::SignedDuration::from_hours(24);
        let kind = match budget {
            "grant_admin" | "demote" => "update",
            "scheduled" => "disable",
            _ => budget,
        };
        let intents = self.tracker.intents.values();
        let recent =
            intents.filter(|it| it.at > day && (it.change.0 == kind || budget == "grant_admin"));
        recent.count()
    }

    fn budget_limit(&self, applied: &Applied) -> usize {
        let (percent, floor, max) = self.params.budget;
        floor.max(applied.plan.facts.managed * usize::from(percent) / 100).min(max)
    }
}

/// Whether the report says that a change of this address is held, invited, pending, propagating or
/// needs action.
fn is_explained(applied: &Applied, email: &str) -> bool {
    let mut held = applied.verdict.held.iter().flat_map(|held| held.change.addresses());
    let invited = applied.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Done);
    let mut invited = invited.filter(|(change, _)| change.action.class().invites());
    held.any(|it| it.as_str().eq_ignore_ascii_case(email))
        || invited.any(|(change, _)| change.email.as_str().eq_ignore_ascii_case(email))
        || has_finding(applied, email, |kind| {
            matches!(
                kind.category(),
                FindingCategory::Pending
                    | FindingCategory::NeedsAction
                    | FindingCategory::Propagating
            )
        })
}

fn has_finding(applied: &Applied, email: &str, is_kind: impl Fn(&FindingKind) -> bool) -> bool {
    let mut findings = applied.plan.findings().iter();
    findings.any(|it| it.email.as_str().eq_ignore_ascii_case(email) && is_kind(&it.kind))
}
