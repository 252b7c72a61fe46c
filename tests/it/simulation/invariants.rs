//! The invariants of every effect. They are computed from the listing that the run received and the
//! expected roster, without rosterd's own decisions.

use jiff::{SignedDuration, Timestamp};
use rosterd::memory::entry::AttemptStatus;
use rosterd::sandbox::executed::{Executed, Kind};
use rosterd::sandbox::world::{Account, AccountType, World};

use super::checks::BudgetUse;
use super::expected_roster::{ExpectedRoster, Member, Phase, tier};
use super::scenario::ENDPOINTS;
use super::sim_state::{Listing, SimState};

/// The name of a role in the API.
pub fn role_name(role: AccountType) -> &'static str {
    match role {
        AccountType::Admin => "ADMIN",
        AccountType::Developer => "DEVELOPER",
        AccountType::Business => "BUSINESS",
        AccountType::BillingAdmin => "BILLING_ADMIN",
        AccountType::SecurityAdmin => "SECURITY_ADMIN",
        AccountType::WorkspaceSettingsAdmin => "WORKSPACE_SETTINGS_ADMIN",
        AccountType::WorkspaceAdmin => "WORKSPACE_ADMIN",
        AccountType::Analyst => "ANALYST",
        AccountType::SandboxUser => "SANDBOX_USER",
    }
}

/// At the end of an address, it makes another one that looks the same.
pub const INVISIBLE: &str = "\u{200b}";

/// Accepted difference of a clock. It includes the age of the listing, at most half a minute.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(6);

/// One effect, and what it is checked against.
pub struct EffectCheck<'a> {
    pub kind: &'static str,
    pub target: &'a str,
    pub to: Option<&'static str>,
    pub expected: &'a ExpectedRoster,
    listing: &'a Listing,
    pub now: Timestamp,
    pub state: &'a SimState,
    pub run: usize,
}

impl SimState {
    /// Checks every effect of a request of this run.
    pub fn check_effects(&mut self, run: usize, shown: Option<&Listing>, before: &World) {
        let world = self.world.lock().clone();
        let new: Vec<Executed> =
            world.executed.iter().skip(self.tracker.checked_effects).cloned().collect();
        self.tracker.checked_effects += new.len();
        let mut accounts = before.workspaces[0].accounts.clone();
        for executed in new {
            let kind = match executed.kind {
                Kind::InviteUser => "invite",
                Kind::UpdateUserAccountType => "update",
                Kind::DisableUser => "disable",
            };
            let to = executed.account_type.map(role_name);
            let target = executed.target.to_ascii_lowercase();
            self.log_event("EFFECT", &format!("run {run}: {kind} {target} {}", to.unwrap_or("")));
            self.count(&format!("effect {kind}"));
            apply(&mut accounts, &executed);
            if let Err(why) = self.check_effect((run, shown), kind, &target, to, &accounts) {
                self.fail(format!("{kind} {target} {}: {why}", to.unwrap_or("")));
            }
        }
        self.record_world();
    }

    fn check_effect(
        &mut self,
        (run, shown): (usize, Option<&Listing>),
        kind: &'static str,
        target: &str,
        to: Option<&'static str>,
        after: &[Account],
    ) -> Result<(), String> {
        let change = (kind.to_owned(), target.to_owned(), to.map(str::to_owned));
        if !self.runs[run].approved.contains(&change) {
            return Err("it was not planned and approved".into());
        }
        let endpoint = self.runs[run].params.endpoint;
        let host = if endpoint == ENDPOINTS[4] { "eu.acme.io" } else { "api.acme.io" };
        if self.tracker.host.as_deref() != Some(host) {
            return Err(format!("{host} is not the place in the ledger"));
        }
        let mut intents = self.tracker.intents.iter_mut().rev();
        let intent = intents.find(|(_, intent)| !intent.executed && intent.change == change);
        let Some((&seq, intent)) = intent else {
            return Err("the ledger has no intent for it".into());
        };
        intent.executed = true;
        // When it was sent, not when it arrived: rosterd does not control the latency.
        let times = [intent.at, intent.true_at];
        let (expected, listing) = self.inputs(run, shown)?;
        let (expected, listing) = (&expected, &listing);
        let (now, true_now) = (self.runs[run].now, self.runs[run].true_now);
        let check = EffectCheck { kind, target, to, expected, listing, now, state: self, run };
        check.is_expected()?;
        if true_now.duration_since(now).abs() > CLOCK_TOLERANCE {
            EffectCheck { now: true_now, ..check }
                .is_expected()
                .map_err(|why| format!("only by a wrong clock ({now}, truly {true_now}): {why}"))?;
        }
        check.keeps_min_admins(after)?;
        let is_against_policy = check.is_against_policy();
        let is_approved = |budget: &&&str| {
            check.is_approved(if **budget == "scheduled" { "disable" } else { budget })
        };
        let (approved, counted): (Vec<&'static str>, Vec<_>) =
            check.budgets().into_iter().partition(|budget| is_approved(&budget));
        let counted = counted.into_iter().map(|budget| (budget, check.limit(budget)));
        let (counted, elevates) = (counted.collect::<Vec<_>>(), check.elevates());
        for (budget, limit) in counted {
            if self.is_held_together(budget, target, limit, Some(seq)) {
                return Err(format!("with its set it exceeds {budget}, limit {limit}"));
            }
            let within = self.tracker.use_budget(budget, BudgetUse { times, intent: seq });
            if within > limit {
                return Err(format!("{within} within a day against {budget}, limit {limit}"));
            }
        }
        self.tracker.approvals.effect(target, elevates, &approved);
        if is_against_policy {
            self.count(&format!("{kind} of a member against the policy"));
        }
        match kind {
            "invite" => self.check_backoff(target, times[0])?,
            "disable" => {
                self.tracker.not_back.insert(target.to_owned());
                self.tracker.people.disabled(target);
            }
            _ => {}
        }
        Ok(())
    }

    /// The roster of a run, and the listing it received.
    fn inputs(
        &self,
        run: usize,
        shown: Option<&Listing>,
    ) -> Result<(ExpectedRoster, Listing), String> {
        let version = self.runs[run].version;
        let listing = shown.cloned().ok_or("the last listing of its run was not complete")?;
        let expected = version.and_then(|version| self.versions[version].expected.clone());
        let expected = expected.ok_or("its run had no roster")?;
        Ok((expected, listing))
    }

    /// The time since the previous invitation is at least what the invitation backoff requires.
    fn check_backoff(&mut self, address: &str, at: Timestamp) -> Result<(), String> {
        let sent = self.tracker.invitations.entry(address.to_owned()).or_default();
        sent.push(at);
        let hours = match sent.len() {
            1 => return Ok(()),
            2 => 24,
            3 => 72,
            4 => 168,
            more => return Err(format!("{more} invitations in a row")),
        };
        let gap = at.duration_since(sent[sent.len() - 2]);
        if gap < SignedDuration::from_hours(hours) {
            return Err(format!("only {gap:#} after the previous invitation: {sent:?}"));
        }
        Ok(())
    }
}

/// Applies the mutation to the accounts.
fn apply(accounts: &mut [Account], executed: &Executed) {
    let found = accounts.iter_mut().find(|it| it.uid == executed.target && !it.disabled);
    match (executed.kind, found, executed.account_type) {
        (Kind::UpdateUserAccountType, Some(account), Some(role)) => account.account_type = role,
        (Kind::DisableUser, Some(account), _) => account.disabled = true,
        _ => {}
    }
}

impl EffectCheck<'_> {
    pub fn account(&self) -> Result<(&str, &str), String> {
        let found = self.listing.accounts.iter().find(|(uid, ..)| *uid == self.target);
        let (_, email, role) = found.ok_or("its run was not shown this account")?;
        Ok((email, role))
    }

    pub fn owner(&self, uid: &str, email: &str) -> Option<&Member> {
        self.state.tracker.owner(self.expected, uid, email)
    }

    fn accounts_of(&self, member: &Member) -> usize {
        let accounts = self.listing.accounts.iter();
        accounts.filter(|(uid, email, _)| self.owner(uid, email) == Some(member)).count()
    }

    /// Whether the effect follows from the expected roster and the listing.
    fn is_expected(&self) -> Result<(), String> {
        if self.kind == "invite" {
            return self.invitation_is_expected();
        }
        let (email, role) = self.account()?;
        if self.expected.is_unmanaged(email) {
            return Err(format!("{email} is unmanaged"));
        }
        let zone = &self.state.zone;
        let params = &self.state.runs[self.run].params;
        if params.suspend {
            return Err("the workspace is suspended".into());
        }
        let takes_admin = tier(self.to.unwrap_or_default()) < 3 || self.kind == "disable";
        if params.require_first
            && email.eq_ignore_ascii_case("user0@acme.io")
            && role == "ADMIN"
            && takes_admin
        {
            return Err("a required admin".into());
        }
        let owner = self.owner(self.target, email);
        match (self.kind, owner) {
            ("disable", None) if params.report => Err("on_removed: report".into()),
            ("disable", None) if self.expected.members.is_empty() => Err("an empty roster".into()),
            ("disable", None) => match self.lookalike_of(email) {
                Some(member) if !self.is_approved("disable") => {
                    Err(format!("it looks like {}", member.email))
                }
                _ => match self.state.person(self.expected, self.listing, self.target, self.now) {
                    Some(member) if !self.is_approved("disable") => {
                        Err(format!("it may be the account of {}", member.email))
                    }
                    _ => Ok(()),
                },
            },
            ("disable", Some(member)) if member.phase(self.now, zone) == Phase::Past => Ok(()),
            ("disable", Some(member)) => Err(format!("{} is a member", member.email)),
            (_, None) => Err(format!("{email} is not the address of a member")),
            (_, Some(member)) => {
                let expected = member.role_at(self.now);
                if member.phase(self.now, zone) != Phase::Present {
                    return Err(format!("{} has no access now", member.email));
                }
                if Some(expected) != self.to || role == expected {
                    let email = &member.email;
                    return Err(format!("{email} is listed as {role}, expected {expected}"));
                }
                if tier(expected) > tier(role) && self.is_against_policy() {
                    return Err(format!("the policy does not allow {}", member.email));
                }
                self.one_account(member)
            }
        }
    }

    /// Whether its member has an address that the policy of its run does not allow.
    fn is_against_policy(&self) -> bool {
        let email = self.account().map_or(self.target, |(email, _)| email);
        let member = self.owner(self.target, email);
        let domain = self.state.runs[self.run].params.domain;
        member.is_some_and(|member| member.is_against_policy(domain))
    }

    fn one_account(&self, member: &Member) -> Result<(), String> {
        match self.accounts_of(member) {
            1 => Ok(()),
            several => Err(format!("{several} accounts match {}", member.email)),
        }
    }

    fn invitation_is_expected(&self) -> Result<(), String> {
        let mut members = self.expected.members.iter();
        let member = members.find(|member| member.email.eq_ignore_ascii_case(self.target));
        let member = member.ok_or("not the address of a member")?;
        if self.state.runs[self.run].params.suspend {
            return Err("the workspace is suspended".into());
        }
        if self.is_against_policy() {
            return Err("the policy does not allow an address".into());
        }
        if member.phase(self.now, &self.state.zone) != Phase::Present {
            return Err("no access now".into());
        }
        if Some(member.role) != self.to {
            return Err(format!("the roster says {}", member.role));
        }
        if self.accounts_of(member) > 0 {
            return Err("there is an account".into());
        }
        let mut invitations = self.listing.invitations.iter();
        if invitations.any(|(email, pending)| *pending && member.has_address(email)) {
            return Err("there is a pending invitation".into());
        }
        let mut shown = self.listing.accounts.iter().map(|(_, email, _)| (email, &true));
        let invited = self.listing.invitations.iter().map(|(email, pending)| (email, pending));
        let approved = self.is_approved("invite");
        let alike = |(email, counts): (&String, &bool)| {
            *counts
                && !self.expected.is_unmanaged(email)
                && self.lookalike_of(email) == Some(member)
        };
        if !approved && shown.by_ref().chain(invited).any(alike) {
            return Err("another address looks the same".into());
        }
        self.has_not_vanished(member)
    }

    /// The member whose address this is, with an invisible character, and who is not expired.
    fn lookalike_of(&self, email: &str) -> Option<&Member> {
        let member = self.expected.member_for(email.strip_suffix(INVISIBLE)?)?;
        (member.phase(self.now, &self.state.zone) != Phase::Past).then_some(member)
    }

    /// If an account vanished and rosterd did not disable it, its owner is invited again only with
    /// an approval. After that invitation the backoff decides.
    fn has_not_vanished(&self, member: &Member) -> Result<(), String> {
        let tracker = &self.state.tracker;
        let sent = |address: &str| tracker.invitations.get(&address.to_ascii_lowercase());
        let maybe = |it: &str| tracker.maybe_invited.contains(&it.to_ascii_lowercase());
        let is_sent = member.addresses().filter_map(sent).any(|sent| !sent.is_empty());
        if is_sent || member.addresses().any(maybe) {
            return Ok(());
        }
        let is_listed = |uid: &str| self.listing.accounts.iter().any(|(id, ..)| id == uid);
        let mut seen = tracker.seen.iter().filter(|(email, _)| member.has_address(email));
        // Of an account that an operator removed before our disable, too.
        let is_disabled = |uid: &str| {
            let mut intents = tracker.intents.values();
            intents.any(|it| {
                let (kind, target, _) = &it.change;
                kind == "disable" && target == uid && it.status != AttemptStatus::NotSent
            })
        };
        let vanished = seen.find(|(_, uid)| !is_disabled(uid) && !is_listed(uid));
        let approved = self.is_approved("invite");
        match vanished {
            Some((email, _)) if !approved => Err(format!("the account of {email} has vanished")),
            _ => Ok(()),
        }
    }

    /// Whether an account counts for `min_admins`.
    fn is_permanent_admin(&self, account: &Account) -> bool {
        let unmanaged = self.expected.is_unmanaged(&account.email);
        let owner = self.owner(&account.uid, &account.email);
        let permanent = owner.is_some_and(|member| member.role == "ADMIN");
        !account.disabled && account.account_type == AccountType::Admin && !unmanaged && permanent
    }

    /// rosterd never leaves fewer admins than `min_admins`.
    fn keeps_min_admins(&self, after: &[Account]) -> Result<(), String> {
        if self.kind == "invite" || self.to == Some("ADMIN") || self.account()?.1 != "ADMIN" {
            return Ok(());
        }
        let left = after.iter().filter(|account| self.is_permanent_admin(account)).count();
        // The run could not know of those that operators removed after the listing.
        let removed = self.state.tracker.admins_removed_by_operators.iter();
        let removed = removed.filter(|(at, _)| *at >= self.listing.as_of).count();
        let floor = self.state.runs[self.run].params.min_admins;
        if left + removed < floor {
            return Err(format!("{left} admins are left, min_admins is {floor}"));
        }
        Ok(())
    }

    /// The budgets that the effect uses, if it is not approved.
    fn budgets(&self) -> Vec<&'static str> {
        let (_, from) = self.account().unwrap_or((self.target, ""));
        let to = self.to.unwrap_or_default();
        let mut budgets = Vec::new();
        match self.kind {
            "invite" => budgets.push("invite"),
            "disable" if self.stood_for_a_day() => budgets.push("scheduled"),
            "disable" => budgets.push("disable"),
            _ if self.ends_our_elevation() => return budgets,
            _ if tier(to) <= tier(from) => budgets.push("demote"),
            _ => {}
        }
        if tier(to) >= 2 && to != from {
            budgets.push("grant_admin");
        }
        budgets
    }

    fn limit(&self, budget: &str) -> usize {
        let (percent, floor, max) = self.state.runs[self.run].params.budget;
        let any_admin = self.listing.accounts.iter().any(|(.., role)| role == "ADMIN");
        if budget == "grant_admin" && !any_admin {
            return max;
        }
        let managed =
            self.listing.accounts.iter().filter(|(_, email, _)| !self.expected.is_unmanaged(email));
        floor.max((managed.count() * usize::from(percent)).div_ceil(100)).min(max)
    }
}
