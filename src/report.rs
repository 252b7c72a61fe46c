//! The report of a run: what was wanted, what was done, what is left.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use strum::IntoStaticStr;

use crate::diagnostic::InputError;
use crate::failure::FailureKind;
use crate::guard::Verdict;
use crate::memory::entry::Key;
use crate::plan::Plan;
use crate::plan::change::Change;
use crate::revision::Revision;

pub use crate::status::{RunCounts, RunStatus, Trigger};

/// The outcome of one change.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    Done,
    /// The API refused this change.
    Rejected(String),
    /// It may have happened; the listing after the run decides.
    Unknown(String),
    /// It was not sent, or certainly not executed; the next run decides again.
    NotSent(String),
}

/// One run of one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    pub workspace: String,
    pub trigger: Trigger,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// Why the roster was an earlier one.
    pub stale: Option<Stale>,
    /// Identifies the key of the API: the start of a hash.
    pub key: Option<String>,
    /// The hash of the ledger's last row, for `rosterd ledger verify --head`.
    pub ledger: Option<String>,
    pub end: End,
}

/// The first problem of the files that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub why: String,
    /// The page of its line at the git forge.
    pub url: Option<String>,
}

/// How far the run came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no plan: the roster or the workspace could not be read.
    Failed(Failure),
    /// There is a plan, and what the guards approved was sent.
    Applied(Box<Applied>),
}

/// The result of a run that had a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub plan: Arc<Plan>,
    pub verdict: Arc<Verdict>,
    /// Every approved change with its outcome, in the order sent.
    pub outcomes: Vec<(Change, Outcome)>,
    /// The commit that asked for each approved change, if the history of the files has it.
    pub asked_by: HashMap<Key, Revision>,
    /// The commit of the files.
    pub revision: Option<Revision>,
    /// What the listing after the changes shows.
    pub verification: Verification,
    /// Number of changes of earlier runs that the API acknowledged and no listing has shown.
    pub lost: usize,
    /// Why the run stopped early, if it did.
    pub stopped: Option<Failure>,
    /// The first instant at which something that is pending or held may change by itself.
    pub next: Option<Timestamp>,
}

/// The result of the listing after the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing was sent, so the first listing is still valid.
    NotNeeded,
    /// A new listing was planned again.
    Read(Box<Residue>),
    /// The new listing failed.
    Failed(String),
}

/// What the new listing still wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residue {
    /// Changes that could still be applied and were not acknowledged.
    pub applicable: Vec<Change>,
    /// Number of recent changes that the listing does not show yet.
    pub propagating: usize,
    /// Changes that this run held and the next run may apply.
    pub released: Vec<Change>,
    /// Number of members in sync.
    pub in_sync: usize,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<&InputError> for Stale {
    fn from(error: &InputError) -> Self {
        let first = error.diagnostics.iter().find(|it| it.is_error());
        let url = first.and_then(|it| error.sources.line_url(it.place?));
        Self { why: error.summary(), url }
    }
}

impl Outcome {
    /// The name in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Whether a request had this change.
    pub fn was_sent(&self) -> bool {
        !matches!(self, Self::NotSent(_))
    }

    /// Why it was not done.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Rejected(error) | Self::Unknown(error) | Self::NotSent(error) => Some(error),
        }
    }
}

impl Applied {
    /// The commit that asked for a change; if that is not known, the commit of the files.
    pub fn asked_by(&self, change: &Change) -> Option<&Revision> {
        let key = Key::of(&change.action, &change.email);
        self.asked_by.get(&key).or(self.revision.as_ref())
    }

    /// The run in numbers. The members in sync are those of the last listing.
    pub fn counts(&self) -> RunCounts {
        let in_sync = match &self.verification {
            Verification::Read(residue) => residue.in_sync,
            Verification::NotNeeded | Verification::Failed(_) => self.plan.facts.in_sync,
        };
        let held = self.verdict.held.len();
        let mut counts = RunCounts { held, in_sync, ..RunCounts::default() };
        for (_, outcome) in &self.outcomes {
            *match outcome {
                Outcome::Done => &mut counts.done,
                Outcome::Rejected(_) => &mut counts.rejected,
                Outcome::Unknown(_) => &mut counts.unknown,
                Outcome::NotSent(_) => &mut counts.not_sent,
            } += 1;
        }
        counts
    }

    fn status(&self) -> RunStatus {
        let unverified = match &self.verification {
            Verification::NotNeeded => false,
            Verification::Read(residue) => !residue.applicable.is_empty(),
            Verification::Failed(_) => true,
        };
        let failed = self.outcomes.iter().any(|(_, outcome)| *outcome != Outcome::Done);
        if unverified || failed || self.lost > 0 || self.stopped.is_some() {
            RunStatus::Failed
        } else if self.verdict.held.is_empty() {
            RunStatus::Converged
        } else {
            RunStatus::Held
        }
    }

    /// Whether anything but what the API rejected is still to be done.
    fn is_unfinished(&self) -> bool {
        let left = match &self.verification {
            Verification::NotNeeded => false,
            Verification::Failed(_) => true,
            Verification::Read(residue) => !residue.applicable.iter().all(|change| {
                self.outcomes.iter().any(|(tried, outcome)| {
                    matches!(outcome, Outcome::Rejected(_)) && tried.sort_key() == change.sort_key()
                })
            }),
        };
        let is_open = |outcome| matches!(outcome, &Outcome::Unknown(_) | &Outcome::NotSent(_));
        left || self.outcomes.iter().any(|(_, outcome)| is_open(outcome))
    }
}

impl RunReport {
    /// Whether the roster was an earlier one.
    pub fn is_stale(&self) -> bool {
        self.stale.is_some()
    }

    pub fn status(&self) -> RunStatus {
        match &self.end {
            _ if self.is_interrupted() => RunStatus::Interrupted,
            End::Failed(failure) if failure.kind.is_held() => RunStatus::Held,
            End::Failed(_) => RunStatus::Failed,
            End::Applied(applied) => applied.status(),
        }
    }

    /// Why the run failed or stopped early, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.end {
            End::Failed(failure) => Some(failure),
            End::Applied(applied) => applied.stopped.as_ref(),
        }
    }

    /// Whether it ended early for a later run, or for the end of the process.
    pub fn is_interrupted(&self) -> bool {
        self.failure().is_some_and(|failure| failure.kind == FailureKind::Cancelled)
    }

    /// Whether the run had no key, or was denied what it tried; only a person can change that.
    pub fn is_denied(&self) -> bool {
        self.failure().is_some_and(|failure| failure.kind.needs_person())
    }

    /// Whether another run soon may do better. It would not if all that is left was rejected by
    /// the API, or if there is no roster.
    pub fn is_retryable(&self) -> bool {
        match &self.end {
            End::Failed(failure) => failure.kind != FailureKind::Roster && !failure.kind.is_held(),
            End::Applied(applied) => applied.stopped.is_some() || applied.is_unfinished(),
        }
    }

    /// Whether a run at once would apply what this one held.
    pub fn has_released(&self) -> bool {
        self.applied().is_some_and(|applied| match &applied.verification {
            Verification::Read(residue) => !residue.released.is_empty(),
            Verification::NotNeeded | Verification::Failed(_) => false,
        })
    }

    /// The first instant at which something that is pending or held may change by itself.
    pub fn next(&self) -> Option<Timestamp> {
        self.applied().and_then(|applied| applied.next)
    }

    pub fn applied(&self) -> Option<&Applied> {
        match &self.end {
            End::Applied(applied) => Some(applied),
            End::Failed(_) => None,
        }
    }
}
