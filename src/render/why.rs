//! Explains the access of one user: roster, workspace, invitations, next steps and history.

use std::iter;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::history::{self, Row};
use super::table::{self, Line, Screen};
use super::{View, approve, at, findings, joined, rows, text, time};
use crate::directory::{Account, Invitation};
use crate::email::Email;
use crate::escape::escape;
use crate::memory::events::Event;
use crate::memory::{AccountRecord, Memory, backoff};
use crate::plan::matching::Matching;
use crate::revision::Revision;
use crate::roster::{Elevation, Member, Phase};
use crate::yaml::closest;

/// One person, as a workspace, its roster and its ledger show them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Person {
    pub email: String,
    /// What the roster says.
    pub roster: Vec<String>,
    /// What the workspace shows.
    pub workspace: Vec<String>,
    /// Invitations that rosterd sent.
    pub invitations: Vec<String>,
    /// What rosterd will do next.
    pub next: Vec<String>,
    /// The items of `approvals:` that would release what is held for this person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<String>,
    /// Past events.
    pub history: Vec<Row>,
}

/// The member with this address or alias.
pub fn member<'a>(view: &View<'a>, email: &Email) -> Option<&'a Member> {
    view.roster.members().iter().find(|it| it.addresses().any(|a| a == email))
}

/// All addresses of the person.
pub fn addresses(view: &View<'_>, email: &Email) -> Vec<Email> {
    let member = member(view, email);
    member.map_or_else(|| vec![email.clone()], |it| it.addresses().cloned().collect())
}

/// Whether the roster, the workspace or the ledger has this address.
pub fn is_known(view: &View<'_>, events: &[Event], email: &Email) -> bool {
    let snapshot = view.snapshot;
    member(view, email).is_some()
        || view.roster.unmanaged_by(email).is_some()
        || snapshot.accounts().iter().any(|account| account.email == *email)
        || snapshot.invitations().iter().any(|invitation| invitation.email == *email)
        || !events.is_empty()
}

/// The known address that is written most like this one.
pub fn closest_address<'a>(view: &View<'a>, email: &Email) -> Option<&'a str> {
    let members = view.roster.members().iter().map(|it| it.email.as_str());
    let accounts = view.snapshot.accounts().iter().map(|it| it.email.as_str());
    closest(email.as_str(), members.chain(accounts))
}

/// All sections and the history. Not escaped. `line` is the commit of the person's line.
pub fn person(
    view: &View<'_>,
    memory: &Memory,
    events: &[Event],
    email: &Email,
    line: Option<&Revision>,
) -> Person {
    let (member, addresses) = (member(view, email), addresses(view, email));
    let found = Explained { view, memory, member, addresses: &addresses, now: view.plan.now };
    let mut releasable = view.verdict.releasable();
    for people in releasable.values_mut() {
        people.retain(|email| addresses.contains(email));
    }
    releasable.retain(|_, people| !people.is_empty());
    Person {
        email: email.as_str().to_owned(),
        roster: found.roster(email, line),
        workspace: found.workspace(),
        invitations: found.invitations(),
        next: found.next(),
        approvals: approve::items(&releasable, view.sources),
        history: history::rows(view.workspace, events),
    }
}

impl Person {
    /// The sections, each a title and its lines.
    pub fn sections(&self) -> [(&'static str, &[String]); 4] {
        [
            ("roster", &self.roster),
            ("workspace", &self.workspace),
            ("invitations", &self.invitations),
            ("next", &self.next),
        ]
    }
}

/// The same as text.
pub fn text(view: &View<'_>, person: &Person, has_ledger: bool, screen: Screen) -> String {
    let mut text = format!("{} in {}\n\n", escape(&person.email), escape(view.workspace));
    let rows = person.sections().into_iter().flat_map(|(title, lines)| {
        // The title is beside the first line.
        let titles = iter::once(title.to_owned()).chain(iter::repeat(String::new()));
        titles.zip(lines).map(|(title, line)| Line::new(&[&title], &[line]))
    });
    text.push_str(&table::layout(&rows.collect::<Vec<_>>(), screen));
    if let Some(lines) = &person.approvals {
        let who = escape(&person.email);
        text.push_str(&text::to_approve(lines, &who, view.approve_by, screen));
    }
    text.push_str("\nhistory\n");
    if person.history.is_empty() {
        text.push_str(if has_ledger { "  no events recorded\n" } else { "  no ledger\n" });
    } else {
        text.push_str(&history::as_text(&person.history, &view.plan.zone, screen));
    }
    text
}

struct Explained<'a> {
    view: &'a View<'a>,
    memory: &'a Memory,
    member: Option<&'a Member>,
    addresses: &'a [Email],
    now: Timestamp,
}

impl Explained<'_> {
    fn zone(&self) -> &TimeZone {
        &self.view.plan.zone
    }

    fn at(&self, instant: Timestamp) -> String {
        time::at(instant, self.zone())
    }

    fn roster(&self, email: &Email, line: Option<&Revision>) -> Vec<String> {
        let Some(member) = self.member else {
            let pattern = self.view.roster.unmanaged_by(email);
            return vec![match pattern {
                Some(pattern) => format!(
                    "{}   unmanaged, matches `{}`",
                    at(self.view.sources, pattern.place),
                    pattern.written
                ),
                None => "not in the roster".to_owned(),
            }];
        };
        let mut lines = vec![format!("{}   {}", at(self.view.sources, member.place), member.role)];
        if member.email != *email {
            lines.push(format!("alias of {}", member.email));
        }
        lines.extend(dates(member, self.now, self.zone()));
        lines.extend(line.map(|revision| commit(revision, self.zone())));
        lines
    }

    fn workspace(&self) -> Vec<String> {
        let matching = Matching::new(self.view.roster, self.view.snapshot, self.memory);
        let theirs = self
            .member
            .and_then(|member| matching.members().find(|(other, _)| other.email == member.email));
        let is_theirs = |email: &Email| self.addresses.contains(email);
        let accounts: Vec<&Account> = if let Some((_, found)) = theirs {
            found.accounts.clone()
        } else {
            let all = self.view.snapshot.accounts().iter();
            all.filter(|account| is_theirs(&account.email)).collect()
        };
        let invitations = self.view.snapshot.invitations().iter();
        let mut lines: Vec<String> = accounts.iter().flat_map(|it| self.account(it)).collect();
        lines.extend(
            invitations.filter(|it| is_theirs(&it.email)).flat_map(|it| self.invitation(it)),
        );
        if lines.is_empty() {
            lines.push("no account, no invitation".to_owned());
            lines.extend(self.memory.former(self.addresses).map(|former| {
                let AccountRecord { role, email, gone, disabled, .. } = former;
                let by = if *disabled { "disabled by rosterd" } else { "removed outside rosterd" };
                match gone {
                    Some(gone) => {
                        format!("had an account, {role}, until {}: {by}", self.at(*gone))
                    }
                    None => format!("had an account, {role}, which is now {email}"),
                }
            }));
        }
        lines
    }

    /// `since 2026-12-01 09:00 UTC`; what the first listing showed was there before.
    fn since(&self, since: Timestamp) -> String {
        let is_first = self.memory.first_listing() == Some(since);
        format!("{} {}", if is_first { "first seen" } else { "since" }, self.at(since))
    }

    fn account(&self, account: &Account) -> Vec<String> {
        let Account { uid, email, role, .. } = account;
        let known = self.memory.account(uid);
        let since = known.map(|known| {
            let since = format!(", {}", self.since(known.since));
            if known.role_since == known.since {
                return since;
            }
            format!("{since}, with this role since {}", self.at(known.role_since))
        });
        let mut lines = vec![format!("account {email}, {role}{}", since.unwrap_or_default())];
        lines.extend(self.memory.given_by(uid).map(|revision| commit(revision, self.zone())));
        lines
    }

    fn invitation(&self, invitation: &Invitation) -> Vec<String> {
        let Invitation { email, role, status } = invitation;
        let state = if status.is_pending() { "pending" } else { "expired" };
        let known = self.memory.invitation(email);
        let since = known.map(|known| format!(", {}", self.since(known.since)));
        let mut lines =
            vec![format!("invitation for {email}, {role}, {state}{}", since.unwrap_or_default())];
        lines.extend(self.memory.invited_by(email).map(|revision| commit(revision, self.zone())));
        lines
    }

    fn invitations(&self) -> Vec<String> {
        let Some(sent) = self.memory.sent(self.addresses) else { return Vec::new() };
        let next = match backoff::next(&backoff::INVITATIONS, sent.times, sent.last) {
            Some(next) => format!("if needed, next one not before {}", self.at(next)),
            None => "no more are sent automatically".to_owned(),
        };
        vec![format!("{} sent, the last {}; {next}", sent.times, self.at(sent.last))]
    }

    fn next(&self) -> Vec<String> {
        let is_theirs = |email: &Email| self.addresses.contains(email);
        let View { plan, verdict, sources, .. } = self.view;
        let mut lines = Vec::new();
        let due = verdict.approved.changes().iter().filter(|it| it.addresses().any(is_theirs));
        for change in due {
            let row = rows::of_approved(change, verdict, sources);
            let reason = change.reason.description();
            let why = joined(&[reason, &row.approval], ", ");
            lines.push(format!("{} {}, at the next run: {why}", row.kind.as_str(), row.what));
        }
        for held in verdict.held.iter().filter(|held| held.change.addresses().any(is_theirs)) {
            let row = rows::of_change(&held.change, sources);
            let since = held.since.map(|since| format!(" since {}", self.at(since)));
            let (kind, since) = (row.kind.as_str(), since.unwrap_or_default());
            let why = if row.why.is_empty() { String::new() } else { format!(" ({})", row.why) };
            lines.push(format!("{kind} {}{why}, held{since}:", row.what));
            let violations = verdict.violations.iter().filter(|it| held.by.contains(&it.guard));
            lines.extend(
                violations.map(|it| format!("{}: {}; hint: {}", it.guard, it.message, it.hint)),
            );
        }
        let found = plan.findings().iter().filter(|finding| is_theirs(&finding.email));
        lines.extend(found.map(|finding| findings::message(finding, self.now, &plan.zone)));
        lines.extend(self.member.and_then(|member| next_date(member, self.now, self.zone())));
        if lines.is_empty() {
            lines.push("nothing to do".to_owned());
        }
        lines
    }
}

fn dates(member: &Member, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let Some(period) = member.time.as_deref() else { return Vec::new() };
    let past = |at: Timestamp, note| if at <= now { note } else { "" };
    let line = |what, at, note| format!("{what} {}{}", time::end(at, zone), past(at, note));
    let starts = |at| format!("access starts {}{}", time::at(at, zone), past(at, " (started)"));
    let starts = period.starts.map(starts);
    let ends = period.ends.map(|at| line("access ends", at, " (ended)"));
    let mut lines: Vec<String> = starts.into_iter().chain(ends).collect();
    if let Some(Elevation { role, until, reason }) = &period.elevate {
        let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let what = format!("elevated to {role} until");
        lines.push(line(&what, *until, " (ended)") + &reason);
    }
    lines
}

/// The next date at which the access of this member changes.
fn next_date(member: &Member, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let period = member.time.as_deref()?;
    let elevation = period.elevate.as_ref().map(|elevation| elevation.until);
    let next = [period.starts, period.ends, elevation];
    let next = next.into_iter().flatten().filter(|at| *at > now).min()?;
    let what = match member.phase(next) {
        Phase::Past => "access ends",
        _ if period.starts == Some(next) => {
            return Some(format!("access starts {}", time::at(next, zone)));
        }
        _ => "the elevation ends",
    };
    Some(format!("{what} {}", time::end(next, zone)))
}

fn commit(revision: &Revision, zone: &TimeZone) -> String {
    let author = revision.author.as_deref().map(|author| format!(" by {author}"));
    let subject = revision.subject.as_deref().map(|subject| format!(": {subject}"));
    let when = revision.at.map(|at| format!(", {}", time::at(at, zone)));
    let parts = [author, when, subject].map(Option::unwrap_or_default).concat();
    format!("commit {revision}{parts}")
}
