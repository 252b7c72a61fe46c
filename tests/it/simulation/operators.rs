//! What people do: in the workspace, and to the roster's file.

use jiff::{SignedDuration, Timestamp};
use rosterd::sandbox::world::{Account, AccountType, Invitation};

use super::expected_roster::{Line, Wish, day};
use super::invariants::role_name;
use super::scenario::{Act, Edit};
use super::sim_state::{Site, Version, WORKSPACE};

const TYPES: [AccountType; 5] = [
    AccountType::Admin,
    AccountType::Developer,
    AccountType::Business,
    AccountType::Analyst,
    AccountType::WorkspaceAdmin,
];

fn name_of(email: &str) -> String {
    email.split('@').next().unwrap_or_default().to_owned()
}

impl Site {
    /// Somebody acts in the workspace.
    pub fn act(&mut self, act: Act, which: usize) {
        let now = self.clocks.truly();
        let world = std::sync::Arc::clone(&self.world);
        let mut world = world.lock();
        let place = &world.workspaces[0];
        let active: Vec<Account> = place.active().cloned().collect();
        let invited: Vec<String> = place.invitations.iter().map(|it| it.email.clone()).collect();
        let somebody = (!active.is_empty()).then(|| active[which % active.len().max(1)].clone());
        let guest = format!("guest{}@acme.io", which % 5);
        let told = match act {
            Act::Accept | Act::AcceptAll => {
                let all = act == Act::AcceptAll;
                let at = which % invited.len().max(1);
                let mut came = Vec::new();
                for (_, email) in invited.iter().enumerate().filter(|(it, _)| all || *it == at) {
                    if world.accept(WORKSPACE, email, now).is_ok() {
                        self.record.invitations.remove(&email.to_ascii_lowercase());
                        came.push(email.clone());
                    }
                }
                came.join(", ")
            }
            Act::ExpireInvitation => {
                let email = invited.get(which % invited.len().max(1)).cloned().unwrap_or_default();
                let _ = world.expire(WORKSPACE, &email);
                email
            }
            Act::AddOutsider | Act::AddMember => {
                let line = self.head.lines.get(which % self.head.lines.len().max(1));
                let member = line.map_or(guest.clone(), |line| line.email.clone());
                let email = if act == Act::AddMember { member } else { guest };
                let is_there = active.iter().any(|it| it.email.eq_ignore_ascii_case(&email));
                if !is_there {
                    self.record.invitations.remove(&email.to_ascii_lowercase());
                    let role = TYPES[which % TYPES.len()];
                    world.add(WORKSPACE, &email, Some(name_of(&email)), role).unwrap();
                }
                email
            }
            Act::InviteOutsider => {
                let role = TYPES[which % TYPES.len()];
                let known = world.workspaces[0].accounts.iter().any(|it| it.email == guest);
                if !known && !invited.contains(&guest) {
                    let (email, expired) = (guest.clone(), false);
                    let invitation = Invitation { email, account_type: role, sent: now, expired };
                    world.workspaces[0].invitations.push(invitation);
                }
                guest
            }
            Act::Enable => {
                let disabled = world.workspaces[0].accounts.iter_mut().find(|it| it.disabled);
                disabled.map_or_else(String::new, |account| {
                    account.disabled = false;
                    account.email.clone()
                })
            }
            _ => {
                let Some(account) = somebody else { return };
                self.change_account(&mut world.workspaces[0].accounts, &account, act, which);
                account.email
            }
        };
        drop(world);
        self.tell(&format!("hand {act:?}"), &told);
        self.remember_world();
    }

    fn change_account(
        &mut self,
        accounts: &mut Vec<Account>,
        one: &Account,
        act: Act,
        which: usize,
    ) {
        let at = accounts.iter().position(|it| it.uid == one.uid).unwrap();
        let account = &mut accounts[at];
        let was_admin = account.account_type == AccountType::Admin;
        match act {
            Act::Remove => {
                accounts.remove(at);
            }
            Act::Disable => account.disabled = true,
            Act::ChangeRole => account.account_type = TYPES[which % TYPES.len()],
            Act::Crown => account.account_type = AccountType::Admin,
            Act::NewAddress => account.email = format!("new{}.{}", which % 3, account.email),
            Act::SecondAccount => {
                let uid: String = account.uid.chars().rev().collect();
                let email = format!("other.{}", account.email);
                let second = Account { uid, email, ..account.clone() };
                if !accounts.iter().any(|it| it.uid == second.uid) {
                    accounts.push(second);
                }
            }
            _ => {}
        }
        let is_admin = accounts.get(at).is_some_and(|it| {
            it.uid == one.uid && !it.disabled && it.account_type == AccountType::Admin
        });
        if was_admin && (!is_admin || act == Act::NewAddress) {
            self.record.taken_by_hand.push((self.clocks.truly(), one.uid.clone()));
        }
    }

    /// A hand is faster than a request that is on its way, often with somebody whom it is about.
    pub fn sabotage(&mut self, request: &str) {
        let world = std::sync::Arc::clone(&self.world);
        let about = {
            let world = world.lock();
            let mut active = world.workspaces[0].active();
            active.position(|account| request.contains(&account.uid))
        };
        let anybody = self.random.usize(..1_000);
        let which = about.filter(|_| self.random.u8(..3) > 0).unwrap_or(anybody);
        let acts = [Act::Disable, Act::Remove, Act::ChangeRole];
        let act = *self.random.choice(&acts).unwrap();
        self.act(act, which);
    }

    /// Somebody commits.
    pub fn commit(&mut self, edit: Edit, which: usize) {
        let now = self.clocks.machine();
        let (text, wish) = match edit {
            Edit::Truncate => {
                let (text, length) = (self.head.text(), self.head.text().len());
                let cut = 1 + which * (length - 1) / 1_000;
                (Some(text[..cut].to_owned()), self.head.cut(cut))
            }
            Edit::Conflict => {
                let text = self.head.text();
                (Some(format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n")), None)
            }
            Edit::BadYaml => (Some(self.head.text() + "  - { email: [\n"), None),
            Edit::Duplicate => match self.head.lines.first() {
                Some(line) => {
                    let mut wish = self.head.clone();
                    wish.lines.push(line.clone());
                    (Some(wish.text()), None)
                }
                None => (Some("users:\n".to_owned()), None),
            },
            Edit::NotText => (Some("\u{0}\u{1}".to_owned()), None),
            Edit::DeleteFile => (None, None),
            _ => {
                let mut wish = std::mem::take(&mut self.head);
                self.edit(&mut wish, edit, which, now);
                self.head = wish;
                (Some(self.head.text()), Some(self.head.clone()))
            }
        };
        self.tell(&format!("commit {edit:?}"), &summary(wish.as_ref()));
        self.write(text.as_deref(), wish);
    }

    /// What lies on the disk from now on.
    pub fn write(&mut self, text: Option<&str>, wish: Option<Wish>) {
        let path = self.folder.join("users.yaml");
        match text {
            Some(text) => std::fs::write(path, text).unwrap(),
            None => drop(std::fs::remove_file(path)),
        }
        self.versions.push(Version { wish });
    }

    fn edit(&mut self, wish: &mut Wish, edit: Edit, which: usize, now: Timestamp) {
        let count = wish.lines.len();
        let at = which % count.max(1);
        let role = role_name(TYPES[which / 7 % TYPES.len()]);
        match edit {
            Edit::Add | Edit::AddAdmin => {
                let email = format!("user{}@acme.io", which % 14);
                if wish.line_of(&email).is_none() && !wish.is_unmanaged(&email) {
                    let role = if edit == Edit::AddAdmin { "ADMIN" } else { role };
                    let name = (which.is_multiple_of(2)).then(|| name_of(&email));
                    wish.lines.push(Line { name, ..Line::new(&email, role) });
                }
            }
            Edit::ChangeRoles => {
                for (n, line) in wish.lines.iter_mut().enumerate().skip(2) {
                    let role = role_name(TYPES[1 + (which + n) % (TYPES.len() - 1)]);
                    edit_line(line, Edit::ChangeRole, which, role, now);
                }
            }
            Edit::RemoveMany => wish.lines.truncate(count.div_ceil(2)),
            Edit::RemoveAll => wish.lines.clear(),
            Edit::Unmanage => {
                let world = self.world.lock();
                let free =
                    world.workspaces[0].active().find(|it| wish.line_of(&it.email).is_none());
                match free {
                    Some(account) if !which.is_multiple_of(3) => {
                        wish.unmanaged.push(account.email.clone());
                    }
                    _ => drop(wish.unmanaged.pop()),
                }
            }
            Edit::Approve => {
                let Some(applied) = self.reports.last().and_then(|report| report.applied()) else {
                    return;
                };
                for (budget, people) in applied.verdict.releasable() {
                    let people = people.into_iter().map(|it| it.as_str().to_owned()).collect();
                    wish.approvals.push((budget.key(), people));
                }
            }
            Edit::ForgetApprovals => wish.approvals.clear(),
            Edit::Remove if count > 0 => drop(wish.lines.remove(at)),
            _ => {
                if let Some(line) = wish.lines.get_mut(at) {
                    let before = line.clone();
                    edit_line(line, edit, which, role, now);
                    let email = line.email.clone();
                    let clash = wish.lines.iter().filter(|it| it.has(&email)).count() > 1;
                    if clash || wish.is_unmanaged(&email) {
                        wish.lines[at] = before;
                    }
                }
            }
        }
    }
}

fn edit_line(line: &mut Line, edit: Edit, which: usize, role: &'static str, now: Timestamp) {
    let days = i64::try_from(which % 6).unwrap_or_default();
    match edit {
        Edit::ChangeRole => {
            line.role = role;
            line.elevate = line.elevate.filter(|_| role != "ADMIN");
        }
        Edit::NewAddress | Edit::NewAddressWithAlias => {
            line.name = Some(name_of(&line.email));
            let fresh = format!("moved{}.{}", which % 3, line.email);
            let old = std::mem::replace(&mut line.email, fresh);
            if edit == Edit::NewAddressWithAlias {
                line.aliases.push(old);
            }
        }
        Edit::Expire | Edit::ExpireNow => {
            let ahead = if edit == Edit::Expire { days } else { -1 - days };
            line.expires = Some(day(now, ahead));
            line.starts = None;
        }
        Edit::StartLater => {
            line.starts = Some(day(now, days));
            line.expires = None;
        }
        Edit::Elevate if line.role != "ADMIN" => {
            let until = now + SignedDuration::from_hours(1 + 20 * days);
            line.elevate = Some(("ADMIN", until));
        }
        Edit::Plain => *line = Line::new(&line.email, line.role),
        _ => {}
    }
}

fn summary(wish: Option<&Wish>) -> String {
    let Some(wish) = wish else { return "cannot be used".into() };
    let lines = wish.lines.iter().map(|line| {
        let (dates, aliases) = ([line.starts, line.expires], &line.aliases);
        format!("{} {} {dates:?} {:?} {aliases:?}", line.email, line.role, line.elevate)
    });
    let lines: Vec<String> = lines.collect();
    format!("{}; unmanaged {:?}; {:?}", lines.join(", "), wish.unmanaged, wish.approvals)
}
