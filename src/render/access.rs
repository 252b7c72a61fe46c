//! The access review: the role of each user, since when, until when, and the commit that gave it.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::table::{self, Line, Screen, paragraph};
use super::{View, at, time, users};
use crate::diagnostic::Place;
use crate::directory::{Account, Invitation};
use crate::email::Email;
use crate::escape::escape;
use crate::memory::Memory;
use crate::order::natural_key;
use crate::plan::matching::Matching;
use crate::revision::{Revision, abbreviate};
use crate::roster::{Member, Phase};

/// One user with an account or an invitation. Fields that do not apply are absent.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Access")]
pub struct Row {
    pub workspace: String,
    pub email: String,
    pub name: Option<String>,
    /// The current role in the workspace.
    pub role: String,
    /// `member`, `elevated`, `other role`, `expired`, `not started`, `not in roster`, `unmanaged`,
    /// `pending` or `invitation expired`.
    pub status: String,
    /// When the account or the invitation was first seen: RFC 3339, UTC. Not before the creation of
    /// the ledger.
    pub since: Option<String>,
    /// When it was first seen with this role.
    pub role_since: Option<String>,
    /// The commit of the roster that gave the role, or that wrote the member's line.
    pub commit: Option<String>,
    pub author: Option<String>,
    pub subject: Option<String>,
    /// Where the role was approved, why, and by which commit; absent if it needed no approval.
    pub approval: Option<String>,
    /// When access or the elevation ends.
    pub until: Option<String>,
    /// It ends within the requested time.
    pub expiring: bool,
    /// The place in the roster.
    pub place: Option<String>,
    #[serde(skip)]
    pub member: Option<Place>,
    /// There is no account, only an invitation.
    #[serde(skip)]
    pub is_invitation: bool,
    /// It was there in the first listing, so `since` is not when access began.
    #[serde(skip)]
    pub was_there: bool,
}

/// The columns of the CSV.
pub const HEADER: &str = concat!(
    "workspace,email,name,role,status,since,role_since,commit,author,subject,",
    "approval,until,expiring,place",
);

/// The commit of each member's line, where the history of the roster has it.
pub type Lines = HashMap<Email, Revision>;

/// All users, sorted by address. `expiring` is set if access ends within `within` of the plan.
pub fn rows(view: &View<'_>, memory: &Memory, lines: &Lines, within: SignedDuration) -> Vec<Row> {
    let (now, first) = (view.plan.now, memory.first_listing());
    let review = Review { view, memory, lines, now, first, within };
    let matching = Matching::new(view.roster, view.snapshot, memory);
    let mut rows = Vec::new();
    for (member, found) in matching.members() {
        rows.extend(found.accounts.iter().map(|account| review.member(member, account)));
        if found.accounts.is_empty() {
            rows.extend(found.invitation.map(|it| review.invitation(it, Some(member))));
        }
    }
    let unmatched = matching.unmatched_accounts.iter();
    rows.extend(unmatched.map(|account| review.account(account, "not in roster")));
    let unmatched = matching.unmatched_invitations.iter();
    rows.extend(unmatched.map(|invitation| review.invitation(invitation, None)));
    let unmanaged = |email| view.roster.is_unmanaged(email);
    let others = view.snapshot.accounts().iter().filter(|account| unmanaged(&account.email));
    rows.extend(others.map(|account| review.account(account, "unmanaged")));
    let others = view.snapshot.invitations().iter().filter(|it| unmanaged(&it.email));
    rows.extend(others.map(|invitation| Row {
        status: "unmanaged".into(),
        ..review.invitation(invitation, None)
    }));
    rows.sort_by_cached_key(|row| (row.email.to_ascii_lowercase(), row.role.clone()));
    rows
}

struct Review<'a> {
    view: &'a View<'a>,
    memory: &'a Memory,
    lines: &'a Lines,
    now: Timestamp,
    /// The first listing.
    first: Option<Timestamp>,
    within: SignedDuration,
}

impl Review<'_> {
    fn member(&self, member: &Member, account: &Account) -> Row {
        let elevated = member.elevation().is_some_and(|elevation| self.now < elevation.until);
        let status = match member.phase(self.now) {
            Phase::Past => "expired",
            Phase::Future => "not started",
            Phase::Present if *member.role_at(self.now) != account.role => "other role",
            Phase::Present if elevated => "elevated",
            Phase::Present => "member",
        };
        let row = self.until(self.account(account, status), member);
        let name = row.name.clone().or_else(|| member.name.as_deref().map(str::to_owned));
        Row { name, ..self.of_line(row, member) }
    }

    /// The place of the member's line, and its commit if nothing else gave the role.
    fn of_line(&self, row: Row, member: &Member) -> Row {
        let place = Some(at(self.view.sources, member.place));
        let line = self.lines.get(&member.email).filter(|_| row.commit.is_none());
        Row { place, member: Some(member.place), ..row.by(line) }
    }

    fn until(&self, row: Row, member: &Member) -> Row {
        let elevation = member.elevation().map(|elevation| elevation.until);
        let ends = member.time.as_deref().and_then(|period| period.ends);
        let until = ends.into_iter().chain(elevation).filter(|at| *at > self.now).min();
        let expiring = until.is_some_and(|until| until.duration_since(self.now) <= self.within);
        Row { until: until.map(time::exact), expiring, ..row }
    }

    fn account(&self, account: &Account, status: &str) -> Row {
        let known = self.memory.account(&account.uid);
        let by = self.memory.given_by(&account.uid);
        let row = Row {
            workspace: self.view.workspace.to_owned(),
            email: account.email.as_str().to_owned(),
            name: account.name.as_deref().map(str::to_owned),
            role: account.role.as_str().to_owned(),
            status: status.to_owned(),
            since: known.map(|known| time::exact(known.since)),
            was_there: known.is_some_and(|known| Some(known.since) == self.first),
            role_since: known.map(|known| time::exact(known.role_since)),
            approval: known.and_then(|known| known.approval.as_ref()).map(super::rows::approved),
            ..Row::default()
        };
        row.by(by)
    }

    fn invitation(&self, invitation: &Invitation, member: Option<&Member>) -> Row {
        let pending = invitation.status.is_pending();
        let known = self.memory.invitation(&invitation.email);
        let by = self.memory.invited_by(&invitation.email);
        let row = Row {
            workspace: self.view.workspace.to_owned(),
            email: invitation.email.as_str().to_owned(),
            name: member.and_then(|member| member.name.as_deref().map(str::to_owned)),
            role: invitation.role.as_str().to_owned(),
            status: if pending { "pending" } else { "invitation expired" }.to_owned(),
            since: known.map(|known| time::exact(known.since)),
            is_invitation: true,
            was_there: known.is_some_and(|known| Some(known.since) == self.first),
            ..Row::default()
        };
        let row = row.by(by);
        match member {
            Some(member) => self.until(self.of_line(row, member), member),
            None => row,
        }
    }
}

/// `3 accounts, 2 invitations`: without the part that is zero.
pub fn count<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let (invitations, accounts): (Vec<_>, Vec<_>) = rows.partition(|row| row.is_invitation);
    let of = |count, one| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    match (accounts.len(), invitations.len()) {
        (accounts, 0) => of(accounts, "account"),
        (0, invitations) => of(invitations, "invitation"),
        (accounts, invitations) => {
            format!("{}, {}", of(accounts, "account"), of(invitations, "invitation"))
        }
    }
}

impl Row {
    fn by(self, revision: Option<&Revision>) -> Self {
        let Some(Revision { author, subject, .. }) = revision else { return self };
        let commit = revision.map(Revision::full);
        Self { commit, author: author.clone(), subject: subject.clone(), ..self }
    }

    fn line(&self, zone: &TimeZone) -> Line {
        let instant = |at: &Option<String>| at.as_deref()?.parse::<Timestamp>().ok();
        let since = instant(&self.since).map_or_else(String::new, |at| {
            let day = at.to_zoned_datetime(zone.clone()).date();
            format!("{}{day}", if self.was_there { "first seen " } else { "" })
        });
        let mark = if self.expiring { " !" } else { "" };
        let until = instant(&self.until).map(|at| time::last_day(at, zone) + mark);
        let commit = self.commit.as_deref().map(|commit| {
            let author = self.author.as_deref().unwrap_or_default();
            format!("@ {} {author}", abbreviate(commit)).trim_end().to_owned()
        });
        let details = [self.place.clone(), commit, self.approval.clone()];
        let details: Vec<String> = details.into_iter().flatten().collect();
        let (email, role, status) = (self.email.clone(), self.role.clone(), self.status.clone());
        Line::new(&[email, role, status, since, until.unwrap_or_default()], &details)
    }
}

/// For people: one line for each user, and the count of each status.
pub fn as_text(view: &View<'_>, rows: &[Row], within: SignedDuration, screen: Screen) -> String {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_cached_key(|row| natural_key(&row.email));
    let zone = &view.plan.zone;
    let mut lines: Vec<Line> = rows.iter().map(|row| row.line(zone)).collect();
    let said = table::said_once(&mut lines);
    let mut counts = BTreeMap::<&str, usize>::new();
    for row in &rows {
        *counts.entry(&row.status).or_default() += 1;
    }
    let mut statuses: Vec<String> =
        counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let expiring = rows.iter().filter(|row| row.expiring).count();
    if expiring > 0 {
        let days = within.as_hours() / 24;
        let s = if days == 1 { "" } else { "s" };
        statuses.push(format!("{expiring} ending within {days} day{s} (!)"));
    }
    let name = escape(view.workspace);
    if rows.is_empty() {
        return format!("{name}   no users\n");
    }
    let zone = zone.iana_name().unwrap_or("UTC");
    let header = ["WHO", "ROLE", "STATUS", "SINCE", "UNTIL", "WHY"];
    let head = paragraph(["", "  "], &format!("{name}   {}; days in {zone}", users(view)), screen);
    let table = table::condensed(&header, lines, said, screen);
    let statuses = paragraph(["", ""], &statuses.join(", "), screen);
    format!("{head}\n{table}\n{statuses}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_invitations_are_counted_apart() {
        let [account, invitation] =
            [false, true].map(|is_invitation| Row { is_invitation, ..Row::default() });
        assert_eq!(count([].iter()), "0 accounts");
        assert_eq!(count([invitation.clone()].iter()), "1 invitation");
        assert_eq!(
            count([account.clone(), account, invitation].iter()),
            "2 accounts, 1 invitation"
        );
    }
}
