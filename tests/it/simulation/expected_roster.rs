//! The roster as its authors mean it. It is written here as YAML and read by rosterd; what it asks
//! for is worked out here once more, without rosterd's own reading of it.

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// What a commit says about one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub email: String,
    pub role: &'static str,
    pub name: Option<String>,
    pub aliases: Vec<String>,
    pub starts: Option<Date>,
    pub expires: Option<Date>,
    /// A role, and until when.
    pub elevate: Option<(&'static str, Timestamp)>,
}

/// Everything that a commit asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    pub lines: Vec<Line>,
    pub unmanaged: Vec<String>,
    /// The action, and for whom.
    pub approvals: Vec<(&'static str, Vec<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    Future,
    Present,
    Past,
}

impl Line {
    pub fn new(email: &str, role: &'static str) -> Self {
        Self {
            email: email.to_owned(),
            role,
            name: None,
            aliases: Vec::new(),
            starts: None,
            expires: None,
            elevate: None,
        }
    }

    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.email).chain(&self.aliases).map(String::as_str)
    }

    pub fn has(&self, address: &str) -> bool {
        self.addresses().any(|it| it.eq_ignore_ascii_case(address))
    }

    /// The instant at which access ends: the date is the last day.
    pub fn ends(&self, zone: &TimeZone) -> Option<Timestamp> {
        let day_after = self.expires?.tomorrow().unwrap();
        Some(zone.to_timestamp(day_after.at(0, 0, 0, 0)).unwrap())
    }

    pub fn phase(&self, now: Timestamp, zone: &TimeZone) -> Phase {
        let starts = self.starts.map(|day| zone.to_timestamp(day.at(0, 0, 0, 0)).unwrap());
        if self.ends(zone).is_some_and(|ends| ends <= now) {
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

    /// One line of YAML.
    fn text(&self) -> String {
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
        if let Some(day) = self.expires {
            let _ = write!(keys, ", expires: {day}");
        }
        if let Some((role, until)) = self.elevate {
            let _ = write!(keys, ", elevate: {{ role: {role}, until: {until}, reason: help }}");
        }
        format!("  - {{ {keys} }}\n")
    }
}

impl Wish {
    pub fn text(&self) -> String {
        let mut text = self.head();
        if self.lines.is_empty() {
            return text + "users: []\n";
        }
        text += "users:\n";
        for line in &self.lines {
            text += &line.text();
        }
        text
    }

    fn head(&self) -> String {
        let mut text = "version: 1\n".to_owned();
        let quoted: Vec<String> = self.unmanaged.iter().map(|it| format!("\"{it}\"")).collect();
        let _ = writeln!(text, "unmanaged: [{}]", quoted.join(", "));
        for (at, (action, people)) in self.approvals.iter().enumerate() {
            if at == 0 {
                text += "approvals:\n";
            }
            let _ = writeln!(text, "  - {{ {action}: [{}], reason: agreed }}", people.join(", "));
        }
        text
    }

    /// What is left where only this much of the text was written, if that can be used at all.
    pub fn cut(&self, length: usize) -> Option<Self> {
        if self.lines.is_empty() {
            let whole = self.text().trim_end().len();
            return (whole <= length).then(|| self.clone());
        }
        let (mut end, mut lines) = (self.head().len() + "users:\n".len(), 0);
        for line in &self.lines {
            // The last line may have lost its end.
            if end + line.text().trim_end().len() > length {
                break;
            }
            (end, lines) = (end + line.text().len(), lines + 1);
        }
        let rest = self.text()[end.min(length)..length].trim().to_owned();
        let is_whole = lines > 0 && rest.is_empty();
        is_whole.then(|| Self { lines: self.lines[..lines].to_vec(), ..self.clone() })
    }

    pub fn line_of(&self, address: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.has(address))
    }

    pub fn is_unmanaged(&self, address: &str) -> bool {
        self.unmanaged.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some(end) => address.to_ascii_lowercase().ends_with(end),
            None => pattern.eq_ignore_ascii_case(address),
        })
    }

    pub fn approves(&self, action: &str, address: &str) -> bool {
        let mut lines = self.approvals.iter().filter(|(what, _)| *what == action);
        lines.any(|(_, people)| people.iter().any(|it| it.eq_ignore_ascii_case(address)))
    }
}

/// A day so many days from an instant.
pub fn day(now: Timestamp, days: i64) -> Date {
    now.to_zoned_datetime(TimeZone::UTC).date().checked_add(days.days()).unwrap()
}

/// The tier of a role: a change to a higher one grants.
pub fn tier(role: &str) -> u8 {
    match role {
        "ADMIN" => 3,
        "WORKSPACE_ADMIN" | "SECURITY_ADMIN" | "BILLING_ADMIN" | "WORKSPACE_SETTINGS_ADMIN" => 2,
        "DEVELOPER" => 1,
        _ => 0,
    }
}

#[test]
fn a_text_that_was_cut_means_what_its_whole_lines_say() {
    let lines = ["a@acme.io", "b@acme.io"].map(|email| Line::new(email, "ANALYST"));
    let wish = Wish { lines: lines.to_vec(), ..Wish::default() };
    let text = wish.text();
    let whole = |cut: &Option<Wish>| cut.as_ref().map(|wish| wish.lines.len());
    assert_eq!(whole(&wish.cut(text.len())), Some(2));
    assert_eq!(whole(&wish.cut(text.len() - 1)), Some(2));
    assert_eq!(whole(&wish.cut(text.len() - 2)), None, "a bracket is missing");
    let second = text.find("  - { email: b").unwrap();
    assert_eq!(whole(&wish.cut(second)), Some(1));
    assert_eq!(whole(&wish.cut(second + 1)), Some(1));
    assert_eq!(whole(&wish.cut(second + 3)), None);
    assert_eq!(whole(&wish.cut(text.find("users").unwrap())), None);
    let nobody = Wish::default();
    let length = nobody.text().len();
    assert_eq!(whole(&nobody.cut(length - 1)), Some(0), "only the end of the line is missing");
    assert_eq!(whole(&nobody.cut(length - 2)), None);
}
