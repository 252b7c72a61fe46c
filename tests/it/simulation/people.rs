//! Persons and their addresses: who has accepted an invitation under another one, whose address has
//! changed. A reviewer would not disable their accounts without a question.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rosterd::memory::entry::Seen;
use rosterd::sandbox::world::{Account, World};

use super::expected_roster::{ExpectedRoster, Member, Phase};
use super::sim_state::{Listing, SimState, WORKSPACE};

/// A day, but for the time between a listing and the end of its run.
const NAME_HOLDS: SignedDuration = SignedDuration::from_mins(24 * 60 - 5);
/// The longest time from a row of the ledger to the check of its run.
const PROMPT: SignedDuration = SignedDuration::from_mins(5);
const INVITED_WITHIN: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(Default)]
pub struct People {
    /// By uid: the address to which the invitation was sent that somebody accepted elsewhere.
    invited_as: HashMap<String, String>,
    /// By uid: whether the first listing in the ledger made it likely that it is an arrival.
    arrivals: HashMap<String, bool>,
    /// By uid: the member with the same name, and when a run first saw the two: by the machine's
    /// clock, and in truth.
    namesakes: HashMap<String, (String, [Timestamp; 2])>,
    /// By uid: when the ledger says that the name was first seen, and when that was written.
    recorded: HashMap<String, [Timestamp; 2]>,
}

impl People {
    /// An account was disabled rightly: if it comes back, it is no arrival any more.
    pub fn disabled(&mut self, uid: &str) {
        self.arrivals.insert(uid.to_owned(), false);
    }

    /// A run has written that it saw a name; it may have ended before its plan.
    pub fn name_recorded(&mut self, uid: &str, at: Timestamp, true_now: Timestamp) {
        self.recorded.entry(uid.to_owned()).or_insert([at, true_now]);
    }
}

/// The full name of the person with an address. Some persons share their name with another one.
pub fn name_of(email: &str) -> String {
    let name = email.split('@').next().unwrap_or_default().replace("guest", "user");
    let number = name.trim_start_matches(|it: char| !it.is_ascii_digit());
    match number.parse::<usize>() {
        Ok(number) if name.starts_with("user") => format!("Person user{}", number % 11),
        _ => format!("Person {name}"),
    }
}

impl SimState {
    /// Somebody accepts an invitation under another address. The API has it as a new account.
    pub fn accept_elsewhere(&mut self, world: &mut World, email: &str, which: usize) -> String {
        let now = self.clocks.true_now();
        let other = format!("else{}.{email}", which % 3);
        let workspace = &world.workspaces[0];
        let is_taken = workspace.accounts.iter().any(|it| it.email.eq_ignore_ascii_case(&other));
        if is_taken || world.accept(WORKSPACE, email, now).is_err() {
            return String::new();
        }
        let mut accounts = world.workspaces[0].accounts.iter_mut();
        let account = accounts.rfind(|it| it.email.eq_ignore_ascii_case(email)).unwrap();
        account.email.clone_from(&other);
        account.name = Some(if which.is_multiple_of(2) { name_of(email) } else { "P".to_owned() });
        let invited_as = &mut self.tracker.people.invited_as;
        invited_as.insert(account.uid.clone(), email.to_ascii_lowercase());
        other
    }

    /// The ledger has accounts that a listing showed for the first time.
    pub fn arrived(&mut self, seen: &Seen, at: Timestamp) {
        let last = self.runs.iter().filter(|run| run.order.is_some()).max_by_key(|run| run.order);
        let inputs = last.and_then(|run| {
            let expected = self.versions[run.version?].expected.as_ref()?;
            Some((expected, run.listing.as_ref()?))
        });
        let mut first_seen = Vec::new();
        for (_, uid, role) in &seen.accounts {
            let uid = uid.0.to_string();
            if self.tracker.people.arrivals.contains_key(&uid) {
                continue;
            }
            let is_arrival = inputs.is_some_and(|(expected, listing)| {
                self.is_arrival(&uid, role.as_str(), at, expected, listing)
            });
            first_seen.push((uid, is_arrival));
        }
        self.tracker.people.arrivals.extend(first_seen);
    }

    fn is_arrival(
        &self,
        uid: &str,
        role: &str,
        at: Timestamp,
        expected: &ExpectedRoster,
        listing: &Listing,
    ) -> bool {
        let Some(address) = self.tracker.people.invited_as.get(uid) else { return false };
        let Some(member) = expected.member_for(address) else { return false };
        let own = |email: &str| member.has_address(email);
        let listed = listing.accounts.iter().map(|(_, email, _)| email);
        let mut listed = listed.chain(listing.invitations.iter().map(|(email, _)| email));
        let mut intents = self.tracker.intents.values().rev();
        let invited = intents.find(|it| it.change.0 == "invite" && own(&it.change.1));
        invited.is_some_and(|it| {
            it.change.2.as_deref() == Some(role) && at.duration_since(it.at) < INVITED_WITHIN
        }) && member.phase(at, &self.zone) == Phase::Present
            && !listed.any(|email| own(email))
    }

    /// A run has seen a roster and a listing: notes who may have a new address in the roster.
    pub fn meet(&mut self, now: Timestamp, expected: &ExpectedRoster, listing: &Listing) {
        let names: HashMap<String, String> = {
            let world = self.world.lock();
            let accounts = world.workspaces[0].accounts.iter();
            accounts.filter_map(|it| Some((it.uid.clone(), it.name.clone()?))).collect()
        };
        let name = |uid: &str| names.get(uid).cloned().unwrap_or_default();
        for (uid, email, _) in &listing.accounts {
            let own = name(uid);
            let count = |all: usize| all == 1;
            let of_accounts = listing.accounts.iter().filter(|(it, ..)| name(it) == own).count();
            let mut members = expected.members.iter().filter(|it| it.name.as_ref() == Some(&own));
            let (Some(member), None) = (members.next(), members.next()) else { continue };
            let owner = |uid: &str, email: &str| self.tracker.owner(expected, uid, email);
            let free = listing.accounts.iter().all(|(uid, it, _)| owner(uid, it) != Some(member));
            let unmatched = owner(uid, email).is_none() && !expected.is_unmanaged(email);
            if count(of_accounts)
                && free
                && unmatched
                && own.contains(' ')
                && member.phase(now, &self.zone) != Phase::Past
            {
                let now = [now, self.clocks.true_now()];
                let first = (member.email.clone(), now);
                let recorded = self.tracker.people.recorded.get(uid).copied().unwrap_or(now);
                let namesakes = &mut self.tracker.people.namesakes;
                let (_, since) = namesakes.entry(uid.clone()).or_insert(first);
                for (since, times) in since.iter_mut().zip(now.into_iter().zip(recorded)) {
                    *since = (*since).min(times.0).min(times.1);
                }
            }
        }
    }

    /// The member whose account this is, as far as a reviewer could know.
    pub fn person<'r>(
        &self,
        expected: &'r ExpectedRoster,
        listing: &Listing,
        uid: &str,
        now: Timestamp,
    ) -> Option<&'r Member> {
        let People { invited_as, arrivals, namesakes, .. } = &self.tracker.people;
        let phase = |member: &Member| member.phase(now, &self.zone);
        // The hold of a name that once ended does not begin again with a clock that is set back, and
        // does not end by one that is ahead.
        let latest = self.tracker.newest.map_or(now, |newest| newest.max(now));
        let true_now = self.clocks.true_now();
        let is_new = |now: Timestamp, first: Timestamp| now.duration_since(first) < NAME_HOLDS;
        let name = namesakes.get(uid).filter(|(_, [machine, truth])| {
            is_new(latest, *machine)
                || (is_new(true_now, *truth) && truth.duration_since(*machine) < PROMPT)
        });
        let namesake = name.and_then(|(member, _)| expected.member_for(member));
        if let Some(member) = namesake.filter(|it| phase(it) != Phase::Past) {
            return Some(member);
        }
        let is_arrival = |uid: &str| arrivals.get(uid) == Some(&true);
        let owner = |uid: &str, email: &str| self.tracker.owner(expected, uid, email);
        let member = expected.member_for(invited_as.get(uid).filter(|_| is_arrival(uid))?)?;
        let accounts = listing.accounts.iter();
        // Another unmatched account may have been taken for hers: one is held for each member.
        let mut others = accounts.clone().filter(|(id, email, _)| {
            id != uid && owner(id, email).is_none() && !expected.is_unmanaged(email)
        });
        let has_account = accounts.clone().any(|(id, email, _)| owner(id, email) == Some(member));
        let is_hers = phase(member) == Phase::Present && !has_account && others.next().is_none();
        is_hers.then_some(member)
    }
}

/// Gives an account the full name of its person.
pub fn introduce(account: &mut Account) {
    account.name = Some(name_of(&account.email));
}
