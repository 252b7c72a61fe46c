//! Finds what is new since the last run, so that each event is sent once.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{Commit, Kind, MAX_PEOPLE, Notice, Person};
use crate::diagnostic::Sources;
use crate::email::Email;
use crate::escape::escape;
use crate::failure::FailureKind;
use crate::guard::{Guard, Held};
use crate::memory::entry::{End, EndKind, Key};
use crate::plan::{Finding, FindingCategory, FindingKind, Plan};
use crate::render::{approve, at, joined, rows, time};
use crate::report::{Applied, Outcome, RunCounts, RunReport, RunStatus, Verification};
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
    /// What waits for an operator.
    waiting: Option<String>,
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
        notices.extend(run.waiting(notified));
        if let Some(applied) = applied {
            notices.extend(run.held(applied, notified));
            notices.extend(run.needs_person(applied, notified));
            notices.extend(run.expiring(&applied.plan, self.within, notified));
        }
        notices
    }
}

impl RunView<'_> {
    /// A notice that names at most [`MAX_PEOPLE`] of `people`.
    fn notice(&self, event: Kind, summary: String, mut people: Vec<Person>) -> Notice {
        let commit = self.revision.map(|revision| Commit {
            id: escape(&revision.to_string()).into_owned(),
            author: revision.author.as_deref().map(|it| escape(it).into_owned()),
            subject: revision.subject.as_deref().map(|it| escape(it).into_owned()),
        });
        let more = people.len().saturating_sub(MAX_PEOPLE);
        people.truncate(MAX_PEOPLE);
        Notice {
            event,
            workspace: self.report.workspace.clone(),
            at: time::exact(self.report.finished),
            summary,
            plan: self.report.applied().map(|applied| applied.plan.fingerprint.hex()),
            commit,
            people,
            more,
            approvals: None,
            approvable: 0,
            since: None,
        }
    }

    /// The changes that were sent, with their outcomes.
    fn changes(&self, applied: &Applied) -> Option<Notice> {
        let sent = applied.outcomes.iter().filter(|(_, outcome)| outcome.was_sent());
        let people: Vec<Person> = sent
            .map(|(change, outcome)| {
                let row = rows::of_approved(change, &applied.verdict, self.sources);
                let error = outcome.error().map(|error| format!(": {}", escape(error)));
                let why = format!("{}{}", outcome.as_str(), error.unwrap_or_default());
                let why = joined(&[&*why, &row.approval], ", ");
                Person { why, ..person(row, self.sources) }
            })
            .collect();
        let RunCounts { done, rejected, unknown, not_sent, .. } = applied.counts();
        let parts =
            [(done, "done"), (rejected, "rejected"), (unknown, "unknown"), (not_sent, "skipped")];
        let summary = format!("changes: {}", crate::render::counts(parts));
        (!people.is_empty()).then(|| self.notice(Kind::Applied, summary, people))
    }

    /// The first failed run, and the first that succeeds again.
    fn failing(&self, notified: &mut Notified) -> Option<Notice> {
        let failed = self.report.status() == RunStatus::Failed;
        let summary = || format!("failing: {}", self.why_failed());
        self.transition(failed, &mut notified.failing, summary, "recovered")
    }

    fn why_failed(&self) -> String {
        if let Some(failure) = self.report.failure() {
            return escape(&failure.message).into_owned();
        }
        let Some(applied) = self.report.applied() else { return String::new() };
        let failed = applied.outcomes.iter().filter(|(_, it)| *it != Outcome::Done).count();
        match &applied.verification {
            Verification::Failed(error) => format!("verification failed: {}", escape(error)),
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
        let why = self.report.stale.as_deref().map(escape).unwrap_or_default();
        let summary = || format!("the last valid roster stays in use: {why}");
        let stale = self.report.is_stale();
        let notice =
            self.transition(stale, &mut notified.stale, summary, "the roster is valid again");
        // The commit in use has not caused it.
        notice.map(|it| Notice { commit: it.commit.filter(|_| !stale), ..it })
    }

    /// A notice if a failure began or ended, with the time that it lasted.
    fn transition(
        &self,
        fails: bool,
        since: &mut Option<Timestamp>,
        failing: impl FnOnce() -> String,
        recovered: &str,
    ) -> Option<Notice> {
        let finished = self.report.finished;
        match (fails, *since) {
            (true, None) => {
                *since = Some(finished);
                Some(self.notice(Kind::Failing, failing(), Vec::new()))
            }
            (false, Some(began)) => {
                *since = None;
                let took = finished.duration_since(began);
                let took = time::span(took).unwrap_or_else(|| format!("{} s", took.as_secs()));
                let summary = format!("{recovered} after {took}");
                let notice = self.notice(Kind::Recovered, summary, Vec::new());
                Some(Notice { since: Some(time::exact(began)), ..notice })
            }
            _ => None,
        }
    }

    /// The first run that waits for an operator, and each that waits for something else.
    fn waiting(&self, notified: &mut Notified) -> Option<Notice> {
        let failure = self.report.failure().filter(|failure| failure.kind.is_held());
        let message = failure.map(|failure| escape(&failure.message).into_owned());
        let is_new = message != notified.waiting;
        notified.waiting = message;
        let summary = format!("held: {}", notified.waiting.clone().filter(|_| is_new)?);
        Some(self.notice(Kind::Held, summary, Vec::new()))
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
        let violations = verdict.violations.iter();
        let reasons: Vec<_> = violations.map(|violation| escape(&violation.message)).collect();
        let summary = format!("{} held: {}", verdict.held.len(), reasons.join("; "));
        let notice = self.notice(Kind::Held, summary, people);
        let approvals = approve::lines(verdict, self.sources);
        let approvable = verdict.releasable().values().flatten().count();
        Some(Notice { approvals, approvable, ..notice })
    }

    fn needs_person(&self, applied: &Applied, notified: &mut Notified) -> Option<Notice> {
        let all = applied.plan.findings().iter();
        let all: Vec<&Finding> =
            all.filter(|it| it.kind.category() == FindingCategory::NeedsAction).collect();
        let key = |finding: &Finding| (finding.email.clone(), finding.kind.clone());
        let new = all.iter().filter(|finding| !notified.needs_person.contains(&key(finding)));
        let people: Vec<Person> = new
            .map(|finding| {
                let row = rows::of_finding(finding, &applied.plan);
                Person { what: finding.kind.as_str().to_owned(), ..person(row, self.sources) }
            })
            .collect();
        notified.needs_person = all.into_iter().map(key).collect();
        let summary = format!("need action outside rosterd: {}", people.len());
        (!people.is_empty()).then(|| self.notice(Kind::NeedsPerson, summary, people))
    }

    fn expiring(
        &self,
        plan: &Plan,
        within: SignedDuration,
        notified: &mut Notified,
    ) -> Option<Notice> {
        let (now, zone) = (plan.now, &plan.zone);
        let mut people = Vec::new();
        let mut upcoming = HashSet::new();
        let is_near = |until: &Timestamp| {
            let left = until.duration_since(now);
            left > SignedDuration::ZERO && left <= within
        };
        for member in self.roster.map(Roster::members).unwrap_or_default() {
            let Some(period) = member.time.as_deref() else { continue };
            let elevation = period.elevate.as_ref().map(|elevation| elevation.until);
            let ends = [
                (EndKind::Expires, "access", period.ends),
                (EndKind::Elevation, "elevation", elevation),
            ];
            for (kind, what, until) in ends {
                let Some(until) = until.filter(is_near) else { continue };
                let end = End { email: member.email.clone(), kind, at: until };
                if !notified.ends.contains(&end) {
                    let person = Person {
                        email: escape(member.email.as_str()).into_owned(),
                        what: what.to_owned(),
                        role: escape(member.role_at(now).as_str()).into_owned(),
                        why: format!("ends {}", time::at(until, zone)),
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
        let summary = format!("expiring within {} days: {}", within.as_hours() / 24, people.len());
        (!people.is_empty()).then(|| self.notice(Kind::Expiring, summary, people))
    }
}

fn person(row: rows::Row, sources: &Sources) -> Person {
    let place = row.at(sources);
    let what = row.kind.as_str().to_owned();
    Person { email: row.email, what, role: row.what, why: row.why, place }
}
