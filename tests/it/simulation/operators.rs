//! What operators do: direct changes to the workspace, and commits to the roster file.

use jiff::{SignedDuration, Timestamp};
use rosterd::sandbox::world::{Account, AccountType, Invitation, World};

use super::expected_roster::{Approval, ExpectedRoster, Member, day};
use super::invariants::{INVISIBLE, role_name};
use super::people::{introduce, name_of};
use super::scenario::{Edit, OperatorAction};
use super::sim_state::{SimState, Version, WORKSPACE, Written};

const TYPES: [AccountType; 5] = [
    AccountType::Admin,
    AccountType::Developer,
    AccountType::Business,
    AccountType::Analyst,
    AccountType::WorkspaceAdmin,
];

impl SimState {
    /// An operator changes the workspace directly.
    pub fn operate(&mut self, action: OperatorAction, which: usize) {
        let now = self.clocks.true_now();
        let world = std::sync::Arc::clone(&self.world);
        let mut world = world.lock();
        let workspace = &world.workspaces[0];
        let active: Vec<Account> = workspace.active().cloned().collect();
        let invited: Vec<String> =
            workspace.invitations.iter().map(|it| it.email.clone()).collect();
        let selected = (!active.is_empty()).then(|| active[which % active.len().max(1)].clone());
        let guest = format!("guest{}@acme.io", which % 5);
        let details = match action {
            OperatorAction::Accept | OperatorAction::AcceptAll => {
                let at = which % invited.len().max(1);
                let all = action == OperatorAction::AcceptAll;
                let accepted = invited.iter().enumerate().filter(|(it, _)| all || *it == at);
                self.accept(&mut world, accepted.map(|(_, email)| email))
            }
            OperatorAction::AcceptElsewhere => {
                let email = invited.get(which % invited.len().max(1)).cloned().unwrap_or_default();
                self.accept_elsewhere(&mut world, &email, which)
            }
            OperatorAction::ExpireInvitation => {
                let email = invited.get(which % invited.len().max(1)).cloned().unwrap_or_default();
                let _ = world.expire(WORKSPACE, &email);
                email
            }
            OperatorAction::AddOutsider
            | OperatorAction::AddMember
            | OperatorAction::AddLookalike => {
                let members = &self.latest_roster.members;
                let member = members.get(which % members.len().max(1));
                let end = if action == OperatorAction::AddLookalike { INVISIBLE } else { "" };
                let email = member
                    .filter(|_| action != OperatorAction::AddOutsider)
                    .and_then(|member| member.addresses().last())
                    .map_or(guest, |address| format!("{address}{end}"));
                if !active.iter().any(|it| it.email.eq_ignore_ascii_case(&email)) {
                    self.tracker.invitations.remove(&email.to_ascii_lowercase());
                    let role = TYPES[which % TYPES.len()];
                    world.add(WORKSPACE, &email, Some(name_of(&email)), role).unwrap();
                }
                email
            }
            OperatorAction::InviteOutsider => {
                let role = TYPES[which % TYPES.len()];
                let known = world.workspaces[0].accounts.iter().any(|it| it.email == guest);
                if !known && !invited.contains(&guest) {
                    let (email, expired) = (guest.clone(), false);
                    let invitation = Invitation { email, account_type: role, sent: now, expired };
                    world.workspaces[0].invitations.push(invitation);
                }
                guest
            }
            OperatorAction::Enable => {
                let disabled = world.workspaces[0].accounts.iter_mut().find(|it| it.disabled);
                disabled.map_or_else(String::new, |account| {
                    account.disabled = false;
                    account.email.clone()
                })
            }
            _ => {
                let Some(account) = selected else { return };
                self.change_account(&mut world.workspaces[0].accounts, &account, action, which);
                account.email
            }
        };
        drop(world);
        self.log_event(&format!("operator {action:?}"), &details);
        self.record_world();
    }

    fn accept<'a>(
        &mut self,
        world: &mut World,
        invited: impl Iterator<Item = &'a String>,
    ) -> String {
        let mut accepted = Vec::new();
        for email in invited {
            if world.accept(WORKSPACE, email, self.clocks.true_now()).is_ok() {
                self.tracker.invitations.remove(&email.to_ascii_lowercase());
                // Until a listing shows the account, rosterd knows only of the invitation.
                self.tracker.maybe_invited.insert(email.to_ascii_lowercase());
                introduce(world.workspaces[0].accounts.last_mut().unwrap());
                accepted.push(email.as_str());
            }
        }
        accepted.join(", ")
    }

    fn change_account(
        &mut self,
        accounts: &mut Vec<Account>,
        selected: &Account,
        action: OperatorAction,
        which: usize,
    ) {
        let at = accounts.iter().position(|it| it.uid == selected.uid).unwrap();
        let account = &mut accounts[at];
        let was_admin = account.account_type == AccountType::Admin;
        match action {
            OperatorAction::Remove => {
                accounts.remove(at);
            }
            OperatorAction::Disable => account.disabled = true,
            OperatorAction::ChangeRole => account.account_type = TYPES[which % TYPES.len()],
            OperatorAction::GrantAdmin => account.account_type = AccountType::Admin,
            OperatorAction::NewAddress => {
                account.email = format!("new{}.{}", which % 3, account.email);
                // Sometimes the address that becomes free is given to another account.
                if which.is_multiple_of(4) {
                    add_second(accounts, selected, selected.email.clone());
                }
            }
            OperatorAction::SecondAccount => {
                add_second(accounts, selected, format!("other.{}", selected.email));
            }
            _ => {}
        }
        let is_admin = accounts.get(at).is_some_and(|it| {
            it.uid == selected.uid && !it.disabled && it.account_type == AccountType::Admin
        });
        if was_admin && (!is_admin || action == OperatorAction::NewAddress) {
            self.tracker
                .admins_removed_by_operators
                .push((self.clocks.true_now(), selected.uid.clone()));
        }
    }

    /// An operator changes an account before the request arrives, often one that it concerns.
    pub fn concurrent_edit(&mut self, request: &str) {
        let world = std::sync::Arc::clone(&self.world);
        let concerned = {
            let world = world.lock();
            let mut active = world.workspaces[0].active();
            active.position(|account| request.contains(&account.uid))
        };
        let any = self.random.usize(..1_000);
        let which = concerned.filter(|_| self.random.u8(..3) > 0).unwrap_or(any);
        let actions = [OperatorAction::Disable, OperatorAction::Remove, OperatorAction::ChangeRole];
        let action = *self.random.choice(&actions).unwrap();
        self.operate(action, which);
    }

    /// Commits an edit of the roster file.
    pub fn commit(&mut self, edit: Edit, which: usize) {
        let (text, expected) = self.edited(edit, which);
        self.log_event(&format!("commit {edit:?}"), &summary(expected.as_ref()));
        self.write(text, expected, Written::Commit);
    }

    /// The versions of the file while an edit is written in place in `parts`.
    pub fn versions_in_place(&mut self, edit: Edit, which: usize, parts: usize) -> Vec<Version> {
        let (text, expected) = self.edited(edit, which);
        self.log_event(&format!("in place {edit:?}"), &summary(expected.as_ref()));
        let whole = text.clone().unwrap_or_default();
        let cuts = (1..parts).map(|part| {
            let cut = whole.floor_char_boundary(whole.len() * part / parts);
            // Writers stop where a buffer ends, or a line: half of a roster is often a valid one.
            let line = whole[..cut].rfind('\n').filter(|_| part % 2 == which % 2);
            line.map_or(cut, |line| line + 1)
        });
        let mut cuts: Vec<usize> = cuts.filter(|cut| *cut > 0).collect();
        // Every part is new.
        cuts.dedup();
        let partial = cuts.into_iter().map(|cut| {
            let text = Some(whole[..cut].to_owned());
            Version { text, expected: None, written: Written::Partly }
        });
        partial.chain([Version { text, expected, written: Written::InPlace }]).collect()
    }

    /// The text of the file after an edit, and what it asks for.
    pub fn edited(&mut self, edit: Edit, which: usize) -> (Option<String>, Option<ExpectedRoster>) {
        let now = self.clocks.machine_now();
        match edit {
            Edit::Truncate => {
                let (text, length) =
                    (self.latest_roster.to_yaml(), self.latest_roster.to_yaml().len());
                let cut = text.floor_char_boundary(1 + which * (length - 1) / 1_000);
                (Some(text[..cut].to_owned()), self.latest_roster.truncated_at(cut))
            }
            Edit::MergeConflict => {
                let text = self.latest_roster.to_yaml();
                (Some(format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n")), None)
            }
            Edit::BadYaml => (Some(self.latest_roster.to_yaml() + "  - { email: [\n"), None),
            Edit::Duplicate => match self.latest_roster.members.first() {
                Some(member) => {
                    let mut expected = self.latest_roster.clone();
                    expected.members.push(member.clone());
                    (Some(expected.to_yaml()), None)
                }
                None => (Some("users:\n".to_owned()), None),
            },
            Edit::ControlCharacters => (Some("\u{0}\u{1}".to_owned()), None),
            Edit::DeleteFile => (None, None),
            _ => {
                let mut expected = std::mem::take(&mut self.latest_roster);
                self.edit(&mut expected, edit, which, now);
                self.latest_roster = expected;
                (Some(self.latest_roster.to_yaml()), Some(self.latest_roster.clone()))
            }
        }
    }

    /// Writes the file, or removes it, and registers the version; or pushes it as a commit.
    pub fn write(
        &mut self,
        text: Option<String>,
        expected: Option<ExpectedRoster>,
        written: Written,
    ) {
        if self.git.is_some() {
            return self.push_versions(vec![Version { text, expected, written }]);
        }
        let path = self.folder.join("users.yaml");
        match &text {
            Some(text) => std::fs::write(path, text).unwrap(),
            None => drop(std::fs::remove_file(path)),
        }
        self.versions.push(Version { text, expected, written });
    }

    fn edit(&mut self, expected: &mut ExpectedRoster, edit: Edit, which: usize, now: Timestamp) {
        let count = expected.members.len();
        let at = which % count.max(1);
        let role = role_name(TYPES[which / 7 % TYPES.len()]);
        match edit {
            Edit::Add | Edit::AddAdmin => {
                let role = if edit == Edit::AddAdmin { "ADMIN" } else { role };
                let mut member = Member::new(&format!("user{}@acme.io", which % 14), role);
                member.name = (which.is_multiple_of(2)).then(|| name_of(&member.email));
                add_member(expected, member);
            }
            Edit::AddElsewhere => {
                let domain = ["acme.oi", "partner.com"][which % 2];
                let mut member = Member::new(&format!("user{}@{domain}", which % 14), role);
                member.expires = (which.is_multiple_of(3)).then(|| day(now, 5));
                add_member(expected, member);
            }
            Edit::ChangeRoles => {
                for (n, member) in expected.members.iter_mut().enumerate().skip(2) {
                    let role = role_name(TYPES[1 + (which + n) % (TYPES.len() - 1)]);
                    edit_member(member, Edit::ChangeRole, which, role, now);
                }
            }
            Edit::RemoveMany => expected.members.truncate(count.div_ceil(2)),
            Edit::RemoveAll => expected.members.clear(),
            Edit::Unmanage => {
                let world = self.world.lock();
                let mut active = world.workspaces[0].active();
                let unmatched = active
                    .find(|it| expected.member_for(&it.email).is_none() && it.email.is_ascii());
                match unmatched {
                    Some(account) if !which.is_multiple_of(3) => {
                        expected.unmanaged.push(account.email.clone());
                    }
                    _ => drop(expected.unmanaged.pop()),
                }
            }
            Edit::Approve
            | Edit::ApproveInStock
            | Edit::EndMany
            | Edit::TakeBackEnds
            | Edit::ElevateMany => self.edit_many(expected, edit, which, now),
            Edit::RemoveApprovals => expected.approvals.clear(),
            Edit::Remove if count > 0 => drop(expected.members.remove(at)),
            _ => {
                if let Some(member) = expected.members.get_mut(at) {
                    let before = member.clone();
                    edit_member(member, edit, which, role, now);
                    let after = member.clone();
                    let is_own = |it: &&Member| after.addresses().any(|own| it.has_address(own));
                    let conflicts = expected.members.iter().filter(is_own).count() > 1;
                    if conflicts || after.addresses().any(|own| expected.is_unmanaged(own)) {
                        expected.members[at] = before;
                    }
                }
            }
        }
    }
}

/// The reason of an approval: sometimes none, and one of few.
fn reason(which: usize) -> String {
    if which.is_multiple_of(11) { String::new() } else { format!("agreed {}", which % 3) }
}

impl SimState {
    /// Approvals, and dates of many members.
    fn edit_many(
        &mut self,
        expected: &mut ExpectedRoster,
        edit: Edit,
        which: usize,
        now: Timestamp,
    ) {
        let approve = |expected: &mut ExpectedRoster, action, people: Vec<String>| {
            if !people.is_empty() {
                let reason = reason(which);
                expected.approvals.push(Approval { action, people, reason });
            }
        };
        match edit {
            Edit::Approve => {
                let Some(applied) = self.reports.last().and_then(|report| report.applied()) else {
                    return;
                };
                for (budget, people) in applied.verdict.releasable() {
                    // Some approve one after the other, or all but one.
                    let count = match which % 7 {
                        0 => 1,
                        1 | 2 => (people.len() - 1).max(1),
                        _ => people.len(),
                    };
                    let people = people.into_iter().take(count);
                    let people = people.map(|it| {
                        let alias =
                            expected.member_for(it.as_str()).and_then(|it| it.aliases.first());
                        // An alias approves nothing.
                        let alias = alias.filter(|_| which.is_multiple_of(5)).cloned();
                        alias.unwrap_or_else(|| it.as_str().to_owned())
                    });
                    approve(expected, budget.key(), people.collect());
                }
            }
            Edit::ApproveInStock => {
                let action = ["disable", "invite", "grant_admin", "demote"][which % 4];
                let others = (0..2).map(|n| format!("guest{}@acme.io", (which + n) % 5));
                let members = expected.members.iter().skip(which % 3);
                let mut people: Vec<String> = members.map(|it| it.email.clone()).collect();
                people.extend(others);
                approve(expected, action, people);
            }
            Edit::EndMany => {
                // Seconds ahead, or more than a day.
                let ahead = if which.is_multiple_of(2) { 20 } else { 30 * 3_600 };
                let at = now + SignedDuration::from_secs(ahead);
                for member in expected.members.iter_mut().skip(1 + which % 2) {
                    (member.ends, member.starts) = (Some(at), None);
                }
                if which.is_multiple_of(3) {
                    let people = expected.members.iter().map(|it| it.email.clone()).collect();
                    approve(expected, "disable", people);
                }
            }
            Edit::TakeBackEnds => {
                let members = expected.members.iter_mut();
                members.for_each(|it| (it.ends, it.expires) = (None, None));
            }
            Edit::ElevateMany => {
                let until = now
                    + SignedDuration::from_secs(if which.is_multiple_of(3) { 20 } else { 4_000 });
                let others = expected.members.iter_mut().skip(1);
                for member in others.filter(|it| it.role != "ADMIN" || which.is_multiple_of(2)) {
                    // An admin is to be demoted at the end.
                    member.role = if member.role == "ADMIN" { "ANALYST" } else { member.role };
                    member.elevate = Some(("ADMIN", until));
                }
            }
            _ => {}
        }
    }
}

fn add_member(expected: &mut ExpectedRoster, member: Member) {
    if expected.member_for(&member.email).is_none() && !expected.is_unmanaged(&member.email) {
        expected.members.push(member);
    }
}

/// Adds a second account of a person.
fn add_second(accounts: &mut Vec<Account>, first: &Account, email: String) {
    let uid: String = first.uid.chars().rev().collect();
    let is_known = accounts.iter().any(|it| it.uid == uid || it.email == email);
    if !is_known {
        accounts.push(Account { uid, email, ..first.clone() });
    }
}

fn edit_member(member: &mut Member, edit: Edit, which: usize, role: &'static str, now: Timestamp) {
    let days = i64::try_from(which % 6).unwrap_or_default();
    match edit {
        Edit::ChangeRole => {
            member.role = role;
            member.elevate = member.elevate.filter(|_| role != "ADMIN");
        }
        Edit::NewAddress | Edit::NewAddressWithAlias => {
            let name = name_of(&member.email);
            member.name.get_or_insert(name);
            let new = format!("moved{}.{}", which % 3, member.email);
            let old = std::mem::replace(&mut member.email, new);
            if edit == Edit::NewAddressWithAlias {
                member.aliases.push(old);
            }
        }
        Edit::AddPersonalAlias => {
            let local = member.email.split('@').next().unwrap_or_default();
            member.aliases = vec![format!("{local}@home.me")];
        }
        Edit::Expire | Edit::ExpireNow => {
            let days = if edit == Edit::Expire { days } else { -1 - days };
            (member.expires, member.ends) = (Some(day(now, days)), None);
            member.starts = None;
        }
        Edit::StartLater => {
            member.starts = Some(day(now, days));
            (member.expires, member.ends) = (None, None);
        }
        Edit::Elevate if member.role != "ADMIN" => {
            let until = now + SignedDuration::from_hours(1 + 20 * days);
            member.elevate = Some(("ADMIN", until));
        }
        Edit::ClearOptions => *member = Member::new(&member.email, member.role),
        _ => {}
    }
}

fn summary(expected: Option<&ExpectedRoster>) -> String {
    let Some(expected) = expected else { return "invalid".into() };
    let members = expected.members.iter().map(|member| {
        let (dates, aliases) = ([member.starts, member.expires], &member.aliases);
        let times = (member.ends, member.elevate);
        format!("{} {} {dates:?} {times:?} {aliases:?}", member.email, member.role)
    });
    let members: Vec<String> = members.collect();
    format!("{}; unmanaged {:?}; {:?}", members.join(", "), expected.unmanaged, expected.approvals)
}
