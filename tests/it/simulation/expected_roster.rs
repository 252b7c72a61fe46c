//! The roster as its authors mean it. It is written as YAML, which rosterd reads; what it asks for
//! is computed here independently.

use std::collections::HashSet;
use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::approvals::Item;

/// One entry of `users:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub email: String,
    pub role: &'static str,
    pub name: Option<String>,
    pub aliases: Vec<String>,
    pub starts: Option<Date>,
    pub expires: Option<Date>,
    /// `expires` as an instant.
    pub ends: Option<Timestamp>,
    /// The role, and the end of the elevation.
    pub elevate: Option<(&'static str, Timestamp)>,
}

/// One entry of `approvals:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    pub action: &'static str,
    pub people: Vec<String>,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedRoster {
    pub members: Vec<Member>,
    pub unmanaged: Vec<String>,
    pub approvals: Vec<Approval>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    Future,
    Present,
    Past,
}

impl Member {
    pub fn new(email: &str, role: &'static str) -> Self {
        Self {
            email: email.to_owned(),
            role,
            name: None,
            aliases: Vec::new(),
            starts: None,
            expires: None,
            ends: None,
            elevate: None,
        }
    }

    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.email).chain(&self.aliases).map(String::as_str)
    }

    pub fn has_address(&self, address: &str) -> bool {
        self.addresses().any(|it| it.eq_ignore_ascii_case(address))
    }

    fn has_end(&self) -> bool {
        self.expires.is_some() || self.ends.is_some()
    }

    /// The time at which access ends: `expires` is the last day.
    pub fn end(&self, zone: &TimeZone) -> Option<Timestamp> {
        if self.ends.is_some() {
            return self.ends;
        }
        let day_after = self.expires?.tomorrow().unwrap();
        Some(zone.to_timestamp(day_after.at(0, 0, 0, 0)).unwrap())
    }

    pub fn phase(&self, now: Timestamp, zone: &TimeZone) -> Phase {
        let starts = self.starts.map(|day| zone.to_timestamp(day.at(0, 0, 0, 0)).unwrap());
        if self.end(zone).is_some_and(|end| end <= now) {
            Phase::Past
        } else if starts.is_some_and(|starts| now < starts) {
            Phase::Future
        } else {
            Phase::Present
        }
    }

    pub fn role_at(&self, now: Timestamp) -> &'static str {
        match self.elevate {
            Some((role, until)) if now < until => role,
            _ => self.role,
        }
    }

    /// Whether an address is neither of the domain nor that of a guest with an end of access.
    /// Without a domain, every address is allowed.
    pub fn is_against_policy(&self, domain: &str) -> bool {
        let is_guest = |it: &str| it.ends_with("@partner.com") && self.has_end();
        let is_own = |it: &str| it.ends_with(&format!("@{domain}"));
        !domain.is_empty() && self.addresses().any(|it| !is_own(it) && !is_guest(it))
    }

    /// One line of YAML.
    fn to_yaml(&self) -> String {
        let mut keys = format!("email: {}, role: {}", self.email, self.role);
        if let Some(name) = &self.name {
            let _ = write!(keys, ", name: \"{name}\"");
        }
        if !self.aliases.is_empty() {
            let _ = write!(keys, ", aliases: [{}]", self.aliases.join(", "));
        }
        if let Some(day) = self.starts {
            let _ = write!(keys, ", starts: {day}");
        }
        if let Some(end) = self.ends {
            let _ = write!(keys, ", expires: {end}");
        } else if let Some(day) = self.expires {
            let _ = write!(keys, ", expires: {day}");
        }
        if let Some((role, until)) = self.elevate {
            let _ = write!(keys, ", elevate: {{ role: {role}, until: {until}, reason: help }}");
        }
        format!("  - {{ {keys} }}\n")
    }
}

impl ExpectedRoster {
    pub fn to_yaml(&self) -> String {
        let mut text = self.header();
        if self.members.is_empty() {
            return text + "users: []\n";
        }
        text += "users:\n";
        for member in &self.members {
            text += &member.to_yaml();
        }
        text
    }

    fn header(&self) -> String {
        let mut text = "version: 1\n".to_owned();
        let quoted: Vec<String> = self.unmanaged.iter().map(|it| format!("\"{it}\"")).collect();
        let _ = writeln!(text, "unmanaged: [{}]", quoted.join(", "));
        for (at, Approval { action, people, reason }) in self.approvals.iter().enumerate() {
            if at == 0 {
                text += "approvals:\n";
            }
            let people = people.join(", ");
            let _ = writeln!(text, "  - {{ {action}: [{people}], reason: \"{reason}\" }}");
        }
        text
    }

    /// The roster in the first `length` bytes of the file; none if they are not a valid roster.
    pub fn truncated_at(&self, length: usize) -> Option<Self> {
        if self.members.is_empty() {
            let whole = self.to_yaml().trim_end().len();
            return (whole <= length).then(|| self.clone());
        }
        let (mut end, mut members) = (self.header().len() + "users:\n".len(), 0);
        for member in &self.members {
            // The line feed of the last line may be missing.
            if end + member.to_yaml().trim_end().len() > length {
                break;
            }
            (end, members) = (end + member.to_yaml().len(), members + 1);
        }
        let rest = self.to_yaml()[end.min(length)..length].trim().to_owned();
        let is_valid = members > 0 && rest.is_empty();
        is_valid.then(|| Self { members: self.members[..members].to_vec(), ..self.clone() })
    }

    pub fn member_for(&self, address: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.has_address(address))
    }

    pub fn is_unmanaged(&self, address: &str) -> bool {
        self.unmanaged.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some(end) => address.to_ascii_lowercase().ends_with(end),
            None => pattern.eq_ignore_ascii_case(address),
        })
    }

    /// Action, address and reason of every approval.
    pub fn items(&self) -> HashSet<Item> {
        let items = self.approvals.iter().flat_map(|it| {
            let Approval { action, people, reason } = it;
            people.iter().map(move |person| {
                ((*action).to_owned(), person.to_ascii_lowercase(), reason.clone())
            })
        });
        items.collect()
    }
}

/// The UTC date this number of days after `now`.
pub fn day(now: Timestamp, days: i64) -> Date {
    now.to_zoned_datetime(TimeZone::UTC).date().checked_add(days.days()).unwrap()
}

/// The tier of a role. A change to a higher tier is not a demotion.
pub fn tier(role: &str) -> u8 {
    match role {
        "ADMIN" => 3,
        "WORKSPACE_ADMIN" | "SECURITY_ADMIN" | "BILLING_ADMIN" | "WORKSPACE_SETTINGS_ADMIN" => 2,
        "DEVELOPER" => 1,
        _ => 0,
    }
}

#[test]
fn a_truncated_file_has_the_members_of_its_complete_lines() {
    let members = ["a@acme.io", "b@acme.io"].map(|email| Member::new(email, "ANALYST"));
    let expected = ExpectedRoster { members: members.to_vec(), ..ExpectedRoster::default() };
    let text = expected.to_yaml();
    let count = |roster: &Option<ExpectedRoster>| roster.as_ref().map(|it| it.members.len());
    assert_eq!(count(&expected.truncated_at(text.len())), Some(2));
    assert_eq!(count(&expected.truncated_at(text.len() - 1)), Some(2));
    assert_eq!(count(&expected.truncated_at(text.len() - 2)), None, "a bracket is missing");
    let second = text.find("  - { email: b").unwrap();
    assert_eq!(count(&expected.truncated_at(second)), Some(1));
    assert_eq!(count(&expected.truncated_at(second + 1)), Some(1));
    assert_eq!(count(&expected.truncated_at(second + 3)), None);
    assert_eq!(count(&expected.truncated_at(text.find("users").unwrap())), None);
    let empty = ExpectedRoster::default();
    let length = empty.to_yaml().len();
    assert_eq!(count(&empty.truncated_at(length - 1)), Some(0), "only the line feed is missing");
    assert_eq!(count(&empty.truncated_at(length - 2)), None);
}
