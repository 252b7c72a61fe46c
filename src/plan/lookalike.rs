//! Accounts and invitations whose address is not valid in a roster, but resembles a member's: it
//! may be the member's own, with an invisible character.

use std::collections::{BTreeMap, BTreeSet};

use unicode_security::confusable_detection::skeleton;

use super::change::Reason;
use super::draft::Draft;
use super::matching::Matching;
use super::{Finding, FindingKind};
use crate::email::Email;
use crate::escape::is_hostile;
use crate::role::Role;
use crate::roster::Phase;

impl Draft<'_> {
    /// Notes on the disable of an account which members it resembles, and on the invitation of a
    /// member what resembles it. What resembles an expired member is not protected; that depends on
    /// the clock.
    pub fn lookalikes(&mut self, matching: &Matching<'_>) {
        let accounts = matching.unmatched_accounts.iter().map(|it| (&it.email, &it.role));
        let invitations = matching.unmatched_invitations.iter().filter(|it| it.status.is_pending());
        let listed = accounts.chain(invitations.map(|it| (&it.email, &it.role)));
        let mut suspects: BTreeMap<String, Vec<(&Email, &Role)>> = BTreeMap::new();
        for (email, role) in listed.filter(|(email, _)| Email::parse(email.as_str()).is_err()) {
            suspects.entry(appearance(email)).or_default().push((email, role));
        }
        if suspects.is_empty() {
            return;
        }
        let mut resembling: BTreeMap<&Email, BTreeSet<&Email>> = BTreeMap::new();
        let (mut roles, mut dated) = (BTreeMap::new(), BTreeSet::new());
        for (member, _) in matching.members() {
            for address in member.addresses() {
                for (suspect, role) in suspects.get(&appearance(address)).into_iter().flatten() {
                    if member.phase(self.now) == Phase::Past {
                        dated.insert(*suspect);
                        continue;
                    }
                    resembling.entry(suspect).or_default().insert(&member.email);
                    resembling.entry(&member.email).or_default().insert(suspect);
                    roles.insert(*suspect, *role);
                }
            }
        }
        for change in &mut self.changes {
            if change.action.class().invites() || change.reason == Reason::NotInRoster {
                let others = resembling.get(&change.email).into_iter().flatten();
                change.resembles = others.map(|email| (*email).clone()).collect();
                change.dated |= dated.contains(&change.email);
                roles.remove(&change.email);
            }
        }
        for (suspect, role) in roles {
            for member in resembling.get(suspect).into_iter().flatten() {
                let kind = FindingKind::Lookalike { member: (*member).clone() };
                self.findings.push(Finding::new(kind, suspect, role, None));
            }
        }
    }
}

/// What an address looks like: equal for two that differ in case, in invisible characters, in a dot
/// at the end, or in characters that look alike.
fn appearance(email: &Email) -> String {
    let visible = email.as_str().replace(is_hostile, "");
    let folded: String = skeleton(visible.trim()).flat_map(char::to_lowercase).collect();
    // A capital `i` looks like `l`, so that no case distinguishes the two.
    let text: String = skeleton(&folded).map(|c| if c == 'i' { 'l' } else { c }).collect();
    text.trim_end_matches('.').to_owned()
}
