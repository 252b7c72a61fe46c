//! Finds what is new since the last run, so that each event is sent once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Commit, Kind, MAX_APPROVALS, MAX_MESSAGE, MAX_PEOPLE, MAX_PEOPLE_BYTES, Notice, Person,
    shortened,
};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::failure::FailureKind;
use crate::guard::Held;
use crate::plan::{Finding, FindingCategory, Plan};
use crate::render::{approve, at, joined, people as named, rows, time};
use crate::report::{Applied, Outcome, RunCounts, RunReport, RunStatus, Verification};
use crate::revision::Revision;
use crate::roster::{Digest, Roster};

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

/// What one receiver was notified of.
#[derive(Clone, Debug)]
pub struct NoticeTracker {
    events: Vec<Kind>,
    /// How long before its end expiring access is sent.
    within: SignedDuration,
    /// By workspace.
    notified: BTreeMap<String, Notified>,
}

/// The conditions that were sent and still hold. The ledger keeps them, so that a restart repeats
/// none and notices what ended meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notified {
    failing: Option<Timestamp>,
    stale: Option<Timestamp>,
    held: BTreeSet<Condition>,
    /// What waits for an operator.
    waiting: Option<Condition>,
    needs_person: BTreeSet<Condition>,
    ends: BTreeSet<Condition>,
}

/// The beginning of a SHA-256, which identifies what was sent.
type Condition = String;

fn condition(parts: &[&str]) -> Condition {
    Digest::of(parts.iter().copied()).hex()[..16].to_owned()
}

fn held_condition(held: &Held) -> Condition {
    let (action, by) = (&held.change.action, held.by.iter().map(ToString::to_string));
    let uid = action.uid().map(ToString::to_string).unwrap_or_default();
    let to = action.to().map(ToString::to_string).unwrap_or_default();
    let by = by.collect::<Vec<_>>().join(",");
    condition(&[action.kind(), &held.change.email.folded(), &uid, &to, &by])
}

impl NoticeTracker {
    pub fn new(events: &[Kind], within: SignedDuration) -> Self {
        Self { events: events.to_vec(), within, notified: BTreeMap::new() }
    }

    /// Continues with what an earlier process has sent of a workspace, if that is not known.
    pub fn restore(&mut self, workspace: &str, read: impl FnOnce() -> Option<Notified>) {
        let read = || read().unwrap_or_default();
        self.notified.entry(workspace.to_owned()).or_insert_with(read);
    }

    /// The new notices of a run; and what the receiver knows after them, if that has changed.
    pub fn on_run_completed(&mut self, run: &RunView<'_>) -> (Vec<Notice>, Option<Notified>) {
        let known = self.notified.entry(run.report.workspace.clone()).or_default();
        let before = known.clone();
        let mut notices = run.notices(known, self.within);
        notices.retain(|notice| self.events.contains(&notice.event));
        known.forget_unwanted(&self.events);
        (notices, (*known != before).then(|| known.clone()))
    }
}

impl Notified {
    /// What the receiver does not want to know is not known to it.
    fn forget_unwanted(&mut self, events: &[Kind]) {
        let wants = |kind| events.contains(&kind);
        let wants_failures = wants(Kind::Failing) || wants(Kind::Recovered);
        self.failing.take_if(|_| !wants_failures);
        self.stale.take_if(|_| !wants_failures);
        self.waiting.take_if(|_| !wants(Kind::Held));
        self.held.retain(|_| wants(Kind::Held));
        self.needs_person.retain(|_| wants(Kind::NeedsPerson));
        self.ends.retain(|_| wants(Kind::Expiring));
    }
}

impl RunView<'_> {
    /// The new notices. An interrupted run only reports its changes.
    fn notices(&self, notified: &mut Notified, within: SignedDuration) -> Vec<Notice> {
        let applied = self.report.applied();
        let mut notices = Vec::new();
        notices.extend(applied.and_then(|applied| self.changes(applied)));
        if self.report.is_interrupted() {
            return notices;
        }
        notices.extend(self.failing(notified));
        notices.extend(self.stale(notified));
        notices.extend(self.waiting(notified));
        if let Some(applied) = applied {
            notices.extend(self.held(applied, notified));
            notices.extend(self.needs_person(applied, notified));
            notices.extend(self.expiring(&applied.plan, within, notified));
        }
        notices
    }

    /// A notice that names as many of `people` as fit.
    fn notice(&self, event: Kind, summary: String, mut people: Vec<Person>) -> Notice {
        let commit = self.revision.map(|revision| Commit {
            id: escape(&revision.to_string()).into_owned(),
            author: revision.author.as_deref().map(|it| escape(it).into_owned()),
            subject: revision.subject.as_deref().map(|it| escape(it).into_owned()),
            url: self.sources.commit_url(&revision.commit),
        });
        let (all, mut bytes) = (people.len(), 0);
        people.truncate(MAX_PEOPLE);
        people.retain(|person| {
            bytes += serde_json::to_string(person).map_or(0, |json| json.len());
            bytes <= MAX_PEOPLE_BYTES
        });
        let more = all - people.len();
        let plan = self.report.applied().map(|applied| applied.plan.fingerprint.hex());
        let notice = Notice::new(event, &self.report.workspace, self.report.finished, summary);
        Notice { plan, commit, people, more, ..notice }
    }

    /// The changes that were sent, with their outcomes.
    fn changes(&self, applied: &Applied) -> Option<Notice> {
        let sent = applied.outcomes.iter().filter(|(_, outcome)| outcome.was_sent());
        let people: Vec<Person> = sent
            .map(|(change, outcome)| {
                let row = rows::of_approved(change, &applied.verdict, self.sources);
                let error = outcome.error().map(|error| format!(": {}", escape(error)));
                let ended = format!("{}{}", outcome.as_str(), error.unwrap_or_default());
                let why = joined(&[&*ended, &row.why, &row.approval], ", ");
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
        let notice = self.transition(failed, &mut notified.failing, summary, "recovered");
        notice.map(|it| Notice { url: self.broken_line(), ..it })
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
        let why = self.report.stale.as_ref().map(|it| escape(&it.why)).unwrap_or_default();
        let summary = || format!("the roster is not valid, the last valid one stays in use: {why}");
        let stale = self.report.is_stale();
        let notice =
            self.transition(stale, &mut notified.stale, summary, "the roster is valid again");
        // The commit in use has not caused it.
        let url = self.broken_line();
        notice.map(|it| Notice { commit: it.commit.filter(|_| !stale), url, ..it })
    }

    /// The page of the first line that makes the roster invalid.
    fn broken_line(&self) -> Option<String> {
        self.report.stale.as_ref()?.url.clone()
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
        let message = failure.map(|failure| escape(&failure.message));
        let waiting = message.as_deref().map(|message| condition(&[message]));
        let is_new = waiting != notified.waiting;
        notified.waiting = waiting;
        let summary = format!("held: {}", message.filter(|_| is_new)?);
        Some(self.notice(Kind::Held, summary, Vec::new()))
    }

    fn held(&self, applied: &Applied, notified: &mut Notified) -> Option<Notice> {
        let verdict = &applied.verdict;
        let new = verdict.held.iter().filter(|held| !notified.held.contains(&held_condition(held)));
        let people: Vec<Person> = new
            .map(|held| {
                let row = rows::of_change(&held.change, self.sources);
                let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
                let why = joined(&[&*format!("held by {}", by.join(", ")), &row.why], "; ");
                Person { why, ..person(row, self.sources) }
            })
            .collect();
        notified.held = verdict.held.iter().map(held_condition).collect();
        if people.is_empty() {
            return None;
        }
        let violations = verdict.violations.iter();
        let reasons: Vec<_> = violations.map(|violation| escape(&violation.message)).collect();
        let summary = format!("{} held: {}", verdict.held.len(), reasons.join("; "));
        let hints: BTreeSet<_> = verdict.violations.iter().map(|it| escape(&it.hint)).collect();
        let hint = hints.into_iter().collect::<Vec<_>>().join("; ");
        let hint = Some(shortened(hint, MAX_MESSAGE)).filter(|hint| !hint.is_empty());
        let notice = self.notice(Kind::Held, summary, people);
        let approvals = approve::lines(verdict, self.sources);
        let approvals = approvals.filter(|lines| lines.len() <= MAX_APPROVALS);
        let approvable = verdict.releasable().values().flatten().count();
        Some(Notice { hint, approvals, approvable, ..notice })
    }

    fn needs_person(&self, applied: &Applied, notified: &mut Notified) -> Option<Notice> {
        let all = applied.plan.findings().iter();
        let all: Vec<&Finding> =
            all.filter(|it| it.kind.category() == FindingCategory::NeedsAction).collect();
        let key = |finding: &Finding| {
            condition(&[&finding.email.folded(), &format!("{:?}", finding.kind)])
        };
        let new = all.iter().filter(|finding| !notified.needs_person.contains(&key(finding)));
        let people: Vec<Person> = new
            .map(|finding| {
                let row = rows::of_finding(finding, &applied.plan);
                Person { what: finding.kind.as_str().to_owned(), ..person(row, self.sources) }
            })
            .collect();
        notified.needs_person = all.into_iter().map(key).collect();
        let summary = format!("action outside rosterd needed for {}", named(people.len()));
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
        let mut upcoming = BTreeSet::new();
        let is_near = |until: &Timestamp| {
            let left = until.duration_since(now);
            left > SignedDuration::ZERO && left <= within
        };
        for member in self.roster.map(Roster::members).unwrap_or_default() {
            let Some(period) = member.time.as_deref() else { continue };
            let elevation = period.elevate.as_ref().map(|elevation| elevation.until);
            for (what, until) in [("access", period.ends), ("elevation", elevation)] {
                let Some(until) = until.filter(is_near) else { continue };
                let end = condition(&[&member.email.folded(), what, &until.to_string()]);
                if !notified.ends.contains(&end) {
                    let person = Person {
                        email: escape(member.email.as_str()).into_owned(),
                        what: what.to_owned(),
                        role: escape(member.role_at(now).as_str()).into_owned(),
                        why: format!("ends {}", time::at(until, zone)),
                        place: Some(at(self.sources, member.place)),
                        url: self.sources.line_url(member.place),
                    };
                    people.push((until, person));
                }
                upcoming.insert(end);
            }
        }
        notified.ends = upcoming;
        people.sort_by_key(|(until, _)| *until);
        let people: Vec<Person> = people.into_iter().map(|(_, person)| person).collect();
        let (days, count) = (within.as_hours() / 24, named(people.len()));
        let summary = format!("access or elevation of {count} ends within {days} days");
        (!people.is_empty()).then(|| self.notice(Kind::Expiring, summary, people))
    }
}

fn person(row: rows::Row, sources: &Sources) -> Person {
    let place = row.at(sources);
    let url = row.place.and_then(|place| sources.line_url(place));
    let what = row.kind.as_str().to_owned();
    Person { email: row.email, what, role: row.what, why: row.why, place, url }
}
