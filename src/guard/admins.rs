//! The guards against a lock-out. No approval lifts them.

use super::Guard;
use super::evaluate::{Decisions, GuardContext};
use crate::plan::change::Change;

/// Whoever is named in `required_admins` stays ADMIN, whatever the roster says.
pub(super) fn required_admins(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let is_required = |change: &Change| {
        change.addresses().any(|address| context.limits.required_admins.contains(address))
    };
    let concerned = taking_admin(context, |change| is_required(change));
    if concerned.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} required admins would lose ADMIN (guard.required_admins in rosterd.yaml)",
        concerned.len(),
        context.limits.required_admins.len(),
    );
    let hint = "nothing releases this but another `guard.required_admins`".into();
    decisions.hold(context, Guard::RequiredAdmins, concerned, |_| (message, hint));
}

/// At least `min_admins` lasting admins stay: accounts that the reading shows as ADMIN, whose own
/// role in the roster is ADMIN, and from whom nothing of ours may have taken it a moment ago. A
/// grant of the same plan never counts.
///
/// What is held is a whole kind, so that whatever subset of the rest really happens, the lasting
/// admins stay as many as they are. Where they are fewer than the floor already, every change that
/// takes ADMIN is held: people whom the roster does not want may then be the last ones who could
/// let anybody in, and a floor of 2 must not become 1 because the roster dropped somebody.
pub(super) fn min_admins(context: &GuardContext<'_>, decisions: &mut Decisions) {
    let lasting = &context.facts.permanent_admins;
    let is_lasting = |change: &Change| change.uid().is_some_and(|uid| lasting.contains(uid));
    let mut concerned: Vec<usize> =
        taking_admin(context, |_| true).into_iter().filter(|at| !decisions.is_held(*at)).collect();
    let leaving = concerned.iter().filter(|at| is_lasting(&context.changes[**at])).count();
    let floor = context.limits.min_admins;
    if lasting.len() - leaving >= floor {
        return;
    }
    if lasting.len() >= floor {
        concerned.retain(|at| is_lasting(&context.changes[*at]));
    }
    if concerned.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} admins would lose ADMIN, and {} that the roster keeps would stay, limit {floor} \
         (guard.min_admins in rosterd.yaml)",
        concerned.len(),
        context.facts.admins,
        lasting.len() - leaving,
    );
    let hint = "make another member ADMIN first: it counts once a reading shows it".into();
    decisions.hold(context, Guard::MinAdmins, concerned, |_| (message, hint));
}

fn taking_admin(context: &GuardContext<'_>, concerned: impl Fn(&Change) -> bool) -> Vec<usize> {
    (0..context.changes.len())
        .filter(|&at| context.changes[at].takes_admin() && concerned(&context.changes[at]))
        .collect()
}
