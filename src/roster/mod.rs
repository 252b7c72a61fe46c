//! The roster: the desired state, valid by construction.
//!
//! [`raw`] parses the YAML with the place of every value. [`checks`] turns it into a [`Roster`] or
//! reports all of its problems. [`mod@write`] writes a canonical roster, and [`edit`] adds
//! approvals to a text.

pub mod checks;
mod dates;
pub mod edit;
pub mod policy;
pub mod raw;
pub mod schema;
pub mod write;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::action::{ApprovalItem, BudgetName};
use crate::diagnostic::Place;
use crate::email::{Email, EmailError};
use crate::escape::is_hostile;
use crate::role::Role;

/// The validated contents of the roster files. Addresses and aliases are unique, and no member is
/// unmanaged.
#[derive(Clone, Debug)]
pub struct Roster {
    members: Vec<Member>,
    unmanaged: Unmanaged,
    approvals: Vec<Approval>,
    digest: Digest,
}

/// SHA-256 over the contents of the roster files, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// One member of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub email: Email,
    /// The role without elevation. [`Member::role_at`] applies an elevation.
    pub role: Role,
    /// For readers, and to detect renames. Never written to the workspace.
    pub name: Option<Box<str>>,
    /// Other addresses of the same person.
    pub aliases: Box<[Email]>,
    pub time: Option<Box<Period>>,
    /// The place of `email`.
    pub place: Place,
}

/// The dates of a member. Every interval is half-open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The first instant of access.
    pub starts: Option<Timestamp>,
    /// The first instant without access. For a date: the start of the next day.
    pub ends: Option<Timestamp>,
    pub elevate: Option<Elevation>,
}

/// A temporary higher role, in force before `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevation {
    pub role: Role,
    pub until: Timestamp,
    pub reason: Option<String>,
}

/// The position of an instant relative to a member's period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before `starts`.
    Future,
    Present,
    /// After `expires`.
    Past,
}

/// One entry of `unmanaged`: an exact address, or a glob with `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub written: String,
    pub place: Place,
    glob: glob::Pattern,
}

/// Why an entry of `unmanaged` can match no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("{0}")]
    Glob(&'static str),
    #[error("it has the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    #[error("{0}")]
    Address(EmailError),
}

/// All patterns of `unmanaged`. Exact addresses and whole domains are indexed; only the other
/// globs are matched one by one.
#[derive(Clone, Debug, Default)]
pub struct Unmanaged {
    patterns: Vec<Pattern>,
    exact: HashMap<Email, usize>,
    /// Patterns such as `*@acme.io`, by domain in lower case.
    domains: HashMap<String, usize>,
    globs: Vec<usize>,
}

/// One address of `approvals:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub item: ApprovalItem,
    /// The place of the address.
    pub place: Place,
    pub state: ApprovalState,
}

/// Whether an approval counts, by where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApprovalState {
    /// It is committed, or the configuration accepts what the file says.
    Counts,
    /// The last commit does not have it.
    #[default]
    NotCommitted,
    /// The roster is not in a git work tree.
    NoWorkTree,
    /// The work tree belongs to somebody whom the configuration does not trust.
    Untrusted,
    /// Its reason is empty.
    NoReason,
}

/// Two conflicting entries of a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// An address or alias is listed twice.
    Duplicate { first: Place, again: Place },
    /// A member matches an `unmanaged` pattern.
    Unmanaged { member: Place, pattern: Place },
}

impl Roster {
    /// Makes a roster, or returns the first conflict. `checks` reports all conflicts; this is the
    /// only constructor, so that no roster can have one.
    pub fn new(
        mut members: Vec<Member>,
        unmanaged: Vec<Pattern>,
        approvals: Vec<Approval>,
        digest: Digest,
    ) -> Result<Self, Conflict> {
        members.sort_by(|a, b| a.email.cmp(&b.email));
        let unmanaged = Unmanaged::new(unmanaged);
        let mut seen = HashMap::with_capacity(members.len());
        for member in &members {
            for address in member.addresses() {
                if let Some(first) = seen.insert(address, member.place) {
                    return Err(Conflict::Duplicate { first, again: member.place });
                }
                if let Some(Pattern { place: pattern, .. }) = unmanaged.find(address) {
                    return Err(Conflict::Unmanaged { member: member.place, pattern: *pattern });
                }
            }
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

    /// Decides which approvals count. One without a reason never does.
    pub fn judge_approvals(&mut self, state: impl Fn(&ApprovalItem) -> ApprovalState) {
        for approval in &mut self.approvals {
            let has_reason = !approval.item.reason.trim().is_empty();
            approval.state =
                if has_reason { state(&approval.item) } else { ApprovalState::NoReason };
        }
    }

    /// Whether an item names this action, address and reason.
    pub fn has_approval(&self, action: BudgetName, email: &Email, reason: &str) -> bool {
        let items = self.approvals.iter().map(|approval| &approval.item);
        items
            .into_iter()
            .any(|item| (item.action, &item.email, &*item.reason) == (action, email, reason))
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether an `unmanaged` pattern matches the address.
    pub fn is_unmanaged(&self, email: &Email) -> bool {
        self.unmanaged.find(email).is_some()
    }

    /// The first `unmanaged` pattern that matches the address.
    pub fn unmanaged_by(&self, email: &Email) -> Option<&Pattern> {
        self.unmanaged.find(email)
    }

    /// The patterns of `unmanaged`, in file order.
    pub fn unmanaged(&self) -> &[Pattern] {
        &self.unmanaged.patterns
    }

    /// The entries of `unmanaged` that match none of the addresses. Those of whole domains are left
    /// out: they are rules for people who may come.
    pub fn idle_patterns(&self, addresses: &[&Email]) -> impl Iterator<Item = &Pattern> {
        let used = addresses.iter().flat_map(|address| self.unmanaged.matching(address));
        let used: HashSet<&str> = used.map(|pattern| pattern.glob.as_str()).collect();
        self.unmanaged().iter().filter(move |pattern| {
            let glob = pattern.glob.as_str();
            !glob.starts_with("*@") && !used.contains(glob)
        })
    }

    /// The next scheduled date: the first instant after `now` at which a member's access or
    /// elevation starts or ends.
    pub fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        let periods = self.members.iter().filter_map(|member| member.time.as_deref());
        let instants = periods.flat_map(|period| {
            [period.starts, period.ends, period.elevate.as_ref().map(|e| e.until)]
        });
        instants.flatten().filter(|instant| *instant > now).min()
    }
}

impl Member {
    /// The address, then the aliases.
    pub fn addresses(&self) -> impl Iterator<Item = &Email> {
        std::iter::once(&self.email).chain(self.aliases.iter())
    }

    /// The role in force at `now`, including an elevation.
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
            if !is_glob(&pattern.written) {
                unmanaged.exact.entry(Email::remote(&pattern.written)).or_insert(position);
            } else if let Some(domain) = pattern.domain() {
                unmanaged.domains.entry(domain.to_ascii_lowercase()).or_insert(position);
            } else {
                unmanaged.globs.push(position);
            }
        }
        unmanaged
    }

    /// A pattern that matches the address.
    pub fn find(&self, email: &Email) -> Option<&Pattern> {
        self.matching(email).next()
    }

    /// The patterns that match the address. Of several with the same text, one.
    fn matching(&self, email: &Email) -> impl Iterator<Item = &Pattern> {
        let has_globs = !self.globs.is_empty() || !self.domains.is_empty();
        let folded = if has_globs { email.folded() } else { String::new() };
        let domain = folded.rsplit_once('@').and_then(|(_, domain)| self.domains.get(domain));
        let indexed = self.exact.get(email).into_iter().chain(domain);
        let indexed = indexed.filter_map(|position| self.patterns.get(*position));
        let globs = self.globs.iter().filter_map(|position| self.patterns.get(*position));
        indexed.chain(globs.filter(move |pattern| pattern.glob.matches(&folded)))
    }
}

impl Pattern {
    /// Parses a plain address or a glob such as `*@paradime.io`, if it can match an account.
    pub fn parse(written: &str, place: Place) -> Result<Self, PatternError> {
        let written = written.trim_ascii().to_owned();
        let glob = compile(&written)?;
        Ok(Self { written, place, glob })
    }

    /// The domain, if it is `*@` and a domain.
    fn domain(&self) -> Option<&str> {
        self.written.strip_prefix("*@").filter(|rest| !rest.contains('@') && !is_glob(rest))
    }

    /// Whether it has to be compared with every address.
    fn is_slow(&self) -> bool {
        is_glob(&self.written) && self.domain().is_none()
    }
}

fn compile(pattern: &str) -> Result<glob::Pattern, PatternError> {
    let glob = glob::Pattern::new(&pattern.to_ascii_lowercase());
    let glob = glob.map_err(|error| PatternError::Glob(error.msg))?;
    // In a class it is there on purpose.
    let outside = pattern.split('[').filter_map(|it| it.rsplit(']').next()).flat_map(str::chars);
    if let Some(character) = outside.into_iter().find(|c| is_hostile(*c)) {
        return Err(PatternError::Invisible(character));
    }
    Email::parse(&example(pattern, 'a'))
        .or_else(|error| Email::parse(&example(pattern, '.')).map_err(|_| error))
        .map_err(PatternError::Address)?;
    Ok(glob)
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// A text that the pattern matches, but for visible characters that are not ASCII. `any` stands for
/// a single character.
fn example(pattern: &str, any: char) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '*' => text.push_str("a.a"),
            '?' => text.push(any),
            '[' => {
                // The first character of a class may be the bracket that ends others.
                if rest.next() == Some('!') {
                    rest.next();
                }
                rest.by_ref().find(|c| *c == ']');
                text.push(any);
            }
            character if character.is_ascii() => text.push(character),
            _ => text.push('a'),
        }
    }
    if is_glob(pattern) && !text.contains('@') {
        text.push_str("@a.a");
    }
    text
}

impl Digest {
    /// Hashes the contents of the files, each prefixed with its length.
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
        format!("{:x}", sha2::digest::Output::<sha2::Sha256>::from(self.0))
    }

    /// The first eight digits, for display.
    pub fn short(&self) -> String {
        self.hex().chars().take(8).collect()
    }
}

#[cfg(test)]
mod tests;
