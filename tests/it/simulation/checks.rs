//! What a story keeps in mind in order to judge what rosterd does, and the promises about runs and
//! the ledger. The promises about each effect are in `promises`.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use rosterd::guard::Guard;
use rosterd::memory::entry::{AttemptStatus, Entry, Record};
use rosterd::plan::change::{Action, Change};
use rosterd::reconcile::Evaluation;
use rosterd::report::{End, Outcome, RunReport, Verification};

use super::expected_roster::{Line, Wish};
use super::scenario::Knobs;
use super::sim_state::{Reading, Run, Site};

/// An intent of the ledger, and whether an effect in the world has answered to it.
#[derive(Debug)]
pub struct Intended {
    pub at: Timestamp,
    /// The same by a clock that is right.
    pub truly: Timestamp,
    pub change: (String, String, Option<String>),
    pub executed: bool,
    pub status: AttemptStatus,
    /// A reading has shown it, and the ledger says so.
    pub shown: bool,
}

/// An effect that counts against a budget.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// When it was sent, by the machine's clock and truly.
    pub times: [Timestamp; 2],
    /// Its intent.
    pub intent: u64,
}

/// What happened to one address.
#[derive(Debug, Default)]
pub struct Invitations {
    /// When those that took effect since the last acceptance were sent, by the machine's clock.
    pub sent: Vec<Timestamp>,
}

#[derive(Default)]
pub struct Bookkeeping {
    pub intents: BTreeMap<u64, Intended>,
    /// Pairs of address and uid that complete readings have shown.
    pub seen: HashSet<(String, String)>,
    /// By uid: the roles that hands took, and when.
    pub taken_by_hand: Vec<(Timestamp, String)>,
    pub disabled: HashSet<String>,
    pub invitations: HashMap<String, Invitations>,
    /// By budget: effects that no approval and no date excuses.
    pub spent: HashMap<&'static str, Vec<Spent>>,
    /// Ends that an earlier run saw before they came: address and instant.
    pub scheduled: HashSet<(String, Timestamp)>,
    /// The time of the newest row.
    pub newest: Option<Timestamp>,
    /// How many mutations of the world have been looked at.
    pub looked_at: usize,
}

impl Bookkeeping {
    /// Counts an effect against a budget. The answer is how many there were within a day.
    pub fn spend(&mut self, budget: &'static str, one: Spent) -> usize {
        let spent = self.spent.entry(budget).or_default();
        spent.push(one);
        let spent = self.spent[budget].iter();
        // A clock that leaps ahead lets a day pass, and one that is put back lets none return.
        let day = jiff::SignedDuration::from_hours(24);
        let is_within = |it: &&Spent| (0..2).all(|by| it.times[by] > one.times[by] - day);
        let again = |it: &&Spent| {
            let same = self.intents[&it.intent].change == self.intents[&one.intent].change;
            it.intent != one.intent && same && !self.is_known(it.intent)
        };
        spent.filter(is_within).filter(|it| !again(it)).count()
    }

    /// Whether the ledger knows that this has happened: what nobody knows and what is tried again is
    /// one thing.
    pub fn is_known(&self, intent: u64) -> bool {
        self.intents.get(&intent).is_some_and(|it| it.status == AttemptStatus::Done || it.shown)
    }

    /// Whose account this is: the line with its address, else a line under whose address it was
    /// once seen.
    pub fn owner<'w>(&self, wish: &'w Wish, uid: &str, email: &str) -> Option<&'w Line> {
        if let Some(line) = wish.line_of(email) {
            return Some(line);
        }
        if wish.is_unmanaged(email) {
            return None;
        }
        let knew = |line: &&Line| self.seen.iter().any(|(it, id)| id == uid && line.has(it));
        wish.lines.iter().find(knew)
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

impl Site {
    /// A run begins, with this configuration in force.
    pub fn new_run(&mut self, knobs: Knobs) -> usize {
        self.runs.push(Run {
            knobs,
            version: None,
            complete: false,
            reading: None,
            turn: None,
            approved: Vec::new(),
            now: self.clocks.machine(),
            truly: self.clocks.truly(),
            waiting: 0,
        });
        self.runs.len() - 1
    }

    /// A run turns to the API. No other may be at it, and none may have turned to it meanwhile.
    pub fn asks(&mut self, run: usize) {
        let newest = self.runs.iter().filter_map(|it| it.turn).max().unwrap_or_default();
        let turn = *self.runs[run].turn.get_or_insert(newest + 1);
        self.runs[run].waiting += 1;
        let busy = (0..self.runs.len()).find(|it| *it != run && self.runs[*it].waiting > 0);
        if let Some(busy) = busy {
            self.fail(format!("run {run} asks the API while run {busy} waits for it"));
        }
        if turn < newest {
            self.fail(format!("run {run} goes on after another has begun to read"));
        }
    }

    /// What a run was shown last, if that was complete.
    pub fn shown(&self, run: usize) -> Option<Reading> {
        self.runs.get(run).filter(|it| it.complete).and_then(|it| it.reading.clone())
    }

    /// A listing has reached a run; it was a complete one if there is a reading.
    pub fn deliver(&mut self, run: usize, reading: Option<Reading>) {
        self.runs[run].complete = reading.is_some();
        let Some(reading) = reading else { return };
        for (uid, email, _) in &reading.accounts {
            self.record.seen.insert((email.to_ascii_lowercase(), uid.clone()));
        }
        self.runs[run].reading = Some(reading);
    }

    /// A run has made its plan, and the guards have judged it.
    pub fn planned(&mut self, run: usize, look: &Evaluation) {
        let now = look.plan.now();
        let approved = look.verdict.approved.changes().iter();
        self.runs[run].approved =
            approved.map(|change| short(&change.action, change.email.as_str())).collect();
        (self.runs[run].now, self.runs[run].truly) = (now, self.clocks.truly());
        if !self.runs[run].complete {
            self.fail(format!("run {run} plans without a complete reading"));
        }
        for change in look.plan.changes() {
            self.count(&format!("plan {} {:?}", change.kind(), change.reason));
        }
        for finding in look.plan.findings() {
            let shown = format!("{:?}", finding.kind);
            let name = shown.split([' ', '{']).next().unwrap_or_default();
            self.count(&format!("plan finds {name}"));
        }
        let held: Vec<Guard> =
            look.verdict.held.iter().flat_map(|held| held.by.iter().copied()).collect();
        for guard in held {
            self.count(&format!("held by {guard}"));
        }
        for guards in look.verdict.overridden.values() {
            for guard in guards {
                self.count(&format!("lifted {guard}"));
            }
        }
        let told = look.plan.changes().iter().map(|change| words(change, look));
        let told: Vec<String> = told.collect();
        self.tell("plan", &format!("run {run}: {}", told.join(", ")));
        self.foresee(run, now);
    }

    /// Ends that lie ahead are seen by this run.
    fn foresee(&mut self, run: usize, now: Timestamp) {
        let Some(wish) = self.runs[run].version.and_then(|at| self.versions[at].wish.as_ref())
        else {
            return;
        };
        let mut ahead = Vec::new();
        for line in &wish.lines {
            let ends = [line.ends(&self.zone), line.elevate.map(|(_, until)| until)];
            for end in ends.into_iter().flatten().filter(|end| *end > now) {
                ahead.push((line.email.to_ascii_lowercase(), end));
            }
        }
        self.record.scheduled.extend(ahead);
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
        self.count(&format!("trigger {}", report.trigger.as_str()));
        self.count(&format!("run {}", report.status().as_str()));
        if report.stale {
            self.count("run on an earlier roster");
        }
        self.tell("finished", &format!("by {}: {end}", report.trigger.as_str()));
        if let Err(why) = self.tells_the_truth(run, report) {
            self.fail(format!("the report says {why}"));
        }
        self.reports.push(report.clone());
    }

    /// What a report calls done has had its effect, or a complete reading shows it; what it calls
    /// rejected has had none.
    fn tells_the_truth(&self, run: usize, report: &RunReport) -> Result<(), String> {
        let outcomes = report.applied().into_iter().flat_map(|applied| &applied.outcomes);
        for (change, outcome) in outcomes {
            let change = short(&change.action, change.email.as_str());
            let mut intents = self.record.intents.values().rev();
            let executed = intents.find(|it| it.change == change).is_some_and(|it| it.executed);
            let is_shown = || self.shown(run).is_some_and(|reading| reading.shows(&change));
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
        self.record.newest = self.record.newest.max(Some(record.at));
        match &record.entry {
            Entry::Intent(intent) => {
                let change = short(&intent.action, intent.email.as_str());
                let (executed, status) = (false, AttemptStatus::Open);
                let truly = self.clocks.truly();
                let shown = false;
                let intended = Intended { at: record.at, truly, change, executed, status, shown };
                self.record.intents.insert(record.seq, intended);
            }
            Entry::Outcome(closing) => {
                let status = closing.status;
                let Some(intended) = self.record.intents.get_mut(&closing.of) else {
                    self.fail(format!("an outcome without an intent: {closing:?}"));
                    return;
                };
                intended.status = status;
                let (executed, what) = (intended.executed, format!("{:?}", intended.change));
                self.count(&format!("status {}", status.as_str()));
                let is_true = match status {
                    AttemptStatus::Done => executed,
                    AttemptStatus::Rejected | AttemptStatus::NotSent => !executed,
                    _ => true,
                };
                if !is_true {
                    self.fail(format!("the ledger calls {what} {status:?}; executed: {executed}"));
                }
            }
            Entry::Shown { of } => {
                for seq in of {
                    if let Some(intended) = self.record.intents.get_mut(seq) {
                        intended.shown = true;
                    }
                }
            }
            other => self.count(&format!("row {}", other.kind())),
        }
    }
}

fn words(change: &Change, look: &Evaluation) -> String {
    let held = look.verdict.held.iter().find(|held| held.change == *change);
    let held = held.map_or_else(String::new, |held| {
        let guards: Vec<String> = held.by.iter().map(ToString::to_string).collect();
        format!(" (held by {})", guards.join(", "))
    });
    let to = change.to().map_or("", |role| role.as_str());
    format!("{} {} {to}{held}", change.kind(), change.email)
}
