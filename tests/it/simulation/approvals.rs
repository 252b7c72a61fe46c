//! The judge of approvals, of the sets that budgets hold, and of ends of access. It trusts the
//! ledger for when an approval was read, and for what was held together.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use rosterd::action::{ApprovalItem, Subject};
use rosterd::directory::Uid;
use rosterd::guard::Guard;
use rosterd::memory::entry::{ApprovalRecord, Entry, Record};
use rosterd::report::Applied;
use rosterd::role::Role;

use super::checks::short;
use super::expected_roster::{ExpectedRoster, Phase, tier};
use super::invariants::EffectCheck;
use super::sim_state::{Listing, SimState, Written};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Action, address and reason.
pub type Item = (String, String, String);

/// What an approval named when a run first read it.
#[derive(Debug, Default)]
pub struct Named {
    /// Uid, or nothing for an invitation, and the role afterwards.
    changes: HashSet<(Option<String>, Option<String>)>,
    ends: HashSet<Timestamp>,
}

/// Changes that the ledger says a budget holds together: their uids or addresses.
#[derive(Debug)]
pub struct HeldTogether {
    seq: u64,
    budget: &'static str,
    members: HashSet<String>,
    approved: HashSet<String>,
    /// Those whose approved change was about to be sent, and may have taken effect.
    intended: HashSet<String>,
}

#[derive(Debug, Default)]
pub struct Approvals {
    named: HashMap<Item, Named>,
    sets: Vec<HeldTogether>,
    /// Ends of access in the rosters of all runs since: address and instant.
    ends: HashMap<(String, Timestamp), Timestamp>,
    /// By uid: the member whose elevation rosterd applied, and the role before.
    elevated: HashMap<String, (String, String)>,
    /// Uids and addresses that the last plan wants to change, by the budgets that may count it.
    wanted: HashSet<(&'static str, String)>,
}

fn item(record: &ApprovalItem) -> Item {
    let (action, email) = (record.action.key().to_owned(), record.email.folded());
    (action, email, record.reason.clone())
}

/// The budgets that may count a change. A disable stays in its set if its date changes.
pub fn budgets(kind: &str, from: &str, to: &str) -> Vec<&'static str> {
    let mut budgets = match kind {
        "disable" => vec!["disable", "scheduled"],
        "invite" => vec!["invite"],
        _ if tier(to) <= tier(from) => vec!["demote"],
        _ => vec![],
    };
    if kind != "disable" && tier(to) >= 2 && to != from {
        budgets.push("grant_admin");
    }
    budgets
}

impl SimState {
    /// The approvals that count in a version of the file: those that are committed, with a reason.
    pub fn counting(&self, version: usize) -> HashSet<Item> {
        let commits = self.versions[..=version].iter().rev();
        let last = commits.into_iter().find(|it| it.written == Written::Commit);
        let head = last.and_then(|it| it.expected.as_ref());
        let committed = head.map(ExpectedRoster::items).unwrap_or_default();
        let of = self.versions[version].expected.as_ref();
        let of = of.map(ExpectedRoster::items).unwrap_or_default();
        of.intersection(&committed).filter(|(.., reason)| !reason.is_empty()).cloned().collect()
    }

    /// A run has read an approval: what it releases is what the run's roster and listing show.
    pub fn approval_read(&mut self, record: &ApprovalRecord) {
        self.count("row approval");
        let latest = self.runs.iter().filter(|run| run.order.is_some());
        let Some(run) = latest.max_by_key(|run| run.order) else { return };
        let (Some(version), Some(listing)) = (run.version, run.listing.clone()) else {
            return self.fail(format!("{:?} was read without a listing", record.item));
        };
        // A clock that is ahead, perhaps since the listing, makes no end one of the past.
        let now = self.clocks.machine_now().min(listing.as_of);
        let expected = self.versions[version].expected.clone();
        if !self.counting(version).contains(&item(&record.item)) {
            return self.fail(format!("{:?} does not count", record.item));
        }
        let expected = expected.unwrap_or_default();
        for (uid, role) in &record.changes {
            let (uid, role) = (uid.as_ref().map(Uid::as_str), role.as_ref());
            let role = role.map(Role::as_str);
            if !self.is_wanted(&expected, &listing, &record.item, uid, role) {
                self.fail(format!("{:?} names {uid:?} {role:?}", record.item));
            }
        }
        let member = expected.member_for(record.item.email.as_str());
        let ends = member.map(|member| [member.end(&self.zone), member.elevate.map(|it| it.1)]);
        let is_set = |at: &Timestamp| {
            *at > now - SignedDuration::from_mins(6)
                && ends.is_some_and(|ends| ends.contains(&Some(*at)))
        };
        if !record.ends.iter().all(is_set) {
            self.fail(format!("{:?} names {:?}", record.item, record.ends));
        }
        let changes = record.changes.iter().map(|(uid, role)| {
            let uid = uid.as_ref().map(|it| it.as_str().to_owned());
            (uid, role.as_ref().map(|it| it.as_str().to_owned()))
        });
        let named =
            Named { changes: changes.collect(), ends: record.ends.iter().copied().collect() };
        if named.changes.is_empty() && named.ends.is_empty() {
            self.count("an approval names nothing");
        }
        if !named.ends.is_empty() {
            self.count("an approval names an end");
        }
        self.tracker.approvals.named.insert(item(&record.item), named);
    }

    /// Whether the roster and the listing ask for a change of the person with this address.
    fn is_wanted(
        &self,
        expected: &ExpectedRoster,
        listing: &Listing,
        of: &ApprovalItem,
        uid: Option<&str>,
        role: Option<&str>,
    ) -> bool {
        // The plan's time is between the listing and now, by a clock that may be ahead.
        let times = [self.clocks.machine_now(), listing.as_of];
        let is_address = |it: &str| it.eq_ignore_ascii_case(of.email.as_str());
        let Some(uid) = uid else {
            let mut members = expected.members.iter().filter(|it| is_address(&it.email));
            return members.any(|it| Some(it.role) == role);
        };
        let mut accounts = listing.accounts.iter();
        let Some((_, email, present)) = accounts.find(|(id, ..)| id == uid) else { return false };
        let owner = self.tracker.owner(expected, uid, email);
        if !owner.map_or(is_address(email), |it| is_address(&it.email)) {
            return false;
        }
        times.into_iter().any(|now| match role {
            None => owner.is_none_or(|it| it.phase(now, &self.zone) == Phase::Past),
            Some(role) => owner.is_some_and(|it| it.role_at(now) == role && present != role),
        })
    }

    /// Approvals have left the file.
    pub fn approval_gone(&mut self, entry: &Entry) {
        self.count("row approval_gone");
        let Entry::ApprovalGone { budget, email, reason: Some(reason) } = entry else { return };
        let gone = &(budget.key().to_owned(), email.folded(), reason.clone());
        let latest = self.runs.iter().filter(|run| run.order.is_some());
        let version = latest.max_by_key(|run| run.order).and_then(|run| run.version);
        let of = version.and_then(|version| self.versions[version].expected.as_ref());
        if of.is_some_and(|of| of.items().contains(gone)) {
            self.fail(format!("{gone:?} is in the file"));
        }
        self.tracker.approvals.named.remove(gone);
    }

    /// Records what the plan of a run wants, and the ends in its roster.
    pub fn record_plan(
        &mut self,
        expected: &ExpectedRoster,
        wanted: HashSet<(&'static str, String)>,
        now: Timestamp,
    ) {
        let zone = self.zone.clone();
        let Approvals { ends, elevated, wanted: before, .. } = &mut self.tracker.approvals;
        *before = wanted;
        let written = expected
            .members
            .iter()
            .filter_map(|member| Some((member.email.to_ascii_lowercase(), member.end(&zone)?)));
        let written: HashSet<(String, Timestamp)> = written.collect();
        ends.retain(|end, _| written.contains(end));
        for end in written.into_iter().filter(|(_, at)| *at > now) {
            ends.entry(end).or_insert(now);
        }
        let is_elevated =
            |email: &str| expected.member_for(email).is_some_and(|member| member.elevate.is_some());
        elevated.retain(|_, (email, _)| is_elevated(email));
    }

    /// The ledger has another set, or some have ended.
    pub fn set_written(&mut self, record: &Record) {
        let sets = &mut self.tracker.approvals.sets;
        match &record.entry {
            Entry::Set { budget, members } => {
                let members = members.iter().map(|member| match member {
                    Subject::Uid(uid) => uid.as_str().to_owned(),
                    Subject::Email(email) => email.folded(),
                });
                let (seq, budget, members) = (record.seq, budget.key(), members.collect());
                let (approved, intended) = (HashSet::new(), HashSet::new());
                sets.push(HeldTogether { seq, budget, members, approved, intended });
            }
            Entry::SetEnded { of } => sets.retain(|set| !of.contains(&set.seq)),
            Entry::Intent(intent) => {
                let (_, target, _) = short(&intent.action, intent.email.as_str());
                let is_theirs = |set: &&mut HeldTogether| {
                    !intent.approved.is_empty() && set.members.contains(&target)
                };
                sets.iter_mut().filter(is_theirs).for_each(|set| {
                    set.intended.insert(target.clone());
                });
                return;
            }
            _ => {}
        }
        self.count(&format!("row {}", record.entry.kind()));
    }

    /// What the budgets hold at the end of a run that sent nothing is in sets.
    pub fn check_held(&mut self, applied: &Applied) {
        if !applied.outcomes.is_empty() || applied.stopped.is_some() {
            return;
        }
        for it in &applied.verdict.held {
            let (_, target, _) = short(&it.change.action, it.change.email.as_str());
            for guard in &it.by {
                let Guard::Budget(name) = guard else { continue };
                let mut sets = self.tracker.approvals.sets.iter();
                if !sets.any(|set| set.budget == name.key() && set.members.contains(&target)) {
                    self.fail(format!("{target} is held by {guard} and in no set"));
                }
            }
        }
    }

    /// Whether what a budget held together still exceeds the limit. With the intent of an effect, only
    /// what took effect counts besides what is wanted, and only sets from before it was sent.
    pub fn is_held_together(
        &self,
        budget: &str,
        target: &str,
        limit: usize,
        sent: Option<u64>,
    ) -> bool {
        let Approvals { sets, wanted, .. } = &self.tracker.approvals;
        let mut of = sets.iter().filter(|set| {
            let is_older = sent.is_none_or(|sent| set.seq < sent);
            set.budget == budget && set.members.contains(target) && is_older
        });
        of.any(|set| {
            let is_wanted =
                |member: &&String| wanted.iter().any(|(of, it)| it == *member && *of == budget);
            let wanted: HashSet<&String> = set.members.iter().filter(is_wanted).collect();
            let gone = if sent.is_some() { &set.approved } else { &set.intended };
            wanted.union(&gone.iter().collect()).count() > limit
        })
    }
}

impl EffectCheck<'_> {
    /// Whether an approval releases this effect from what its action covers. The address is the
    /// member's, or the account's if it has none.
    pub fn is_approved(&self, action: &str) -> bool {
        let email = self.account().map_or(self.target, |(email, _)| email);
        let owner = self.owner(self.target, email);
        let owner = owner.or_else(|| self.expected.member_for(self.target));
        let address = owner.map_or(email, |it| &it.email).to_ascii_lowercase();
        let Some(version) = self.state.runs[self.run].version else { return false };
        let end = match self.kind {
            "disable" => owner.and_then(|it| it.end(&self.state.zone)),
            _ => owner.and_then(|it| it.elevate).map(|(_, until)| until),
        };
        let end = end.filter(|end| *end <= self.now);
        let uid = (self.kind != "invite").then(|| self.target.to_owned());
        let change = (uid, self.to.map(str::to_owned));
        let counting = self.state.counting(version).into_iter();
        let mut theirs = counting.filter(|it| it.0 == action && it.1 == address);
        theirs.any(|it| {
            let named = self.state.tracker.approvals.named.get(&it);
            named.is_some_and(|named| {
                named.changes.contains(&change) || end.is_some_and(|at| named.ends.contains(&at))
            })
        })
    }

    /// Whether the end of access that causes a disable stood in every roster of a day before.
    pub fn stood_for_a_day(&self) -> bool {
        let Ok((email, _)) = self.account() else { return false };
        let Some(member) = self.owner(self.target, email) else { return false };
        let Some(end) = member.end(&self.state.zone) else { return false };
        let since =
            self.state.tracker.approvals.ends.get(&(member.email.to_ascii_lowercase(), end));
        self.kind == "disable" && since.is_some_and(|since| end.duration_since(*since) >= DAY)
    }

    /// Whether it returns an account to the role before an elevation that rosterd applied.
    pub fn ends_our_elevation(&self) -> bool {
        let Some((email, before)) = self.state.tracker.approvals.elevated.get(self.target) else {
            return false;
        };
        let member = self.expected.member_for(email);
        let is_over = member.and_then(|it| it.elevate).is_some_and(|(_, until)| until <= self.now);
        self.kind == "update" && is_over && self.to == Some(before.as_str())
    }

    /// The elevation that the effect applies: the member, and the role before.
    pub fn elevates(&self) -> Option<(String, String)> {
        let (email, role) = self.account().ok()?;
        let member = self.owner(self.target, email)?;
        let (to, until) = member.elevate?;
        let applies = self.kind == "update" && self.now < until && self.to == Some(to);
        applies.then(|| (member.email.clone(), role.to_owned()))
    }
}

impl Approvals {
    /// Records an effect: what it returns to later, and that it was approved.
    pub fn effect(
        &mut self,
        target: &str,
        elevates: Option<(String, String)>,
        approved: &[&'static str],
    ) {
        match elevates {
            Some((member, role)) => {
                // A second elevation does not change the role before the first.
                self.elevated.entry(target.to_owned()).or_insert((member, role));
            }
            None => drop(self.elevated.remove(target)),
        }
        let disables = approved.iter().any(|it| ["disable", "scheduled"].contains(it));
        for set in &mut self.sets {
            let is_theirs = approved.contains(&set.budget)
                || disables && ["disable", "scheduled"].contains(&set.budget);
            if is_theirs && set.members.contains(target) {
                set.approved.insert(target.to_owned());
            }
        }
    }
}
