//! `suspend: true` holds every change.

use super::Guard;
use super::context::{Decisions, GuardContext};

pub(super) fn check(context: &GuardContext<'_>, decisions: &mut Decisions) {
    if !context.limits.suspend {
        return;
    }
    decisions.hold(context, Guard::Suspend, context.positions(|_| true), |held| {
        let message = format!(
            "all {} changes, because the workspace is suspended (suspend in rosterd.yaml)",
            held.len()
        );
        (message, "set `suspend: false` to let rosterd change this workspace".into())
    });
}
