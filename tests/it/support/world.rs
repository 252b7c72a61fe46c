//! A builder of test worlds: roster, directory, settings and memory of a workspace.

use jiff::{SignedDuration, Timestamp};
use rosterd::action::{ApprovalItem, BudgetName};
use rosterd::diagnostic::{FileId, Place};
use rosterd::directory::{Account, Invitation, InviteStatus, Snapshot, Uid};
use rosterd::email::Email;
use rosterd::guard::{self, Limits, Override, Verdict};
use rosterd::memory::Memory;
use rosterd::memory::entry::{ApprovedBy, Entry, Intent, Record};
use rosterd::memory::observe::observe;
use rosterd::plan::change::{Action, Change};
use rosterd::plan::{self, Finding, OnRemoved, Plan, Rules, rename};
use rosterd::role::Role;
use rosterd::roster::policy::Policy;
use rosterd::roster::{
    Approval, ApprovalState, Digest, Elevation, Member, Pattern, Period, Roster,
};

/// The time of every plan.
pub fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

/// This number of hours after [`now`].
pub fn hours(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

/// `matt` is short for `matt@acme.io`.
pub fn email(name: &str) -> Email {
    Email::remote(&if name.contains('@') { name.to_owned() } else { format!("{name}@acme.io") })
}

pub fn uid(name: &str) -> Uid {
    Uid(format!("uid-{name}").into())
}

#[derive(Clone, Debug, Default)]
#[must_use]
pub struct World {
    pub members: Vec<Member>,
    pub unmanaged: Vec<String>,
    pub accounts: Vec<Account>,
    pub invitations: Vec<Invitation>,
    pub server_time: Option<Timestamp>,
    pub on_removed: OnRemoved,
    pub limits: Limits,
    pub policy: Policy,
    pub approvals: Vec<Approval>,
    pub memory: Memory,
}

impl World {
    /// A converged workspace with two admins, two developers and a business user.
    pub fn converged() -> Self {
        [
            ("alexandra", Role::Admin),
            ("jonny", Role::Admin),
            ("matt", Role::Developer),
            ("max", Role::Developer),
            ("john", Role::Business),
        ]
        .into_iter()
        .fold(Self::default(), |world, (name, role)| world.both(name, role))
    }

    /// Adds `count` converged developers.
    pub fn crowd(self, count: usize) -> Self {
        (0..count).fold(self, |world, n| world.both(&format!("user{n}"), Role::Developer))
    }

    /// Adds a member and the account.
    pub fn both(self, name: &str, role: Role) -> Self {
        self.member(name, role.clone()).account(name, role)
    }

    /// Adds a member, or changes the role of an existing one.
    pub fn member(self, name: &str, role: Role) -> Self {
        self.member_with(name, role, |_| {})
    }

    pub fn member_with(mut self, name: &str, role: Role, more: impl FnOnce(&mut Member)) -> Self {
        self.members.retain(|member| member.email != email(name));
        let line = u32::try_from(self.members.len() + 1).unwrap();
        let mut member = Member {
            email: email(name),
            role,
            name: None,
            aliases: Box::default(),
            time: None,
            place: Place { file: FileId(0), line, column: 1, start: 0, end: 0 },
        };
        more(&mut member);
        self.members.push(member);
        self
    }

    pub fn no_member(mut self, name: &str) -> Self {
        self.members.retain(|member| member.email != email(name));
        self
    }

    /// Adds an account, or changes the role of an existing one.
    pub fn account(self, name: &str, role: Role) -> Self {
        self.account_as(name, name, role)
    }

    /// The account `id` under the address of `name`.
    pub fn account_as(mut self, id: &str, name: &str, role: Role) -> Self {
        self.accounts.retain(|account| account.uid != uid(id));
        self.accounts.push(Account { uid: uid(id), email: email(name), name: None, role });
        self
    }

    pub fn named(mut self, name: &str, shown: &str) -> Self {
        for account in self.accounts.iter_mut().filter(|account| account.email == email(name)) {
            account.name = Some(shown.into());
        }
        self
    }

    pub fn invitation(mut self, name: &str, role: Role, status: InviteStatus) -> Self {
        self.invitations.push(Invitation { email: email(name), role, status });
        self
    }

    pub fn unmanaged(mut self, pattern: &str) -> Self {
        self.unmanaged.push(pattern.to_owned());
        self
    }

    /// Adds an entry of `approvals:`.
    pub fn approve(mut self, budget: BudgetName, people: &[&str]) -> Self {
        let place = Place { file: FileId(0), line: 90, column: 1, start: 0, end: 0 };
        self.approvals.extend(people.iter().map(|name| {
            let (email, reason) = (email(name), "for a test".to_owned());
            let item = ApprovalItem { action: budget, email, reason };
            Approval { item, place, state: ApprovalState::Counts }
        }));
        self
    }

    /// Reads the approvals that no run has read, as a run does.
    pub fn bound(mut self) -> Self {
        let (plan, roster) = (self.plan(), self.roster());
        let verdict = guard::evaluate(&plan, &self.limits, &self.memory, &Override::None);
        let by = |approval: &Approval| ApprovedBy {
            place: Some("users.yaml:90".into()),
            reason: approval.item.reason.clone(),
            revision: None,
        };
        let records = guard::approvals::bind(&plan, &verdict, &roster, &self.memory, by);
        let records: Vec<Entry> = records.collect();
        if records.is_empty() {
            return self;
        }
        let sets = verdict
            .new_sets
            .iter()
            .map(|set| Entry::Set { budget: set.budget, members: set.members.clone() });
        let entries: Vec<Entry> = sets.chain(records).collect();
        self.memory.preview(entries, now());
        self
    }

    /// Folds entries into the memory, `at` hours after [`now`].
    pub fn remember(mut self, at: i64, entries: impl IntoIterator<Item = Entry>) -> Self {
        for entry in entries {
            let seq = self.memory.through() + 1;
            self.memory.fold(&Record { seq, at: hours(at), entry });
        }
        self
    }

    /// Folds a listing of the directory into the memory, `at` hours after [`now`].
    pub fn seen(self, at: i64) -> Self {
        let (roster, snapshot) = (self.roster(), self.snapshot());
        let mut entries = observe(&self.memory, &snapshot, &roster, hours(at));
        entries.extend(rename::signs(&roster, &snapshot, &self.memory, hours(at)));
        self.remember(at, entries)
    }

    pub fn limits(mut self, set: impl FnOnce(&mut Limits)) -> Self {
        set(&mut self.limits);
        self
    }

    pub fn roster(&self) -> Roster {
        let place = Place { file: FileId(0), line: 1, column: 1, start: 0, end: 0 };
        let patterns = self.unmanaged.iter().map(|text| Pattern::parse(text, place).unwrap());
        let (members, approvals) = (self.members.clone(), self.approvals.clone());
        Roster::new(members, patterns.collect(), approvals, Digest::default()).unwrap()
    }

    pub fn snapshot(&self) -> Snapshot {
        let (accounts, invitations) = (self.accounts.clone(), self.invitations.clone());
        Snapshot::new(accounts, invitations, self.server_time).unwrap()
    }

    pub fn plan(&self) -> Plan {
        let (roster, snapshot) = (self.roster(), self.snapshot());
        let plan = plan::plan(&roster, &snapshot, &self.memory, self.rules(), now());
        plan.with_policy(&self.policy, &roster)
    }

    pub fn rules(&self) -> Rules {
        Rules { on_removed: self.on_removed, ..Rules::default() }
    }

    pub fn verdict(&self) -> Verdict {
        let world = self.clone().bound();
        guard::evaluate(&world.plan(), &world.limits, &world.memory, &Override::None)
    }
}

/// An intent of rosterd, as an entry of the ledger.
pub fn intent(name: &str, action: Action) -> Entry {
    Entry::Intent(Box::new(Intent {
        action,
        email: email(name),
        also: Vec::new(),
        reason: "for a test".into(),
        place: None,
        scheduled: false,
        elevates: false,
        approval: None,
        approved: Vec::new(),
        revision: None,
        lifted: Vec::new(),
        batch: 1,
    }))
}

/// Disables the account of a developer.
pub fn disable(name: &str) -> Action {
    Action::Disable { uid: uid(name), role: Role::Developer }
}

/// Sets dates, in hours from [`now`].
pub fn dates(starts: Option<i64>, ends: Option<i64>) -> impl FnOnce(&mut Member) {
    move |member| {
        let (starts, ends) = (starts.map(hours), ends.map(hours));
        member.time = Some(Box::new(Period { starts, ends, elevate: None }));
    }
}

/// Elevates to `role` until this number of hours after [`now`].
pub fn elevated(role: Role, until: i64) -> impl FnOnce(&mut Member) {
    move |member| {
        let elevate = Some(Elevation { role, until: hours(until), reason: None });
        member.time = Some(Box::new(Period { elevate, ..Period::default() }));
    }
}

/// One change as a line of text.
pub fn line(change: &Change) -> String {
    let name = change.email.folded();
    let role = |role: Option<&Role>| role.map_or("-", Role::as_str).to_owned();
    let uid = change.action.uid().map_or("-", Uid::as_str);
    let (from, to) = (role(change.action.from()), role(change.action.to()));
    format!("{} {name} {uid} {from} > {to}: {}", change.action.kind(), change.reason.description())
}

pub fn lines<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<String> {
    changes.into_iter().map(line).collect()
}

/// One finding as a line of text.
pub fn note(finding: &Finding) -> String {
    let kind = format!("{:?}", finding.kind);
    let kind = kind.split([' ', '{']).next().unwrap_or_default();
    format!("{kind} {} {}", finding.email.folded(), finding.role)
}

/// The changes, then the findings of a plan, as lines of text.
pub fn plan_rows(plan: &Plan) -> Vec<String> {
    plan.changes().iter().map(line).chain(plan.findings().iter().map(note)).collect()
}
