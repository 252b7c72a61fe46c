//! The promises about every single effect, worked out from what the run was shown and from what
//! the authors meant, never from what rosterd thinks.

use jiff::{SignedDuration, Timestamp};
use rosterd::sandbox::executed::{Executed, Kind};
use rosterd::sandbox::world::{Account, AccountType, World};

use super::checks::Spent;
use super::expected_roster::{Line, Phase, Wish, tier};
use super::sim_state::{Reading, Site};

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

/// A clock may be off by as much, and a listing is half a minute old at most when a plan is made.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(6);

/// One effect and everything that judges it.
struct Case<'a> {
    kind: &'static str,
    target: String,
    to: Option<&'static str>,
    wish: &'a Wish,
    reading: &'a Reading,
    now: Timestamp,
    site: &'a Site,
    run: usize,
}

impl Site {
    /// Looks at every effect that a request of this run has had.
    pub fn executed(&mut self, run: usize, shown: Option<&Reading>, before: &World) {
        let world = self.world.lock().clone();
        let new: Vec<Executed> =
            world.executed.iter().skip(self.record.looked_at).cloned().collect();
        self.record.looked_at += new.len();
        let mut accounts = before.workspaces[0].accounts.clone();
        for executed in new {
            let kind = match executed.kind {
                Kind::InviteUser => "invite",
                Kind::UpdateUserAccountType => "update",
                Kind::DisableUser => "disable",
            };
            let to = executed.account_type.map(role_name);
            let target = executed.target.to_ascii_lowercase();
            self.tell("EFFECT", &format!("run {run}: {kind} {target} {}", to.unwrap_or("")));
            self.count(&format!("effect {kind}"));
            apply(&mut accounts, &executed);
            if let Err(why) = self.evaluate((run, shown), kind, &target, to, &accounts) {
                self.fail(format!("{kind} {target} {}: {why}", to.unwrap_or("")));
            }
        }
        self.remember_world();
    }

    fn evaluate(
        &mut self,
        (run, shown): (usize, Option<&Reading>),
        kind: &'static str,
        target: &str,
        to: Option<&'static str>,
        after: &[Account],
    ) -> Result<(), String> {
        let change = (kind.to_owned(), target.to_owned(), to.map(str::to_owned));
        if !self.runs[run].approved.contains(&change) {
            return Err("it was not planned and approved".into());
        }
        let mut intents = self.record.intents.iter_mut().rev();
        let intent = intents.find(|(_, it)| !it.executed && it.change == change);
        let Some((&seq, intent)) = intent else {
            return Err("the ledger has no intent for it".into());
        };
        intent.executed = true;
        // When it was sent: how long a request is on its way is nobody's choice.
        let times = [intent.at, intent.truly];
        let (wish, reading) = self.grounds(run, shown)?;
        let (wish, reading, target_of) = (&wish, &reading, target.to_owned());
        let (now, truly) = (self.runs[run].now, self.runs[run].truly);
        let case = Case { kind, target: target_of, to, wish, reading, now, site: self, run };
        case.is_wanted()?;
        if truly.duration_since(now).abs() > CLOCK_TOLERANCE {
            let by_the_right_clock = Case { now: truly, target: case.target.clone(), ..case };
            let why = by_the_right_clock.is_wanted();
            why.map_err(|why| format!("only by a wrong clock ({now}, truly {truly}): {why}"))?;
        }
        case.leaves_admins(after)?;
        let (budgets, limit) = (case.budgets(), case.limit());
        for budget in budgets {
            let within = self.record.spend(budget, Spent { times, intent: seq });
            if within > limit {
                return Err(format!("{within} within a day against {budget}, limit {limit}"));
            }
        }
        match kind {
            "invite" => self.ladder(target, times[0])?,
            "disable" => {
                self.record.disabled.insert(target.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// What a run wants, and what it was shown.
    fn grounds(&self, run: usize, shown: Option<&Reading>) -> Result<(Wish, Reading), String> {
        let at = &self.runs[run];
        let reading = shown.cloned().ok_or("the last listing of its run was not complete")?;
        let wish = at.version.and_then(|version| self.versions[version].wish.clone());
        let wish = wish.ok_or("its run had no roster")?;
        Ok((wish, reading))
    }

    /// No invitation is sent sooner after the one before than the ladder allows.
    fn ladder(&mut self, address: &str, stamp: Timestamp) -> Result<(), String> {
        let sent = &mut self.record.invitations.entry(address.to_owned()).or_default().sent;
        sent.push(stamp);
        let hours = match sent.len() {
            1 => return Ok(()),
            2 => 24,
            3 => 72,
            4 => 168,
            more => return Err(format!("{more} invitations in a row")),
        };
        let gap = stamp.duration_since(sent[sent.len() - 2]);
        if gap < SignedDuration::from_hours(hours) {
            return Err(format!("only {gap:#} after the one before: {sent:?}"));
        }
        Ok(())
    }
}

/// What the mutation did to the accounts.
fn apply(accounts: &mut [Account], executed: &Executed) {
    let found = accounts.iter_mut().find(|it| it.uid == executed.target && !it.disabled);
    match (executed.kind, found, executed.account_type) {
        (Kind::UpdateUserAccountType, Some(account), Some(role)) => account.account_type = role,
        (Kind::DisableUser, Some(account), _) => account.disabled = true,
        _ => {}
    }
}

impl Case<'_> {
    fn account(&self) -> Result<(&str, &str), String> {
        let found = self.reading.accounts.iter().find(|(uid, ..)| *uid == self.target);
        let (_, email, role) = found.ok_or("its run was not shown this account")?;
        Ok((email, role))
    }

    fn owner(&self, uid: &str, email: &str) -> Option<&Line> {
        self.site.record.owner(self.wish, uid, email)
    }

    fn accounts_of(&self, line: &Line) -> usize {
        let accounts = self.reading.accounts.iter();
        let mine = accounts.filter(|(uid, email, _)| self.owner(uid, email) == Some(line));
        mine.count()
    }

    /// The table says so, for what the run was shown.
    fn is_wanted(&self) -> Result<(), String> {
        if self.kind == "invite" {
            return self.invitation_is_wanted();
        }
        let (email, role) = self.account()?;
        if self.wish.is_unmanaged(email) {
            return Err(format!("{email} is unmanaged"));
        }
        let zone = &self.site.zone;
        let knobs = &self.site.runs[self.run].knobs;
        if knobs.suspend {
            return Err("the workspace is suspended".into());
        }
        let takes = tier(self.to.unwrap_or_default()) < 3 || self.kind == "disable";
        if knobs.require_first
            && email.eq_ignore_ascii_case("user0@acme.io")
            && role == "ADMIN"
            && takes
        {
            return Err("a required admin".into());
        }
        let owner = self.owner(&self.target, email);
        match (self.kind, owner) {
            ("disable", None) if knobs.report => Err("on_removed: report".into()),
            ("disable", None) if self.wish.lines.is_empty() => Err("an empty roster".into()),
            ("disable", None) => Ok(()),
            ("disable", Some(line)) if line.phase(self.now, zone) == Phase::Past => {
                self.one_account(line)
            }
            ("disable", Some(line)) => Err(format!("{} is a member", line.email)),
            (_, None) => Err(format!("{email} is nobody's line")),
            (_, Some(line)) => {
                let wanted = line.role_at(self.now);
                if line.phase(self.now, zone) != Phase::Present {
                    return Err(format!("{} has no access now", line.email));
                }
                if Some(wanted) != self.to || role == wanted {
                    return Err(format!("{} is shown as {role} and wanted {wanted}", line.email));
                }
                self.one_account(line)
            }
        }
    }

    fn one_account(&self, line: &Line) -> Result<(), String> {
        match self.accounts_of(line) {
            1 => Ok(()),
            several => Err(format!("{several} accounts match {}", line.email)),
        }
    }

    fn invitation_is_wanted(&self) -> Result<(), String> {
        let mut lines = self.wish.lines.iter();
        let line = lines.find(|line| line.email.eq_ignore_ascii_case(&self.target));
        let line = line.ok_or("nobody's address")?;
        if self.site.runs[self.run].knobs.suspend {
            return Err("the workspace is suspended".into());
        }
        if line.phase(self.now, &self.site.zone) != Phase::Present {
            return Err("no access now".into());
        }
        if Some(line.role) != self.to {
            return Err(format!("the line says {}", line.role));
        }
        if self.accounts_of(line) > 0 {
            return Err("there is an account".into());
        }
        let pending = self.reading.invitations.iter().any(|(it, open)| *open && line.has(it));
        if pending {
            return Err("there is an invitation that can be accepted".into());
        }
        self.has_not_vanished(line)
    }

    /// An account that was seen and that nobody here disabled is not invited again unasked. Once it
    /// was, because somebody asked, the ladder says when the next one may follow.
    fn has_not_vanished(&self, line: &Line) -> Result<(), String> {
        let record = &self.site.record;
        let sent = |it: &str| record.invitations.get(&it.to_ascii_lowercase());
        if line.addresses().filter_map(sent).any(|it| !it.sent.is_empty()) {
            return Ok(());
        }
        let elsewhere = |uid: &str| self.reading.accounts.iter().any(|(it, ..)| it == uid);
        let mut seen = record.seen.iter().filter(|(email, _)| line.has(email));
        let vanished = seen.find(|(_, uid)| !record.disabled.contains(uid) && !elsewhere(uid));
        let approved = line.aliases.iter().chain([&line.email]);
        let approved = approved.into_iter().any(|address| self.wish.approves("invite", address));
        match vanished {
            Some((email, _)) if !approved => Err(format!("the account of {email} has vanished")),
            _ => Ok(()),
        }
    }

    /// Whether an account counts for the floor of admins.
    fn is_lasting(&self, account: &Account) -> bool {
        let unmanaged = self.wish.is_unmanaged(&account.email);
        let owner = self.owner(&account.uid, &account.email);
        let lasting = owner.is_some_and(|line| line.role == "ADMIN");
        !account.disabled && account.account_type == AccountType::Admin && !unmanaged && lasting
    }

    /// Never fewer admins than the floor through our doing.
    fn leaves_admins(&self, after: &[Account]) -> Result<(), String> {
        if self.kind == "invite" || self.to == Some("ADMIN") || self.account()?.1 != "ADMIN" {
            return Ok(());
        }
        let left = after.iter().filter(|account| self.is_lasting(account)).count();
        let by_hand = self.site.record.taken_by_hand.iter();
        let by_hand = by_hand.filter(|(at, _)| *at >= self.reading.as_of).count();
        let floor = self.site.runs[self.run].knobs.min_admins;
        if left + by_hand < floor {
            return Err(format!("{left} admins are left, the floor is {floor}"));
        }
        Ok(())
    }

    /// The budgets that pay for it.
    fn budgets(&self) -> Vec<&'static str> {
        let (email, from) = self.account().unwrap_or((&self.target, ""));
        let to = self.to.unwrap_or_default();
        let mut budgets = Vec::new();
        match self.kind {
            "invite" => budgets.push("invite"),
            "disable" => budgets.push("disable"),
            _ if tier(to) <= tier(from) => budgets.push("demote"),
            _ => {}
        }
        let nobody = !self.reading.accounts.iter().any(|(.., role)| role == "ADMIN");
        if to == "ADMIN" && from != "ADMIN" && !nobody {
            budgets.push("grant_admin");
        }
        let owner = self.owner(&self.target, email);
        let owner = owner.or_else(|| self.wish.line_of(&self.target));
        let approved = |budget: &str| {
            let addresses =
                owner.into_iter().flat_map(|line| line.aliases.iter().chain([&line.email]));
            addresses.map(String::as_str).chain([email]).any(|it| self.wish.approves(budget, it))
        };
        let dated = |budget: &str| {
            budget != "invite"
                && budget != "grant_admin"
                && owner.is_some_and(|line| self.was_foreseen(line))
        };
        budgets.retain(|budget| !approved(budget) && !dated(budget));
        budgets
    }

    /// An end that has come was seen before by a run.
    fn was_foreseen(&self, line: &Line) -> bool {
        let ends = [line.ends(&self.site.zone), line.elevate.map(|(_, until)| until)];
        let mut ends = ends.into_iter().flatten().filter(|end| *end <= self.now);
        ends.any(|end| self.site.record.scheduled.contains(&(line.email.to_ascii_lowercase(), end)))
    }

    fn limit(&self) -> usize {
        let (percent, floor) = self.site.runs[self.run].knobs.budget;
        let managed =
            self.reading.accounts.iter().filter(|(_, email, _)| !self.wish.is_unmanaged(email));
        floor.max((managed.count() * usize::from(percent)).div_ceil(100))
    }
}
