//! The records that the invariants need, and the invariants of runs and of the ledger. Those of
//! each effect are in `invariants`.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use rosterd::guard::Guard;
use rosterd::memory::entry::{AttemptStatus, Entry, OutcomeEntry, Record, RenameSign};
use rosterd::plan::change::{Action, Change, Reason};
use rosterd::reconcile::Evaluation;
use rosterd::report::{End, Outcome, RunReport, Verification};

use super::approvals::{Approvals, budgets};
use super::expected_roster::{ExpectedRoster, Member};
use super::people::People;
use super::scenario::{Key, Params};
use super::sim_state::{Listing, Run, SimState};

/// An intent of the ledger, and whether it took effect in the sandbox.
#[derive(Debug)]
pub struct TrackedIntent {
    pub at: Timestamp,
    /// The true time.
    pub true_at: Timestamp,
    pub change: (String, String, Option<String>),
    pub executed: bool,
    pub status: AttemptStatus,
    /// Whether the ledger records that a listing has shown it.
    pub shown: bool,
}

/// An effect that uses a budget.
#[derive(Clone, Copy, Debug)]
pub struct BudgetUse {
    /// When it was sent: by the machine's clock, and the true time.
    pub times: [Timestamp; 2],
    /// The sequence number of its intent.
    pub intent: u64,
}

#[derive(Default)]
pub struct Tracker {
    pub intents: BTreeMap<u64, TrackedIntent>,
    /// Address and uid of each account in the listings from which runs have planned.
    pub seen: HashSet<(String, String)>,
    /// Admins removed by operators: when, and the uid.
    pub admins_removed_by_operators: Vec<(Timestamp, String)>,
    /// Uids that rosterd disabled and that no listing has shown since.
    pub not_back: HashSet<String>,
    /// Addresses of such accounts with a rejected invitation: there must be no other.
    pub last_invitation_rejected: HashSet<String>,
    /// By address: when the invitations since the last acceptance were sent (machine's clock).
    pub invitations: HashMap<String, Vec<Timestamp>>,
    /// By budget: effects that neither an approval nor a date exempts.
    pub budget_uses: HashMap<&'static str, Vec<BudgetUse>>,
    pub approvals: Approvals,
    /// Addresses with an invitation of unknown outcome that no listing has shown as an account since.
    pub maybe_invited: HashSet<String>,
    pub people: People,
    /// The host in the ledger.
    pub host: Option<String>,
    /// The time of the newest row.
    pub newest: Option<Timestamp>,
    /// Number of the sandbox's mutations checked so far.
    pub checked_effects: usize,
}

impl Tracker {
    /// Adds an effect to a budget, and returns the number of effects within a day.
    pub fn use_budget(&mut self, budget: &'static str, new: BudgetUse) -> usize {
        let uses = self.budget_uses.entry(budget).or_default();
        uses.push(new);
        let uses = self.budget_uses[budget].iter();
        // The machine's clock may be behind; one that is ahead lets no time pass.
        let day = jiff::SignedDuration::from_hours(24);
        let [machine, true_now] = new.times;
        let is_within = |used: &&BudgetUse| {
            used.times[0] > machine.min(true_now) - day && used.times[1] > true_now - day
        };
        let is_retried = |used: &&BudgetUse| {
            let same = self.intents[&used.intent].change == self.intents[&new.intent].change;
            // An earlier attempt may take effect after its retry.
            let is_late = new.intent < used.intent;
            used.intent != new.intent && same && (is_late || !self.is_recorded(used.intent))
        };
        uses.filter(is_within).filter(|used| !is_retried(used)).count()
    }

    /// Whether the ledger records that this took effect. An attempt with an unknown outcome and its
    /// retry count once.
    pub fn is_recorded(&self, intent: u64) -> bool {
        self.intents.get(&intent).is_some_and(|it| it.status == AttemptStatus::Done || it.shown)
    }

    /// The member an account belongs to: by its address, otherwise by an address it had earlier.
    pub fn owner<'r>(
        &self,
        expected: &'r ExpectedRoster,
        uid: &str,
        email: &str,
    ) -> Option<&'r Member> {
        if let Some(member) = expected.member_for(email) {
            return Some(member);
        }
        if expected.is_unmanaged(email) {
            return None;
        }
        let had_address = |member: &&Member| {
            self.seen.iter().any(|(address, id)| id == uid && member.has_address(address))
        };
        expected.members.iter().find(had_address)
    }
}

/// kind, address or uid, role
pub fn short(action: &Action, email: &str) -> (String, String, Option<String>) {
    let kind = match action {
        Action::Invite { .. } | Action::Reinvite { .. } => "invite",
        Action::UpdateRole { .. } => "update",
        Action::Disable { .. } => "disable",
    };
    let target = action.uid().map_or_else(|| email.to_ascii_lowercase(), |uid| uid.0.to_string());
    (kind.to_owned(), target, action.to().map(|role| role.as_str().to_owned()))
}

impl SimState {
    /// Registers a run with its configuration, and returns its number.
    pub fn new_run(&mut self, params: Params) -> usize {
        self.runs.push(Run {
            params,
            key: self.key,
            version: None,
            generation: None,
            complete: false,
            listing: None,
            order: None,
            approved: Vec::new(),
            now: self.clocks.machine_now(),
            true_now: self.clocks.true_now(),
            in_flight: 0,
        });
        self.runs.len() - 1
    }

    /// A run sends a request. No other run may have one in flight, or have started since this one.
    pub fn request_started(&mut self, run: usize) {
        let newest = self.runs.iter().filter_map(|run| run.order).max().unwrap_or_default();
        let order = *self.runs[run].order.get_or_insert(newest + 1);
        self.runs[run].in_flight += 1;
        let other = (0..self.runs.len()).find(|at| *at != run && self.runs[*at].in_flight > 0);
        if let Some(other) = other {
            self.fail(format!("run {run} sends a request while run {other} has one in flight"));
        }
        if order < newest {
            self.fail(format!("run {run} sends a request after a newer run has started"));
        }
    }

    /// The last listing that a run received, if it was complete.
    pub fn shown(&self, run: usize) -> Option<Listing> {
        self.runs.get(run).filter(|it| it.complete).and_then(|it| it.listing.clone())
    }

    /// A run has received a listing; none if it was incomplete.
    pub fn deliver(&mut self, run: usize, listing: Option<Listing>) {
        self.runs[run].complete = listing.is_some();
        let Some(listing) = listing else { return };
        for (uid, email, _) in &listing.accounts {
            self.tracker.not_back.remove(uid);
            self.tracker.maybe_invited.remove(&email.to_ascii_lowercase());
            self.tracker.last_invitation_rejected.remove(&email.to_ascii_lowercase());
        }
        self.runs[run].listing = Some(listing);
    }

    /// A run has made its plan and evaluated the guards.
    pub fn planned(&mut self, run: usize, evaluation: &Evaluation) {
        let now = evaluation.plan.now;
        let approved = evaluation.verdict.approved.changes().iter();
        self.runs[run].approved =
            approved.map(|change| short(&change.action, change.email.as_str())).collect();
        (self.runs[run].now, self.runs[run].true_now) = (now, self.clocks.true_now());
        self.check_planned_commit(run);
        if !self.runs[run].complete {
            self.fail(format!("run {run} plans without a complete listing"));
        }
        let mut before = None;
        for change in evaluation.plan.changes() {
            self.count(&format!("plan {} {:?}", change.action.kind(), change.reason));
            let is_another = before.replace(&change.email) == Some(&change.email);
            if is_another && change.reason == Reason::Expired {
                self.count("plan disables several accounts of an expired member");
            }
        }
        for finding in evaluation.plan.findings() {
            let shown = format!("{:?}", finding.kind);
            let name = shown.split([' ', '{']).next().unwrap_or_default();
            self.count(&format!("plan finds {name}"));
        }
        let held: Vec<Guard> =
            evaluation.verdict.held.iter().flat_map(|held| held.by.iter().copied()).collect();
        for guard in held {
            self.count(&format!("held by {guard}"));
        }
        for release in evaluation.verdict.overridden.values() {
            for guard in &release.guards {
                self.count(&format!("lifted {guard}"));
            }
        }
        let changes = evaluation.plan.changes().iter();
        let changes: Vec<String> = changes.map(|change| description(change, evaluation)).collect();
        self.log_event("plan", &format!("run {run}: {}", changes.join(", ")));
        self.record_persons(run, now);
        let changes = evaluation.plan.changes().iter();
        let wanted = changes.filter(|it| it.reason != Reason::ElevationEnded || !it.scheduled);
        let wanted = wanted.flat_map(|it| {
            let (kind, target, to) = short(&it.action, it.email.as_str());
            let from = it.action.from().map_or("", |role| role.as_str());
            let budgets = budgets(&kind, from, to.as_deref().unwrap_or_default());
            budgets.into_iter().map(move |budget| (budget, target.clone()))
        });
        let wanted = wanted.collect();
        if let Some(expected) = self.expected(run).cloned() {
            self.record_plan(&expected, wanted, now);
        }
    }

    /// Records the persons that this run has seen.
    fn record_persons(&mut self, run: usize, now: Timestamp) {
        let expected = self.expected(run).cloned();
        if let Some((expected, listing)) = expected.zip(self.runs[run].listing.clone()) {
            let seen = listing.accounts.iter();
            let seen = seen.map(|(uid, email, _)| (email.to_ascii_lowercase(), uid.clone()));
            self.tracker.seen.extend(seen);
            self.meet(now, &expected, &listing);
        }
    }

    /// The roster of a run.
    fn expected(&self, run: usize) -> Option<&ExpectedRoster> {
        self.versions[self.runs[run].version?].expected.as_ref()
    }

    pub fn finished(&mut self, run: usize, report: &RunReport) {
        let end = match &report.end {
            End::Failed(failure) => format!("failed: {} {}", failure.kind, failure.message),
            End::Applied(applied) => {
                for (_, outcome) in &applied.outcomes {
                    self.count(match outcome {
                        Outcome::Done => "outcome done",
                        Outcome::Rejected(_) => "outcome rejected",
                        Outcome::Unknown(_) => "outcome unknown",
                        Outcome::NotSent(_) => "outcome not sent",
                    });
                }
                if let Verification::Failed(_) = applied.verification {
                    self.count("verification failed");
                }
                let stopped = applied.stopped.as_ref().map(|failure| &failure.message);
                format!("{:?}, stopped: {stopped:?}, lost: {}", report.status(), applied.lost)
            }
        };
        if let Some(applied) = report.applied() {
            self.check_held(applied);
        }
        // The listing after apply shows persons too.
        let verified = report.applied().map(|applied| &applied.verification);
        if matches!(verified, Some(Verification::Read(_))) {
            self.record_persons(run, self.clocks.machine_now());
        }
        self.count(&format!("trigger {}", report.trigger.as_str()));
        self.count(&format!("run {}", report.status().as_str()));
        if report.is_stale() {
            self.count("run on an earlier roster");
        }
        self.log_event("finished", &format!("by {}: {end}", report.trigger.as_str()));
        let denied = report.failure().is_some_and(|failure| failure.kind.is_denial());
        if denied && matches!(self.runs[run].key, Key::Full | Key::Rotated) {
            self.fail("the report says that the API rejects a valid key".into());
        }
        if let Err(why) = self.check_report(run, report) {
            self.fail(format!("the report is wrong: {why}"));
        }
        self.reports.push(report.clone());
    }

    /// A change reported as done took effect or is shown by a complete listing. A change reported
    /// as rejected did not take effect.
    fn check_report(&self, run: usize, report: &RunReport) -> Result<(), String> {
        let outcomes = report.applied().into_iter().flat_map(|applied| &applied.outcomes);
        for (change, outcome) in outcomes {
            let change = short(&change.action, change.email.as_str());
            let mut intents = self.tracker.intents.values().rev();
            let executed = intents.find(|it| it.change == change).is_some_and(|it| it.executed);
            let is_shown = || self.shown(run).is_some_and(|listing| listing.shows(&change));
            let is_true = match outcome {
                Outcome::Done => executed || is_shown(),
                Outcome::Rejected(_) => !executed,
                Outcome::NotSent(_) | Outcome::Unknown(_) => true,
            };
            if !is_true {
                return Err(format!("{outcome:?} of {change:?}; executed: {executed}"));
            }
        }
        Ok(())
    }

    /// A row has been written into the ledger.
    pub fn written(&mut self, record: &Record) {
        self.tracker.newest = self.tracker.newest.max(Some(record.at));
        match &record.entry {
            Entry::Intent(intent) => {
                self.set_written(record);
                let change = short(&intent.action, intent.email.as_str());
                let (executed, status) = (false, AttemptStatus::Open);
                let (at, true_at, shown) = (record.at, self.clocks.true_now(), false);
                if change.0 == "invite" && self.tracker.last_invitation_rejected.contains(&change.1)
                {
                    self.fail(format!("another invitation of the disabled {}", change.1));
                }
                let intent = TrackedIntent { at, true_at, change, executed, status, shown };
                self.tracker.intents.insert(record.seq, intent);
            }
            Entry::Outcome(outcome) => self.outcome_written(outcome),
            Entry::Seen(seen) => {
                self.count("row seen");
                self.arrived(seen, record.at);
            }
            Entry::Place(place) => {
                let before = self.tracker.host.replace(place.host.clone());
                if before.is_some_and(|host| host != place.host) {
                    self.fail(format!("{} was not accepted as the place", place.host));
                }
            }
            Entry::Accepted(accepted) => {
                let host = accepted.place.as_ref().map(|place| place.host.clone());
                self.tracker.host = host.or(self.tracker.host.take());
            }
            Entry::Rename(rename) if rename.sign == RenameSign::Name => {
                let (true_now, people) = (self.clocks.true_now(), &mut self.tracker.people);
                for uid in &rename.accounts {
                    people.name_recorded(uid.as_str(), record.at, true_now);
                }
            }
            Entry::Shown { of } => {
                let intents = self.tracker.intents.iter_mut();
                let shown = intents.filter(|(seq, _)| of.contains(seq));
                shown.for_each(|(_, intent)| intent.shown = true);
            }
            Entry::Set { .. } | Entry::SetEnded { .. } => self.set_written(record),
            Entry::Approval(record) => self.approval_read(record),
            Entry::ApprovalGone { .. } => self.approval_gone(&record.entry),
            other => self.count(&format!("row {}", other.kind())),
        }
    }
}

impl SimState {
    fn outcome_written(&mut self, outcome: &OutcomeEntry) {
        let status = outcome.status;
        let Some(intent) = self.tracker.intents.get_mut(&outcome.of) else {
            self.fail(format!("an outcome without an intent: {outcome:?}"));
            return;
        };
        intent.status = status;
        let (executed, change) = (intent.executed, format!("{:?}", intent.change));
        if status == AttemptStatus::Unknown && intent.change.0 == "invite" {
            self.tracker.maybe_invited.insert(intent.change.1.clone());
        }
        let intent = &self.tracker.intents[&outcome.of];
        if status == AttemptStatus::Rejected && intent.change.0 == "invite" {
            let email = intent.change.1.clone();
            self.invitation_rejected(email);
        }
        self.count(&format!("status {}", status.as_str()));
        let is_true = match status {
            AttemptStatus::Done => executed,
            AttemptStatus::Rejected | AttemptStatus::NotSent => !executed,
            _ => true,
        };
        if !is_true {
            let why = format!("the ledger records {change} as {status:?}");
            self.fail(format!("{why}; executed: {executed}"));
        }
    }

    /// If rosterd disabled all accounts of the member, this was the last invitation.
    fn invitation_rejected(&mut self, email: String) {
        let Some(member) = self.latest_roster.member_for(&email) else { return };
        let seen = self.tracker.seen.iter();
        let mut own = seen.filter(|(address, _)| member.has_address(address)).peekable();
        if own.peek().is_some() && own.all(|(_, uid)| self.tracker.not_back.contains(uid)) {
            self.count("the last invitation was rejected");
            self.tracker.last_invitation_rejected.insert(email);
        }
    }
}

fn description(change: &Change, evaluation: &Evaluation) -> String {
    let held = evaluation.verdict.held.iter().find(|held| held.change == *change);
    let held = held.map_or_else(String::new, |held| {
        let guards: Vec<String> = held.by.iter().map(ToString::to_string).collect();
        format!(" (held by {})", guards.join(", "))
    });
    let to = change.action.to().map_or("", |role| role.as_str());
    format!("{} {} {to}{held}", change.action.kind(), change.email)
}
