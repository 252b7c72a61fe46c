//! What must be true when calm has returned: everybody is as the roster says, or the last report
//! says why not, and the reason holds.

use rosterd::guard::Guard;
use rosterd::plan::{FindingCategory, FindingKind};
use rosterd::report::{Applied, Outcome, Status, Verification};
use rosterd::sandbox::world::Account;

use super::expected_roster::{Line, Phase};
use super::invariants::role_name;
use super::sim_state::Site;

impl Site {
    pub fn is_honest(&self) -> Result<(), String> {
        let report = self.reports.last().ok_or("no run has ended")?;
        if report.status() == Status::Failed {
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
            return Err("something is left to be done".into());
        }
        let settling = applied
            .plan
            .findings()
            .iter()
            .find(|it| it.kind.category() == FindingCategory::Propagating);
        if let Some(settling) = settling {
            return Err(format!("still settling: {settling:?}"));
        }
        self.everybody_is_explained(applied)?;
        self.holds_are_real(applied)
    }

    fn everybody_is_explained(&self, applied: &Applied) -> Result<(), String> {
        let world = self.world.lock();
        let now = self.clocks.machine();
        let active: Vec<&Account> = world.workspaces[0].active().collect();
        for account in &active {
            let email = account.email.as_str();
            if self.head.is_unmanaged(email) {
                continue;
            }
            let line = self.owner_of(account);
            let is_right = match line {
                None => self.knobs.report && says(applied, email, |it| *it == FindingKind::Drift),
                Some(line) => match line.phase(now, &self.zone) {
                    Phase::Past => false,
                    Phase::Future => true,
                    Phase::Present => line.role_at(now) == role_name(account.account_type),
                },
            };
            let addresses = line.into_iter().flat_map(Line::addresses).chain([email]);
            if !is_right && !addresses.into_iter().any(|it| explained(applied, it)) {
                let role = role_name(account.account_type);
                return Err(format!("{email} still has {role}, and nothing says why"));
            }
        }
        for line in &self.head.lines {
            let mine = active.iter().any(|account| self.owner_of(account) == Some(line));
            let present = line.phase(now, &self.zone) == Phase::Present;
            if present && !mine && !line.addresses().any(|it| explained(applied, it)) {
                return Err(format!("{} has no account, and nothing says why", line.email));
            }
        }
        Ok(())
    }

    fn owner_of(&self, account: &Account) -> Option<&Line> {
        self.record.owner(&self.head, &account.uid, &account.email)
    }

    /// Each hold of the last report has its reason.
    fn holds_are_real(&self, applied: &Applied) -> Result<(), String> {
        for held in &applied.verdict.held {
            let action = &held.change.action;
            let is_real = held.by.iter().any(|guard| match guard {
                Guard::Budget(name) => {
                    let wanted = applied.plan.changes().iter().filter(|it| name.counts(&it.action));
                    wanted.count() + self.lately(name.key()) > self.limit_of(applied)
                }
                Guard::EmptyRoster => self.head.lines.is_empty(),
                Guard::MinAdmins => action.takes_admin() && self.knobs.min_admins > 0,
                Guard::RequiredAdmins => action.takes_admin() && self.knobs.require_first,
                Guard::Vanished => action.class().invites(),
                Guard::Clock => self.record.newest > Some(self.clocks.machine()),
                // These end by themselves.
                Guard::Suspend | Guard::Rename => false,
            });
            if !is_real {
                return Err(format!("held without a reason: {held:?}"));
            }
        }
        Ok(())
    }

    /// Effects of the last day that may have counted.
    fn lately(&self, budget: &str) -> usize {
        let day = self.clocks.machine() - jiff::SignedDuration::from_hours(24);
        let kind = if budget == "grant_admin" || budget == "demote" { "update" } else { budget };
        let intents = self.record.intents.values();
        let recent =
            intents.filter(|it| it.at > day && (it.change.0 == kind || budget == "grant_admin"));
        recent.count()
    }

    fn limit_of(&self, applied: &Applied) -> usize {
        let (percent, floor) = self.knobs.budget;
        floor.max(applied.plan.facts().managed * usize::from(percent) / 100)
    }
}

/// Whether the report says of an address that something has to wait, or that a person has to act.
fn explained(applied: &Applied, email: &str) -> bool {
    let mut held = applied.verdict.held.iter().flat_map(|held| held.change.addresses());
    let invited = applied.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Done);
    let mut invited = invited.filter(|(change, _)| change.class().invites());
    held.any(|it| it.as_str().eq_ignore_ascii_case(email))
        || invited.any(|(change, _)| change.email.as_str().eq_ignore_ascii_case(email))
        || says(applied, email, |kind| {
            matches!(
                kind.category(),
                FindingCategory::Pending
                    | FindingCategory::NeedsAction
                    | FindingCategory::Propagating
            )
        })
}

fn says(applied: &Applied, email: &str, what: impl Fn(&FindingKind) -> bool) -> bool {
    let mut findings = applied.plan.findings().iter();
    findings.any(|it| it.email.as_str().eq_ignore_ascii_case(email) && what(&it.kind))
}
