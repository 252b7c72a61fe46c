//! The guards against a lock-out. No approval overrides them.

use super::Guard;
use super::context::{Decisions, GuardContext};
use crate::plan::change::Change;

/// Accounts named in `required_admins` stay ADMIN, whatever the roster says. They are named by the
/// member's `email` or by their own address: an alias may be anybody's.
pub(super) fn required_admins(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let required = &context.limits.required_admins;
    let affected = context.positions(|change| {
        let mut own = change.own_addresses();
        change.action.takes_admin() && own.any(|address| required.contains(address))
    });
    decisions.hold(context, Guard::RequiredAdmins, affected, |held| {
        let message = format!(
            "{} of {} required admins would lose ADMIN (guard.required_admins in rosterd.yaml)",
            held.len(),
            required.len(),
        );
        (message, "only a change of `guard.required_admins` releases this".into())
    });
}

/// At least `min_admins` permanent admins remain: accounts that the listing shows as ADMIN, whose
/// roster role without elevation is ADMIN, and from which no recent attempt may have taken it. A
/// grant in the same plan never counts.
///
/// All changes that take ADMIN from a permanent admin are held together, so that any subset of the
/// approved changes keeps the number. If there are fewer than the limit already, every change that
/// takes ADMIN is held: accounts that the roster does not want may be the last ones that can let
/// anybody in.
pub(super) fn min_admins(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let permanent = &context.facts.permanent_admins;
    let is_permanent =
        |change: &Change| change.action.uid().is_some_and(|uid| permanent.contains(uid));
    let mut affected = context.positions(|change| change.action.takes_admin());
    affected.retain(|at| !decisions.is_held(*at));
    let losing = affected.iter().filter(|at| is_permanent(&context.changes[**at])).count();
    let (limit, remaining) = (context.limits.min_admins, permanent.len() - losing);
    if remaining >= limit {
        return;
    }
    if permanent.len() >= limit {
        affected.retain(|at| is_permanent(&context.changes[*at]));
    }
    decisions.hold(context, Guard::MinAdmins, affected, |held| {
        let message = format!(
            "{} of {} admins would lose ADMIN, and {remaining} that the roster keeps would \
             remain, limit {limit} (guard.min_admins in rosterd.yaml)",
            held.len(),
            context.facts.admins,
        );
        (message, "make another member ADMIN first: it counts once a listing shows it".into())
    });
}
