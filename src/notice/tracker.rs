//! What is new since the last run that was heard of, so that each thing is told once.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{Commit, Kind, Notice, Person};
use crate::diagnostic::Sources;
use crate::email::Email;
use crate::escape::escape;
use crate::failure::FailureKind;
use crate::guard::{Guard, Held};
use crate::memory::entry::{End, EndKind, Key};
use crate::plan::{Finding, FindingCategory, FindingKind};
use crate::render::{at, findings, rows, time};
use crate::report::{Applied, Outcome, RunReport, Status, Verification};
use crate::revision::Revision;
use crate::roster::Roster;

/// A run that has ended, as much of it as can be told.
#[derive(Clone, Copy, Debug)]
pub struct RunView<'a> {
    pub report: &'a RunReport,
    /// The files of the roster in force.
    pub sources: &'a Sources,
    /// The roster in force; None where there is none.
    pub roster: Option<&'a Roster>,
    pub revision: Option<&'a Revision>,
}

/// What has been told to one receiver. It is forgotten with the process: what still stands is told
/// once more after a restart.
#[derive(Clone, Debug)]
pub struct NoticeTracker {
    /// Ends of access are told so long before.
    within: SignedDuration,
    told: BTreeMap<String, Notified>,
}

#[derive(Clone, Debug, Default)]
struct Notified {
    failing: Option<Timestamp>,
    stale: Option<Timestamp>,
    held: HashSet<(Key, Vec<Guard>)>,
    persons: HashSet<(Email, FindingKind)>,
    ends: HashSet<End>,
}

impl NoticeTracker {
    pub fn new(within: SignedDuration) -> Self {
        Self { within, told: BTreeMap::new() }
    }

    /// The notices that a run gives rise to. One that made room for a later one gives rise to
    /// nothing but what it has changed.
    pub fn hear(&mut self, heard: &RunView<'_>) -> Vec<Notice> {
        let told = self.told.entry(heard.report.workspace.clone()).or_default();
        let applied = heard.report.applied();
        let mut notices = Vec::new();
        notices.extend(applied.and_then(|applied| heard.changes(applied)));
        if heard.report.is_interrupted() {
            return notices;
        }
        notices.extend(heard.failing(told));
        notices.extend(heard.stale(told));
        if let Some(applied) = applied {
            notices.extend(heard.held(applied, told));
            notices.extend(heard.persons(applied, told));
            notices.extend(heard.ends(applied.plan.now(), self.within, told));
        }
        notices
    }
}

impl RunView<'_> {
    fn notice(&self, kind: Kind, summary: String) -> Notice {
        let RunReport { workspace, finished, .. } = self.report;
        let commit = self.revision.map(|revision| Commit {
            id: escape(&revision.to_string()).into_owned(),
            author: revision.author.as_deref().map(|it| escape(it).into_owned()),
            subject: revision.subject.as_deref().map(|it| escape(it).into_owned()),
        });
        let plan = self.report.applied().map(|applied| applied.plan.fingerprint().hex());
        Notice { plan, commit, ..Notice::new(kind, workspace, *finished, summary) }
    }

    /// What has been sent, whatever became of it.
    fn changes(&self, applied: &Applied) -> Option<Notice> {
        let was_sent = |outcome: &Outcome| !matches!(outcome, Outcome::NotSent(_));
        let sent = applied.outcomes.iter().filter(|(_, outcome)| was_sent(outcome));
        let people: Vec<Person> = sent
            .map(|(change, outcome)| {
                let row = rows::of_change(change, self.sources);
                let why = match outcome {
                    Outcome::Done => "done".to_owned(),
                    Outcome::Rejected(error) => format!("refused: {}", escape(error)),
                    Outcome::Unknown(error) => format!("unknown: {}", escape(error)),
                    Outcome::NotSent(error) => format!("not sent: {}", escape(error)),
                };
                Person { why, ..person(row, self.sources) }
            })
            .collect();
        if people.is_empty() {
            return None;
        }
        let count = |wanted: fn(&Outcome) -> bool| {
            applied.outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count()
        };
        let parts = [
            (count(|it| *it == Outcome::Done), "done"),
            (count(|it| matches!(it, Outcome::Rejected(_))), "refused"),
            (count(|it| matches!(it, Outcome::Unknown(_))), "unknown"),
            (count(|it| matches!(it, Outcome::NotSent(_))), "not sent"),
        ];
        let summary = format!("changes: {}", crate::render::counts(parts));
        Some(self.notice(Kind::Applied, summary).about(people))
    }

    /// Runs that fail, and the first that does not.
    fn failing(&self, told: &mut Notified) -> Option<Notice> {
        let failed = self.report.status() == Status::Failed;
        match (failed, told.failing) {
            (true, None) => {
                told.failing = Some(self.report.finished);
                let why = self.why_failed();
                Some(self.notice(Kind::Failing, format!("runs fail: {why}")))
            }
            (false, Some(since)) => {
                told.failing = None;
                let notice = self.notice(Kind::Recovered, "runs succeed again".into());
                Some(Notice { since: Some(time::exact(since)), ..notice })
            }
            _ => None,
        }
    }

    fn why_failed(&self) -> String {
        if let Some(failure) = self.report.failure() {
            return escape(&failure.message).into_owned();
        }
        let Some(applied) = self.report.applied() else { return String::new() };
        let failed = applied.outcomes.iter().filter(|(_, it)| *it != Outcome::Done).count();
        match &applied.verification {
            Verification::Failed(error) => {
                format!("the reading after the changes failed: {}", escape(error))
            }
            _ if failed > 0 => format!("changes that were not made: {failed}"),
            _ => "a reading does not show what was done".to_owned(),
        }
    }

    /// The files of a roster that cannot be used, and the first that can.
    fn stale(&self, told: &mut Notified) -> Option<Notice> {
        if self.report.failure().is_some_and(|failure| failure.kind == FailureKind::Roster) {
            // There is no earlier one either, and the failure says so.
            return None;
        }
        match (self.report.stale, told.stale) {
            (true, None) => {
                told.stale = Some(self.report.finished);
                let words = "the roster cannot be used; the last good one stays in force";
                Some(self.notice(Kind::Failing, words.into()))
            }
            (false, Some(since)) => {
                told.stale = None;
                let notice = self.notice(Kind::Recovered, "the roster can be used again".into());
                Some(Notice { since: Some(time::exact(since)), ..notice })
            }
            _ => None,
        }
    }

    fn held(&self, applied: &Applied, told: &mut Notified) -> Option<Notice> {
        let verdict = &applied.verdict;
        let key = |held: &Held| (Key::of(&held.change.action, &held.change.email), held.by.clone());
        let new = verdict.held.iter().filter(|held| !told.held.contains(&key(held)));
        let people: Vec<Person> = new
            .map(|held| {
                let row = rows::of_change(&held.change, self.sources);
                let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
                Person { why: format!("held by {}", by.join(", ")), ..person(row, self.sources) }
            })
            .collect();
        told.held = verdict.held.iter().map(key).collect();
        if people.is_empty() {
            return None;
        }
        let reasons = verdict.violations.iter().map(|it| escape(&it.message));
        let reasons: Vec<_> = reasons.collect();
        let summary = format!("{} held: {}", verdict.held.len(), reasons.join("; "));
        let notice = self.notice(Kind::Held, summary).about(people);
        Some(Notice { approvals: verdict.approvals(), ..notice })
    }

    fn persons(&self, applied: &Applied, told: &mut Notified) -> Option<Notice> {
        let all = applied.plan.findings().iter();
        let all: Vec<&Finding> =
            all.filter(|it| it.kind.category() == FindingCategory::NeedsAction).collect();
        let key = |finding: &Finding| (finding.email.clone(), finding.kind.clone());
        let new = all.iter().filter(|finding| !told.persons.contains(&key(finding)));
        let people: Vec<Person> = new
            .map(|finding| Person {
                email: escape(finding.email.as_str()).into_owned(),
                what: findings::name(&finding.kind).to_owned(),
                role: escape(finding.role.as_str()).into_owned(),
                why: findings::message(finding, applied.plan.now()),
                place: finding.place.map(|place| at(self.sources, place)),
            })
            .collect();
        told.persons = all.into_iter().map(key).collect();
        (!people.is_empty()).then(|| {
            let summary = format!("{} cannot be done by rosterd", people.len());
            self.notice(Kind::NeedsPerson, summary).about(people)
        })
    }

    fn ends(&self, now: Timestamp, within: SignedDuration, told: &mut Notified) -> Option<Notice> {
        let mut people = Vec::new();
        let mut ahead = HashSet::new();
        for member in self.roster.map(Roster::members).unwrap_or_default() {
            let Some(period) = member.time.as_deref() else { continue };
            let elevation = period.elevate.as_ref().map(|it| (EndKind::Elevation, it.until));
            let ends = period.ends.map(|at| (EndKind::Expires, at));
            for (kind, until) in ends.into_iter().chain(elevation) {
                let left = until.duration_since(now);
                if left <= SignedDuration::ZERO || left > within {
                    continue;
                }
                let end = End { email: member.email.clone(), kind, at: until };
                if !told.ends.contains(&end) {
                    let what = match kind {
                        EndKind::Expires => "access",
                        EndKind::Elevation => "elevation",
                    };
                    let person = Person {
                        email: escape(member.email.as_str()).into_owned(),
                        what: what.to_owned(),
                        role: escape(member.role_at(now).as_str()).into_owned(),
                        why: format!("ends {}", time::at(until)),
                        place: Some(at(self.sources, member.place)),
                    };
                    people.push((until, person));
                }
                ahead.insert(end);
            }
        }
        told.ends = ahead;
        people.sort_by_key(|(until, _)| *until);
        let people: Vec<Person> = people.into_iter().map(|(_, person)| person).collect();
        (!people.is_empty()).then(|| {
            let days = within.as_hours() / 24;
            let summary = format!("{} ending within {days} days", people.len());
            self.notice(Kind::Expiring, summary).about(people)
        })
    }
}

fn person(row: rows::Row, sources: &Sources) -> Person {
    let place = row.at(sources);
    let what = row.kind.as_str().to_owned();
    Person { email: row.email, what, role: row.what, why: row.why, place }
}
