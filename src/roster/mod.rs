//! The roster: the desired state, valid by construction.
//!
//! [`raw`] reads the YAML with the place of every value, [`checks`] turns it into a [`Roster`] or
//! into all its problems at once, [`mod@write`] writes a canonical one.

pub mod checks;
mod dates;
pub mod raw;
pub mod schema;
pub mod write;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::action::BudgetName;
use crate::diagnostic::Place;
use crate::email::Email;
use crate::role::Role;

/// Who has access, as the files say it. No two members share an address or an alias, and none of
/// them is unmanaged.
#[derive(Clone, Debug)]
pub struct Roster {
    members: Vec<Member>,
    unmanaged: Unmanaged,
    approvals: Vec<Approval>,
    digest: Digest,
}

/// SHA-256 over the contents of the roster's files, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// One person of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub email: Email,
    /// The member's own role; [`Member::role_at`] applies an elevation.
    pub role: Role,
    /// For readers, and for noticing a rename; never written to the workspace.
    pub name: Option<Box<str>>,
    /// Other addresses of the same person.
    pub aliases: Box<[Email]>,
    pub time: Option<Box<Period>>,
    /// Where the address stands.
    pub place: Place,
}

/// The dates of a member; every interval is half-open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Access begins at this instant.
    pub starts: Option<Timestamp>,
    /// Access has ended at this instant: for a date, the first instant of the day after it.
    pub ends: Option<Timestamp>,
    pub elevate: Option<Elevation>,
}

/// A higher role for a while: in force before `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevation {
    pub role: Role,
    pub until: Timestamp,
    pub reason: Option<String>,
}

/// Where `now` lies in a member's period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `starts` lies ahead.
    Future,
    Present,
    /// `expires` has passed.
    Past,
}

/// Addresses that are never touched: an exact address, or a glob with `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub written: String,
    pub place: Place,
    glob: glob::Pattern,
}

/// All the patterns: exact addresses and whole domains are looked up, only the other globs are
/// tried one by one.
#[derive(Clone, Debug, Default)]
pub struct Unmanaged {
    patterns: Vec<Pattern>,
    exact: HashMap<Email, usize>,
    /// By the domain of `*@acme.io`, in lower case.
    domains: HashMap<String, usize>,
    globs: Vec<usize>,
}

/// A line of `approvals:`: these people, this action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub budget: BudgetName,
    pub people: Vec<(Email, Place)>,
    pub reason: Option<String>,
}

/// Two entries that cannot both stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clash {
    /// The same address, aliases included, twice.
    Duplicate { first: Place, again: Place },
    /// A member that an `unmanaged` pattern covers too.
    Unmanaged { member: Place, pattern: Place },
}

impl Roster {
    /// Makes a roster, or tells the first pair of entries that cannot both stand.
    /// `checks` finds all of them; this is the gate that nothing passes around.
    pub fn new(
        mut members: Vec<Member>,
        unmanaged: Vec<Pattern>,
        approvals: Vec<Approval>,
        digest: Digest,
    ) -> Result<Self, Clash> {
        members.sort_by(|a, b| a.email.cmp(&b.email));
        let unmanaged = Unmanaged::new(unmanaged);
        if let Some(clash) = first_clash(&members, &unmanaged) {
            return Err(clash);
        }
        Ok(Self { members, unmanaged, approvals, digest })
    }

    /// The members, sorted by address.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }

    /// Who is named in `approvals`, for what.
    pub fn approved(&self) -> impl Iterator<Item = (BudgetName, &Email)> {
        let lines = self.approvals.iter();
        lines.flat_map(|line| line.people.iter().map(|(email, _)| (line.budget, email)))
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether `email` is one that must never be touched.
    pub fn is_unmanaged(&self, email: &Email) -> bool {
        self.unmanaged.find(email).is_some()
    }

    /// The pattern that covers an address, if one does.
    pub fn unmanaged_by(&self, email: &Email) -> Option<&Pattern> {
        self.unmanaged.find(email)
    }

    /// The patterns of `unmanaged`, in the order written.
    pub fn unmanaged(&self) -> &[Pattern] {
        &self.unmanaged.patterns
    }

    /// The first instant after `now` at which a date of this roster falls due.
    pub fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        let periods = self.members.iter().filter_map(|member| member.time.as_deref());
        let instants = periods.flat_map(|period| {
            [period.starts, period.ends, period.elevate.as_ref().map(|e| e.until)]
        });
        instants.flatten().filter(|instant| *instant > now).min()
    }
}

fn first_clash(members: &[Member], unmanaged: &Unmanaged) -> Option<Clash> {
    let mut seen = HashMap::with_capacity(members.len());
    for member in members {
        for address in member.addresses() {
            if let Some(first) = seen.insert(address, member.place) {
                return Some(Clash::Duplicate { first, again: member.place });
            }
            if let Some(pattern) = unmanaged.find(address) {
                return Some(Clash::Unmanaged { member: member.place, pattern: pattern.place });
            }
        }
    }
    None
}

impl Member {
    /// The address, then the aliases.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        std::iter::once(&self.email).chain(self.aliases.iter())
    }

    /// The role in force at `now`, elevation applied.
    pub fn role_at(&self, now: Timestamp) -> &Role {
        match self.elevation() {
            Some(elevation) if now < elevation.until => &elevation.role,
            _ => &self.role,
        }
    }

    pub fn elevation(&self) -> Option<&Elevation> {
        self.time.as_deref().and_then(|period| period.elevate.as_ref())
    }

    pub fn phase(&self, now: Timestamp) -> Phase {
        match self.time.as_deref() {
            Some(Period { ends: Some(ends), .. }) if now >= *ends => Phase::Past,
            Some(Period { starts: Some(starts), .. }) if now < *starts => Phase::Future,
            _ => Phase::Present,
        }
    }
}

impl Unmanaged {
    pub fn new(patterns: Vec<Pattern>) -> Self {
        let mut unmanaged = Self { patterns, ..Self::default() };
        for (position, pattern) in unmanaged.patterns.iter().enumerate() {
            let is_glob = |text: &str| text.contains(['*', '?', '[']);
            let domain = pattern.written.strip_prefix("*@").filter(|rest| !rest.contains('@'));
            if !is_glob(&pattern.written) {
                unmanaged.exact.entry(Email::remote(&pattern.written)).or_insert(position);
            } else if let Some(domain) = domain.filter(|domain| !is_glob(domain)) {
                unmanaged.domains.entry(domain.to_ascii_lowercase()).or_insert(position);
            } else {
                unmanaged.globs.push(position);
            }
        }
        unmanaged
    }

    /// The pattern that covers an address, if one does.
    pub fn find(&self, email: &Email) -> Option<&Pattern> {
        if let Some(&position) = self.exact.get(email) {
            return self.patterns.get(position);
        }
        if self.globs.is_empty() && self.domains.is_empty() {
            return None;
        }
        let folded = email.folded();
        let domain = folded.rsplit_once('@').and_then(|(_, domain)| self.domains.get(domain));
        if let Some(&position) = domain {
            return self.patterns.get(position);
        }
        let globs = self.globs.iter().filter_map(|&position| self.patterns.get(position));
        globs.into_iter().find(|pattern| pattern.glob.matches(&folded))
    }

    pub fn into_patterns(self) -> Vec<Pattern> {
        self.patterns
    }
}

impl Pattern {
    /// Reads `*@paradime.io` or a plain address.
    pub fn parse(written: &str, place: Place) -> Result<Self, glob::PatternError> {
        let written = written.trim_ascii().to_owned();
        let glob = glob::Pattern::new(&written.to_ascii_lowercase())?;
        Ok(Self { written, place, glob })
    }
}

impl Digest {
    /// Hashes the contents of the files, each with its length before it.
    pub fn of<'a>(contents: impl IntoIterator<Item = &'a str>) -> Self {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for text in contents {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests;
