//! Judging a plan.

use super::{Approved, Limits, Spent, Verdict};
use crate::plan::Plan;

/// Decides what may be sent.
pub fn judge(_plan: &Plan, _limits: &Limits, _spent: &Spent) -> Verdict {
    todo!()
}

pub fn rejudge(_approved: &Approved) {}
