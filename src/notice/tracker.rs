//! Finds what is new since the last run, so that each event is sent once.

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
use crate::report::{Applied, Outcome, RunReport, RunStatus, Verification};
use crate::revision::Revision;
use crate::roster::Roster;

/// A completed run, as the tracker sees it.
#[derive(Clone, Copy, Debug)]
pub struct RunView<'a> {
    pub report: &'a RunReport,
    /// The files of the roster in use.
    pub sources: &'a Sources,
    /// The roster in use, if there is one.
    pub roster: Option<&'a Roster>,
    pub revision: Option<&'a Revision>,
}

/// What one receiver was notified of. It is in memory only: after a restart, current conditions
/// are sent again.
#[derive(Clone, Debug)]
pub struct NoticeTracker {
    /// How long before its end expiring access is sent.
    within: SignedDuration,
    /// By workspace.
    notified: BTreeMap<String, Notified>,
}

/// The conditions that were sent and still hold.
#[derive(Clone, Debug, Default)]
struct Notified {
    failing: Option<Timestamp>,
    stale: Option<Timestamp>,
    held: HashSet<(Key, Vec<Guard>)>,
    needs_person: HashSet<(Email, FindingKind)>,
    ends: HashSet<End>,
}

impl NoticeTracker {
    pub fn new(within: SignedDuration) -> Self {
        Self { within, notified: BTreeMap::new() }
    }

    /// The new notices of a run. An interrupted run only reports its changes.
    pub fn on_run_completed(&mut self, run: &RunView<'_>) -> Vec<Notice> {
        let notified = self.notified.entry(run.report.workspace.clone()).or_default();
        let applied = run.report.applied();
        let mut notices = Vec::new();
        notices.extend(applied.and_then(|applied| run.changes(applied)));
        if run.report.is_interrupted() {
            return notices;
        }
        notices.extend(run.failing(notified));
        notices.extend(run.stale(notified));
        if let Some(applied) = applied {
            notices.extend(run.held(applied, notified));
            notices.extend(run.needs_person(applied, notified));
            notices.extend(run.expiring(applied.plan.now(), self.within, notified));
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

    /// The changes that were sent, with their outcomes.
    fn changes(&self, applied: &Applied) -> Option<Notice> {
        let was_sent = |outcome: &Outcome| !matches!(outcome, Outcome::NotSent(_));
        let sent = applied.outcomes.iter().filter(|(_, outcome)| was_sent(outcome));
        let people: Vec<Person> = sent
            .map(|(change, outcome)| {
                let row = rows::of_change(change, self.sources);
                let error = outcome.error().map(|error| format!(": {}", escape(error)));
                let why = format!("{}{}", outcome.as_str(), error.unwrap_or_default());
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
            (count(|it| matches!(it, Outcome::Rejected(_))), "rejected"),
            (count(|it| matches!(it, Outcome::Unknown(_))), "unknown"),
            (count(|it| matches!(it, Outcome::NotSent(_))), "skipped"),
        ];
        let summary = format!("changes: {}", crate::render::counts(parts));
        Some(self.notice(Kind::Applied, summary).about(people))
    }

    /// The first failed run, and the first that succeeds again.
    fn failing(&self, notified: &mut Notified) -> Option<Notice> {
        let failed = self.report.status() == RunStatus::Failed;
        match (failed, notified.failing) {
            (true, None) => {
                notified.failing = Some(self.report.finished);
                let why = self.why_failed();
                Some(self.notice(Kind::Failing, format!("failing: {why}")))
            }
            (false, Some(since)) => {
                notified.failing = None;
                Some(self.recovered("recovered", since))
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
                format!("verification failed: {}", escape(error))
            }
            _ if failed > 0 => format!("changes failed: {failed}"),
            _ => "the workspace does not show a change that the API confirmed".to_owned(),
        }
    }

    /// The first run with an invalid roster, and the first with a valid one again.
    fn stale(&self, notified: &mut Notified) -> Option<Notice> {
        if self.report.failure().is_some_and(|failure| failure.kind == FailureKind::Roster) {
            // There is no earlier roster to use; `failing` reports it.
            return None;
        }
        match (self.report.stale, notified.stale) {
            (true, None) => {
                notified.stale = Some(self.report.finished);
                let summary = "the roster is invalid; the last valid one stays in use";
                Some(self.notice(Kind::Failing, summary.into()))
            }
            (false, Some(since)) => {
                notified.stale = None;
                Some(self.recovered("the roster is valid again", since))
            }
            _ => None,
        }
    }

    /// `summary`, and how long the failure lasted.
    fn recovered(&self, summary: &str, since: Timestamp) -> Notice {
        let elapsed = self.report.finished.duration_since(since);
        let elapsed = time::span(elapsed).unwrap_or_else(|| format!("{} s", elapsed.as_secs()));
        let notice = self.notice(Kind::Recovered, format!("{summary} after {elapsed}"));
        Notice { since: Some(time::exact(since)), ..notice }
    }

    fn held(&self, applied: &Applied, notified: &mut Notified) -> Option<Notice> {
        let verdict = &applied.verdict;
        let key = |held: &Held| (Key::of(&held.change.action, &held.change.email), held.by.clone());
        let new = verdict.held.iter().filter(|held| !notified.held.contains(&key(held)));
        let people: Vec<Person> = new
            .map(|held| {
                let row = rows::of_change(&held.change, self.sources);
                let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
                Person { why: format!("held by {}", by.join(", ")), ..person(row, self.sources) }
            })
            .collect();
        notified.held = verdict.held.iter().map(key).collect();
        if people.is_empty() {
            return None;
        }
        let reasons = verdict.violations.iter().map(|violation| escape(&violation.message));
        let reasons: Vec<_> = reasons.collect();
        let summary = format!("{} held: {}", verdict.held.len(), reasons.join("; "));
        let notice = self.notice(Kind::Held, summary).about(people);
        Some(Notice { approvals: verdict.approvals(), ..notice })
    }

    fn needs_person(&self, applied: &Applied, notified: &mut Notified) -> Option<Notice> {
        let all = applied.plan.findings().iter();
        let all: Vec<&Finding> =
            all.filter(|it| it.kind.category() == FindingCategory::NeedsAction).collect();
        let key = |finding: &Finding| (finding.email.clone(), finding.kind.clone());
        let new = all.iter().filter(|finding| !notified.needs_person.contains(&key(finding)));
        let people: Vec<Person> = new
            .map(|finding| Person {
                email: escape(finding.email.as_str()).into_owned(),
                what: finding.kind.as_str().to_owned(),
                role: escape(finding.role.as_str()).into_owned(),
                why: findings::message(finding, applied.plan.now()),
                place: finding.place.map(|place| at(self.sources, place)),
            })
            .collect();
        notified.needs_person = all.into_iter().map(key).collect();
        (!people.is_empty()).then(|| {
            let summary = format!("need action outside rosterd: {}", people.len());
            self.notice(Kind::NeedsPerson, summary).about(people)
        })
    }

    fn expiring(
        &self,
        now: Timestamp,
        within: SignedDuration,
        notified: &mut Notified,
    ) -> Option<Notice> {
        let mut people = Vec::new();
        let mut upcoming = HashSet::new();
        for member in self.roster.map(Roster::members).unwrap_or_default() {
            let Some(period) = member.time.as_deref() else { continue };
            let elevation =
                period.elevate.as_ref().map(|elevation| (EndKind::Elevation, elevation.until));
            let ends = period.ends.map(|at| (EndKind::Expires, at));
            for (kind, until) in ends.into_iter().chain(elevation) {
                let left = until.duration_since(now);
                if left <= SignedDuration::ZERO || left > within {
                    continue;
                }
                let end = End { email: member.email.clone(), kind, at: until };
                if !notified.ends.contains(&end) {
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
                upcoming.insert(end);
            }
        }
        notified.ends = upcoming;
        people.sort_by_key(|(until, _)| *until);
        let people: Vec<Person> = people.into_iter().map(|(_, person)| person).collect();
        (!people.is_empty()).then(|| {
            let days = within.as_hours() / 24;
            let summary = format!("expiring within {days} days: {}", people.len());
            self.notice(Kind::Expiring, summary).about(people)
        })
    }
}

fn person(row: rows::Row, sources: &Sources) -> Person {
    let place = row.at(sources);
    let what = row.kind.as_str().to_owned();
    Person { email: row.email, what, role: row.what, why: row.why, place }
}
