//! The fingerprint of a plan: a hash of the roster and the changes.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::change::Change;
use crate::directory::Uid;
use crate::role::Role;
use crate::roster::Digest;

/// SHA-256 over the roster digest and the set of (kind, address, uid, from, to). Independent of the
/// order of the changes.
pub fn fingerprint(roster: Digest, changes: &[Change]) -> Digest {
    let mut rows: Vec<String> = changes.iter().map(row).collect();
    rows.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(roster.0);
    for row in rows {
        hash.update((row.len() as u64).to_be_bytes());
        hash.update(row.as_bytes());
    }
    Digest(hash.finalize().into())
}

/// The hashed text of one change, unique because each part is prefixed with its length.
fn row(change: &Change) -> String {
    // Destructured, so that a new field does not compile until this function is adapted.
    let Change {
        action,
        email,
        listed: _,
        aliases: _,
        reason: _,
        place: _,
        name: _,
        suspect: _,
        dated: _,
        end: _,
        scheduled: _,
        resembles: _,
    } = change;
    let email = email.folded();
    let parts = [
        action.kind(),
        &email,
        action.uid().map_or("", Uid::as_str),
        action.from().map_or("", Role::as_str),
        action.to().map_or("", Role::as_str),
    ];
    parts.iter().fold(String::with_capacity(128), |mut row, part| {
        let _ = writeln!(row, "{}:{part}", part.len());
        row
    })
}

#[cfg(test)]
mod tests {
    use super::super::change::{Action, Reason};
    use super::*;
    use crate::directory::Uid;
    use crate::email::Email;
    use crate::role::Role;

    fn update(email: &str, uid: &str, from: Role, to: Role) -> Change {
        Change {
            action: Action::UpdateRole { uid: Uid(uid.into()), from, to },
            email: Email::remote(email),
            listed: None,
            aliases: Box::default(),
            reason: Reason::RoleDiffers,
            place: None,
            name: None,
            suspect: None,
            dated: false,
            end: None,
            scheduled: false,
            resembles: Box::default(),
        }
    }

    fn of(changes: &[Change]) -> Digest {
        fingerprint(Digest::default(), changes)
    }

    #[test]
    fn it_depends_on_the_roster_and_the_set_of_changes_only() {
        let one = update("matt@acme.io", "a", Role::Admin, Role::Developer);
        let two = update("max@acme.io", "b", Role::Business, Role::Developer);
        let expected = of(&[one.clone(), two.clone()]);
        let mut same = Change { name: Some("Matt".into()), reason: Reason::Elevated, ..one };
        same.email = Email::remote("Matt@ACME.io");
        assert_eq!(of(&[two.clone(), same]), expected);
        for other in [
            update("zoe@acme.io", "a", Role::Admin, Role::Developer),
            update("matt@acme.io", "c", Role::Admin, Role::Developer),
            update("matt@acme.io", "a", Role::Business, Role::Developer),
            update("matt@acme.io", "a", Role::Admin, Role::Business),
        ] {
            assert_ne!(of(&[other, two.clone()]), expected);
        }
        let two = std::slice::from_ref(&two);
        assert_ne!(fingerprint(Digest([1; 32]), two), of(two));
        assert_eq!((expected.hex().len(), expected.short().len()), (64, 8));
    }
}
